import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { TILE_WIDTH, edgeTiles } from './tile.ts';
import { EMPTY_TREE, type FullTile, type GrowingTree, growTree } from './tree-growth.ts';
import { EMPTY_ROOT, leafHash, nodeHash } from './tree-hash.ts';

interface GrowthVector {
  readonly From: number;
  readonly To: number;
  readonly Root: string;
  readonly Tiles: readonly { readonly Level: number; readonly Index: number; readonly Width: number; readonly Sha256: string }[];
}

const vectors = JSON.parse(readFileSync(new URL('testdata/checksum-vectors.json', import.meta.url), 'utf8')) as {
  readonly TreeSize: number;
  readonly Growth: readonly GrowthVector[];
};

const leaves: readonly Buffer[] = Array.from({ length: vectors.TreeSize }, (_, i) => leafHash(Buffer.from(`record ${i}\n`)));

const trees = new Map<number, GrowingTree>();

/** The edges of the tree of the first `size` leaves. */
function treeOf(size: number): GrowingTree {
  const tree = trees.get(size) ?? growTree(EMPTY_TREE, leaves.slice(0, size));
  trees.set(size, tree);
  return tree;
}

/** RFC 6962 §2.1, as it is written there. */
function naiveRoot(of: readonly Uint8Array[]): Uint8Array {
  if (of.length === 0) return EMPTY_ROOT;
  if (of.length === 1) return of[0]!;
  let split = 1;
  while (split * 2 < of.length) split *= 2;
  return nodeHash(naiveRoot(of.slice(0, split)), naiveRoot(of.slice(split)));
}

/** What changed, as Go's `tlog.NewTiles` lists it: full tiles and the edges that moved. */
function changedTiles(from: GrowingTree, to: ReturnType<typeof growTree>): string[] {
  const before = new Map(edgeTiles(from.size).map((tile, i) => [`${tile.level}/${tile.index}`, from.edges[i]!]));
  const edges = edgeTiles(to.size).flatMap(({ level, index, width }, i) => {
    const bytes = to.edges[i]!;
    return before.get(`${level}/${index}`)?.length === bytes.length ? [] : [`${level} ${index} ${width} ${hash('sha256', bytes)}`];
  });
  return [...to.full.map(({ level, index, bytes }) => `${level} ${index} ${TILE_WIDTH} ${hash('sha256', bytes)}`), ...edges].sort();
}

test('trees grow as Go grows them: roots and every tile that changes', () => {
  assert.ok(vectors.Growth.length > 40);
  for (const { From, To, Root, Tiles } of vectors.Growth) {
    const from = treeOf(From);
    const to = growTree(from, leaves.slice(From, To));
    assert.equal(to.size, To);
    assert.equal(to.root.toString('base64'), Root, `${From} to ${To}`);
    const wanted = Tiles.map(({ Level, Index, Width, Sha256 }) => `${Level} ${Index} ${Width} ${Sha256}`).sort();
    assert.deepEqual(changedTiles(from, to), wanted, `${From} to ${To}`);
  }
});

/** Grows from nothing in batches of these sizes. */
function growInBatches(sizes: readonly number[]): { tree: ReturnType<typeof growTree>; full: FullTile[] } {
  let tree = growTree(EMPTY_TREE, []);
  const full: FullTile[] = [];
  for (const size of sizes) {
    tree = growTree(tree, leaves.slice(tree.size, tree.size + size));
    full.push(...tree.full);
  }
  return { tree, full };
}

test('one batch equals any split of it', () => {
  const batches = fc.array(fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 300 }), fc.constantFrom(255, 256, 257, 1024)), { maxLength: 30 });
  fc.assert(
    fc.property(batches, (sizes) => {
      const split = growInBatches(sizes);
      const whole = growInBatches([sizes.reduce((sum, size) => sum + size, 0)]);
      assert.deepEqual([split.tree.size, split.tree.root, split.tree.edges], [whole.tree.size, whole.tree.root, whole.tree.edges]);
      const order = ({ level, index }: FullTile): number => level * 1e9 + index;
      assert.deepEqual(
        split.full.toSorted((a, b) => order(a) - order(b)),
        whole.full.toSorted((a, b) => order(a) - order(b)),
      );
    }),
  );
});

test('the root is that of RFC 6962, whatever the batches', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 200 }), { maxLength: 8 }), (sizes) => {
      const { tree } = growInBatches(sizes);
      assert.deepEqual(tree.root, Buffer.from(naiveRoot(leaves.slice(0, tree.size))));
    }),
  );
});

test('the largest tree of the vectors, a leaf at a time at its carries', () => {
  let tree = growTree(treeOf(65_535), []);
  for (const size of [65_536, 65_537]) {
    tree = growTree(tree, leaves.slice(tree.size, size));
    assert.deepEqual([tree.size, tree.root], [size, growTree(EMPTY_TREE, leaves.slice(0, size)).root]);
  }
});

test('what it grew from stays as it was', () => {
  const from = treeOf(700);
  const before = from.edges.map((edge) => Buffer.from(edge));
  growTree(from, leaves.slice(700, 1100));
  assert.deepEqual(from.edges, before);
});

test('edges that are not those of the size are a bug', () => {
  const { edges } = treeOf(300);
  for (const wrong of [
    { size: 301, edges },
    { size: 300, edges: edges.slice(1) },
    { size: 256, edges },
  ])
    assert.throws(() => growTree(wrong, []), { name: 'InvariantError' });
  assert.throws(() => growTree(EMPTY_TREE, [Buffer.alloc(31)]), { name: 'InvariantError' });
});
