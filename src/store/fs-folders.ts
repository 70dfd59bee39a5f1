import { constants } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { errnoOf, type FsOperations, statOpen } from './fs-operations.ts';
import { STAGING_FOLDER } from './key-path.ts';

const knownFoldersMax = 20_000;

/**
 * The folders of a store, made so that a power cut cannot take back a file that was acknowledged: a folder's own entry is synced into
 * its parent before anything in it counts, also when another process made it and may not have come to its sync yet.
 * Folders may vanish at any time, because whoever removes the last file of one removes the folder.
 */
export class StoreFolders {
  readonly #root: string;
  readonly #operations: FsOperations;
  /** Folders whose entry is known to be on the disk, with the identity seen when they were last synced ('' before that). */
  readonly #durable = new LRUCache<string, string>({ max: knownFoldersMax });

  constructor(root: string, operations: FsOperations) {
    this.#root = root;
    this.#operations = operations;
  }

  /** Makes the data folder itself and syncs its entry, and those of the folders above it that may be synced: any of them may have been made a moment ago. */
  async makeRoot(): Promise<void> {
    await mkdir(join(this.#root, STAGING_FOLDER), { recursive: true });
    await this.#sync('');
    for (let path = dirname(this.#root); ; path = dirname(path)) {
      await this.#syncPath(path).catch(() => {});
      if (path === dirname(path)) return;
    }
  }

  /** Makes the folder of a key, e.g. `modules/rsc.io/quote/@v`, and all above it; their entries are durable when it resolves. */
  async make(folder: string): Promise<void> {
    if (this.#durable.get(folder) !== undefined) return;
    const parent = parentOf(folder);
    if (parent !== '') await this.make(parent);
    try {
      await this.#operations.mkdir(join(this.#root, folder));
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
    await this.#sync(parent);
    this.#durable.set(folder, '');
  }

  /** Makes the entries of a folder durable. A folder that was removed and made again meanwhile is synced into its parents as well. */
  async sync(folder: string): Promise<void> {
    const identity = await this.#sync(folder);
    const known = this.#durable.get(folder);
    if (known !== identity && known !== '') {
      this.forget(folder);
      await this.make(folder);
    }
    this.#durable.set(folder, identity);
  }

  /** To be called when a folder turned out to be gone: it and all above it have to be made sure of again. */
  forget(folder: string): void {
    for (let path = folder; path !== ''; path = parentOf(path)) this.#durable.delete(path);
  }

  /** Removes a folder and those above it as long as they are empty; the top one (`modules`) stays. */
  async prune(folder: string): Promise<void> {
    for (let path = folder; parentOf(path) !== ''; path = parentOf(path)) {
      try {
        await this.#operations.rmdir(join(this.#root, path));
      } catch {
        return; // Not empty, or another process was first: either way there is nothing to do here.
      }
      this.#durable.delete(path);
    }
  }

  /** Answers the folder's identity: an inode number alone may be given again to the next folder. */
  #sync(folder: string): Promise<string> {
    return this.#syncPath(join(this.#root, folder));
  }

  async #syncPath(path: string): Promise<string> {
    const handle = await this.#operations.open(path, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));
    try {
      const stats = statOpen(handle);
      // Windows has no way to sync a folder: its journal keeps the order of changes by itself.
      if (process.platform !== 'win32') await this.#operations.sync(handle);
      return `${stats.ino}:${stats.birthtimeNs}`;
    } finally {
      await handle.close();
    }
  }
}

/** '' for the top. */
export function parentOf(path: string): string {
  const at = path.lastIndexOf('/');
  return at < 0 ? '' : path.slice(0, at);
}
