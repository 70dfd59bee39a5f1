import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type HashTile,
  TILE_BYTES,
  TILE_WIDTH,
  edgeTiles,
  hashAt,
  hashesAtLevel,
  parentOf,
  rootFromEdges,
  tileOfRecord,
  widthInTree,
} from './tile.ts';
import { EMPTY_ROOT, HASH_BYTES, leafHash, nodeHash, subtreeHash } from './tree-hash.ts';

interface Vectors {
  readonly Trees: readonly { readonly Size: number; readonly Root: string }[];
  readonly Tiles: readonly { readonly Level: number; readonly Index: number; readonly Width: number; readonly Sha256: string }[];
  readonly TreeSize: number;
  readonly Leaf0: string;
}

const vectors = JSON.parse(readFileSync(new URL('testdata/checksum-vectors.json', import.meta.url), 'utf8')) as Vectors;

/** Hashes of each tile level of the tree whose record i is `record i\n`. */
const levels: Buffer[][] = [Array.from({ length: vectors.TreeSize }, (_, i) => leafHash(Buffer.from(`record ${i}\n`)))];
for (let level = 0; levels[level]!.length >= TILE_WIDTH; level += 1) {
  const above: Buffer[] = [];
  for (let i = 0; i + TILE_WIDTH <= levels[level]!.length; i += TILE_WIDTH)
    above.push(subtreeHash(Buffer.concat(levels[level]!.slice(i, i + TILE_WIDTH))));
  levels.push(above);
}

function tileBytes({ level, index, width }: HashTile): Buffer {
  return Buffer.concat(levels[level]!.slice(index * TILE_WIDTH, index * TILE_WIDTH + width));
}

function rootOf(size: number): Buffer {
  return rootFromEdges(
    size,
    edgeTiles(size).map((tile) => tileBytes(tile)),
  );
}

/** RFC 6962 §2.1, as it is written there. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split)));
}

test('the empty tree', () => assert.equal(EMPTY_ROOT.toString('hex'), hash('sha256', '')));
test('a leaf as Go hashes it', () => assert.equal(levels[0]![0]!.toString('base64'), vectors.Leaf0));

test('roots as Go computes them, over three levels of tiles', () => {
  assert.ok(vectors.Trees.length > 50);
  for (const { Size, Root } of vectors.Trees) assert.equal(rootOf(Size).toString('base64'), Root, `size ${Size}`);
});

test('tiles as Go cuts them', () => {
  assert.ok(new Set(vectors.Tiles.map(({ Level }) => Level)).size >= 3);
  for (const { Level, Index, Width, Sha256 } of vectors.Tiles) {
    assert.equal(hash('sha256', tileBytes({ level: Level, index: Index, width: Width })), Sha256, `tile ${Level} ${Index} ${Width}`);
  }
});

test('rootFromEdges is the root of RFC 6962 for every size up to 600', () => {
  for (let size = 0; size <= 600; size += 1)
    assert.deepEqual(rootOf(size), Buffer.from(naiveRoot(levels[0]!.slice(0, size))), `size ${size}`);
});

test('rootFromEdges reads only the first hashes of tiles wider than the edge', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: vectors.TreeSize }), (size) => {
      const wide = edgeTiles(size).map((tile) => tileBytes({ ...tile, width: widthInTree(vectors.TreeSize, tile.level, tile.index) }));
      assert.deepEqual(rootFromEdges(size, wide), rootOf(size));
    }),
  );
});

/** A tree of any size whose records are all the same has one hash a height, so that its root is quick to compute. */
function uniformRoot(size: number, heights: readonly Buffer[]): Uint8Array {
  if (size === 0) return EMPTY_ROOT;
  let root: Buffer | undefined;
  for (let height = 0; 2 ** height <= size; height += 1) {
    if (Math.floor(size / 2 ** height) % 2 === 1) root = root === undefined ? heights[height]! : nodeHash(heights[height]!, root);
  }
  return root!;
}

test('rootFromEdges for random trees of up to 2^53 - 1 records', () => {
  const heights = [leafHash(Buffer.from('same\n'))];
  for (let height = 1; height <= 53; height += 1) heights.push(nodeHash(heights[height - 1]!, heights[height - 1]!));
  const sizes = fc.oneof(
    fc.maxSafeNat(),
    fc.nat({ max: 2 ** 31 - 1 }),
    fc.nat({ max: 52 }).map((n) => 2 ** n),
    fc.nat({ max: 52 }).map((n) => 2 ** n - 1),
  );
  fc.assert(
    fc.property(sizes, (size) => {
      const edges = edgeTiles(size).map(({ level, width }) => Buffer.concat(Array.from({ length: width }, () => heights[8 * level]!)));
      assert.deepEqual(rootFromEdges(size, edges), Buffer.from(uniformRoot(size, heights)));
    }),
  );
});

test('another bit anywhere in the edges gives another root', () => {
  for (const size of [1, 255, 256, 257, 513, vectors.TreeSize]) {
    const tiles = edgeTiles(size).map((tile) => tileBytes(tile));
    for (const [i, tile] of tiles.entries()) {
      for (let at = 0; at < tile.length; at += HASH_BYTES) {
        const forged = tiles.with(i, Buffer.from(tile));
        forged[i]![at] = forged[i]![at]! ^ 1;
        assert.ok(!rootFromEdges(size, forged).equals(rootOf(size)), `size ${size}, edge ${i}, byte ${at}`);
      }
    }
  }
});

test('edges are the partial tiles of the tree, at most one a level', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (size) => {
      let records = 0;
      for (const { level, index, width } of edgeTiles(size)) {
        assert.ok(width > 0 && width < TILE_WIDTH);
        assert.equal(widthInTree(size, level, index), width);
        assert.equal(widthInTree(size, level, index + 1), 0);
        if (index > 0) assert.equal(widthInTree(size, level, index - 1), TILE_WIDTH);
        records += width * TILE_WIDTH ** level;
      }
      assert.equal(records, size);
    }),
  );
});

test('every full tile of a tree has a parent in it that holds its hash', () => {
  for (const size of [256, 300, 65_536, vectors.TreeSize]) {
    for (let level = 0; hashesAtLevel(size, level) >= TILE_WIDTH; level += 1) {
      for (let index = 0; widthInTree(size, level, index) === TILE_WIDTH; index += 1) {
        const parent = parentOf({ level, index });
        const width = widthInTree(size, parent.level, parent.index);
        assert.ok(parent.position < width);
        assert.deepEqual(
          Buffer.from(hashAt(tileBytes({ ...parent, width }), parent.position)),
          subtreeHash(tileBytes({ level, index, width: TILE_WIDTH })),
        );
      }
    }
  }
});

test('tileOfRecord', () => {
  assert.deepEqual(tileOfRecord(0), { index: 0, position: 0 });
  assert.deepEqual(tileOfRecord(256 * 7 + 255), { index: 7, position: 255 });
  assert.equal(TILE_BYTES, 8192);
});

test('a tile beyond the tree has no width, however far', () => {
  for (const [level, index] of [
    [0, 2],
    [1, 1],
    [7, 0],
    [63, 0],
    [0, Number.MAX_SAFE_INTEGER],
  ] as const) {
    assert.equal(widthInTree(300, level, index), 0, `${level} ${index}`);
  }
});
