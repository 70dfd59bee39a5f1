import { createHash } from 'node:crypto';
import type { BlobKey } from '../base/blob-key.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { BlobStore, SealedBlob } from '../store/blob-store.ts';

/** Larger files are written durably by themselves: keeping them twice would cost more than it saves. */
export const keptBytesMax: number = 64 * 1024;

/**
 * The store, with `put` and `replace` of small files made durable by the metadata: the file is placed, its bytes are committed there together with whatever
 * else is being committed, and that is durable. One sync of the disk then serves some ten files, where each file needed five of its own (itself, its
 * folder, and the folders above). {@link SettleFiles} takes the bytes out again when they are on the disk.
 */
export function createKeptStore(store: BlobStore, metadata: Pick<Metadata, 'keep'>): BlobStore {
  const place = async (key: BlobKey, bytes: Uint8Array, how: 'put' | 'replace'): Promise<SealedBlob> => {
    const placed = await store.place(key, bytes, how);
    await metadata.keep(key, bytes);
    return { ...placed, sha256: createHash('sha256').update(bytes).digest('hex') };
  };
  return {
    open: (key) => store.open(key),
    readSmall: (key, sizeMaxBytes) => store.readSmall(key, sizeMaxBytes),
    stage: (options) => store.stage(options),
    put: (key, bytes) => (bytes.length > keptBytesMax ? store.put(key, bytes) : place(key, bytes, 'put')),
    replace: async (key, bytes) => {
      if (bytes.length > keptBytesMax) await store.replace(key, bytes);
      else await place(key, bytes, 'replace');
    },
    place: (key, bytes, how) => store.place(key, bytes, how),
    settle: (keys) => store.settle(keys),
    setAside: (key, reason) => store.setAside(key, reason),
    remove: (key) => store.remove(key),
    keys: (prefix) => store.keys(prefix),
    sweep: () => store.sweep(),
    health: () => store.health(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
