import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { SealedBlob, StagedBlob, StageOptions } from './blob-store.ts';
import { type FsOperations, fingerprintOf, statOpen, storageError } from './fs-operations.ts';

/** A complete, synced file in staging that waits to be given its name. */
export interface SyncedFile {
  readonly localPath: string;
  readonly handle: FileHandle;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface FsStagedOptions extends StageOptions {
  readonly localPath: string;
  readonly handle: FileHandle;
  readonly operations: FsOperations;
  /** Gives the file its name, durably, and takes away the one in staging; answers the fingerprint of what stands there now. */
  readonly publish: (key: BlobKey, file: SyncedFile) => Promise<string>;
  /** Called once with every failure of the disk, and with undefined when a file was sealed. */
  readonly note: (failure: HubError | undefined) => void;
}

/**
 * A file in `staging/`, written at explicit positions and, unless the digest is to be given, hashed in the order of the calls.
 * It owns its handle and its name until it is sealed; after any failure it removes itself and takes nothing more.
 */
export class FsStagedBlob implements StagedBlob {
  readonly localPath: string;
  readonly #options: FsStagedOptions;
  #hash: Hash | undefined;
  #sizeBytes = 0;
  #writing = 0;
  #state: 'open' | 'sealing' | 'closed' = 'open';
  #failure: HubError | undefined;

  constructor(options: FsStagedOptions) {
    this.localPath = options.localPath;
    this.#options = options;
    this.#hash = newHash(options);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  async append(chunk: Uint8Array): Promise<void> {
    this.#checkOpen();
    let position = this.#sizeBytes;
    this.#hash?.update(chunk);
    this.#sizeBytes += chunk.length;
    this.#writing += 1;
    try {
      for (let rest = chunk; rest.length > 0; ) {
        const count = await this.#options.operations.write(this.#options.handle, rest, position);
        if (count <= 0) throw new HubError('storage-fault', `cannot write ${this.localPath}: no byte was taken`);
        position += count;
        rest = rest.subarray(count);
      }
    } catch (error) {
      throw await this.#fail(error);
    } finally {
      this.#writing -= 1;
    }
  }

  async reset(): Promise<void> {
    this.#checkOpen();
    invariant(this.#writing === 0, 'a staged file is begun again only when every append has resolved');
    this.#hash = newHash(this.#options);
    this.#sizeBytes = 0;
    try {
      await this.#options.handle.truncate(0);
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  async seal(key: BlobKey, given?: string): Promise<SealedBlob> {
    this.#checkOpen();
    invariant((given === undefined) === (this.#options.digest === 'computed'), 'a digest is given if, and only if, it was to be given');
    const { localPath, sizeBytes } = await this.#finish();
    const sha256 = given ?? (this.#hash as Hash).digest('hex');
    try {
      const fingerprint = await this.#options.publish(key, { localPath, handle: this.#options.handle, sizeBytes, sha256 });
      this.#state = 'closed';
      await this.#closeHandle();
      this.#options.note(undefined);
      return { sizeBytes, sha256, fingerprint };
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  /** While it is being sealed, the sealing cleans up by itself, whichever way it ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'open') await this.#close();
  }

  /** After a failed fsync nobody knows what is on the disk: the file is given up and never synced a second time. */
  async #finish(): Promise<Pick<SyncedFile, 'localPath' | 'sizeBytes'>> {
    invariant(this.#writing === 0, 'a staged file is sealed only when every append has resolved');
    this.#state = 'sealing';
    try {
      await this.#options.operations.sync(this.#options.handle);
      const stats = statOpen(this.#options.handle);
      if (stats.size !== BigInt(this.#sizeBytes)) {
        throw new HubError(
          'storage-fault',
          `${this.localPath} has ${stats.size} bytes where ${this.#sizeBytes} were written (${fingerprintOf(stats)})`,
        );
      }
    } catch (error) {
      throw await this.#fail(error);
    }
    return { localPath: this.localPath, sizeBytes: this.#sizeBytes };
  }

  #checkOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    invariant(this.#state === 'open', 'a staged file takes nothing more once it is sealed or disposed of');
  }

  async #fail(error: unknown): Promise<HubError> {
    const failure = storageError(`store ${this.localPath}`, error);
    if (this.#failure === undefined) {
      this.#failure = failure;
      if (!(error instanceof HubError)) this.#options.note(failure);
    }
    await this.#close();
    return failure;
  }

  async #close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    await this.#options.operations.unlink(this.localPath).catch(() => {});
    await this.#closeHandle();
  }

  /** A failed close loses nothing: what counts was synced before. */
  async #closeHandle(): Promise<void> {
    await this.#options.handle.close().catch(() => {});
  }
}

function newHash({ digest }: StageOptions): Hash | undefined {
  return digest === 'computed' ? createHash('sha256') : undefined;
}
