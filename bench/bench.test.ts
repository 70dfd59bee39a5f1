import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usageOf } from './process-tree.ts';
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
  for (const startedMs = performance.now(); performance.now() - startedMs < 60; ) Math.random();
  const after = usageOf(process.pid);
  assert.ok(after.cpuSeconds > before.cpuSeconds);
  assert.ok(after.rssMiB > 10 && after.peakMiB > 10);
});
