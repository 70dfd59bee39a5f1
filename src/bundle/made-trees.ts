import { readFile } from 'node:fs/promises';
import type { DatabaseTree } from '../protocol/bundle-head.ts';
import { diskError, replaceFile } from './staging.ts';

/** Bundles of two years, one a day, each with two trees; each tree costs a tile or two, most of which they share. */
const TREES_MAX = 1460;

export interface MadeTrees {
  /** The newest last; what cannot be read as a tree is passed over. @throws {HubError} storage-fault */
  read(): Promise<readonly DatabaseTree[]>;
  /** @throws {HubError} storage-full, storage-fault */
  add(trees: readonly DatabaseTree[]): Promise<void>;
}

/**
 * Remembers, in a file beside the key, the trees under which bundles were made. A hub inside stands at the trees of the last bundle that it took in; the next one is
 * accepted only if it brings what shows that its trees continue those, whether it is a delta of it or not.
 */
export function createMadeTrees(file: string): MadeTrees {
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
        const [, database = '', size, root = ''] = /^(\S+) (\d{1,16}) ([A-Za-z0-9+/]{43}=)$/.exec(line) ?? [];
        return root === '' ? [] : [{ database, size: Number(size), root }];
      });
    },
    async add(trees) {
      const added = trees.map(({ database, size, root }) => `${database} ${size} ${root}`);
      const kept = [...(await lines()).filter((other) => !added.includes(other)), ...added].slice(-TREES_MAX);
      await replaceFile(file, kept.map((text) => `${text}\n`).join(''), 0o600);
    },
  };
}
