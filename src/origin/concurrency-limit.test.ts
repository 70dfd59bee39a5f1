import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ConcurrencyLimit } from './concurrency-limit.ts';

class Bench {
  nowMs = 0;
  readonly moves: string[] = [];
  readonly limit: ConcurrencyLimit;

  constructor(max: number) {
    this.limit = new ConcurrencyLimit({
      clock: { wallMs: () => 0, monotonicMs: () => this.nowMs },
      max,
      moved: (limit, cause) => this.moves.push(`${cause} ${limit}`),
    });
  }

  /** Exchanges begun now that are answered `headMs` later, with the limit holding the hub back. */
  answers(count: number, headMs = 150): void {
    const startedMs = this.#begin();
    this.nowMs += headMs;
    for (let i = 0; i < count; i += 1) this.limit.answered({ startedMs, headMs, full: true });
  }

  /** One round trip with as many exchanges as are allowed. */
  round(headMs?: number): void {
    this.answers(this.limit.value, headMs);
  }

  /** Exchanges begun now that fail together after a while. */
  fail(load: 'pressed' | 'strained', count = 1): void {
    const startedMs = this.#begin();
    this.nowMs += 150;
    for (let i = 0; i < count; i += 1) this.limit.failed(load, startedMs);
  }

  /** A moment after all that went before. */
  #begin(): number {
    this.nowMs += 1;
    return this.nowMs;
  }
}

const starts = [
  { max: 1_024, value: 64 },
  { max: 64, value: 64 },
  { max: 8, value: 8 },
  { max: 1, value: 1 },
] as const;
for (const { max, value } of starts) {
  test(`of at most ${max} it starts with ${value}`, () => assert.equal(new Bench(max).limit.value, value));
}

const cases: readonly { name: string; max?: number; act: (bench: Bench) => void; limit: number }[] = [
  { name: 'one refusal halves it', act: (bench) => bench.fail('pressed'), limit: 32 },
  { name: 'a round of refusals counts once', act: (bench) => bench.fail('pressed', 64), limit: 32 },
  { name: 'four rounds lead to the floor', act: (bench) => times(4, () => bench.fail('pressed', 9)), limit: 4 },
  { name: 'it never goes below the floor', act: (bench) => times(50, () => bench.fail('pressed')), limit: 4 },
  { name: 'a share below the floor is kept as it is', max: 2, act: (bench) => times(50, () => bench.fail('pressed')), limit: 2 },
  { name: 'a few cuts change nothing', act: (bench) => bench.fail('strained', 8), limit: 64 },
  { name: 'a connection lost with all that ran on it takes a quarter, once', act: (bench) => bench.fail('strained', 64), limit: 48 },
  {
    name: 'a link that cuts every tenth body is not taken for an upstream that has too much',
    act: (bench) =>
      times(300, () => {
        bench.answers(9);
        bench.fail('strained');
      }),
    limit: 64,
  },
  {
    name: 'more cuts and timeouts than answers go on lowering it',
    act: (bench) =>
      times(300, () => {
        bench.answers(1);
        bench.fail('strained', 2);
      }),
    limit: 4,
  },
  {
    name: 'after a refusal it grows by one for each round',
    act: (bench) => {
      bench.fail('pressed');
      times(5, () => bench.round());
    },
    limit: 37,
  },
  {
    name: 'it grows at most ten times a second, however quick the answers: in two seconds by twenty',
    act: (bench) => {
      bench.fail('pressed');
      times(1_000, () => bench.round(1));
    },
    limit: 52,
  },
  {
    name: 'answers to what began before it was lowered do not raise it',
    act: (bench) => {
      const startedMs = bench.nowMs;
      bench.fail('pressed');
      bench.nowMs += 1_000;
      times(500, () => bench.limit.answered({ startedMs, headMs: 1_000, full: true }));
    },
    limit: 32,
  },
  {
    name: 'it does not grow where it holds nobody back',
    act: (bench) => {
      bench.fail('pressed');
      times(500, () => {
        bench.nowMs += 150;
        bench.limit.answered({ startedMs: bench.nowMs - 150, headMs: 150, full: false });
      });
    },
    limit: 32,
  },
  { name: 'its share is the end', act: (bench) => times(500, () => bench.round()), limit: 64 },
  { name: 'a larger share is grown into while answers stay quick', max: 100, act: (bench) => times(500, () => bench.round()), limit: 100 },
  {
    name: 'a full link, on which every answer is slow, neither lowers it nor makes it grow beyond its start',
    max: 1_024,
    act: (bench) => {
      bench.answers(1, 150);
      times(40, () => bench.round(2_000));
    },
    limit: 64,
  },
  {
    name: 'a full link does not keep it from coming back to its start',
    max: 1_024,
    act: (bench) => {
      bench.answers(1, 150);
      bench.fail('pressed');
      times(200, () => bench.round(1_000));
    },
    limit: 64,
  },
  {
    name: 'a longer route is the usual one after ten minutes',
    max: 70,
    act: (bench) => {
      bench.answers(1, 10);
      times(700, () => bench.round(1_000));
    },
    limit: 70,
  },
];
for (const { name, max = 64, act, limit } of cases) {
  test(name, () => {
    const bench = new Bench(max);
    act(bench);
    assert.equal(bench.limit.value, limit);
  });
}

test('every change is told, with its cause', () => {
  const bench = new Bench(64);
  bench.fail('pressed', 3);
  bench.fail('strained', 20);
  bench.round();
  assert.deepEqual(bench.moves, ['pressed 32', 'strained 24', 'answered 25']);
});

test('an upstream that takes eight at once settles around eight', () => {
  const bench = new Bench(64);
  const seen: number[] = [];
  times(400, () => {
    const asked = bench.limit.value;
    const startedMs = bench.nowMs + 1;
    bench.nowMs += 150;
    for (let i = 0; i < asked; i += 1) {
      if (i < 8) bench.limit.answered({ startedMs, headMs: 150, full: true });
      else bench.limit.failed('pressed', startedMs);
    }
    seen.push(asked);
  });
  assert.deepEqual(seen.slice(0, 5), [64, 32, 16, 8, 9]);
  assert.ok(seen.slice(4).every((asked) => asked >= 4 && asked <= 9));
});

const events = fc.array(
  fc.record({
    afterMs: fc.nat(500),
    agoMs: fc.nat(1_000),
    kind: fc.constantFrom('answered', 'pressed', 'strained'),
    count: fc.integer({ min: 1, max: 80 }),
    full: fc.boolean(),
  }),
  { maxLength: 200 },
);

test('whatever happens it stays within its bounds, faults never raise it, answers never lower it, and what fails together takes half at most', () =>
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), events, (max, all) => {
      const bench = new Bench(max);
      for (const { afterMs, agoMs, kind, count, full } of all) {
        bench.nowMs += afterMs;
        const startedMs = bench.nowMs - agoMs;
        const before = bench.limit.value;
        for (let i = 0; i < count; i += 1) {
          if (kind === 'answered') bench.limit.answered({ startedMs, headMs: agoMs, full });
          else bench.limit.failed(kind, startedMs);
        }
        const after = bench.limit.value;
        assert.ok(Number.isInteger(after) && after >= Math.min(4, max) && after <= max);
        if (kind === 'answered') assert.ok(after === before || (full && after === before + 1));
        else assert.ok(after <= before && after >= Math.floor(before / 2));
      }
    }),
  ));

function times(count: number, act: () => void): void {
  for (let i = 0; i < count; i += 1) act();
}
