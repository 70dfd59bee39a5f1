import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Breaker, type Admission, type BreakerState } from './breaker.ts';

class Bench {
  nowMs = 0;
  readonly moves: BreakerState[] = [];
  readonly breaker: Breaker;

  constructor(random = 1) {
    this.breaker = new Breaker({
      clock: { wallMs: () => 0, monotonicMs: () => this.nowMs },
      random: () => random,
      faultsMax: 3,
      openMs: 100,
      openMaxMs: 1_000,
      moved: (state) => this.moves.push(state),
    });
  }

  admit(): Admission {
    const admission = this.breaker.admit();
    assert.ok(admission !== undefined);
    return admission;
  }

  fault(weight = 1): void {
    this.nowMs += 1;
    this.admit().faulted({ reason: 'broken', weight, startedMs: this.nowMs });
  }
}

test('three faults in a row open it; a success in between starts the count anew', () => {
  const bench = new Bench();
  bench.fault();
  bench.fault();
  bench.admit().succeeded();
  bench.fault();
  bench.fault();
  assert.equal(bench.breaker.state, 'closed');
  bench.fault();
  assert.equal(bench.breaker.state, 'open');
  assert.equal(bench.breaker.admit(), undefined);
  assert.equal(bench.breaker.lastFault, 'broken');
});

test('light faults open it too, but later; a heavy one does so alone', () => {
  const bench = new Bench();
  for (let i = 0; i < 29; i += 1) bench.fault(0.1);
  assert.equal(bench.breaker.state, 'closed');
  for (let i = 0; i < 2; i += 1) if (bench.breaker.state === 'closed') bench.fault(0.1);
  assert.equal(bench.breaker.state, 'open');
  const other = new Bench();
  other.fault(3);
  assert.equal(other.breaker.state, 'open');
});

test('many exchanges failed by one event count once', () => {
  const bench = new Bench();
  const running = Array.from({ length: 60 }, () => bench.admit());
  bench.nowMs = 10;
  for (const admission of running) admission.faulted({ reason: 'the connection was cut', weight: 1, startedMs: 0 });
  assert.equal(bench.breaker.state, 'closed');
});

test('half-open admits one; its success closes, its fault opens for twice as long, up to the bound', () => {
  const bench = new Bench();
  bench.breaker.trip('not there');
  for (const openMs of [100, 200, 400, 800, 1_000, 1_000]) {
    assert.equal(bench.breaker.openForMs, openMs);
    bench.nowMs += openMs - 1;
    assert.equal(bench.breaker.admit(), undefined);
    bench.nowMs += 1;
    const probe = bench.admit();
    assert.equal(bench.breaker.state, 'half-open');
    assert.equal(bench.breaker.admit(), undefined);
    probe.faulted({ reason: 'still not there', weight: 0.1, startedMs: bench.nowMs });
  }
  bench.nowMs += 1_000;
  bench.admit().succeeded();
  assert.equal(bench.breaker.state, 'closed');
  bench.breaker.trip('gone again');
  assert.equal(bench.breaker.openForMs, 100);
});

test('a probe that is given up leaves room for the next at once', () => {
  const bench = new Bench();
  bench.breaker.trip('not there');
  bench.nowMs = 100;
  bench.admit().abandoned();
  assert.equal(bench.breaker.state, 'open');
  bench.admit().succeeded();
  assert.equal(bench.breaker.state, 'closed');
});

test('what is told late about an exchange from before does not disturb a probe', () => {
  const bench = new Bench();
  const old = bench.admit();
  bench.breaker.trip('not there');
  bench.nowMs = 100;
  const probe = bench.admit();
  old.faulted({ reason: 'old news', weight: 3, startedMs: 0 });
  old.abandoned();
  assert.equal(bench.breaker.state, 'half-open');
  probe.succeeded();
  probe.abandoned();
  assert.equal(bench.breaker.state, 'closed');
});

test('a probe given up after somebody else was answered leaves it closed', () => {
  for (const settle of ['abandoned', 'faulted'] as const) {
    const bench = new Bench();
    const old = bench.admit();
    bench.breaker.trip('not there');
    bench.nowMs = 100;
    const probe = bench.admit();
    old.succeeded();
    assert.equal(bench.breaker.state, 'closed');
    if (settle === 'abandoned') probe.abandoned();
    else probe.faulted({ reason: 'one fault', weight: 1, startedMs: bench.nowMs });
    assert.equal(bench.breaker.state, 'closed', settle);
  }
});

test('jitter halves the time at most', () => {
  const bench = new Bench(0);
  bench.breaker.trip('not there');
  assert.equal(bench.breaker.openForMs, 50);
});

test('whatever happens, it never stays closed to everybody once its time is over', () => {
  const step = fc.constantFrom('admit', 'succeed', 'fault', 'abandon', 'trip', 'wait', 'blame', 'reset');
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const bench = new Bench();
      const running: Admission[] = [];
      const settled = new Set<Admission>();
      for (const what of steps) {
        const admission = running.at(-1);
        if (what === 'admit') {
          const admitted = bench.breaker.admit();
          if (admitted !== undefined) running.push(admitted);
        } else if (what === 'wait') bench.nowMs += 150;
        else if (what === 'trip') bench.breaker.trip('x');
        else if (what === 'blame') bench.breaker.blame('x');
        else if (what === 'reset') bench.breaker.reset();
        else if (admission !== undefined) {
          running.pop();
          settled.add(admission);
          if (what === 'succeed') admission.succeeded();
          else if (what === 'abandon') admission.abandoned();
          else admission.faulted({ reason: 'x', weight: 1, startedMs: bench.nowMs });
        }
      }
      for (const admission of running) admission.abandoned();
      bench.nowMs += 2_000;
      assert.notEqual(bench.breaker.admit(), undefined);
    }),
  );
});
