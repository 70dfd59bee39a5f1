import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookUp, openAnswer, openOwnLogBench, type OwnLogBench } from '../../test/support/own-log-bench.ts';
import { FakeDatabase, keyOf, openBench, ownDatabaseName, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule, type SyntheticModule } from '../../test/support/synthetic-module.ts';
import { codeOf, HubError } from '../base/errors.ts';
import { formatChecksumRecord } from '../protocol/checksum-record.ts';
import type { OwnDatabase } from './own-database.ts';

/** A station whose hub signs a log of its own. */
async function openSigning(
  options: { sign?: 'all' | 'private'; verify?: 'require' | 'off' } = {},
): Promise<{ bench: StationBench; log: OwnLogBench; database: OwnDatabase } & AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  const log = stack.use(await openOwnLogBench());
  const proving = new FakeDatabase();
  const database = stack.use(await log.open({ proving, ...(options.sign && { sign: options.sign }) }));
  const { metadata, store, clock } = log;
  const bench = stack.use(
    await openBench({
      metadata,
      store,
      clock,
      database: proving,
      ownDatabases: [database],
      ...(options.verify && { verify: options.verify }),
    }),
  );
  return { bench, log, database, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function recordOf({ path, version, zipHash, modHash }: SyntheticModule): string {
  return formatChecksumRecord({ module: path, version, zipHash, modHash });
}

const lookupPath = ({ path, version }: SyntheticModule): string => `sumdb/${ownDatabaseName}/lookup/${path}@${version}`;

test('a fill has appended its record before it is answered', async () => {
  await using signing = await openSigning();
  const { bench, log } = signing;
  const module = makeModule('one.example/m', 'v1.0.0');
  bench.origin.publish(module);
  bench.database.record(module);
  await bench.ask(`${address(module)}zip`);
  const record = await log.metadata.ownRecord(ownDatabaseName, module.path, module.version);
  assert.deepEqual(
    [record?.id, record?.zipHash, record?.modHash, record?.provedBy],
    [0, module.zipHash, module.modHash, bench.database.name],
  );
  const lookups = bench.database.lookups;
  await bench.ask(`${address(module)}mod`);
  const shown = openAnswer(String((await bench.ask(lookupPath(module))).bytes));
  assert.deepEqual([shown.recordId, shown.text, shown.size], [0, recordOf(module), 1]);
  assert.equal(bench.database.lookups, lookups + 1, 'the look-up asked nobody');
});

test('row and record of a fill are handed in at one moment, so that they share a commit', async () => {
  await using signing = await openSigning();
  const { bench, log } = signing;
  const module = makeModule('one.example/m', 'v1.0.0');
  bench.origin.publish(module);
  bench.database.record(module);
  const order: string[] = [];
  log.metadataFaults = (point, write) => {
    if (write === 'recordFile' || write === 'appendOwn') order.push(`${point} ${write}`);
  };
  await bench.ask(`${address(module)}zip`);
  assert.deepEqual(order.slice(0, 2), ['before recordFile', 'before appendOwn']);
});

test('a look-up fetches nothing, and bytes that come later must match', async () => {
  await using signing = await openSigning();
  const { bench, log } = signing;
  const module = makeModule('one.example/m', 'v1.0.0');
  const other = makeModule('one.example/m', 'v1.0.0', { files: { 'm.go': 'package other\n' } });
  bench.database.record(module);
  assert.equal(openAnswer(String((await bench.ask(lookupPath(module))).bytes)).text, recordOf(module));
  assert.equal(bench.origin.total, 0);
  bench.origin.publish(other);
  // The public database now says something else as well: what we recorded holds all the same.
  bench.database.record(other);
  await assert.rejects(bench.ask(`${address(module)}zip`), { code: 'checksum-mismatch', message: new RegExp(ownDatabaseName) });
  const row = await log.metadata.drifts(10);
  assert.deepEqual(
    row.map(({ kind, recordedHash, offeredHash, origin, count }) => ({ kind, recordedHash, offeredHash, origin, count })),
    [{ kind: 'zip', recordedHash: module.zipHash, offeredHash: other.zipHash, origin: 'https://upstream-0.example/', count: 1 }],
  );
  assert.equal((await log.store.readSmall(keyOf(module, 'zip'), 1e6))?.bytes, undefined);
  bench.origin.publish(module);
  bench.database.record(module);
  bench.clock.pass(2_000);
  assert.ok((await bench.ask(`${address(module)}zip`)).bytes.equals(module.zip));
});

test('drift of a version that is stored is kept, also without a log of our own; a wrong first offer is none', async () => {
  await using bench = await openBench();
  const module = makeModule('one.example/m', 'v1.0.0');
  const moved = makeModule('one.example/m', 'v1.0.0', { files: { 'm.go': 'package moved\n' } });
  bench.database.record(module);
  bench.origin.publish(moved);
  await assert.rejects(bench.ask(`${address(module)}zip`), { code: 'checksum-mismatch' });
  assert.deepEqual(await bench.metadata.drifts(10), []);
  bench.origin.first.set(`${address(module)}mod`, module.goMod);
  await bench.ask(`${address(module)}mod`);
  bench.clock.pass(2_000);
  await assert.rejects(bench.ask(`${address(module)}zip`), { code: 'checksum-mismatch' });
  bench.clock.pass(2_000);
  await assert.rejects(bench.ask(`${address(module)}zip`), { code: 'checksum-mismatch' });
  const [drift, ...more] = await bench.station.drifts(10);
  assert.deepEqual(
    [more, drift?.kind, drift?.recordedHash, drift?.offeredHash, drift?.count],
    [[], 'zip', module.zipHash, moved.zipHash, 2],
  );
  assert.equal(bench.seen.filter((event) => event.startsWith('drift zip')).length, 2);
  assert.ok((await bench.ask(`${address(module)}mod`)).bytes.equals(Buffer.from(module.goMod)), 'what is stored is served');
});

test('what the store itself has wrong is no drift of an origin', async () => {
  await using signing = await openSigning();
  const { bench, log } = signing;
  const module = makeModule('one.example/m', 'v1.0.0');
  bench.origin.publish(module);
  bench.database.record(module);
  await log.store.put(keyOf(module, 'zip'), makeModule('one.example/m', 'v1.0.0', { files: { 'm.go': 'package planted\n' } }).zip);
  assert.ok((await bench.ask(`${address(module)}zip`)).bytes.equals(module.zip));
  assert.deepEqual(await log.metadata.drifts(10), []);
});

test('with `verify: off` bytes must still match what is recorded', async () => {
  await using signing = await openSigning({ verify: 'off' });
  const { bench, log } = signing;
  const module = makeModule('one.example/m', 'v1.0.0');
  bench.database.record(module);
  await lookUp(signing.database, module.path);
  bench.origin.publish(makeModule('one.example/m', 'v1.0.0', { files: { 'm.go': 'package other\n' } }));
  await assert.rejects(bench.ask(`${address(module)}zip`), { code: 'checksum-mismatch' });
  const unknown = makeModule('two.example/m', 'v1.0.0');
  bench.origin.publish(unknown);
  await bench.ask(`${address(unknown)}zip`);
  assert.equal(await log.metadata.ownRecord(ownDatabaseName, unknown.path, unknown.version), undefined, 'nobody proved it');
});

test('with `sign: private` the fill of a public module appends nothing', async () => {
  await using signing = await openSigning({ sign: 'private' });
  const { bench, log } = signing;
  const module = makeModule('one.example/m', 'v1.0.0');
  bench.origin.publish(module);
  bench.database.record(module);
  await bench.ask(`${address(module)}zip`);
  assert.equal(await log.metadata.ownHead(ownDatabaseName), undefined);
  await assert.rejects(bench.ask(lookupPath(module)), { code: 'not-found' });
});

test('a log that takes nothing costs no fill: the record is appended when it is asked for', async () => {
  await using signing = await openSigning();
  const { bench, log } = signing;
  const module = makeModule('one.example/m', 'v1.0.0');
  bench.origin.publish(module);
  bench.database.record(module);
  log.metadataFaults = (point, write) => {
    if (point === 'before' && write === 'appendOwn') throw new HubError('storage-fault', 'the test says so');
  };
  assert.ok((await bench.ask(`${address(module)}zip`)).bytes.equals(module.zip));
  await assert.rejects(bench.ask(lookupPath(module)), (error) => codeOf(error) === 'storage-fault');
  log.metadataFaults = () => {};
  assert.equal(openAnswer(String((await bench.ask(lookupPath(module))).bytes)).recordId, 0);
});

test('a policy holds for look-ups in the own database too', async () => {
  await using log = await openOwnLogBench();
  const proving = new FakeDatabase();
  await using database = await log.open({ proving });
  await using bench = await openBench({
    database: proving,
    ownDatabases: [database],
    rules: [{ match: 'evil.example', action: 'deny', reason: 'it is evil' }],
  });
  proving.record(makeModule('evil.example/m', 'v1.0.0'));
  await assert.rejects(bench.ask(`sumdb/${ownDatabaseName}/lookup/evil.example/m@v1.0.0`), { code: 'policy-denied' });
  assert.equal(await log.metadata.ownHead(ownDatabaseName), undefined);
});

test('requests to the own database that are malformed or reach beyond it: 400 or 404, nothing fetched, nothing recorded', async () => {
  await using signing = await openSigning();
  const { bench, log } = signing;
  const bad: readonly (readonly [string, 'malformed' | 'not-found'])[] = [
    ['lookup/one.example/m@v1', 'malformed'],
    ['lookup/one.example/m@v1.0.0/go.mod', 'malformed'],
    ['lookup/one.example/m@master', 'malformed'],
    ['lookup/One.example/m@v1.0.0', 'malformed'],
    ['lookup/one.example/../m@v1.0.0', 'malformed'],
    ['lookup/one.example/m', 'malformed'],
    ['lookup/@v1.0.0', 'malformed'],
    ['lookup/one.example/m@', 'malformed'],
    ['lookup/nodot/m@v1.0.0', 'malformed'],
    ['tile/8/0/000.p/0', 'malformed'],
    ['tile/8/0/000.p/256', 'malformed'],
    ['tile/8/0/000.p/99999999999999999999', 'malformed'],
    ['tile/7/0/000', 'malformed'],
    ['tile/8/64/000', 'malformed'],
    ['tile/8/-1/000', 'malformed'],
    ['tile/8/0/x000/001', 'malformed'],
    ['tile/8/0/x999/x999/x999/x999/x999/x999/999', 'malformed'],
    ['tile/8/0/../../latest', 'malformed'],
    ['tile/8/0/000', 'not-found'],
    ['tile/8/0/000.p/1', 'not-found'],
    ['tile/8/data/000.p/1', 'not-found'],
    ['tile/8/63/000.p/1', 'not-found'],
    ['tile/8/0/x999/x999/999', 'not-found'],
    ['lookup/unknown.example/m@v1.0.0', 'not-found'],
    ['lookup/unknown.example/m@v99999999999999999999.0.0', 'malformed'],
  ];
  for (const [resource, outcome] of bad) {
    const asked = bench.ask(`sumdb/${ownDatabaseName}/${resource}`);
    if (outcome === 'not-found') await assert.rejects(asked, { code: 'not-found' }, resource);
    else await assert.rejects(asked, { name: 'Error' }, resource);
  }
  assert.deepEqual([bench.origin.total, await log.metadata.ownHead(ownDatabaseName)], [0, undefined]);
});
