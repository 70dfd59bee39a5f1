import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyOf, openBench, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule, type SyntheticModule } from '../../test/support/synthetic-module.ts';
import { HubError } from '../base/errors.ts';
import { listKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { scrubStore, type ScrubParts, type ScrubReport } from './scrub.ts';

const files = ['info', 'mod', 'zip'] as const;
const names = ['a', 'b', 'c', 'd'] as const;
const modules = Object.fromEntries(names.map((name) => [name, makeModule(`example.com/${name}`, 'v1.0.0')])) as Record<
  (typeof names)[number],
  SyntheticModule
>;
const signal = new AbortController().signal;
const none = { repaired: 0, setAside: [], unproved: 0, missing: 0, unknown: 0 };

async function filled(options: Parameters<typeof openBench>[0] = {}): Promise<StationBench> {
  const bench = await openBench(options);
  for (const module of Object.values(modules)) {
    bench.origin.publish(module);
    bench.database.record(module);
    for (const file of files) await bench.ask(`${address(module)}${file}`);
  }
  return bench;
}

function scrub(bench: StationBench, changes: Partial<ScrubParts> = {}): Promise<ScrubReport> {
  const { store, metadata, prover, database, events, station } = bench;
  return scrubStore(
    { store, metadata, prover, database, events, filler: station.filler, lists: station.lists, ...changes },
    () => {},
    signal,
  );
}

test('a store in which nothing is wrong', async () => {
  await using bench = await filled();
  const sizeBytes = (await bench.metadata.totals()).sizeBytes;
  const progress: string[] = [];
  const { store, metadata, prover, database, events, station } = bench;
  const report = await scrubStore(
    { store, metadata, prover, database, events, filler: station.filler, lists: station.lists },
    ({ checked, total }) => progress.push(`${checked}/${total}`),
    signal,
  );
  assert.deepEqual(report, { ...none, checked: 12, sizeBytes });
  assert.deepEqual(
    progress,
    Array.from({ length: 12 }, (_, at) => `${at + 1}/12`),
  );
  assert.equal(bench.origin.total, 12);
});

test('lists that a crash left behind are brought up to date', async () => {
  await using bench = await filled();
  const { store, station } = bench;
  await station.lists.settled();
  const listOf = async (name: string): Promise<string | undefined> =>
    (await store.readSmall(listKey(name as ModulePath), 1000))?.bytes.toString();
  await store.remove(listKey('example.com/a' as ModulePath));
  await store.replace(listKey('example.com/b' as ModulePath), Buffer.from('v0.9.0\n'));
  await store.replace(listKey('example.com/gone' as ModulePath), Buffer.from('v1.0.0\n'));
  await scrub(bench);
  await station.lists.settled();
  assert.deepEqual(await Promise.all(['example.com/a', 'example.com/b', 'example.com/gone'].map(listOf)), [
    'v1.0.0\n',
    'v1.0.0\n',
    undefined,
  ]);
});

test('the list of each module is looked at once, however many versions it has', async () => {
  await using bench = await openBench();
  for (const name of names) {
    for (let minor = 0; minor < 10; minor += 1) {
      const module = makeModule(`example.com/${name}`, `v1.${minor}.0`);
      bench.origin.publish(module);
      bench.database.record(module);
      await bench.ask(`${address(module)}zip`);
    }
  }
  await bench.station.lists.settled();
  const refreshed: string[] = [];
  await scrub(bench, { lists: { refresh: (module) => void refreshed.push(module), room: async () => {} } });
  assert.deepEqual(
    refreshed,
    names.map((name) => `example.com/${name}`),
  );
});

test('bad files are fetched again, missing ones forgotten, unknown ones proved, hopeless ones named', async () => {
  await using bench = await filled();
  const { store, metadata, origin } = bench;
  store.tamper(keyOf(modules.a, 'zip'), makeModule('example.com/a', 'v1.0.0', { files: { 'a.go': 'package evil\n' } }).zip);
  store.tamper(keyOf(modules.a, 'info'), Buffer.from('{}'));
  await store.remove(keyOf(modules.b, 'mod'));
  await metadata.forgetFile(keyOf(modules.c, 'zip'));
  store.tamper(keyOf(modules.d, 'mod'), Buffer.from('module evil.example/d\n'));
  origin.first.delete(`${address(modules.d)}mod`);
  const report = await scrub(bench);
  assert.deepEqual(
    { ...report, sizeBytes: 0, setAside: report.setAside.map(({ key }) => key) },
    { checked: 11, sizeBytes: 0, repaired: 2, setAside: [keyOf(modules.d, 'mod')], unproved: 0, missing: 1, unknown: 1 },
  );
  assert.match(report.setAside[0]?.reason ?? '', /it has .* bytes.*; not replaced: not found/);
  assert.equal(bench.origin.asked.get(`${address(modules.c)}zip`), 1, 'what lay there is proved, not fetched');
  assert.equal((await metadata.file(keyOf(modules.c, 'zip')))?.proof.kind, 'checksum-database');
  await using fresh = await openBench({ ...bench, memoryBytesMax: 0 });
  assert.ok((await fresh.ask(`${address(modules.a)}zip`)).bytes.equals(modules.a.zip));
  assert.deepEqual({ ...(await scrub(bench)), sizeBytes: 0 }, { ...none, checked: 10, sizeBytes: 0 });
});

test('a row that an import has written before its file has its name is not forgotten', async () => {
  await using bench = await filled();
  const { store, metadata } = bench;
  const key = keyOf(modules.a, 'zip');
  const row = await metadata.file(key);
  assert.ok(row !== undefined);
  await metadata.recordFile({ ...row, fingerprint: '' });
  await store.remove(key);
  assert.equal((await scrub(bench)).missing, 0);
  assert.deepEqual(await metadata.file(key), { ...row, fingerprint: '' });
});

test('a database that cannot be asked, or a transport that denies a record, condemns no file', async () => {
  await using bench = await filled();
  bench.database.down = true;
  const offline = await scrub(bench);
  assert.deepEqual({ ...offline, sizeBytes: 0 }, { ...none, checked: 12, unproved: 8, sizeBytes: 0 });
  bench.database.down = false;
  bench.database.records.clear();
  assert.deepEqual({ ...(await scrub(bench)), sizeBytes: 0 }, { ...none, checked: 12, unproved: 8, sizeBytes: 0 });
  assert.equal(bench.store.aside.length, 0);
});

test('a record that says otherwise condemns the file', async () => {
  await using bench = await filled();
  const other = makeModule('example.com/a', 'v1.0.0', { files: { 'a.go': 'package other\n' } });
  bench.database.record(other);
  const report = await scrub(bench);
  assert.deepEqual(
    report.setAside.map(({ key }) => key),
    [keyOf(modules.a, 'zip')],
  );
  assert.match(report.setAside[0]?.reason ?? '', /sum\.example\.com records h1:/);
});

test('what was stored with verify: off counts as unproved until a database is there, and is then proved where it lies', async () => {
  await using careless = await filled({ verify: 'off' });
  const { store, metadata, origin, database, prover, clock } = careless;
  assert.deepEqual(
    { ...(await scrub(careless, { database: undefined })), sizeBytes: 0 },
    { ...none, checked: 12, unproved: 8, sizeBytes: 0 },
  );
  await using careful = await openBench({ store, metadata, origin, database, prover, clock });
  assert.deepEqual({ ...(await scrub(careful)), sizeBytes: 0 }, { ...none, checked: 12, sizeBytes: 0 });
  assert.equal((await metadata.file(keyOf(modules.b, 'zip')))?.proof.kind, 'checksum-database');
  assert.equal(origin.total, 12);
});

test('a file that the medium cannot read any more is replaced', async () => {
  await using bench = await filled();
  const { store } = bench;
  const open = store.open.bind(store);
  const unreadable = (await open(keyOf(modules.a, 'zip')))?.fingerprint;
  store.open = async (key) => {
    const blob = await open(key);
    if (blob !== undefined && blob.fingerprint === unreadable)
      blob.read = () => Promise.reject(new HubError('storage-fault', 'input/output error'));
    return blob;
  };
  assert.deepEqual({ ...(await scrub(bench)), sizeBytes: 0 }, { ...none, checked: 12, repaired: 1, sizeBytes: 0 });
  assert.deepEqual(
    store.aside.map(({ key }) => key),
    [keyOf(modules.a, 'zip')],
  );
});

test('a scrub that is broken off says so and condemns nothing', async () => {
  await using bench = await filled();
  const stop = new AbortController();
  const { store, metadata, prover, database, events, station } = bench;
  const running = scrubStore(
    { store, metadata, prover, database, events, filler: station.filler, lists: station.lists },
    ({ checked }) => checked === 5 && stop.abort(new HubError('canceled', 'enough')),
    stop.signal,
  );
  await assert.rejects(running, { code: 'canceled' });
  assert.equal(store.aside.length, 0);
});
