import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf, openBench, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule } from '../../test/support/synthetic-module.ts';
import { HubError } from '../base/errors.ts';
import { rowOf } from '../meta/contract.ts';
import { listKey } from '../protocol/layout.ts';
import { collectGarbage } from './collect-garbage.ts';
import { usesBehindMaxMs } from './usage.ts';

const dayMs = 86_400_000;
const signal = new AbortController().signal;
const old = makeModule('example.com/m', 'v1.0.0');
const recent = makeModule('example.com/m', 'v1.1.0');
const files = ['info', 'mod', 'zip'] as const;

/** The old one was stored ninety days before the other, and never used again. */
async function stored(): Promise<StationBench> {
  const bench = await openBench();
  for (const module of [old, recent]) {
    bench.origin.publish(module);
    bench.database.record(module);
    for (const file of files) await bench.ask(`${address(module)}${file}`);
    bench.clock.pass(90 * dayMs);
  }
  await bench.station.lists.settled();
  return bench;
}

const partsOf = ({ store, metadata, station }: StationBench) => ({ store, metadata, lists: station.lists });

test('a dry run counts and changes nothing; the real run removes what it counted', async () => {
  await using bench = await stored();
  const request = { cutoffMs: bench.clock.wall - 100 * dayMs };
  const dry = await collectGarbage(partsOf(bench), { ...request, dryRun: true }, signal);
  const sizeBytes = old.info.length + old.goMod.length + old.zip.length;
  assert.deepEqual(dry, {
    items: [{ module: old.path, version: 'v1.0.0', files: 3, sizeBytes, lastUsedAtMs: bench.clock.wall - 180 * dayMs }],
    files: 3,
    sizeBytes,
  });
  assert.equal((await bench.metadata.totals()).files, 6);
  assert.deepEqual(await collectGarbage(partsOf(bench), { ...request, dryRun: false }, signal), dry);
  for (const file of files) assert.equal(await bench.store.open(keyOf(old, file)), undefined);
  await bench.station.lists.settled();
  assert.equal((await bench.store.readSmall(listKey(old.path as never), 1000))?.bytes.toString(), 'v1.1.0\n');
  assert.equal((await bench.metadata.totals()).files, 3);
  assert.deepEqual((await collectGarbage(partsOf(bench), { ...request, dryRun: false }, signal)).files, 0);
});

test('what was collected is fetched again when it is asked for', async () => {
  await using bench = await stored();
  await collectGarbage(partsOf(bench), { cutoffMs: bench.clock.wall, dryRun: false }, signal);
  assert.equal((await bench.metadata.totals()).files, 0);
  await using fresh = await openBench({ ...bench, memoryBytesMax: 0 });
  assert.ok((await fresh.ask(`${address(old)}zip`)).bytes.equals(old.zip));
});

test('thousands of rows are walked in pages, each once; a bounded number of items is named', async () => {
  await using bench = await openBench();
  const rows = Array.from({ length: 12_500 }, (_, serial) => rowOf(serial, { storedAtMs: 1_700_000_000_000 + Math.floor(serial / 2_500) }));
  await Promise.all(rows.map((row) => bench.metadata.recordFile(row)));
  let largest = 0;
  const page = bench.metadata.filesUnusedSince.bind(bench.metadata);
  bench.metadata.filesUnusedSince = async (...args) => {
    const found = await page(...args);
    largest = Math.max(largest, found.length);
    return found;
  };
  const report = await collectGarbage(partsOf(bench), { cutoffMs: Date.now(), dryRun: true }, signal);
  assert.deepEqual([report.files, report.items.length], [12_500, 10_000]);
  assert.equal(
    report.sizeBytes,
    rows.reduce((sum, row) => sum + row.sizeBytes, 0),
  );
  assert.ok(largest <= 1_000);
});

test('a run that is broken off leaves files without rows at worst, which are proved before anybody gets them', async () => {
  await using bench = await stored();
  const remove = bench.store.remove.bind(bench.store);
  bench.store.remove = () => Promise.reject(new HubError('storage-fault', 'the disk is gone'));
  await assert.rejects(collectGarbage(partsOf(bench), { cutoffMs: bench.clock.wall, dryRun: false }, signal), { code: 'storage-fault' });
  bench.store.remove = remove;
  const asked = bench.origin.total;
  await using fresh = await openBench({ ...bench, memoryBytesMax: 0 });
  for (const file of files)
    assert.ok(
      (await fresh.ask(`${address(old)}${file}`)).bytes.equals(Buffer.from({ info: old.info, mod: old.goMod, zip: old.zip }[file])),
    );
  assert.equal(bench.origin.total, asked);
  const stopped = AbortSignal.abort(new HubError('canceled', 'stop'));
  await assert.rejects(collectGarbage(partsOf(bench), { cutoffMs: bench.clock.wall + dayMs, dryRun: false }, stopped), {
    code: 'canceled',
  });
});

test('what may have been used since the cutoff, and not been written down yet, stays', async () => {
  await using bench = await stored();
  const lastUsedMs = bench.clock.wall - 90 * dayMs;
  const request = { cutoffMs: lastUsedMs + usesBehindMaxMs, dryRun: true };
  assert.equal((await collectGarbage(partsOf(bench), request, signal)).files, 3);
  assert.equal((await collectGarbage(partsOf(bench), { ...request, cutoffMs: request.cutoffMs + 1 }, signal)).files, 6);
});

test('a list is written once a page, not once for every version that goes', async () => {
  await using bench = await openBench();
  const refreshed: string[] = [];
  const lists = { refresh: (module: string) => void refreshed.push(module), room: async () => {} };
  for (let serial = 0; serial < 300; serial += 1) await bench.metadata.recordFile(rowOf(serial));
  await collectGarbage({ ...partsOf(bench), lists }, { cutoffMs: Date.now(), dryRun: false }, signal);
  assert.deepEqual(refreshed, ['rsc.io/quote']);
});
