/**
 * How a tree grows: of all it has, only its edges (the partial tile of each level, {@link edgeTiles}) take part. A new leaf goes to the end
 * of the edge of level 0; a tile that reaches 256 hashes is full for ever, and the one hash it combines to goes to the end of the edge above.
 * So a log of any size grows in memory and time of its batch alone, and the same leaves in other batches give the same tiles.
 * https://research.swtch.com/tlog#tiling_a_log
 */
import { invariant } from '../base/invariant.ts';
import { TILE_BYTES, TILE_WIDTH, edgeTiles, hashesAtLevel, rootFromEdges } from './tile.ts';
import { HASH_BYTES, subtreeHash } from './tree-hash.ts';

/** As much of a tree as it needs to grow. */
export interface GrowingTree {
  readonly size: number;
  /** Bytes of its edges, in the order of {@link edgeTiles}. */
  readonly edges: readonly Uint8Array[];
}

/** A tile that will never change. */
export interface FullTile {
  readonly level: number;
  readonly index: number;
  readonly bytes: Buffer;
}

export interface GrownTree {
  readonly size: number;
  readonly edges: readonly Buffer[];
  readonly root: Buffer;
  /** The tiles that became full, of all levels: below before above, left before right. */
  readonly full: readonly FullTile[];
}

export const EMPTY_TREE: GrowingTree = { size: 0, edges: [] };

/** The tree with further leaves (their hashes, in order). Neither `tree` nor its bytes are changed. */
export function growTree(tree: GrowingTree, leaves: readonly Uint8Array[]): GrownTree {
  const levels = levelsOf(tree);
  const full: FullTile[] = [];
  for (const leaf of leaves) append(levels, 0, leaf, full);
  const size = tree.size + leaves.length;
  const edges = edgeTiles(size).map(({ level, width }) => {
    const row = levels[level];
    invariant(row !== undefined && row.width === width, `a tree of ${size} records has another edge at level ${level}`);
    return Buffer.from(row.bytes.subarray(0, width * HASH_BYTES));
  });
  return { size, edges, root: rootFromEdges(size, edges), full };
}

/** The open end of one level. */
interface Level {
  /** Room for a full tile. */
  bytes: Buffer;
  width: number;
  index: number;
}

function levelsOf({ size, edges }: GrowingTree): Level[] {
  const tiles = edgeTiles(size);
  invariant(edges.length === tiles.length, `a tree of ${size} records has ${tiles.length} edges, not ${edges.length}`);
  const levels: Level[] = [];
  for (let level = 0; hashesAtLevel(size, level) > 0; level += 1)
    levels.push(emptyLevel(Math.floor(hashesAtLevel(size, level) / TILE_WIDTH)));
  for (const [i, { level, width }] of tiles.entries()) {
    const row = levels[level];
    const bytes = edges[i];
    invariant(row !== undefined && bytes?.length === width * HASH_BYTES, `the edge at level ${level} is not ${width} hashes wide`);
    row.bytes.set(bytes);
    row.width = width;
  }
  return levels;
}

function emptyLevel(index: number): Level {
  return { bytes: Buffer.allocUnsafe(TILE_BYTES), width: 0, index };
}

function append(levels: Level[], level: number, hash: Uint8Array, full: FullTile[]): void {
  invariant(hash.length === HASH_BYTES, `a hash has ${HASH_BYTES} bytes, not ${hash.length}`);
  const row = (levels[level] ??= emptyLevel(0));
  row.bytes.set(hash, row.width * HASH_BYTES);
  row.width += 1;
  if (row.width < TILE_WIDTH) return;
  const { bytes, index } = row;
  full.push({ level, index, bytes });
  levels[level] = emptyLevel(index + 1);
  append(levels, level + 1, subtreeHash(bytes), full);
}
