import { createHash, randomBytes } from 'node:crypto';
import { lstat, opendir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { BlobStore, OpenBlob, PlacedBlob, SealedBlob, StagedBlob, StageOptions } from './blob-store.ts';
import { AsideFolder } from './fs-aside.ts';
import { parentOf, StoreFolders } from './fs-folders.ts';
import { FsHealth } from './fs-health.ts';
import {
  createFlags,
  errnoOf,
  type FsOperations,
  fingerprintOf,
  isAbsence,
  lacksLinks,
  readFlags,
  realOperations,
  statOpen,
  storageError,
} from './fs-operations.ts';
import { FsOpenBlob } from './fs-open-blob.ts';
import { storedMode } from './fs-place.ts';
import { FsPlacer } from './fs-placer.ts';
import { RecentReads } from './fs-recent-reads.ts';
import { FsStagedBlob, type FsStagedOptions, type SyncedFile } from './fs-staged-blob.ts';
import { walkKeys } from './fs-walk.ts';
import { checkBlobKey, otherBytes, STAGING_FOLDER, tooLong } from './key-path.ts';
import { isAlive, ownIdentity } from './process-identity.ts';

export interface FsStoreOptions {
  /** The data folder; made when it is not there. */
  readonly root: string;
  readonly events: Events;
  readonly log: Log;
  /** Tests hand in a disk that is full or broken. */
  readonly operations?: FsOperations;
}

/**
 * Blobs as plain files below a folder, so that `modules/` can be served by anything. How a file comes to its name:
 *
 *     open(staging/OWNER.N.part, O_CREAT|O_EXCL) … write … fsync(file)
 *     mkdir + fsync(parent) for every folder on the way that is not known to be durable
 *     link(staging/…, name)          fails when the name is taken, also between two processes
 *     unlink(staging/…); fsync(folder); fstat → fingerprint
 *
 * A crash leaves the name absent or whole. What a dead process left in staging, {@link BlobStore.sweep} removes.
 * See FiloSottile/sunlight:internal/durable/path.go for the same steps in Go.
 *
 * @throws {HubError} storage-full or storage-fault when the folder cannot be made
 */
export async function openFsStore(options: FsStoreOptions): Promise<BlobStore> {
  const root = resolve(options.root);
  const operations = options.operations ?? realOperations;
  const folders = new StoreFolders(root, operations);
  try {
    await folders.makeRoot();
  } catch (error) {
    throw storageError(`make the folder ${root}`, error);
  }
  return new FsStore({ ...options, root, operations, folders });
}

const hashBytes = 512 * 1024;
const computed: StageOptions = { digest: 'computed' };
/** How often a name is tried while other processes remove its folder or put something in its place. */
const attemptsMax = 8;

class FsStore implements BlobStore {
  readonly #root: string;
  readonly #log: Log;
  readonly #operations: FsOperations;
  readonly #folders: StoreFolders;
  readonly #aside: AsideFolder;
  readonly #health: FsHealth;
  readonly #recent = new RecentReads(() => performance.now());
  /** `OWNER.RANDOM`: the owner is what sweep asks after, the rest tells several stores of one process apart. */
  readonly #stagingPrefix = `${ownIdentity()}.${randomBytes(4).toString('hex')}`;
  #serial = 0;
  /** Undefined on a disk that a test stands in for: there everything goes the careful way, call by call. */
  readonly #placer: FsPlacer | undefined;
  /** Set when the medium knows no hard links: then a name is looked up and taken in two steps, which the fill lease keeps apart. */
  #linkless = false;

  constructor(options: FsStoreOptions & { operations: FsOperations; folders: StoreFolders }) {
    const { root, operations, folders } = options;
    this.#root = root;
    this.#log = options.log;
    this.#operations = operations;
    this.#folders = folders;
    this.#placer = operations === realOperations ? new FsPlacer() : undefined;
    this.#aside = new AsideFolder(join(root, STAGING_FOLDER, 'aside'), operations);
    this.#health = new FsHealth({ root, operations, events: options.events, probeFile: () => this.#stagingPath() });
  }

  async open(key: BlobKey): Promise<OpenBlob | undefined> {
    checkBlobKey(key);
    const path = join(this.#root, key);
    let handle: FileHandle;
    try {
      handle = await this.#operations.open(path, readFlags);
    } catch (error) {
      if (isAbsence(error)) return undefined;
      if (errnoOf(error) !== 'ELOOP' && errnoOf(error) !== 'ENXIO') throw storageError(`open ${key}`, error);
      return this.#notPlain(key);
    }
    try {
      const stats = statOpen(handle);
      if (stats.isFile()) return new FsOpenBlob({ localPath: path, handle, stats, recent: this.#recent });
      await handle.close();
      return stats.isDirectory() ? undefined : this.#notPlain(key);
    } catch (error) {
      await handle.close().catch(() => {});
      throw storageError(`open ${key}`, error);
    }
  }

  async readSmall(key: BlobKey, sizeMaxBytes: number): Promise<{ bytes: Buffer; fingerprint: string } | undefined> {
    const present = await this.open(key);
    if (present === undefined) return undefined;
    await using blob = present;
    if (blob.sizeBytes > sizeMaxBytes) throw tooLong(key, blob.sizeBytes, sizeMaxBytes);
    const bytes = Buffer.allocUnsafe(blob.sizeBytes);
    for (let filled = 0; filled < bytes.length; ) {
      const count = await blob.read(bytes.subarray(filled), bytes.length - filled, filled);
      if (count === 0) throw new HubError('storage-fault', `${key} was shortened while it was read`);
      filled += count;
    }
    return { bytes, fingerprint: blob.fingerprint };
  }

  stage({ digest }: StageOptions = computed): Promise<StagedBlob> {
    return this.#stage(digest, (key, file) => this.#publish(key, file));
  }

  async put(key: BlobKey, bytes: Uint8Array): Promise<SealedBlob> {
    checkBlobKey(key);
    await using staged = await this.stage();
    await staged.append(bytes);
    return await staged.seal(key);
  }

  async replace(key: BlobKey, bytes: Uint8Array): Promise<void> {
    await this.#replace(key, bytes);
  }

  async #replace(key: BlobKey, bytes: Uint8Array): Promise<SealedBlob> {
    checkBlobKey(key);
    await using staged = await this.#stage('computed', async (_, file) => {
      await this.#inFolderOf(key, (path) => this.#operations.rename(file.localPath, path));
      return fingerprintOf(statOpen(file.handle));
    });
    await staged.append(bytes);
    return await staged.seal(key);
  }

  async place(key: BlobKey, bytes: Uint8Array, how: 'put' | 'replace'): Promise<PlacedBlob> {
    checkBlobKey(key);
    const job = { localPath: this.#stagingPath(), path: join(this.#root, key), bytes: new Uint8Array(bytes), replace: how === 'replace' };
    try {
      const fingerprint = await this.#placer?.place(job);
      if (fingerprint !== undefined) return { sizeBytes: bytes.length, fingerprint };
    } catch (error) {
      if (error instanceof HubError) this.#health.note(error);
      throw error;
    }
    return how === 'put' ? await this.put(key, bytes) : await this.#replace(key, bytes);
  }

  async settle(keys: readonly BlobKey[]): Promise<void> {
    for (const key of keys) checkBlobKey(key);
    await this.#placer?.settle(this.#root, keys);
  }

  async setAside(key: BlobKey, reason: string): Promise<boolean> {
    checkBlobKey(key);
    try {
      const moved = await this.#aside.take(join(this.#root, key), key, reason);
      if (moved) await this.#emptied(key);
      return moved;
    } catch (error) {
      throw storageError(`set ${key} aside`, error);
    }
  }

  async remove(key: BlobKey): Promise<boolean> {
    checkBlobKey(key);
    try {
      await this.#operations.unlink(join(this.#root, key));
      await this.#emptied(key);
      return true;
    } catch (error) {
      if (isAbsence(error)) return false;
      throw storageError(`remove ${key}`, error);
    }
  }

  keys(prefix: string): AsyncGenerator<BlobKey> {
    return walkKeys(this.#root, prefix);
  }

  async sweep(): Promise<number> {
    let removed = 0;
    const living = new Map<string, boolean>();
    try {
      for await (const entry of await opendir(join(this.#root, STAGING_FOLDER))) {
        const owner = /^([0-9a-f]+-[0-9]+-[0-9]+)\.[0-9a-f]+\.[0-9]+\.part$/.exec(entry.name)?.[1];
        if (owner === undefined) continue;
        const alive = living.get(owner) ?? isAlive(owner);
        living.set(owner, alive);
        if (alive) continue;
        await this.#operations.unlink(join(this.#root, STAGING_FOLDER, entry.name)).then(() => (removed += 1), ignoreAbsence);
      }
    } catch (error) {
      throw storageError('sweep the staging folder', error);
    }
    return removed;
  }

  health(): Promise<{ readable: boolean; writable: boolean; freeBytes: number | undefined; reason?: string }> {
    return this.#health.look();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Staged and open files are disposed of by who holds them.
    await this.#placer?.[Symbol.asyncDispose]();
  }

  async #stage(digest: StageOptions['digest'], publish: FsStagedOptions['publish']): Promise<StagedBlob> {
    const localPath = this.#stagingPath();
    const note = (failure: HubError | undefined): void => this.#health.note(failure);
    try {
      const handle = await this.#operations.open(localPath, createFlags, storedMode);
      return new FsStagedBlob({ localPath, handle, digest, operations: this.#operations, publish, note });
    } catch (error) {
      const failure = storageError(`make ${localPath}`, error);
      note(failure);
      throw failure;
    }
  }

  #stagingPath(): string {
    this.#serial += 1;
    return join(this.#root, STAGING_FOLDER, `${this.#stagingPrefix}.${this.#serial}.part`);
  }

  /** Somebody planted a symbolic link, a pipe or a socket. It is no blob; the next seal of the key sets it aside. */
  #notPlain(key: BlobKey): undefined {
    this.#log.warn('what is no plain file in the store is not opened', { key });
    return undefined;
  }

  async #publish(key: BlobKey, file: SyncedFile): Promise<string> {
    checkBlobKey(key);
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      try {
        await this.#inFolderOf(key, (path) => this.#giveName(file.localPath, path));
        return fingerprintOf(statOpen(file.handle));
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
      const present = await this.#compare(key, file);
      if (present.kind === 'same') {
        await this.#adopt(key);
        await this.#operations.unlink(file.localPath);
        return present.fingerprint;
      }
      if (present.kind === 'other') throw otherBytes(key);
      if (present.kind === 'no-file') await this.#aside.take(join(this.#root, key), key, 'not a plain file');
    }
    throw new HubError('storage-fault', `${key} appears and vanishes while it is stored`);
  }

  /** Makes durable what somebody else put there: a process that has not come to its last sync yet, or a hand that restored a backup. */
  async #adopt(key: BlobKey): Promise<void> {
    const handle = await this.#operations.open(join(this.#root, key), readFlags);
    try {
      await this.#operations.sync(handle);
    } finally {
      await handle.close();
    }
    await this.#folders.make(parentOf(key));
    await this.#folders.sync(parentOf(key));
  }

  /** Runs `place`, which puts something into the folder of `key`, and makes that durable; again when the folder vanished meanwhile. */
  async #inFolderOf(key: BlobKey, place: (path: string) => Promise<void>): Promise<void> {
    const folder = parentOf(key);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#folders.make(folder);
        await place(join(this.#root, key));
        break;
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT' || attempt === attemptsMax) throw error;
        this.#folders.forget(folder);
      }
    }
    await this.#folders.sync(folder);
  }

  async #giveName(localPath: string, path: string): Promise<void> {
    if (!this.#linkless) {
      try {
        await this.#operations.link(localPath, path);
        // Taking the second name away moves the ctime, so it has to happen before the fingerprint is taken.
        await this.#operations.unlink(localPath);
        return;
      } catch (error) {
        if (!lacksLinks(error)) throw error;
        this.#linkless = true;
        this.#log.warn('the data folder lies on a medium without hard links', { reason: errnoOf(error) });
      }
    }
    const present = await lstat(path).catch(() => undefined);
    if (present !== undefined) throw Object.assign(new Error(`${path} exists`), { code: 'EEXIST' });
    await this.#operations.rename(localPath, path);
  }

  async #compare(key: BlobKey, file: SyncedFile): Promise<{ kind: 'same'; fingerprint: string } | { kind: 'other' | 'no-file' | 'gone' }> {
    const stats = await lstat(join(this.#root, key)).catch(() => undefined);
    if (stats === undefined) return { kind: 'gone' };
    if (stats.isDirectory()) throw new HubError('storage-fault', `${key} is a folder`);
    if (!stats.isFile()) return { kind: 'no-file' };
    const blob = await this.open(key);
    if (blob === undefined) return { kind: 'gone' };
    await using present = blob;
    if (present.sizeBytes !== file.sizeBytes) return { kind: 'other' };
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(hashBytes, Math.max(present.sizeBytes, 1)));
    for (let position = 0; ; ) {
      const count = await present.read(buffer, buffer.length, position);
      if (count === 0) break;
      hash.update(buffer.subarray(0, count));
      position += count;
    }
    return hash.digest('hex') === file.sha256 ? { kind: 'same', fingerprint: present.fingerprint } : { kind: 'other' };
  }

  /** After a file went: its folder's entries become durable, or the folder goes as well when it is empty. */
  async #emptied(key: BlobKey): Promise<void> {
    const folder = parentOf(key);
    await this.#folders.sync(folder).catch((error: unknown) => ignoreAbsence(error));
    await this.#folders.prune(folder);
  }
}

function ignoreAbsence(error: unknown): void {
  if (!isAbsence(error)) throw error;
}
