import { type BigIntStats, read, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { invariant } from '../base/invariant.ts';
import type { OpenBlob } from './blob-store.ts';
import { fingerprintOf, storageError } from './fs-operations.ts';
import type { RecentReads } from './fs-recent-reads.ts';

export interface FsOpenBlobOptions {
  readonly localPath: string;
  /** Owned from now on. */
  readonly handle: FileHandle;
  readonly stats: BigIntStats;
  readonly recent: RecentReads;
}

/** An open stored file. Read by its descriptor: the promises of a FileHandle cost a large answer a seventh of its time. */
export class FsOpenBlob implements OpenBlob {
  readonly sizeBytes: number;
  readonly fingerprint: string;
  readonly localPath: string;
  readonly #handle: FileHandle;
  readonly #recent: RecentReads;
  /** Reads under way: the descriptor must not be closed, and be another file's, below one of them. */
  #reading = 0;
  #closing: PromiseWithResolvers<void> | undefined;

  constructor({ localPath, handle, stats, recent }: FsOpenBlobOptions) {
    this.sizeBytes = Number(stats.size);
    this.fingerprint = fingerprintOf(stats);
    this.localPath = localPath;
    this.#handle = handle;
    this.#recent = recent;
  }

  read(buffer: Uint8Array, length: number, position: number): Promise<number> {
    invariant(this.#closing === undefined, 'a stored file is read only while it is open');
    this.#reading += 1;
    return new Promise((resolve, reject) => {
      read(this.#handle.fd, buffer, 0, Math.min(length, buffer.length), position, (error, count) => {
        this.#reading -= 1;
        if (this.#reading === 0) this.#closing?.resolve();
        if (error !== null) return reject(storageError(`read ${this.localPath}`, error));
        this.#recent.note(this.fingerprint, position, position + count);
        resolve(count);
      });
    });
  }

  readNow(buffer: Uint8Array, length: number, position: number): number | undefined {
    invariant(this.#closing === undefined, 'a stored file is read only while it is open');
    const wanted = Math.min(length, buffer.length);
    if (!this.#recent.has(this.fingerprint, Math.min(position + wanted, this.sizeBytes))) return undefined;
    const startedMs = performance.now();
    try {
      const count = readSync(this.#handle.fd, buffer, 0, wanted, position);
      this.#recent.timed(this.fingerprint, performance.now() - startedMs);
      return count;
    } catch {
      // What it is, the read on another thread will say.
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing !== undefined) return this.#closing.promise;
    this.#closing = Promise.withResolvers();
    if (this.#reading === 0) this.#closing.resolve();
    await this.#closing.promise;
    await this.#handle.close().catch(() => {});
  }
}
