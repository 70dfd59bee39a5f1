import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LinkPace, RangePlan } from './range-plan.ts';

const windowMs = 1_500;
const tickMs = 50;
const megabyte = 1_000_000;

/** What a link gives to one stream of a body while it has `streams`, in bytes a second. */
type Link = (streams: number, atMs: number) => number;

class Bench {
  nowMs = 0;
  readonly pace: LinkPace = new LinkPace({ clock: { wallMs: () => 0, monotonicMs: () => this.nowMs }, windowMs });

  /** The numbers of streams that a body has, one after the other. */
  body(link: Link, own: { seconds?: number; streamsMax?: number; waitedShare?: number; othersBytesPerSecond?: number } = {}): number[] {
    const { seconds = 30, streamsMax = 8, waitedShare = 1, othersBytesPerSecond = 0 } = own;
    const plan = new RangePlan(this.pace, streamsMax);
    const seen = [plan.streams];
    const startMs = this.nowMs;
    while (this.nowMs - startMs < seconds * 1000) {
      this.nowMs += tickMs;
      this.pace.received((othersBytesPerSecond * tickMs) / 1000);
      for (let i = plan.streams; i > 0; i -= 1) {
        const sizeBytes = (link(plan.streams, this.nowMs - startMs) * tickMs) / 1000;
        this.pace.received(sizeBytes);
        plan.received(sizeBytes, (tickMs * waitedShare) / plan.streams);
      }
      if (plan.streams !== seen.at(-1)) seen.push(plan.streams);
    }
    return seen;
  }

  /** What other bodies have brought before. */
  history(bytesPerSecond: number, seconds = 5): void {
    for (let i = 0; i < (seconds * 1000) / tickMs; i += 1) {
      this.nowMs += tickMs;
      this.pace.received((bytesPerSecond * tickMs) / 1000);
    }
    this.nowMs += 60_000;
  }
}

/** So much for each stream, as long as the whole link has that. */
const capped =
  (streamBytesPerSecond: number, linkBytesPerSecond: number): Link =>
  (streams) =>
    Math.min(streamBytesPerSecond, linkBytesPerSecond / streams);

const cases: readonly { name: string; act: (bench: Bench) => number[]; streams: readonly number[] }[] = [
  {
    name: 'each stream is throttled and nothing is known: one more is tried, then as many as are allowed',
    act: (bench) => bench.body(capped(megabyte / 2, 10 * megabyte)),
    streams: [1, 2, 8],
  },
  {
    name: 'the plan never goes beyond its maximum',
    act: (bench) => bench.body(capped(megabyte / 2, 10 * megabyte), { streamsMax: 3 }),
    streams: [1, 2, 3],
  },
  {
    name: 'it was ten times as fast before: as many as fill the gap, at once',
    act: (bench) => {
      bench.history(5 * megabyte);
      return bench.body(capped(megabyte / 2, 5 * megabyte));
    },
    streams: [1, 8],
  },
  {
    name: 'it was three times as fast before: three',
    act: (bench) => {
      bench.history(1.5 * megabyte);
      return bench.body(capped(megabyte / 2, 1.5 * megabyte));
    },
    streams: [1, 3],
  },
  {
    name: 'the link is full: one try, then a single stream',
    act: (bench) => bench.body(capped(9 * megabyte, 5 * megabyte)),
    streams: [1, 2, 1],
  },
  {
    name: 'a stranger has half of the link: a larger share of it is no gain',
    act: (bench) => bench.body((streams) => (5 * megabyte) / (streams + 1)),
    streams: [1, 2, 1],
  },
  {
    name: 'the upstream as a whole has become slow: what it was before is tried once and given up',
    act: (bench) => {
      bench.history(5 * megabyte);
      return bench.body(capped(megabyte, megabyte / 2));
    },
    streams: [1, 8, 1],
  },
  {
    name: 'others fill the link: nothing is tried',
    act: (bench) => bench.body(capped(megabyte / 2, megabyte / 2), { othersBytesPerSecond: 4 * megabyte }),
    streams: [1],
  },
  {
    name: 'a reader that is slow itself: its stream is not, and one try brings nothing',
    act: (bench) => {
      bench.history(5 * megabyte);
      return bench.body(capped(megabyte / 2, 5 * megabyte), { waitedShare: 0.1, seconds: 90 });
    },
    streams: [1, 2, 1],
  },
  {
    name: 'a slow beginning does not count',
    act: (bench) => {
      bench.history(2 * megabyte);
      return bench.body((_, atMs) => (atMs < windowMs ? megabyte / 10 : 2 * megabyte), { seconds: 4 * (windowMs / 1000) - 0.1 });
    },
    streams: [1, 2],
  },
  {
    name: 'after a try of no use nothing is tried for ten minutes',
    act: (bench) => {
      bench.body(capped(9 * megabyte, 5 * megabyte));
      bench.nowMs += 500_000;
      return bench.body(capped(megabyte / 2, 5 * megabyte));
    },
    streams: [1],
  },
  {
    name: 'and is tried again after that',
    act: (bench) => {
      bench.body(capped(9 * megabyte, 5 * megabyte));
      bench.nowMs += 1_300_000;
      return bench.body(capped(megabyte / 2, 5 * megabyte));
    },
    streams: [1, 2, 8],
  },
];
for (const { name, act, streams } of cases) test(name, () => assert.deepEqual(act(new Bench()), streams));

test('a plan that was given up stays with one stream', () => {
  const bench = new Bench();
  const plan = new RangePlan(bench.pace, 8);
  plan.giveUp();
  for (let i = 0; i < 1_000; i += 1) {
    bench.nowMs += tickMs;
    plan.received(1_000, tickMs);
  }
  assert.equal(plan.streams, 1);
  assert.equal(bench.pace.isResting, true);
});

test('the pace of a window is not that of a pause', () => {
  const bench = new Bench();
  bench.history(megabyte);
  assert.ok(Math.abs(bench.pace.bestBytesPerSecond - megabyte) < megabyte / 10);
  assert.equal(bench.pace.presentBytesPerSecond, 0);
  bench.pace.received(1);
  assert.ok(Math.abs(bench.pace.bestBytesPerSecond - megabyte) < megabyte / 10);
  bench.nowMs += 1_300_000;
  assert.equal(bench.pace.bestBytesPerSecond, 0);
});

test('whatever comes, the streams are within their bounds and never come back from one', () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 8 }),
      fc.array(fc.record({ afterMs: fc.nat(3_000), sizeBytes: fc.nat(2 * megabyte), waitedMs: fc.nat(3_000) }), { maxLength: 200 }),
      (streamsMax, chunks) => {
        const bench = new Bench();
        const plan = new RangePlan(bench.pace, streamsMax);
        let [hasGrown, isBack] = [false, false];
        for (const { afterMs, sizeBytes, waitedMs } of chunks) {
          bench.nowMs += afterMs;
          bench.pace.received(sizeBytes);
          plan.received(sizeBytes, waitedMs);
          assert.ok(Number.isInteger(plan.streams) && plan.streams >= 1 && plan.streams <= streamsMax);
          hasGrown ||= plan.streams > 1;
          isBack ||= hasGrown && plan.streams === 1;
          if (isBack) assert.equal(plan.streams, 1);
        }
      },
    ),
  ));
