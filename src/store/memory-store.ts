import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobKey } from '../base/blob-key.ts';
import { invariant } from '../base/invariant.ts';
import type { BlobStore, OpenBlob, PlacedBlob, SealedBlob, StagedBlob, StageOptions } from './blob-store.ts';
import { checkBlobKey, otherBytes, tooLong } from './key-path.ts';

export type StoreOperation = 'open' | 'read-small' | 'stage' | 'append' | 'seal' | 'replace' | 'settle' | 'set-aside' | 'remove';

/**
 * Called before and after each operation takes effect; what it throws is what the operation throws.
 * A fault `after` leaves the effect in place, as when a disk's acknowledgement is lost.
 */
export type StoreFaults = (point: 'before' | 'after', operation: StoreOperation, key: BlobKey | undefined) => void;

/** What tests may do to a store in memory behind the hub's back. */
export interface MemoryStore extends BlobStore {
  /** Overwrites stored bytes as bit rot or a hand on the disk would: the fingerprint changes with them. */
  tamper(key: BlobKey, bytes: Uint8Array): void;
  /** What was set aside, oldest first. */
  readonly aside: readonly { readonly key: BlobKey; readonly reason: string; readonly bytes: Buffer }[];
}

interface Stored {
  readonly bytes: Buffer;
  readonly fingerprint: string;
}

const asideMax = 100;

/** A whole store in memory, for tests. Staged bytes lie in a temporary folder as well, since other threads read them by path. */
export function createMemoryStore(options: { faults?: StoreFaults } = {}): MemoryStore {
  return new InMemory(options.faults ?? (() => {}));
}

class InMemory implements MemoryStore {
  readonly aside: { key: BlobKey; reason: string; bytes: Buffer }[] = [];
  readonly #faults: StoreFaults;
  readonly #blobs = new Map<BlobKey, Stored>();
  readonly #staged = new Set<MemoryStagedBlob>();
  #folder: Promise<string> | undefined;
  #serial = 0;

  constructor(faults: StoreFaults) {
    this.#faults = faults;
  }

  async open(key: BlobKey): Promise<OpenBlob | undefined> {
    checkBlobKey(key);
    this.#faults('before', 'open', key);
    const stored = this.#blobs.get(key);
    return stored === undefined ? undefined : new MemoryOpenBlob(stored);
  }

  async readSmall(key: BlobKey, sizeMaxBytes: number): Promise<{ bytes: Buffer; fingerprint: string } | undefined> {
    checkBlobKey(key);
    this.#faults('before', 'read-small', key);
    const stored = this.#blobs.get(key);
    if (stored === undefined) return undefined;
    if (stored.bytes.length > sizeMaxBytes) throw tooLong(key, stored.bytes.length, sizeMaxBytes);
    return { bytes: Buffer.from(stored.bytes), fingerprint: stored.fingerprint };
  }

