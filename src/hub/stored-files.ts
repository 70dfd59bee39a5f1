import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { BlobKey } from '../base/blob-key.ts';
import type { ArtefactKind, Events } from '../base/events.ts';
import type { FileRow, Metadata } from '../meta/metadata.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import type { BlobStore, OpenBlob } from '../store/blob-store.ts';
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

type ServedBytes = Extract<Served, { kind: 'bytes' }>;

/**
 * Stored artefacts, each compared with what was sealed before a byte of it is used:
 * a file whose inode, size, mtime or ctime moved is hashed again, one whose digest differs is set aside as if it had never been there.
 */
export class StoredFiles {
  readonly #store: BlobStore;
  readonly #metadata: Metadata;
  readonly #events: Events;
  readonly #memory: LRUCache<BlobKey, ServedBytes>;
  /** What large files were last seen as, so that a hit asks no database. */
  readonly #known = new LRUCache<BlobKey, Pick<FileRow, 'sha256' | 'fingerprint'>>({ max: 50_000 });

  constructor(options: { store: BlobStore; metadata: Metadata; events: Events; memoryBytesMax: number }) {
    this.#store = options.store;
    this.#metadata = options.metadata;
    this.#events = options.events;
    this.#memory = new LRUCache({
      maxSize: Math.max(options.memoryBytesMax, smallFileBytesMax),
      sizeCalculation: (file, key) => file.bytes.length + key.length + 256,
    });
  }

  /** The file if its bytes are still the proved ones. A file without a row is not answered: it has to be proved first. */
  async open(artefact: Artefact): Promise<Served | undefined> {
    const inMemory = this.#memory.get(artefact.key);
    if (inMemory !== undefined) return inMemory;
    const blob = await this.#store.open(artefact.key);
    if (blob === undefined) return undefined;
    let handedOver = false;
    try {
      const known = await this.#identify(artefact.key, blob);
      if (known === undefined) return undefined;
      if (blob.sizeBytes > smallFileBytesMax) {
        handedOver = true;
        return { kind: 'blob', blob, contentType: contentTypes[artefact.kind], immutable: true, etag: `"${known.sha256}"`, outcome: 'hit' };
      }
      const bytes = await readWhole(blob);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      if (sha256 !== known.sha256) {
        await this.#reject(artefact.key, 'its digest differs from the sealed one');
        return undefined;
      }
      return this.#keep(artefact, bytes, sha256);
    } finally {
      if (!handedOver) await blob[Symbol.asyncDispose]();
    }
  }

  /** Takes note of a file just sealed and recorded; its bytes, when small, are served from memory from now on. */
  async adopt(artefact: Artefact, row: Pick<FileRow, 'sha256' | 'fingerprint'>, bytes: Buffer | undefined): Promise<Served | undefined> {
    this.#known.set(artefact.key, { sha256: row.sha256, fingerprint: row.fingerprint });
    if (bytes === undefined) return this.open(artefact);
    return this.#keep(artefact, bytes, row.sha256);
  }

  /** Looks whether the file on disk is still the one that was proved; hashes it again when it was touched. */
  async #identify(key: BlobKey, blob: OpenBlob): Promise<Pick<FileRow, 'sha256' | 'fingerprint'> | undefined> {
    const remembered = this.#known.get(key);
    if (remembered !== undefined && remembered.fingerprint === blob.fingerprint) return remembered;
    const row = await this.#metadata.file(key);
    if (row === undefined) return undefined;
    if (row.fingerprint !== blob.fingerprint) {
      if (row.sizeBytes !== blob.sizeBytes || (await digest(blob)) !== row.sha256) {
        await this.#reject(key, 'its bytes were changed after they had been sealed');
        return undefined;
      }
      await this.#metadata.recordFingerprint(key, blob.fingerprint);
    }
    const known = { sha256: row.sha256, fingerprint: blob.fingerprint };
    this.#known.set(key, known);
    return known;
  }

  /** The bad file leaves the store before its row leaves the metadata: a crash between leaves a row without a file, which is a plain miss. */
  async #reject(key: BlobKey, reason: string): Promise<void> {
    this.#known.delete(key);
    await this.#store.setAside(key, reason);
    await this.#metadata.forgetFile(key);
    this.#events.fileSetAside({ key, reason });
  }

  #keep(artefact: Artefact, bytes: Buffer, sha256: string): ServedBytes {
    const served: ServedBytes = { kind: 'bytes', bytes, contentType: contentTypes[artefact.kind], immutable: true, etag: `"${sha256}"`, outcome: 'hit' };
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

/** SHA-256 of an open file, 64 lower-case hex digits, read in large pieces so that the event loop breathes between them. */
export async function digest(blob: OpenBlob): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(blob)) hash.update(chunk);
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
