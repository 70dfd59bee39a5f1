/**
 * Tiles of height 8: tile (L, N) has the hashes of tree level 8·L from N·256 on, 256 when full and fewer at the right edge of a tree.
 * A full tile is the lower end of exactly one hash in its parent (L + 1, ⌊N / 256⌋), at N mod 256. The partial tiles of a tree of n
 * records stand in the digits of n to the base 256: digit L is the width of the one partial tile of level L, and these edges together
 * hold every whole subtree of which the root is made. So the root proves the edges, and each tile its children.
 *
 * Sizes are exact up to 2^53 - 1 records, so there are at most 7 levels. https://research.swtch.com/tlog#tiling_a_log
 */
import { invariant } from '../base/invariant.ts';
import type { TileName } from './proxy-request.ts';
import { EMPTY_ROOT, HASH_BYTES, nodeHash, subtreeHash } from './tree-hash.ts';

/** Hashes in a full tile. */
export const TILE_WIDTH = 256;

/** Bytes of a full tile. */
export const TILE_BYTES: number = TILE_WIDTH * HASH_BYTES;

/** A tile of hashes: level 0 has the hashes of the records. */
export interface HashTile extends TileName {
  readonly level: number;
}

/** How many hashes level `level` has in a tree of `treeSize` records. */
export function hashesAtLevel(treeSize: number, level: number): number {
  return Math.floor(treeSize / TILE_WIDTH ** level);
}

/** The width of tile (level, index) in a tree: 256 when full, 0 when it lies beyond. */
export function widthInTree(treeSize: number, level: number, index: number): number {
  return Math.min(TILE_WIDTH, Math.max(0, hashesAtLevel(treeSize, level) - index * TILE_WIDTH));
}

/** The partial tiles at the right edge of a tree, lowest level first. Empty for the empty tree. */
export function edgeTiles(treeSize: number): HashTile[] {
  invariant(Number.isSafeInteger(treeSize) && treeSize >= 0, `${treeSize} is no tree size`);
  const edges: HashTile[] = [];
  for (let level = 0, hashes = treeSize; hashes > 0; level += 1, hashes = Math.floor(hashes / TILE_WIDTH)) {
    const width = hashes % TILE_WIDTH;
    if (width > 0) edges.push({ level, index: Math.floor(hashes / TILE_WIDTH), width });
  }
  return edges;
}

/** The tile above and where the hash of this full tile stands in it. */
export function parentOf(tile: { readonly level: number; readonly index: number }): {
  readonly level: number;
  readonly index: number;
  readonly position: number;
} {
  return { level: tile.level + 1, index: Math.floor(tile.index / TILE_WIDTH), position: tile.index % TILE_WIDTH };
}

/** The tile of level 0 that has the record's hash, and where. */
export function tileOfRecord(recordId: number): { readonly index: number; readonly position: number } {
  return { index: Math.floor(recordId / TILE_WIDTH), position: recordId % TILE_WIDTH };
}

export function hashAt(tile: Uint8Array, position: number): Uint8Array {
  invariant((position + 1) * HASH_BYTES <= tile.length, `a tile of ${tile.length} bytes has no hash ${position}`);
  return tile.subarray(position * HASH_BYTES, (position + 1) * HASH_BYTES);
}

/**
 * The root of a tree, given the bytes of its edges in the order of {@link edgeTiles}; each may be wider than the edge, as tiles of a
 * later tree are, of which only the first hashes count.
 */
export function rootFromEdges(treeSize: number, edges: readonly Uint8Array[]): Buffer {
  const tiles = edgeTiles(treeSize);
  invariant(edges.length === tiles.length, `a tree of ${treeSize} records has ${tiles.length} edges, not ${edges.length}`);
  let root: Buffer | undefined;
  for (const [i, { width }] of tiles.entries()) {
    // From right to left, that is from the smallest whole subtree to the largest.
    for (let end = width, rest = width; rest > 0; rest &= rest - 1) {
      const leaves = rest & -rest;
      const subtree = subtreeHash(edges[i]!.subarray((end - leaves) * HASH_BYTES, end * HASH_BYTES));
      root = root === undefined ? subtree : nodeHash(subtree, root);
      end -= leaves;
    }
  }
  return root ?? EMPTY_ROOT;
}
