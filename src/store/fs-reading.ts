import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { BlobStore } from './blob-store.ts';
import { fingerprintOf, isAbsence, readFlags, statOpen, storageError } from './fs-operations.ts';
import { walkKeys } from './fs-walk.ts';
import { checkBlobKey, tooLong } from './key-path.ts';

/** The small files of a store for who only looks: nothing is made or changed, so that it may lie on a medium that cannot be written. */
export function readFsStore(folder: string): Pick<BlobStore, 'keys' | 'readSmall'> {
  const root = resolve(folder);
  return {
    keys: (prefix) => walkKeys(root, prefix),
    readSmall: async (key, sizeMaxBytes) => {
      checkBlobKey(key);
      try {
        await using file = await open(join(root, key), readFlags);
        const stats = statOpen(file);
        if (!stats.isFile()) return undefined;
        if (stats.size > BigInt(sizeMaxBytes)) throw tooLong(key, Number(stats.size), sizeMaxBytes);
        return { bytes: await file.readFile(), fingerprint: fingerprintOf(stats) };
      } catch (error) {
        if (isAbsence(error)) return undefined;
        throw storageError(`read ${key}`, error);
      }
    },
  };
}
