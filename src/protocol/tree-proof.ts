/**
 * Proofs about trees that need nothing but hashes. An inclusion proof leads from a leaf to the root: the sibling of the leaf first, the
 * child of the root last. A consistency proof shows that an older tree is the beginning of a newer one: the whole subtree at the end of the
 * older tree, unless the root already says it, and the siblings on the way to both roots.
 *
 * Every hash of a proof is that of a range of leaves, which is made of whole subtrees, which lie in tiles; so the tiles that a proof needs
 * are known before any is read. Sizes are exact up to 2^53 - 1, hence no bit operations. At most 63 hashes.
 *
 * RFC 6962 §2.1.1 and §2.1.2; the verifying side follows RFC 9162 §2.1.3.2 and §2.1.4.2.
 */
import { invariant } from '../base/invariant.ts';
import { type HashTile, TILE_WIDTH, hashAt, widthInTree } from './tile.ts';
import { nodeHash, subtreeHash } from './tree-hash.ts';

/** No proof is longer. */
export const PROOF_HASHES_MAX = 63;

/** The leaves from `from` up to and without `to`. */
export interface LeafRange {
  readonly from: number;
  readonly to: number;
}

/** A tile's bytes, at least as wide as the tile that is named. */
export type ReadTile = (tile: HashTile) => Promise<Uint8Array> | Uint8Array;

/** The ranges whose hashes prove that a tree of `treeSize` records has record `recordId` in its place. */
export function inclusionRanges(recordId: number, treeSize: number): LeafRange[] {
  invariant(isCount(recordId) && isCount(treeSize) && recordId < treeSize, `a tree of ${treeSize} records has no record ${recordId}`);
  const path: LeafRange[] = [];
  let range: LeafRange = { from: 0, to: treeSize };
  while (range.to - range.from > 1) {
    const [left, right] = halves(range);
    const isLeft = recordId < right.from;
    path.push(isLeft ? right : left);
    range = isLeft ? left : right;
  }
  return path.reverse();
}

/** The ranges whose hashes prove that the tree of `olderSize` records is the beginning of that of `treeSize`. None when one is empty or they are equal. */
export function consistencyRanges(olderSize: number, treeSize: number): LeafRange[] {
  invariant(isCount(olderSize) && isCount(treeSize) && olderSize <= treeSize, `${olderSize} records do not begin ${treeSize}`);
  if (olderSize === 0 || olderSize === treeSize) return [];
  const path: LeafRange[] = [];
  let range: LeafRange = { from: 0, to: treeSize };
  while (range.to !== olderSize) {
    const [left, right] = halves(range);
    const isLeft = olderSize <= left.to;
    path.push(isLeft ? right : left);
    range = isLeft ? left : right;
  }
  // When it begins at 0 it is the older tree itself, whose root the verifier has.
  if (range.from > 0) path.push(range);
  return path.reverse();
}

/** The tiles that {@link hashRanges} reads, each once, as wide as they are in a tree of `treeSize` records. */
export function tilesOfRanges(ranges: readonly LeafRange[], treeSize: number): HashTile[] {
  const tiles = new Map<string, HashTile>();
  for (const range of ranges) {
    for (const { level, index } of subtreesOf(range)) {
      tiles.set(`${level} ${index}`, { level, index, width: widthInTree(treeSize, level, index) });
    }
  }
  return [...tiles.values()];
}

/** Makes a proof: the hashes of its ranges, out of tiles of a tree of `treeSize` records. Tiles are read one after the other. */
export async function hashRanges(ranges: readonly LeafRange[], treeSize: number, read: ReadTile): Promise<Buffer[]> {
  const tiles = new Map<string, Uint8Array>();
  for (const tile of tilesOfRanges(ranges, treeSize)) tiles.set(`${tile.level} ${tile.index}`, await read(tile));
  return ranges.map((range) => {
    const hashes = subtreesOf(range).map(({ level, index, position, count }) => {
      const bytes = tiles.get(`${level} ${index}`);
      invariant(bytes !== undefined, 'every tile of a range was read');
      return subtreeHash(Buffer.concat(Array.from({ length: count }, (_, i) => hashAt(bytes, position + i))));
    });
    return hashes.reduceRight((right, left) => nodeHash(left, right));
  });
}

export interface Inclusion {
  readonly recordId: number;
  readonly treeSize: number;
  readonly leaf: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Whether the proof holds: the leaf stands at that place in the tree with that root. */
export function provesInclusion({ recordId, treeSize, leaf, root, proof }: Inclusion): boolean {
  if (!isCount(recordId) || !isCount(treeSize) || recordId >= treeSize || proof.length > PROOF_HASHES_MAX) return false;
  let [node, last, hash] = [recordId, treeSize - 1, leaf];
  for (const sibling of proof) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      hash = nodeHash(sibling, hash);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equal(hash, root);
}

export interface Consistency {
  readonly older: { readonly size: number; readonly root: Uint8Array };
  readonly newer: { readonly size: number; readonly root: Uint8Array };
  readonly proof: readonly Uint8Array[];
}

/** Whether the proof holds: the older tree is the beginning of the newer one. The empty tree begins every tree, and its proof is empty. */
export function provesConsistency({ older, newer, proof }: Consistency): boolean {
  if (!isCount(older.size) || !isCount(newer.size) || older.size > newer.size || proof.length > PROOF_HASHES_MAX) return false;
  if (older.size === newer.size) return proof.length === 0 && equal(older.root, newer.root);
  if (older.size === 0) return proof.length === 0;
  let [node, last] = [older.size - 1, newer.size - 1];
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  // A whole subtree at the very left is the older tree itself.
  const [first, ...rest] = node === 0 ? [older.root, ...proof] : proof;
  if (first === undefined || proof.length === 0) return false;
  let [old, now] = [first, first];
  for (const sibling of rest) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      old = nodeHash(sibling, old);
      now = nodeHash(sibling, now);
      while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
    } else {
      now = nodeHash(now, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equal(old, older.root) && equal(now, newer.root);
}

/** A tree divides at the largest power of two below its size. */
function halves({ from, to }: LeafRange): [left: LeafRange, right: LeafRange] {
  let left = 1;
  while (left * 2 < to - from) left *= 2;
  return [
    { from, to: from + left },
    { from: from + left, to },
  ];
}

interface WholeSubtree {
  readonly level: number;
  readonly index: number;
  /** Of its first hash in the tile, and how many. */
  readonly position: number;
  readonly count: number;
}

/** From left to right. */
function subtreesOf(range: LeafRange): WholeSubtree[] {
  const subtrees: WholeSubtree[] = [];
  for (let { from } = range; from < range.to; ) {
    let leaves = 1;
    while (leaves * 2 <= range.to - from && from % (leaves * 2) === 0) leaves *= 2;
    let level = 0;
    let count = leaves;
    for (; count >= TILE_WIDTH; count /= TILE_WIDTH) level += 1;
    const first = from / (leaves / count);
    subtrees.push({ level, index: Math.floor(first / TILE_WIDTH), position: first % TILE_WIDTH, count });
    from += leaves;
  }
  return subtrees;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isOdd(value: number): boolean {
  return value % 2 === 1;
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
