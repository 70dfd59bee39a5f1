import { LRUCache } from 'lru-cache';

/**
 * Keeps the `entriesMax` entries that were used last, each for at most `ttlMs`. It grows with what is in it: an LRUCache that is told a number of
 * entries sets aside the room for all of them at once, which for the caches of one worker together were 7 MB.
 */
export function boundedCache<K extends object | string, V extends NonNullable<unknown>>(entriesMax: number, ttlMs = 0): LRUCache<K, V> {
  return new LRUCache<K, V>({ maxSize: entriesMax, sizeCalculation: () => 1, ttl: ttlMs });
}
