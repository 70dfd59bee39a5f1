import type { BlobKey } from '../base/blob-key.ts';

/** What a sealed file is known by. `fingerprint` (inode, size, mtime, ctime) changes whenever somebody touches the file. */
export interface SealedBlob {
  readonly sizeBytes: number;
  /** SHA-256 of the bytes, 64 lower-case hex digits. */
  readonly sha256: string;
  readonly fingerprint: string;
}

export type PlacedBlob = Pick<SealedBlob, 'sizeBytes' | 'fingerprint'>;

/** An open stored file. The reader keeps reading the same bytes even when the key is set aside meanwhile. */
export interface OpenBlob extends AsyncDisposable {
  readonly sizeBytes: number;
  readonly fingerprint: string;
  /** A local file with these bytes, for readers in another thread; undefined when the store is not on this machine. */
  readonly localPath: string | undefined;
  /** Reads up to `length` bytes at `position` into the start of `buffer`; answers how many were read, 0 only at the end. */
  read(buffer: Uint8Array, length: number, position: number): Promise<number>;
  /**
   * The same on the calling thread where that takes no longer than copying the bytes, because they were read a moment ago. Undefined where it might
   * have to wait for a disk, or fails: then `read` it. Who calls it again and again lets the event loop turn in between.
   */
  readNow(buffer: Uint8Array, length: number, position: number): number | undefined;
}

/** A file that is being made. Invisible until sealed; disposing of it unsealed removes it. */
export interface StagedBlob extends AsyncDisposable {
  /** A local file that holds the bytes appended so far, for readers in another thread. */
  readonly localPath: string;
  readonly sizeBytes: number;
  append(chunk: Uint8Array): Promise<void>;
  /** Forgets all bytes, to begin again. */
  reset(): Promise<void>;
  /**
   * Makes the bytes visible under `key`, whole and durable: fsync, rename, fsync of the folder.
   * When the key exists already with the same bytes, that is success; with other bytes it is replaced only if `replace` says that the old ones are known to be bad.
   * `sha256` is the digest that was found by who read the staged file; it has to be given if, and only if, the file was staged with `digest: 'given'`.
   * @throws {HubError} storage-full, storage-fault
   */
  seal(key: BlobKey, sha256?: string): Promise<SealedBlob>;
}

export interface StageOptions {
  /** `computed`: while the bytes are appended, on the calling thread. `given`: by the caller when it seals, so that no byte is hashed twice. */
  readonly digest: 'computed' | 'given';
}

/**
 * Bytes under keys. Keys are immutable once sealed; only `replace` changes one (for `@v/list`, `latest`).
 * Every method throws {HubError} storage-full or storage-fault when the medium fails; absence is `undefined`.
 */
export interface BlobStore extends AsyncDisposable {
  open(key: BlobKey): Promise<OpenBlob | undefined>;
  /** The whole file if it is at most `sizeMaxBytes` long. @throws {HubError} storage-fault when it is longer */
  readSmall(key: BlobKey, sizeMaxBytes: number): Promise<{ readonly bytes: Buffer; readonly fingerprint: string } | undefined>;
  /** Default: `digest: 'computed'`. */
  stage(options?: StageOptions): Promise<StagedBlob>;
  /** Stages and seals bytes already in memory. */
  put(key: BlobKey, bytes: Uint8Array): Promise<SealedBlob>;
  /** As `put`, for the few keys that change: atomic, and the last writer wins. */
  replace(key: BlobKey, bytes: Uint8Array): Promise<void>;
  /**
   * As `put` or `replace`, but not durable: the file is visible and whole, and a power cut may take it. Until `settle` has resolved, the caller keeps the
   * bytes somewhere durable. For small files, which cost a fifth of `put` so.
   */
  place(key: BlobKey, bytes: Uint8Array, how: 'put' | 'replace'): Promise<PlacedBlob>;
  /** Makes durable what was placed; keys that are gone meanwhile are none the worse. Cheap when the system has written the bytes by itself meanwhile. */
  settle(keys: readonly BlobKey[]): Promise<void>;
  /** Takes a bad file out of sight, keeping it as evidence below `staging/aside/` (bounded: the oldest go first). False when it was gone already. */
  setAside(key: BlobKey, reason: string): Promise<boolean>;
  /** Removes a file for good. False when there was none. */
  remove(key: BlobKey): Promise<boolean>;
  /** Every key below a prefix ('' for all) in no particular order; what lies in staging is not a key. */
  keys(prefix: string): AsyncIterable<BlobKey>;
  /** Removes half-written files that no living process of this hub owns. Answers how many. */
  sweep(): Promise<number>;
  /** Free space and whether a write succeeds right now, for readyz and for degraded mode. */
  health(): Promise<{
    readonly readable: boolean;
    readonly writable: boolean;
    readonly freeBytes: number | undefined;
    readonly reason?: string;
  }>;
}
