import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../test/support/station-bench.ts';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { Metadata } from '../meta/metadata.ts';
import { Usage } from './usage.ts';

type Uses = Parameters<Metadata['recordUses']>[0];

function recorder(record: (uses: Uses) => Promise<void>): Metadata {
  return { recordUses: record } as Partial<Metadata> as Metadata;
}

const key = (serial: number): BlobKey => `modules/m/@v/v1.0.${serial}.mod` as BlobKey;

test('uses of one file are one row, the last one counts', async () => {
  const batches: Uses[] = [];
  const clock = new FakeClock();
  {
    await using usage = new Usage({ metadata: recorder(async (uses) => void batches.push(uses)), clock, log: silentLog });
    usage.count(key(1));
    clock.pass(5);
    usage.count(key(1));
    usage.count(key(2));
  }
  assert.deepEqual(batches, [
    [
      { key: key(1), count: 2, lastUsedAtMs: clock.wall },
      { key: key(2), count: 1, lastUsedAtMs: clock.wall },
    ],
  ]);
});

test('a metadata that hangs or fails costs counts, not memory', async () => {
  let calls = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const hanging = recorder((uses) => {
    calls += 1;
    assert.ok(uses.length <= 20_000);
    return calls === 1 ? promise : Promise.reject(new HubError('storage-full', 'full'));
  });
  const usage = new Usage({ metadata: hanging, clock: new FakeClock(), log: silentLog });
  for (let serial = 0; serial < 100_000; serial += 1) usage.count(key(serial));
  assert.equal(calls, 1);
  resolve();
  await usage[Symbol.asyncDispose]();
  assert.equal(calls, 2);
});

test('what is used all the time is written once an hour, what is used for the first time at once, and no use is lost', async () => {
  const batches: Uses[] = [];
  const clock = new FakeClock();
  {
    await using usage = new Usage({ metadata: recorder(async (uses) => void batches.push(uses)), clock, log: silentLog });
    const flush = async (): Promise<void> => {
      usage.flush();
      await new Promise((resolve) => setImmediate(resolve));
    };
    usage.count(key(1));
    await flush();
    for (let minutes = 0; minutes < 59; minutes += 1) {
      clock.pass(60_000);
      usage.count(key(1));
      if (minutes === 30) usage.count(key(2));
      await flush();
    }
    assert.deepEqual(
      batches.map((uses) => uses.map((use) => [use.key, use.count])),
      [[[key(1), 1]], [[key(2), 1]]],
    );
    clock.pass(60_000);
    await flush();
    assert.deepEqual(batches.at(-1), [{ key: key(1), count: 59, lastUsedAtMs: clock.wall - 60_000 }]);
    usage.count(key(1));
  }
  assert.deepEqual(batches.at(-1), [{ key: key(1), count: 1, lastUsedAtMs: clock.wall }]);
  assert.equal(batches.length, 4);
});
