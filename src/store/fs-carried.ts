import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import { isAbsence, fingerprintOf, readFlags, realOperations, statOpen, storageError } from './fs-operations.ts';
import { parentOf, StoreFolders } from './fs-folders.ts';
import { storedMode } from './fs-place.ts';
import { checkBlobKey, STAGING_FOLDER } from './key-path.ts';

const JOURNAL = 'journal';
const PREFIX = 'import-';
/** Files that are written and not on the disk yet. */
const SYNCING_MAX = 16;

/**
 * Many files that are to become visible together. They are written into a folder of their own in staging, named by numbers; `seal` writes down, durably, which
 * key each is for, and makes the folders where they will lie. After that they wait until somebody decides: `place` gives them their names, file by file,
 * and can be called again after a crash until all have theirs; `discard` forgets them. Whoever uses it keeps two from working on one folder.
 */
export class CarriedFiles {
  readonly #root: string;
  readonly #folder: string;
  readonly #keys: BlobKey[] = [];
  readonly #syncing = new Set<Promise<void>>();
  /** The first file that the disk did not take. */
  #fault: HubError | undefined;

  private constructor(root: string, folder: string, keys: readonly BlobKey[]) {
    this.#root = root;
    this.#folder = folder;
    this.#keys.push(...keys);
  }

  /** Begins anew under this name: 1 … 64 letters and digits. @throws {HubError} storage-full, storage-fault */
  static async begin(root: string, name: string): Promise<CarriedFiles> {
    const folder = folderOf(root, name);
    try {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      return new CarriedFiles(root, folder, []);
    } catch (error) {
      throw storageError(`make ${folder}`, error);
    }
  }

  /** What was sealed under this name; undefined when nothing was. @throws {HubError} storage-fault */
  static async reopen(root: string, name: string): Promise<CarriedFiles | undefined> {
    const folder = folderOf(root, name);
    try {
      const keys = (await readFile(join(folder, JOURNAL), 'utf8')).split('\n').slice(0, -1);
      for (const key of keys) checkBlobKey(key);
      return new CarriedFiles(root, folder, keys as BlobKey[]);
    } catch (error) {
      if (isAbsence(error)) return undefined;
      throw storageError(`read ${join(folder, JOURNAL)}`, error);
    }
  }

  /** Whether any run, alive or killed, has something here. */
  static async anyLeft(root: string): Promise<boolean> {
    return (await readdir(join(root, STAGING_FOLDER)).catch(() => [])).some((name) => name.startsWith(PREFIX));
  }

  /** Removes what runs left that were killed before they decided; `keep` is the one that did. */
  static async sweep(root: string, keep: string | undefined): Promise<void> {
    const staging = join(root, STAGING_FOLDER);
    const names = await readdir(staging).catch(() => []);
    for (const name of names)
      if (name.startsWith(PREFIX) && name !== `${PREFIX}${keep ?? ''}`) await rm(join(staging, name), { recursive: true, force: true });
  }

  get keys(): readonly BlobKey[] {
    return this.#keys;
  }

  /**
   * Writes a file and answers where it is now, for who has to read it again: while it is read the disk writes it, and `seal` waits for that.
   * @throws {HubError} storage-full, storage-fault, also for a file before it; or what the chunks throw
   */
  async add(key: BlobKey, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<string> {
    return this.fill(key, async (path, handle) => {
      for await (const chunk of chunks) await handle.writeFile(chunk);
      return path;
    });
  }

  /** The same for who writes into the empty file by its path. @throws as {@link add} */
  async fill<T>(key: BlobKey, write: (path: string, handle: FileHandle) => Promise<T>): Promise<T> {
    checkBlobKey(key);
    const path = join(this.#folder, String(this.#keys.push(key) - 1));
    let handle: FileHandle | undefined;
    let written: T;
    try {
      handle = await open(path, 'wx', storedMode);
      written = await write(path, handle);
    } catch (error) {
      await handle?.close();
      throw error instanceof HubError ? error : storageError(`write ${path}`, error);
    }
    await this.#syncLater(handle, path);
    return written;
  }

  /** Waits only where too many are on their way. */
  async #syncLater(handle: FileHandle, path: string): Promise<void> {
    const syncing: Promise<void> = syncAndClose(handle)
      .catch((error: unknown) => {
        this.#fault ??= storageError(`write ${path}`, error);
      })
      .finally(() => this.#syncing.delete(syncing));
    this.#syncing.add(syncing);
    while (this.#syncing.size > SYNCING_MAX) await Promise.race(this.#syncing);
    if (this.#fault !== undefined) throw this.#fault;
  }

  /** @throws {HubError} storage-full, storage-fault */
  async seal(): Promise<void> {
    await Promise.all(this.#syncing);
    if (this.#fault !== undefined) throw this.#fault;
    try {
      const folders = new StoreFolders(this.#root, realOperations);
      // What needs room is made before anything is decided.
      for (const key of this.#keys) await folders.make(parentOf(key));
      const handle = await open(join(this.#folder, JOURNAL), 'wx');
      try {
        await handle.writeFile(this.#keys.map((key) => `${key}\n`).join(''));
        await handle.sync();
      } finally {
        await handle.close();
      }
      await syncFolder(this.#folder);
      await syncFolder(join(this.#root, STAGING_FOLDER));
    } catch (error) {
      throw storageError(`seal ${this.#folder}`, error);
    }
  }

  /**
   * Gives the files their names and answers the fingerprint of each that it named now. `isWanted`: false where another has taken the key's place since.
   * @throws {HubError} storage-full, storage-fault; then it can be called again
   */
  async place(isWanted: (key: BlobKey) => Promise<boolean>, onPlaced: (key: BlobKey, fingerprint: string) => Promise<void>): Promise<void> {
    const folders = new StoreFolders(this.#root, realOperations);
    const touched = new Set<string>();
    try {
      for (const [i, key] of this.#keys.entries()) {
        const from = join(this.#folder, String(i));
        if (!(await isWanted(key))) continue;
        // Whoever collects garbage may have taken an empty folder away again.
        await folders.make(parentOf(key));
        const fingerprint = await renamed(from, join(this.#root, key));
        if (fingerprint === undefined) continue;
        touched.add(parentOf(key));
        await onPlaced(key, fingerprint);
      }
      for (const folder of touched) await folders.sync(folder);
    } catch (error) {
      throw storageError(`place what was carried in`, error);
    }
  }

  async discard(): Promise<void> {
    await Promise.all(this.#syncing);
    await rm(this.#folder, { recursive: true, force: true }).catch(() => {});
  }
}

async function syncAndClose(handle: FileHandle): Promise<void> {
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Undefined when it has been renamed before. */
async function renamed(from: string, to: string): Promise<string | undefined> {
  try {
    await rename(from, to);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  const handle = await realOperations.open(to, readFlags);
  try {
    return fingerprintOf(statOpen(handle));
  } finally {
    await handle.close();
  }
}

function folderOf(root: string, name: string): string {
  if (!/^[0-9a-z]{1,64}$/.test(name)) throw new HubError('bad-request', `${name} is no name for what is carried in`);
  return join(root, STAGING_FOLDER, `${PREFIX}${name}`);
}

async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
