import { readFile, rename, writeFile } from 'node:fs/promises';
import type { TreeName } from '../protocol/bundle-head.ts';
import { diskError } from './staging.ts';

/** Bundles of two years, one a day; each tree costs a tile or two, most of which they share. */
const TREES_MAX = 730;

export interface MadeTrees {
  /** The newest last; what cannot be read as a tree is passed over. @throws {HubError} storage-fault */
  read(): Promise<readonly TreeName[]>;
  /** @throws {HubError} storage-full, storage-fault */
  add(tree: TreeName): Promise<void>;
}

/**
 * Remembers, in a file beside the key, the trees under which bundles were made. A hub inside stands at the tree of the last bundle that it took in; the next one is
 * accepted only if it brings what shows that its tree continues that one, whether it is a delta of it or not.
 */
export function createMadeTrees(file: string, database: string): MadeTrees {
  const lines = async (): Promise<readonly string[]> => {
    try {
      return (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw diskError(`read ${file}`, error);
    }
  };
  return {
    async read() {
      return (await lines()).flatMap((line) => {
        const [, name, size, root = ''] = /^(\S+) (\d{1,16}) ([A-Za-z0-9+/]{43}=)$/.exec(line) ?? [];
        return name === database ? [{ size: Number(size), root }] : [];
      });
    },
    async add({ size, root }) {
      const line = `${database} ${size} ${root}`;
      const kept = [...(await lines()).filter((other) => other !== line), line].slice(-TREES_MAX);
      try {
        await writeFile(`${file}.new`, kept.map((text) => `${text}\n`).join(''), { mode: 0o600 });
        await rename(`${file}.new`, file);
      } catch (error) {
        throw diskError(`write ${file}`, error);
      }
    },
  };
}
