import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { BlobKey } from '../base/blob-key.ts';
import { codeOf } from '../base/errors.ts';
import type { ArtefactKind, Events } from '../base/events.ts';
import { ownBytes } from '../base/own-bytes.ts';
import type { FileRow, Metadata } from '../meta/metadata.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import type { BlobStore, OpenBlob } from '../store/blob-store.ts';
import { boundedCache } from './bounded-cache.ts';
import { condemn } from './condemn.ts';
import type { Served } from './served.ts';

/** One file of a module version. */
export interface Artefact {
  readonly kind: ArtefactKind;
  readonly module: ModulePath;
  readonly version: Version;
  readonly key: BlobKey;
}

/** Files up to this size are served from memory once read. */
export const smallFileBytesMax: number = 256 * 1024;

const readBytes = 512 * 1024;

/** What a file in memory costs besides its bytes and its key: objects, digests and what the allocator adds to a small block. */
const fileOverheadBytes = 700;

export interface StoredFilesOptions {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly events: Events;
  /** Whether an artefact that a database covers has to have been proved. */
  readonly requireProof: boolean;
  /** What is private now: files that were stored while it was public are not of the same module, and the other way round. */
  readonly isPrivate: (module: ModulePath) => boolean;
  readonly memoryBytesMax: number;
}

type ServedBytes = Extract<Served, { kind: 'bytes' }>;
type Identity = Pick<FileRow, 'sha256' | 'fingerprint'>;

/**
 * Stored artefacts, each compared with what was sealed before a byte of it is used:
 * a file whose inode, size, mtime or ctime moved is hashed again, one whose digest differs is set aside as if it had never been there.
 */
export class StoredFiles {
  readonly #options: StoredFilesOptions;
  readonly #memory: LRUCache<BlobKey, ServedBytes>;
  /** What files were last seen as, so that a hit asks no database. */
  readonly #known = boundedCache<BlobKey, Identity>(20_000);
  /** Touched files that are being hashed: all who ask for one meanwhile wait for the same pass. */
  readonly #rehashing = new Map<string, Promise<boolean>>();

