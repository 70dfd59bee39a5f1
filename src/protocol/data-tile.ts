/**
 * Tiles of level `data`: the texts of up to 256 records, each followed by a blank line, in the order of the log. A text has no blank line of its own, so
 * the first one ends it. https://research.swtch.com/tlog#serving_tiles
 */
import { hashAt } from './tile.ts';
import { leafHash } from './tree-hash.ts';

/** Whether these are `width` records and nothing else, each with its hash in the tile of level 0. */
export function isDataOf(bytes: Buffer, width: number, hashes: Uint8Array): boolean {
  let from = 0;
  for (let position = 0; position < width; position += 1) {
    const end = bytes.indexOf('\n\n', from);
    if (end < 0 || !leafHash(bytes.subarray(from, end + 1)).equals(hashAt(hashes, position))) return false;
    from = end + 2;
  }
  return from === bytes.length;
}

/** The first records of a tile that has at least so many. */
export function firstRecords(bytes: Buffer, width: number): Buffer {
  let from = 0;
  for (let position = 0; position < width; position += 1) from = bytes.indexOf('\n\n', from) + 2;
  return bytes.subarray(0, from);
}
