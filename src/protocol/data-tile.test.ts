import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { firstRecords, isDataOf } from './data-tile.ts';
import { HASH_BYTES, leafHash } from './tree-hash.ts';

const text = fc.array(
  fc.string({ minLength: 1 }).map((line) => line.replaceAll('\n', ' ')),
  { minLength: 1, maxLength: 3 },
);
const records = fc.array(
  text.map((lines) => `${lines.join('\n')}\n`),
  { maxLength: 20 },
);

function tileOf(texts: readonly string[]): { bytes: Buffer; hashes: Buffer } {
  return {
    bytes: Buffer.from(texts.map((one) => `${one}\n`).join('')),
    hashes: Buffer.concat(texts.map((one) => leafHash(Buffer.from(one)))),
  };
}

test('the records of a tile have the hashes of the tile below it, and every beginning of it is one', () => {
  fc.assert(
    fc.property(records, fc.nat(), (texts, cut) => {
      const { bytes, hashes } = tileOf(texts);
      assert.equal(isDataOf(bytes, texts.length, hashes), true);
      const width = cut % (texts.length + 1);
      assert.deepEqual(firstRecords(bytes, width), tileOf(texts.slice(0, width)).bytes);
    }),
  );
});

test('another byte, one more or one less, another order or other hashes are seen', () => {
  const texts = ['a 1\na 2\n', 'b 1\nb 2\n', 'c 1\nc 2\n'];
  const { bytes, hashes } = tileOf(texts);
  for (let at = 0; at < bytes.length; at += 1) {
    const other = Buffer.from(bytes);
    other[at] = (other[at] ?? 0) ^ 1;
    assert.equal(isDataOf(other, 3, hashes), false, `byte ${at}`);
  }
  assert.equal(isDataOf(bytes, 2, hashes), false);
  assert.equal(isDataOf(bytes.subarray(0, -1), 3, hashes), false);
  assert.equal(isDataOf(Buffer.concat([bytes, Buffer.from('\n')]), 3, hashes), false);
  assert.equal(isDataOf(tileOf(texts.toReversed()).bytes, 3, hashes), false);
  assert.equal(isDataOf(bytes, 3, Buffer.concat([hashes.subarray(HASH_BYTES), hashes.subarray(0, HASH_BYTES)])), false);
  assert.equal(isDataOf(Buffer.alloc(0), 0, hashes), true);
});