  async stage({ digest }: StageOptions = { digest: 'computed' }): Promise<StagedBlob> {
    this.#faults('before', 'stage', undefined);
    this.#folder ??= mkdtemp(join(tmpdir(), 'goyi-memory-store-'));
    this.#serial += 1;
    const name = `${this.#serial}.part`;
    const localPath = join(await this.#folder, name);
    const staged = new MemoryStagedBlob({
      localPath,
      digest,
      handle: await open(localPath, 'wx+'),
      faults: this.#faults,
      seal: (key, bytes) => this.#seal(key, bytes),
      forget: () => this.#staged.delete(staged),
    });
    this.#staged.add(staged);
    return staged;
  }

  async put(key: BlobKey, bytes: Uint8Array): Promise<SealedBlob> {
    return this.#seal(key, Buffer.from(bytes));
  }

  async replace(key: BlobKey, bytes: Uint8Array): Promise<void> {
    checkBlobKey(key);
    this.#faults('before', 'replace', key);
    this.#store(key, Buffer.from(bytes));
    this.#faults('after', 'replace', key);
  }

  async place(key: BlobKey, bytes: Uint8Array, how: 'put' | 'replace'): Promise<PlacedBlob> {
    if (how === 'put') return this.#seal(key, Buffer.from(bytes));
    await this.replace(key, bytes);
    return { sizeBytes: bytes.length, fingerprint: this.#blobs.get(key)?.fingerprint ?? '' };
  }

  async settle(keys: readonly BlobKey[]): Promise<void> {
    for (const key of keys) checkBlobKey(key);
    this.#faults('before', 'settle', undefined);
  }

  async setAside(key: BlobKey, reason: string): Promise<boolean> {
    checkBlobKey(key);
    this.#faults('before', 'set-aside', key);
    const stored = this.#blobs.get(key);
    if (stored === undefined) return false;
    this.#blobs.delete(key);
    this.aside.push({ key, reason, bytes: stored.bytes });
    if (this.aside.length > asideMax) this.aside.shift();
    this.#faults('after', 'set-aside', key);
    return true;
  }

  async remove(key: BlobKey): Promise<boolean> {
    checkBlobKey(key);
    this.#faults('before', 'remove', key);
    const removed = this.#blobs.delete(key);
    this.#faults('after', 'remove', key);
    return removed;
  }

  async *keys(prefix: string): AsyncGenerator<BlobKey> {
    const present = Array.from(this.#blobs.keys());
    for (const key of present) if (key.startsWith(prefix)) yield key;
  }

  async sweep(): Promise<number> {
    return 0;
  }

  async health(): Promise<{ readable: boolean; writable: boolean; freeBytes: undefined; reason?: string }> {
    try {
      this.#faults('before', 'stage', undefined);
      return { readable: true, writable: true, freeBytes: undefined };
    } catch (error) {
      return { readable: true, writable: false, freeBytes: undefined, reason: error instanceof Error ? error.message : String(error) };
    }
  }

  tamper(key: BlobKey, bytes: Uint8Array): void {
    invariant(this.#blobs.has(key), `${key} is not stored`);
    this.#store(key, Buffer.from(bytes));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const staged of this.#staged) await staged[Symbol.asyncDispose]();
    if (this.#folder !== undefined) await rm(await this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  #seal(key: BlobKey, bytes: Buffer): SealedBlob {
    checkBlobKey(key);
    this.#faults('before', 'seal', key);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const present = this.#blobs.get(key);
    if (present !== undefined && !present.bytes.equals(bytes)) throw otherBytes(key);
    const { fingerprint } = present ?? this.#store(key, bytes);
    this.#faults('after', 'seal', key);
    return { sizeBytes: bytes.length, sha256, fingerprint };
  }

  #store(key: BlobKey, bytes: Buffer): Stored {
    this.#serial += 1;
    const stored = { bytes, fingerprint: `${this.#serial}:${bytes.length}:0:0` };
    this.#blobs.set(key, stored);
    return stored;
  }
}

/** An open blob in memory; only who asks for its path pays for a file. */
class MemoryOpenBlob implements OpenBlob {
  readonly sizeBytes: number;
  readonly fingerprint: string;
  readonly #bytes: Buffer;
  #folder: string | undefined;

  constructor(stored: Stored) {
    this.sizeBytes = stored.bytes.length;
    this.fingerprint = stored.fingerprint;
    this.#bytes = stored.bytes;
  }

  get localPath(): string {
    this.#folder ??= mkdtempSync(join(tmpdir(), 'goyi-memory-blob-'));
    const path = join(this.#folder, 'bytes');
    writeFileSync(path, this.#bytes);
    return path;
  }

  async read(buffer: Uint8Array, length: number, position: number): Promise<number> {
    return this.readNow(buffer, length, position);
  }

  readNow(buffer: Uint8Array, length: number, position: number): number {
    const part = this.#bytes.subarray(position, position + Math.min(length, buffer.length));
    buffer.set(part);
    return part.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }
}

interface MemoryStagedOptions extends StageOptions {
  readonly localPath: string;
  readonly handle: FileHandle;
  readonly faults: StoreFaults;
  readonly seal: (key: BlobKey, bytes: Buffer) => SealedBlob;
  readonly forget: () => void;
}

class MemoryStagedBlob implements StagedBlob {
  readonly localPath: string;
  readonly #options: MemoryStagedOptions;
  #chunks: Buffer[] = [];
  #sizeBytes = 0;
  #open = true;

  constructor(options: MemoryStagedOptions) {
    this.localPath = options.localPath;
    this.#options = options;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async append(chunk: Uint8Array): Promise<void> {
    invariant(this.#open, 'a staged file takes bytes only until it is sealed or disposed of');
    this.#options.faults('before', 'append', undefined);
    const position = this.#sizeBytes;
    const copy = Buffer.from(chunk);
    this.#chunks.push(copy);
    this.#sizeBytes += copy.length;
    await this.#options.handle.write(copy, 0, copy.length, position);
    this.#options.faults('after', 'append', undefined);
  }

  async reset(): Promise<void> {
    invariant(this.#open, 'a staged file is begun again only before it is sealed or disposed of');
    this.#chunks = [];
    this.#sizeBytes = 0;
    await this.#options.handle.truncate(0);
  }

  async seal(key: BlobKey, given?: string): Promise<SealedBlob> {
    invariant(this.#open, 'a staged file is sealed once');
    invariant((given === undefined) === (this.#options.digest === 'computed'), 'a digest is given if, and only if, it was to be given');
    try {
      const sealed = this.#options.seal(key, Buffer.concat(this.#chunks));
      return given === undefined ? sealed : { ...sealed, sha256: given };
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#chunks = [];
    this.#options.forget();
    await this.#options.handle.close();
    await rm(this.localPath, { force: true });
  }
}
