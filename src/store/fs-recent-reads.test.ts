import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentReads } from './fs-recent-reads.ts';

function bench(): { reads: RecentReads; clock: { nowMs: number } } {
  const clock = { nowMs: 1000 };
  return { reads: new RecentReads(() => clock.nowMs), clock };
}

test('what was read from its beginning is recent, up to where it was read, for a minute after the last read', () => {
  const { reads, clock } = bench();
  assert.equal(reads.has('a', 1), false);
  reads.note('a', 0, 100);
  reads.note('a', 100, 250);
  assert.deepEqual([reads.has('a', 250), reads.has('a', 251), reads.has('b', 1)], [true, false, false]);
  clock.nowMs += 60_000;
  assert.equal(reads.has('a', 250), true);
  reads.timed('a', 0.1);
  clock.nowMs += 60_000;
  assert.equal(reads.has('a', 250), true);
  clock.nowMs += 1;
  assert.equal(reads.has('a', 250), false);
});

test('a gap is not recent, and neither is what was read before a minute of rest', () => {
  const { reads, clock } = bench();
  reads.note('a', 100, 200);
  assert.equal(reads.has('a', 200), false);
  reads.note('a', 0, 100);
  reads.note('a', 150, 300);
  assert.deepEqual([reads.has('a', 100), reads.has('a', 300)], [true, false]);
  clock.nowMs += 60_001;
  reads.note('a', 100, 200);
  assert.equal(reads.has('a', 200), false);
  reads.note('a', 0, 50);
  assert.deepEqual([reads.has('a', 50), reads.has('a', 100)], [true, false]);
});

const timings = [
  { what: 'three slow reads in a row', tookMs: [9, 9, 9], recent: true },
  { what: 'four slow reads in a row', tookMs: [9, 9, 9, 9], recent: false },
  { what: 'two of three reads slow', tookMs: [9, 9, 0, 9, 9, 0, 9], recent: false },
  { what: 'every fourth read slow', tookMs: Array.from({ length: 1000 }, (_, at) => (at % 4 === 0 ? 50 : 0)), recent: true },
  { what: 'many quick reads', tookMs: Array.from({ length: 1000 }, () => 3.9), recent: true },
] as const;
for (const { what, tookMs, recent } of timings) {
  test(`${what}: ${recent ? 'still' : 'no longer'} read on the calling thread`, () => {
    const { reads } = bench();
    reads.note('a', 0, 100);
    for (const took of tookMs) reads.timed('a', took);
    assert.equal(reads.has('a', 100), recent);
    if (recent) return;
    reads.note('a', 50, 100);
    assert.equal(reads.has('a', 100), false, 'it begins anew from the beginning');
    reads.note('a', 0, 100);
    assert.equal(reads.has('a', 100), true);
  });
}

test('only so many files are remembered', () => {
  const { reads } = bench();
  for (let file = 0; file < 1000; file += 1) reads.note(String(file), 0, 10);
  assert.deepEqual([reads.has('0', 10), reads.has('999', 10)], [false, true]);
});
