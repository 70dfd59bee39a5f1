import { createHash, type Hash } from 'node:crypto';
import { HubError } from '../base/errors.ts';
import type { ProvedRecord } from '../origin/checksum-database.ts';
import type { OriginBody } from '../origin/module-origin.ts';
import type { BlobStore, StagedBlob } from '../store/blob-store.ts';
import { keptBytesMax } from './kept-store.ts';
import { PieceWriter } from './piece-writer.ts';
import { type Artefact, smallFileBytesMax } from './stored-files.ts';

const mebibyte = 1024 * 1024;

/** The limits of golang.org/x/mod/zip; an `.info` is a few hundred bytes. */
export const sizeMaxBytes: Record<Artefact['kind'], number> = { info: 64 * 1024, mod: 16 * mebibyte, zip: 500 * mebibyte };

export interface Progress {
  receivedBytes: number;
  readonly totalBytes: number | undefined;
}

/** A look-up that runs beside the download. */
export interface Lookup {
  readonly record: Promise<ProvedRecord | undefined>;
  /** Set as soon as it has failed: what cannot be proved need not be downloaded to its end. */
  failure?: Error;
}

/** A body as it was received, before it is checked. */
export interface Received {
  /** Of an `.info` or a `.mod`; a zip is hashed in the prover's thread. */
  readonly hash: Hash;
  /** Undefined when the bytes are few, and `small` has them all. */
  readonly staged: StagedBlob | undefined;
  /** All bytes of an `.info` or a `.mod`, when they are few. A zip is read again when it is served: what was proved are the bytes in its file. */
  readonly small: Buffer | undefined;
}

/**
 * Reads a body into memory or, what is not small, into a staged file; small files have no file before they are stored.
 * @throws {HubError} upstream-invalid, the look-up's failure, storage-…, or what the body throws
 */
export async function receive(
  body: OriginBody,
  into: { store: BlobStore; progress: Progress; kind: Artefact['kind']; lookup: Lookup | undefined },
): Promise<Received> {
  const { store, progress, kind, lookup } = into;
  const limitBytes = sizeMaxBytes[kind];
  const hash = createHash('sha256');
  let small: Buffer[] | undefined = kind === 'zip' ? undefined : [];
  let file: PieceWriter | undefined;
  try {
    for await (const chunk of body) {
      if (lookup?.failure !== undefined) throw lookup.failure;
      progress.receivedBytes += chunk.length;
      if (progress.receivedBytes > limitBytes) throw new HubError('upstream-invalid', `the upstream sent more than ${limitBytes} bytes`);
      if (kind !== 'zip') hash.update(chunk);
      if (file === undefined && (kind === 'zip' || progress.receivedBytes > keptBytesMax)) {
        file = new PieceWriter(await store.stage({ digest: 'given' }));
        for (const earlier of small ?? []) await file.write(earlier);
      }
      await file?.write(chunk);
      if (progress.receivedBytes > smallFileBytesMax) small = undefined;
      // A copy: the body may use the memory of a chunk again.
      small?.push(Buffer.from(chunk));
    }
    if (kind === 'zip') file ??= new PieceWriter(await store.stage({ digest: 'given' }));
    await file?.flush();
  } catch (error) {
    await file?.staged[Symbol.asyncDispose]();
    throw error;
  }
  return { hash, staged: file?.staged, small: small === undefined ? undefined : Buffer.concat(small) };
}
