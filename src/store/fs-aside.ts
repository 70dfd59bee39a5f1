import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, type FsOperations, isAbsence } from './fs-operations.ts';

const filesMax = 64;
const sizeMaxBytes = 1024 ** 3;

/**
 * Bad files, kept as evidence under names that sort by time: `TIME-RANDOM.blob`, and beside each a `.json` with its key and the reason.
 * At most 64 files and 1 GiB; the oldest go first.
 */
export class AsideFolder {
  readonly #folder: string;
  readonly #operations: FsOperations;

  constructor(folder: string, operations: FsOperations) {
    this.#folder = folder;
    this.#operations = operations;
  }

  /** Moves what stands at `path` here; false when nothing (or a folder) stands there. To be out of sight comes first: where there is no room, it is removed. */
  async take(path: string, key: string, reason: string): Promise<boolean> {
    const stats = await statOf(path);
    if (stats === undefined || stats.isDirectory()) return false;
    const name = join(this.#folder, `${String(Date.now()).padStart(14, '0')}-${randomBytes(4).toString('hex')}`);
    try {
      await mkdir(this.#folder, { recursive: true });
      await this.#operations.rename(path, `${name}.blob`);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      return await this.#drop(path);
    }
    await writeFile(`${name}.json`, `${JSON.stringify({ key, reason })}\n`).catch(() => {}); // The evidence is the file itself.
    await this.#trim();
    return true;
  }

  async #drop(path: string): Promise<boolean> {
    try {
      await this.#operations.unlink(path);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /** Several processes may trim at once: what is gone already does not count. */
  async #trim(): Promise<void> {
    const names = (await readdir(this.#folder).catch(() => []))
      .filter((name) => name.endsWith('.blob'))
      .sort()
      .reverse();
    let sizeBytes = 0;
    for (const [index, name] of names.entries()) {
      const path = join(this.#folder, name);
      sizeBytes += (await lstat(path).catch(() => undefined))?.size ?? 0;
      if (index < filesMax && sizeBytes <= sizeMaxBytes) continue;
      await this.#operations.unlink(path).catch(() => {});
      await this.#operations.unlink(path.replace(/blob$/, 'json')).catch(() => {});
    }
  }
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}
