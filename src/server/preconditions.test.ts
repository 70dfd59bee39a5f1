import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { chooseRange, matchesNone } from './preconditions.ts';

const ETAG = '"abc"';

// RFC 9110 §14.1.2 and §14.2, for 10000 bytes.
const ranges = [
  { range: undefined, is: 'whole' },
  { range: 'bytes=0-499', is: '0-500' },
  { range: 'bytes=500-999', is: '500-1000' },
  { range: 'bytes=-500', is: '9500-10000' },
  { range: 'bytes=9500-', is: '9500-10000' },
  { range: 'bytes=0-0', is: '0-1' },
  { range: 'bytes=-1', is: '9999-10000' },
  { range: 'bytes=0-99999', is: '0-10000' },
  { range: 'bytes=9999-9999', is: '9999-10000' },
  { range: 'bytes=-20000', is: '0-10000' },
  { range: 'bytes=0-99999999999999999999999999', is: '0-10000' },
  { range: 'BYTES=0-1', is: '0-2' },
  { range: 'bytes= 0-1 ', is: '0-2' },
  { range: 'bytes=10000-', is: 'unsatisfiable' },
  { range: 'bytes=10000-20000', is: 'unsatisfiable' },
  { range: 'bytes=99999999999999999999999999-', is: 'unsatisfiable' },
  { range: 'bytes=-0', is: 'unsatisfiable' },
  { range: 'bytes=500-499', is: 'whole' },
  { range: 'bytes=99999999999999999999-99999999999999999998', is: 'whole' },
  { range: 'bytes=0-1,3-4', is: 'whole' },
  { range: 'bytes=-', is: 'whole' },
  { range: 'bytes=', is: 'whole' },
  { range: 'bytes', is: 'whole' },
  { range: 'bytes=a-b', is: 'whole' },
  { range: 'bytes=0-1-2', is: 'whole' },
  { range: 'bytes=-1-2', is: 'whole' },
  { range: 'bytes=0x1-2', is: 'whole' },
  { range: 'bytes=1.5-2', is: 'whole' },
  { range: 'items=0-1', is: 'whole' },
  { range: 'bytes=0-1\u0000', is: 'whole' },
] as const;

for (const { range, is } of ranges) {
  test(`Range ${JSON.stringify(range)} of 10000 bytes is ${is}`, () =>
    assert.equal(shown(chooseRange(range, undefined, ETAG, 10_000)), is));
}

const conditions = [
  { ifRange: '"abc"', is: '0-1' },
  { ifRange: ' "abc" ', is: '0-1' },
  { ifRange: 'W/"abc"', is: 'whole' },
  { ifRange: '"abd"', is: 'whole' },
  { ifRange: 'Sat, 29 Oct 1994 19:43:31 GMT', is: 'whole' },
  { ifRange: '', is: 'whole' },
] as const;
for (const { ifRange, is } of conditions) {
  test(`If-Range ${JSON.stringify(ifRange)} gives ${is}`, () => assert.equal(shown(chooseRange('bytes=0-0', ifRange, ETAG, 10)), is));
}

test('nothing empty has a range, nor has what has no tag', () => {
  assert.equal(chooseRange('bytes=0-', undefined, ETAG, 0).kind, 'whole');
  assert.equal(chooseRange('bytes=0-', undefined, undefined, 10).kind, 'whole');
});

test('a part is never empty and never outside', () => {
  const number = fc.option(fc.bigInt({ min: 0n, max: 10n ** 20n }).map(String), { nil: '' });
  fc.assert(
    fc.property(number, number, fc.integer({ min: 1, max: 2 ** 40 }), (first, last, size) => {
      const choice = chooseRange(`bytes=${first}-${last}`, undefined, ETAG, size);
      if (choice.kind !== 'part') return;
      assert.ok(choice.range.start >= 0 && choice.range.start < choice.range.end && choice.range.end <= size);
    }),
  );
});

const noneMatches = [
  { field: '"abc"', is: true },
  { field: 'W/"abc"', is: true },
  { field: '"x", "abc"', is: true },
  { field: '"x","y" , W/"abc"', is: true },
  { field: '"a,b", "abc"', is: true },
  { field: '*', is: true },
  { field: ' * ', is: true },
  { field: '"x"', is: false },
  { field: 'abc', is: false },
  { field: '"ABC"', is: false },
  { field: '"x,"abc', is: false },
  { field: '', is: false },
] as const;
for (const { field, is } of noneMatches)
  test(`If-None-Match ${field} is ${is ? 304 : 200}`, () => assert.equal(matchesNone(field, ETAG), is));

test('what has no tag matches only *', () => {
  assert.equal(matchesNone('"abc"', undefined), false);
  assert.equal(matchesNone('*', undefined), true);
});

test('a long list of tags is scanned in little time', () => {
  const startedMs = performance.now();
  assert.equal(matchesNone('"x", '.repeat(3000) + '"'.repeat(2000), ETAG), false);
  assert.ok(performance.now() - startedMs < 100);
});

function shown(choice: ReturnType<typeof chooseRange>): string {
  return choice.kind === 'part' ? `${choice.range.start}-${choice.range.end}` : choice.kind;
}
