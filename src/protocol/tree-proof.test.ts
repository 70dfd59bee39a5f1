import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../base/invariant.ts';
import { type HashTile, TILE_WIDTH, edgeTiles, rootFromEdges } from './tile.ts';
import { EMPTY_ROOT, HASH_BYTES, leafHash, nodeHash, subtreeHash } from './tree-hash.ts';
import {
  PROOF_HASHES_MAX,
  consistencyRanges,
  hashRanges,
  inclusionRanges,
  provesConsistency,
  provesInclusion,
  tilesOfRanges,
} from './tree-proof.ts';

interface ProofCase {
  readonly Size: number;
  readonly Of: number;
  readonly Hashes: readonly string[];
}

const vectors = JSON.parse(readFileSync(new URL('testdata/tree-proof-vectors.json', import.meta.url), 'utf8')) as {
  readonly Records: number;
  readonly Inclusion: readonly ProofCase[];
  readonly Consistency: readonly ProofCase[];
};

/** Hashes of each tile level of the tree whose record i is `record i\n`. */
const levels: Buffer[][] = [Array.from({ length: vectors.Records }, (_, i) => leafHash(Buffer.from(`record ${i}\n`)))];
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
  return rootFromEdges(size, edgeTiles(size).map(tileBytes));
}

function leafOf(recordId: number): Buffer {
  return levels[0]![recordId]!;
}

async function inclusion(recordId: number, treeSize: number): Promise<Buffer[]> {
  return hashRanges(inclusionRanges(recordId, treeSize), treeSize, tileBytes);
}

async function consistency(olderSize: number, treeSize: number): Promise<Buffer[]> {
  return hashRanges(consistencyRanges(olderSize, treeSize), treeSize, tileBytes);
}

const text = (hashes: readonly Uint8Array[]): string[] => hashes.map((hash) => Buffer.from(hash).toString('base64'));

test('there are vectors', () => {
  assert.ok(vectors.Inclusion.length > 100 && vectors.Consistency.length > 100);
});

for (const { Size: size, Of: of, Hashes: hashes } of vectors.Inclusion) {
  test(`record ${of} of ${size} is proved as Go proves it`, async () => {
    const proof = await inclusion(of, size);
    assert.deepEqual(text(proof), hashes);
    assert.ok(provesInclusion({ recordId: of, treeSize: size, leaf: leafOf(of), root: rootOf(size), proof }));
  });
}

for (const { Size: size, Of: of, Hashes: hashes } of vectors.Consistency) {
  test(`${of} records begin ${size} as Go proves it`, async () => {
    const proof = await consistency(of, size);
    assert.deepEqual(text(proof), hashes);
    assert.ok(provesConsistency({ older: { size: of, root: rootOf(of) }, newer: { size, root: rootOf(size) }, proof }));
  });
}

const sizes = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: vectors.Records }));
const treeAndRecord = sizes.chain((size) => fc.record({ size: fc.constant(size), of: fc.integer({ min: 0, max: size - 1 }) }));
const treeAndOlder = sizes.chain((size) => fc.record({ size: fc.constant(size), of: fc.integer({ min: 0, max: size }) }));

test('what is made can be verified, whatever the sizes', async () => {
  await fc.assert(
    fc.asyncProperty(treeAndRecord, async ({ size, of }) => {
      assert.ok(provesInclusion({ recordId: of, treeSize: size, leaf: leafOf(of), root: rootOf(size), proof: await inclusion(of, size) }));
    }),
  );
  await fc.assert(
    fc.asyncProperty(treeAndOlder, async ({ size, of }) => {
      const [older, newer] = [of, size].map((count) => ({ size: count, root: rootOf(count) }));
      assert.ok(provesConsistency({ older: older!, newer: newer!, proof: await consistency(of, size) }));
    }),
  );
});