  constructor(options: StoredFilesOptions) {
    this.#options = options;
    this.#memory = new LRUCache({
      maxSize: Math.max(options.memoryBytesMax, smallFileBytesMax),
      sizeCalculation: (file, key) => file.bytes.length + key.length + fileOverheadBytes,
    });
  }

  /**
   * The file if its bytes are still the proved ones. A file without a row is not answered, nor one that was stored unproved when proofs are required:
   * it has to be proved first. Each caller gets a blob of its own.
   */
  async open(artefact: Artefact): Promise<Served | undefined> {
    const kept = this.#memory.get(artefact.key);
    return kept === undefined ? await this.#openStored(artefact) : this.#settled(artefact.key, kept);
  }

  /**
   * What is asked for again gets memory of its own. Files that are asked for once share a slab and leave the cache together; among them
   * one that stays would keep the whole slab alive. To give each its own at once would leave the allocator with holes of every size.
   */
  #settled(key: BlobKey, kept: ServedBytes): ServedBytes {
    const bytes = ownBytes(kept.bytes);
    if (bytes === kept.bytes) return kept;
    const settled = { ...kept, bytes };
    this.#memory.set(key, settled);
    return settled;
  }

  /** Whether the store has it and the metadata knows it, whatever is in memory. */
  async has(artefact: Artefact): Promise<boolean> {
    this.#known.delete(artefact.key);
    const served = await this.#openStored(artefact);
    if (served?.kind === 'blob') await served.blob[Symbol.asyncDispose]();
    return served !== undefined;
  }

  /** Takes note of a file just sealed and recorded; `bytes`, when they are few and were hashed themselves, are served from memory from now on. */
  adopt(artefact: Artefact, row: Identity, bytes: Buffer | undefined): void {
    this.#known.set(artefact.key, { sha256: row.sha256, fingerprint: row.fingerprint });
    if (bytes !== undefined) this.#keep(artefact, bytes, row.sha256);
  }

  /** Lets go of the bytes in memory; what is asked for next is read, and hashed, again. */
  releaseMemory(): void {
    this.#memory.clear();
  }

  /** Without a row there is nothing to open: the metadata knows that at a tenth of what the disk takes to say so. */
  async #openStored(artefact: Artefact): Promise<Served | undefined> {
    const { key, kind } = artefact;
    const remembered = this.#known.get(key);
    const row = remembered === undefined ? await this.#options.metadata.file(key) : undefined;
    if (remembered === undefined && (row === undefined || !this.#accepts(row, artefact))) return undefined;
    const blob = await this.#options.store.open(key);
    if (blob === undefined) return undefined;
    let handedOver = false;
    try {
      const known = await this.#identify(artefact, blob, row);
      if (known === undefined) return undefined;
      if (blob.sizeBytes > smallFileBytesMax) {
        handedOver = true;
        const etag = `"${known.sha256}"`;
        return { kind: 'blob', blob, storedAs: key, contentType: contentTypes[kind], immutable: true, etag, outcome: 'hit' };
      }
      const bytes = await readWhole(blob);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      if (sha256 === known.sha256) return this.#keep(artefact, bytes, sha256);
      const sealed = row ?? (await this.#options.metadata.file(key));
      await this.#reject(key, blob, sealed && { ...sealed, fingerprint: known.fingerprint }, 'its digest differs from the sealed one');
      return undefined;
    } finally {
      if (!handedOver) await blob[Symbol.asyncDispose]();
    }
  }

  /** Looks whether the file on disk is still the one that was proved; hashes it again when it was touched. `before`: its row, if that was read a moment ago. */
  async #identify(artefact: Artefact, blob: OpenBlob, before: FileRow | undefined): Promise<Identity | undefined> {
    const { key } = artefact;
    const remembered = this.#known.get(key);
    if (remembered !== undefined && remembered.fingerprint === blob.fingerprint) return remembered;
    const row = before?.fingerprint === blob.fingerprint ? before : await this.#options.metadata.file(key);
    if (row === undefined || !this.#accepts(row, artefact)) return undefined;
    if (row.fingerprint !== blob.fingerprint) {
      if (row.sizeBytes !== blob.sizeBytes || !(await this.#stillHas(row.sha256, key, blob))) {
        await this.#reject(key, blob, row, 'its bytes were changed after they had been sealed');
        return undefined;
      }
      await this.#recordFingerprint(key, blob.fingerprint);
    }
    const known = { sha256: row.sha256, fingerprint: blob.fingerprint };
    this.#known.set(key, known);
    return known;
  }

  async #stillHas(sha256: string, key: BlobKey, blob: OpenBlob): Promise<boolean> {
    const name = `${key} ${blob.fingerprint} ${sha256}`;
    let run = this.#rehashing.get(name);
    if (run === undefined) {
      run = digest(blob)
        .then((found) => found === sha256)
        .finally(() => this.#rehashing.delete(name));
      this.#rehashing.set(name, run);
    }
    return await run;
  }

  /** On a disk that is full the file is hashed again after the next start: that is no reason not to serve it now. */
  async #recordFingerprint(key: BlobKey, fingerprint: string): Promise<void> {
    try {
      await this.#options.metadata.recordFingerprint(key, fingerprint);
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
    }
  }

  #accepts({ proof }: FileRow, { kind, module }: Artefact): boolean {
    const { isPrivate, requireProof } = this.#options;
    if (isPrivate(module)) return proof.kind === 'private';
    return proof.kind === 'checksum-database' || (proof.kind === 'none' && (kind === 'info' || !requireProof));
  }

  async #reject(key: BlobKey, blob: OpenBlob, row: FileRow | undefined, reason: string): Promise<void> {
    this.#known.delete(key);
    await condemn(this.#options, { key, fingerprint: blob.fingerprint, row }, reason);
  }

  #keep(artefact: Artefact, bytes: Buffer, sha256: string): ServedBytes {
    const served: ServedBytes = {
      kind: 'bytes',
      bytes,
      contentType: contentTypes[artefact.kind],
      immutable: true,
      etag: `"${sha256}"`,
      outcome: 'hit',
    };
    this.#memory.set(artefact.key, served);
    return served;
  }
}

const contentTypes = {
  info: 'application/json',
  mod: 'text/plain; charset=utf-8',
  zip: 'application/zip',
} as const satisfies Record<ArtefactKind, string>;

async function readWhole(blob: OpenBlob): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(blob.sizeBytes);
  let filled = 0;
  while (filled < bytes.length) {
    const count = await blob.read(bytes.subarray(filled), bytes.length - filled, filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

/** SHA-256 of an open file, 64 lower-case hex digits, read in large pieces so that the event loop breathes between them. @throws the signal's reason */
export async function digest(blob: OpenBlob, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(blob)) {
    signal?.throwIfAborted();
    hash.update(chunk);
  }
  return hash.digest('hex');
}

/** The bytes of an open file in order. Each chunk is overwritten by the next. */
export async function* chunksOf(blob: OpenBlob): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(Math.min(readBytes, Math.max(blob.sizeBytes, 1)));
  for (let position = 0; ; ) {
    const count = await blob.read(buffer, buffer.length, position);
    if (count === 0) return;
    yield buffer.subarray(0, count);
    position += count;
  }
}
