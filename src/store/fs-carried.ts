import { existsSync, lstatSync, mkdirSync, renameSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import { errnoOf, fingerprintOf, isAbsence, storageError } from './fs-operations.ts';
import { parentOf } from './fs-folders.ts';
import { storedMode } from './fs-place.ts';
import { checkBlobKey, STAGING_FOLDER } from './key-path.ts';

const JOURNAL = 'journal';
const PREFIX = 'import-';
/** Files that are written and not on the disk yet. */
const SYNCING_MAX = 16;
/** How often a name is tried while other processes remove its folder. */
const ATTEMPTS_MAX = 8;

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
      // What needs room is made before anything is decided; `place` puts it on the disk.
      for (const folder of foldersAbove(this.#keys)) makeFolder(join(this.#root, folder));
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
    try {
      for (const [i, key] of this.#keys.entries()) {
        if (!(await isWanted(key))) continue;
        const fingerprint = this.#named(join(this.#folder, String(i)), key);
        if (fingerprint !== undefined) await onPlaced(key, fingerprint);
      }
      // All of them: one may have been made, or filled, by a process that did not come to its sync.
      await atMost(SYNCING_MAX, ['', ...foldersAbove(this.#keys)], (folder) => syncFolderIfThere(join(this.#root, folder)));
    } catch (error) {
      throw error instanceof HubError ? error : storageError('place what was carried in', error);
    }
  }

  /** Undefined when it has its name already. */
  #named(from: string, key: BlobKey): string | undefined {
    const to = join(this.#root, key);
    for (let attempt = 1; ; attempt += 1) {
      const fingerprint = renamed(from, to);
      if (fingerprint !== undefined || !existsSync(from)) return fingerprint;
      if (attempt === ATTEMPTS_MAX) throw new HubError('storage-fault', `the folder of ${key} vanishes while it is filled`);
      // Whoever collects garbage took an empty folder away again.
      for (const folder of foldersAbove([key])) makeFolder(join(this.#root, folder));
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

/** Undefined when there is nothing to rename. On this thread: a hop to another one costs many times these calls. */
function renamed(from: string, to: string): string | undefined {
  try {
    renameSync(from, to);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  return fingerprintOf(lstatSync(to, { bigint: true }));
}

/** The folders of these keys and all above them, a parent before what is in it; without the top. */
function foldersAbove(keys: readonly BlobKey[]): readonly string[] {
  const folders = new Set<string>();
  const add = (folder: string): void => {
    if (folder === '' || folders.has(folder)) return;
    add(parentOf(folder));
    folders.add(folder);
  };
  for (const key of keys) add(parentOf(key));
  return [...folders];
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

async function atMost<T>(count: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}

function folderOf(root: string, name: string): string {
  if (!/^[0-9a-z]{1,64}$/.test(name)) throw new HubError('bad-request', `${name} is no name for what is carried in`);
  return join(root, STAGING_FOLDER, `${PREFIX}${name}`);
}

/** Whoever removes the last file of a folder removes the folder. */
async function syncFolderIfThere(path: string): Promise<void> {
  await syncFolder(path).catch((error: unknown) => {
    if (!isAbsence(error)) throw error;
  });
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