/** Every way to change a proof a little: a hash changed, left out, added, two exchanged. */
function changesOf(proof: readonly Buffer[]): Buffer[][] {
  const changes: Buffer[][] = [
    [...proof, EMPTY_ROOT],
    [EMPTY_ROOT, ...proof],
  ];
  for (const [i, hash] of proof.entries()) {
    const flipped = Buffer.from(hash);
    flipped[i % HASH_BYTES]! ^= 1;
    changes.push(proof.toSpliced(i, 1, flipped), proof.toSpliced(i, 1));
    if (i > 0) changes.push(proof.toSpliced(i - 1, 2, hash, proof[i - 1]!));
  }
  return changes;
}

test('a changed proof, record, place, size or root proves nothing', async () => {
  await fc.assert(
    fc.asyncProperty(treeAndRecord, fc.nat(), async ({ size, of }, other) => {
      const proof = await inclusion(of, size);
      const honest = { recordId: of, treeSize: size, leaf: leafOf(of), root: rootOf(size), proof };
      for (const changed of changesOf(proof)) assert.ok(!provesInclusion({ ...honest, proof: changed }));
      assert.ok(!provesInclusion({ ...honest, leaf: leafHash(Buffer.from('another\n')) }));
      assert.ok(!provesInclusion({ ...honest, root: EMPTY_ROOT }));
      if (other % size !== of) assert.ok(!provesInclusion({ ...honest, recordId: other % size }));
    }),
  );
  await fc.assert(
    fc.asyncProperty(treeAndOlder, async ({ size, of }) => {
      const [older, newer] = [of, size].map((count) => ({ size: count, root: rootOf(count) }));
      const proof = await consistency(of, size);
      for (const changed of changesOf(proof)) assert.ok(!provesConsistency({ older: older!, newer: newer!, proof: changed }));
      if (of === 0) return;
      assert.ok(!provesConsistency({ older: { size: of, root: leafOf(0).map((byte) => byte ^ 1) }, newer: newer!, proof }));
      assert.ok(!provesConsistency({ older: older!, newer: { size, root: EMPTY_ROOT }, proof }));
    }),
  );
});

test('a record and a tree that do not exist prove nothing', () => {
  const root = rootOf(8);
  const leaf = leafOf(0);
  for (const [recordId, treeSize] of [
    [8, 8],
    [-1, 8],
    [0.5, 8],
    [0, 0],
    [0, Number.NaN],
    [0, 2 ** 53],
  ] as const) {
    assert.ok(!provesInclusion({ recordId, treeSize, leaf, root, proof: [] }), `${recordId} of ${treeSize}`);
  }
  assert.ok(!provesConsistency({ older: { size: 9, root }, newer: { size: 8, root }, proof: [] }));
  assert.ok(!provesConsistency({ older: { size: -1, root }, newer: { size: 8, root }, proof: [] }));
  assert.throws(() => inclusionRanges(8, 8), InvariantError);
  assert.throws(() => consistencyRanges(9, 8), InvariantError);
});

test('the largest tree that can be counted: at most 53 hashes, a handful of tiles', () => {
  const size = Number.MAX_SAFE_INTEGER;
  for (const at of [0, 1, 2 ** 52 - 1, 2 ** 52, size - 1]) {
    const ranges = inclusionRanges(at, size);
    assert.ok(ranges.length <= PROOF_HASHES_MAX);
    assert.ok(tilesOfRanges(ranges, size).length <= 14);
    assert.equal(
      ranges.reduce((sum, { from, to }) => sum + BigInt(to - from), 1n),
      BigInt(size),
    );
  }
  assert.ok(consistencyRanges(2 ** 52 + 1, size).length <= PROOF_HASHES_MAX);
  assert.ok(tilesOfRanges(consistencyRanges(2 ** 52 + 1, size), size).every(({ width }) => width >= 1 && width <= TILE_WIDTH));
});

test('an endless proof is not computed', () => {
  const proof = Array.from({ length: PROOF_HASHES_MAX + 1 }, () => EMPTY_ROOT);
  let hash: Uint8Array = leafOf(0);
  for (const sibling of proof) hash = nodeHash(hash, sibling);
  assert.ok(!provesInclusion({ recordId: 0, treeSize: 2 ** 53 - 1, leaf: leafOf(0), root: Buffer.from(hash), proof }));
});
