import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../src/base/log.ts';
import { silentEvents } from '../src/base/events.ts';
import { openSqliteMetadata } from '../src/meta/sqlite-metadata.ts';
import { openFsStore } from '../src/store/fs-store.ts';
import { temporaryFolder } from '../test/support/hub-process.ts';
import { growthTable } from './growth-table.ts';
import { residentOf, usageOf } from './process-tree.ts';
import { ScaleStore, keyOf } from './scale-store.ts';
import { ratiosOf, shortly, spreadOf } from './statistics.ts';
import { WeakLink } from './weak-link.ts';
import { parseWrk } from './wrk.ts';

const wrkOutput = `Running 1s test @ http://127.0.0.1:8080/x
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.06ms    2.15ms  44.72ms   97.72%
    Req/Sec    31.96k     5.64k   36.47k    72.73%
  Latency Distribution
     50%    1.74ms
     75%    2.05ms
     90%  912.00us
     99%    1.20s
  34981 requests in 1.10s, 26.52MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 7
Requests/sec:  31806.55
Transfer/sec:     24.11MB
`;

test('parseWrk reads counts, percentiles with their units, and failures', () => {
  const load = parseWrk(wrkOutput);
  assert.equal(load.requests, 34_981);
  assert.ok(Math.abs(load.requestsPerSecond - 31_801) < 1);
  assert.ok(Math.abs(load.megabytesPerSecond - 25.28) < 0.01);
  assert.equal(load.p50Ms, 1.74);
  assert.equal(load.p99Ms, 1200);
  assert.equal(load.failures, 10);
});

test('spreadOf: the median of an even number lies between', () => {
  assert.deepEqual(spreadOf([4, 1, 3, 2]), { min: 1, median: 2.5, max: 4 });
  assert.deepEqual(spreadOf([7]), { min: 7, median: 7, max: 7 });
});

test('ratiosOf compares round with round', () => {
  assert.deepEqual(ratiosOf([10, 30, 5], [5, 10, 0]), { min: 2, median: 2.5, max: 3 });
  assert.equal(ratiosOf([], [1]), undefined);
});

for (const [value, text] of [
  [12_345.6, '12346'],
  [12.345, '12.3'],
  [0.012_345, '0.0123'],
  [0, '0'],
] as const) {
  test(`shortly(${value})`, () => assert.equal(shortly(value), text));
}

test('parallel streams share the bandwidth of a link, and what was idle is lost', async () => {
  const link = new WeakLink({ roundTripMs: 0, bytesPerSecond: 1_000_000, cutEvery: 0, streamBytesPerSecond: 0 });
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: 10 }, () => link.send(10_000)));
  const first = performance.now() - startedMs;
  assert.ok(first >= 95 && first < 250, `100 kB at 1 MB/s took ${first} ms`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const againMs = performance.now();
  await link.send(50_000);
  assert.ok(performance.now() - againMs >= 45, 'the 50 ms without a stream give no credit');
});

test('a stream may be throttled by itself: two bring twice as much', async () => {
  const link = new WeakLink({ roundTripMs: 0, bytesPerSecond: 0, cutEvery: 0, streamBytesPerSecond: 1_000_000 });
  const send = async (): Promise<void> => {
    const stream = link.stream();
    for (let i = 0; i < 10; i += 1) await link.send(10_000, stream);
  };
  const startedMs = performance.now();
  await Promise.all([send(), send()]);
  const ms = performance.now() - startedMs;
  assert.ok(ms >= 95, `twice 100 kB at 1 MB/s each took ${ms} ms`);
  assert.equal(link.isPerfect, false);
});

test('every n-th large body is cut in the middle', () => {
  const link = new WeakLink({ roundTripMs: 0, bytesPerSecond: 0, cutEvery: 3, streamBytesPerSecond: 0 });
  assert.deepEqual(
    [100_000, 100_000, 100, 100_000, 100_000].map((size) => link.cutAt(size)),
    [undefined, undefined, undefined, 50_000, undefined],
  );
});

test('usageOf counts the CPU time and the memory of a process', { skip: process.platform !== 'linux' && 'there is no /proc' }, () => {
  const before = usageOf(process.pid);
  // Of CPU time, not of the clock: on a busy machine little of the one is in the other.
  for (const started = process.cpuUsage(); process.cpuUsage(started).user < 60_000; ) Math.random();
  const after = usageOf(process.pid);
  assert.ok(after.cpuSeconds > before.cpuSeconds);
  assert.ok(after.rssMiB > 10 && after.peakMiB > 10);
});

test('residentOf names every process of a family, the one at the top first', {
  skip: process.platform !== 'linux' && 'there is no /proc',
}, () => {
  const [own = 0] = residentOf(process.pid);
  assert.ok(Math.abs(own - process.memoryUsage().rss / 2 ** 20) < 20);
});

test('growthTable compares each size with the smallest that has the figure, round by round', () => {
  const row = (contender: string, test: string, figures: Record<string, number[]>): Parameters<typeof growthTable>[0][number] => {
    return { suite: 'scale', test, contender, figures, notes: [] };
  };
  const table = growthTable([
    row('10^3', 'hit', { ms: [1, 2] }),
    row('10^4', 'hit', { ms: [2, 2] }),
    row('10^4', 'fill', { ms: [4] }),
    row('10^5', 'fill', { ms: [10] }),
  ]);
  assert.deepEqual(table.split('\n'), [
    '| test | figure | 10^3 | 10^4 | 10^5 |',
    '| --- | --- | --- | --- | --- |',
    '| hit | ms | 1.50 | 2.00 · **1.50 (1.00 … 2.00)** |  |',
    '| fill | ms |  | 4.00 | 10.0 · **2.50** |',
  ]);
});

test('a store that was made without fetching is one that a hub could have filled', async () => {
  await using folder = await temporaryFolder();
  const made = new ScaleStore(folder.path, 35);
  await made.write(() => {});
  await using metadata = await openSqliteMetadata({ file: made.databaseFile, log: silentLog });
  await using store = await openFsStore({ root: folder.path, events: silentEvents, log: silentLog });
  const { files, versions } = await metadata.totals();
  assert.deepEqual({ files, versions }, { files: 105, versions: 35 });
  const index = await metadata.indexSince(0, 100);
  assert.equal(index.length, 35);
  const [first] = index;
  assert.ok(first !== undefined);
  assert.equal((await metadata.storedVersions(first.module, 'public')).length, 10);
  assert.equal((await metadata.answer(`${first.module}/@v/list`))?.body.split('\n').length, 11);
  assert.equal((await metadata.indexSince(made.storedAtMs(30) * 1000, 100)).length, 5);
  for (const name of made.sample) {
    for (const kind of ['info', 'mod', 'zip'] as const) {
      const present = await store.readSmall(keyOf(name, kind), 10_000);
      const row = await metadata.file(keyOf(name, kind));
      assert.ok(present !== undefined && row !== undefined);
      assert.deepEqual([present.fingerprint, present.bytes.length], [row.fingerprint, row.sizeBytes]);
    }
  }
});
