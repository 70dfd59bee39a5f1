import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkHead, formatHeadLine, parseHeadLines, type SignedHead } from './head-lines.ts';

const heads: fc.Arbitrary<SignedHead> = fc.record(
  {
    name: fc.string(),
    treeSize: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    root: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64')),
    note: fc.string({ unit: 'grapheme', maxLength: 300 }),
  },
  { noNullPrototype: true },
);

test('parseHeadLines inverts formatHeadLine, one after another', () => {
  fc.assert(
    fc.property(fc.array(heads, { maxLength: 5 }), (written) => {
      const bytes = Buffer.from(written.map(formatHeadLine).join(''));
      assert.deepEqual(parseHeadLines(bytes), { heads: written, broken: 0, readBytes: bytes.length });
    }),
  );
});

test('what a crash left of a line spoils itself alone', () => {
  fc.assert(
    fc.property(heads, heads, heads, fc.double({ min: 0, max: 1, noNaN: true }), (first, torn, last, share) => {
      const line = Buffer.from(formatHeadLine(torn));
      const left = line.subarray(0, Math.floor((line.length - 2) * share));
      const bytes = Buffer.concat([Buffer.from(formatHeadLine(first)), left, Buffer.from(formatHeadLine(last))]);
      assert.deepEqual(parseHeadLines(bytes).heads, [first, last]);
    }),
  );
});

test('a line with one other bit counts as never written', () => {
  fc.assert(
    fc.property(heads, fc.nat(), fc.nat({ max: 7 }), (head, at, bit) => {
      const bytes = Buffer.from(formatHeadLine(head));
      // Between the two newlines, which are not part of it.
      const place = 1 + (at % (bytes.length - 2));
      bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
      assert.deepEqual(parseHeadLines(bytes).heads, []);
    }),
  );
});

test('what follows the last newline is left for later', () => {
  const head = { name: 'a.example', treeSize: 1, root: Buffer.alloc(32).toString('base64'), note: 'n' };
  const bytes = Buffer.from(formatHeadLine(head));
  assert.deepEqual(parseHeadLines(bytes.subarray(0, -1)), { heads: [], broken: 0, readBytes: 1 });
  assert.deepEqual(parseHeadLines(Buffer.alloc(0)), { heads: [], broken: 0, readBytes: 0 });
  assert.deepEqual(parseHeadLines(Buffer.from('\nabc\n\nx')), { heads: [], broken: 1, readBytes: 6 });
});

test('what no tree can be is a bug of who hands it over', () => {
  const root = hash('sha256', '', 'base64');
  checkHead({ name: 'a.example', treeSize: 0, root, note: '' });
  for (const bad of [{ treeSize: -1 }, { treeSize: 0.5 }, { root: root.slice(1) }, { root: '' }, { note: 'x'.repeat(8_193) }])
    assert.throws(() => checkHead({ name: 'a.example', treeSize: 0, root, note: '', ...bad }), { name: 'InvariantError' });
});
