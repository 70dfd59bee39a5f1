import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RecentExtreme } from './recent-extreme.ts';

const samples = fc.array(fc.record({ afterMs: fc.nat(150), value: fc.nat(1_000) }), { maxLength: 60 });

for (const [name, pick] of [
  ['least', Math.min],
  ['greatest', Math.max],
] as const) {
  test(`the ${name} of the last 100 ms counts, and nothing older than 200`, () =>
    fc.assert(
      fc.property(samples, fc.nat(300), (all, restMs) => {
        let nowMs = 0;
        const recent = new RecentExtreme({ clock: { wallMs: () => 0, monotonicMs: () => nowMs }, keepMs: 100, pick });
        const seen: { atMs: number; value: number }[] = [];
        const check = (): void => {
          const young = seen.filter(({ atMs }) => nowMs - atMs < 100).map(({ value }) => value);
          const possible = seen.filter(({ atMs }) => nowMs - atMs < 200).map(({ value }) => value);
          const { value } = recent;
          if (value === undefined) assert.deepEqual(young, []);
          else {
            assert.ok(possible.includes(value), `${value} is too old`);
            assert.equal(pick(value, ...young), value);
          }
        };
        for (const { afterMs, value } of all) {
          nowMs += afterMs;
          recent.add(value);
          seen.push({ atMs: nowMs, value });
          check();
        }
        nowMs += restMs;
        check();
      }),
    ));
}
