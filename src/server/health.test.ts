import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { Readiness } from '../hub/station.ts';
import { ask, readyReport, startHub } from './fake-station.ts';
import { Briefly } from './briefly.ts';
import { reportReadiness } from './health.ts';

test('readyz is 200 with what is degraded, and 503 only when the hub is not ready', async () => {
  let report: Readiness | Error = {
    ...readyReport,
    degraded: ['upstream u is down'],
    store: { readable: true, writable: false, freeBytes: 0, reason: 'full' },
  };
  let now = 0;
  const fake = await startHub({
    clock: { wallMs: () => now, monotonicMs: () => now },
    station: { readiness: async () => (report instanceof Error ? Promise.reject(report) : report) },
  });
  try {
    const degraded = await ask(fake.port, '/-/readyz');
    assert.deepEqual(
      [degraded.status, degraded.headers['content-type'], degraded.headers['cache-control']],
      [200, 'application/json', 'no-store'],
    );
    assert.deepEqual(JSON.parse(String(degraded.body)), JSON.parse(JSON.stringify(report)));
    report = { ...readyReport, ready: false };
    assert.equal((await ask(fake.port, '/-/readyz')).status, 200, 'a report is fresh for a second');
    now += 1000;
    assert.equal((await ask(fake.port, '/-/readyz')).status, 503);
    report = new HubError('storage-fault', 'disk gone');
    now += 1000;
    const failed = await ask(fake.port, '/-/readyz');
    assert.equal(failed.status, 503);
    assert.equal((JSON.parse(String(failed.body)) as { ready: boolean }).ready, false);
    const alive = await ask(fake.port, '/-/healthz');
    assert.deepEqual([alive.status, String(alive.body), alive.headers['cache-control']], [200, 'ok\n', 'no-store']);
  } finally {
    await fake.stop();
  }
});

test('a station that does not report is not ready after 5 s', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const report = reportReadiness({ readiness: () => new Promise<never>(() => {}) }, silentLog);
  t.mock.timers.tick(5_000);
  assert.equal((await report).ready, false);
});

test('what is asked for by many is made once while it lasts', async () => {
  let now = 0;
  let made = 0;
  let finish = (): void => {};
  const briefly = new Briefly({
    make: () => {
      made += 1;
      return new Promise<number>((resolve, reject) => {
        finish = () => (made === 2 ? reject(new Error('failed')) : resolve(made));
      });
    },
    clock: { wallMs: () => now, monotonicMs: () => now },
    freshMs: 1_000,
  });
  const first = briefly.get();
  now = 5_000;
  assert.equal(briefly.get(), first, 'never two at once');
  finish();
  assert.equal(await first, 1);
  const second = briefly.get();
  assert.notEqual(second, first);
  finish();
  await assert.rejects(second, /failed/);
  now = 5_999;
  assert.equal(briefly.get(), second);
  now = 6_000;
  assert.notEqual(briefly.get(), second);
  finish();
});
