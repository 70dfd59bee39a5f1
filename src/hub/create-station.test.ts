import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseName, keyOf, openBench } from '../../test/support/station-bench.ts';
import { address, makeModule } from '../../test/support/synthetic-module.ts';
import { HubError } from '../base/errors.ts';

const module = makeModule('example.com/blocked/m', 'v1.2.3');

test('what policy forbids is refused with its reason and asked of nobody', async () => {
  await using bench = await openBench({
    rules: [{ match: 'example.com/blocked', action: 'deny', reason: 'the licence is not ours to accept' }],
  });
  bench.origin.publish(module);
  bench.database.record(module);
  const base = address(module);
  const paths = ['info', 'mod', 'zip'].map((file) => `${base}${file}`);
  paths.push(
    `${module.path}/@v/list`,
    `${module.path}/@latest`,
    `${module.path}/@v/main.info`,
    `sumdb/${databaseName}/lookup/${module.path}@${module.version}`,
  );
  for (const path of paths) {
    await assert.rejects(bench.ask(path), { code: 'policy-denied', message: /blocked by policy: the licence is not ours to accept/ }, path);
  }
  assert.deepEqual([bench.origin.total, bench.database.lookups], [0, 0]);
});

test('one forbidden version cannot be had by another name', async () => {
  await using bench = await openBench({ rules: [{ match: `${module.path}@v1.2.3`, action: 'deny', reason: 'it is known to be bad' }] });
  bench.origin.publish(module);
  bench.database.record(module);
  bench.origin.first.set(`${module.path}/@v/list`, 'v1.2.3\n');
  for (const path of [`${address(module)}zip`, `${module.path}/@latest`, `${module.path}/@v/v1.info`])
    await assert.rejects(bench.ask(path), { code: 'policy-denied' }, path);
  assert.equal((await bench.ask(`${module.path}/@v/list`)).bytes.toString(), 'v1.2.3\n');
});

test('checksum databases are relayed below their own names only', async () => {
  await using bench = await openBench();
  bench.database.record(module);
  assert.equal((await bench.ask(`sumdb/${databaseName}/supported`)).bytes.length, 0);
  assert.equal((await bench.ask(`sumdb/${databaseName}/latest`)).bytes.toString(), 'a signed note\n');
  assert.equal((await bench.ask(`sumdb/${databaseName}/lookup/${module.path}@v1.2.3`)).bytes.toString(), '7\n');
  await assert.rejects(bench.ask(`sumdb/${databaseName}/lookup/${module.path}@v1.2.4`), { code: 'not-found' });
  await assert.rejects(bench.ask(`sumdb/${databaseName}/tile/8/0/000`), { code: 'not-found' });
});

test('the index names what is stored', async () => {
  await using bench = await openBench();
  bench.origin.publish(module);
  bench.database.record(module);
  await bench.ask(`${address(module)}info`);
  assert.deepEqual(await bench.station.index(0, 10), []);
  await bench.ask(`${address(module)}mod`);
  await bench.ask(`${address(module)}zip`);
  assert.deepEqual(
    (await bench.station.index(0, 10)).map(({ version }) => version),
    ['v1.2.3'],
  );
});

test('readiness names what is degraded, and only a store or a metadata that cannot be read makes it false', async () => {
  await using bench = await openBench();
  assert.deepEqual([(await bench.station.readiness()).ready, (await bench.station.readiness()).degraded], [true, []]);
  bench.origin.goDown();
  const down = await bench.station.readiness();
  assert.equal(down.ready, true);
  assert.ok(down.degraded.includes('no upstream answers: only what is stored is served'));
  bench.metadata.setting = () => Promise.reject(new HubError('storage-fault', 'the file is damaged'));
  const broken = await bench.station.readiness();
  assert.deepEqual([broken.ready, broken.metadata], [false, { reachable: false, reason: 'the file is damaged' }]);
  await using careless = await openBench({ verify: 'off' });
  assert.match((await careless.station.readiness()).degraded.join(), /verification is off/);
});

test('uses are counted in memory and written when the hub stops', async () => {
  await using outer = await openBench();
  const { metadata, store, origin, database, clock } = outer;
  origin.publish(module);
  database.record(module);
  const storedAtMs = clock.wall;
  {
    await using bench = await openBench({ metadata, store, origin, database, clock });
    await bench.ask(`${address(module)}zip`);
    clock.pass(86_400_000);
    await bench.ask(`${address(module)}zip`);
    const [row] = await metadata.filesUnusedSince(clock.wall, 10);
    assert.deepEqual([row?.key, row?.lastUsedAtMs], [keyOf(module, 'zip'), storedAtMs]);
  }
  assert.deepEqual(await metadata.filesUnusedSince(clock.wall, 10), []);
  assert.equal((await metadata.filesUnusedSince(clock.wall + 1, 10))[0]?.lastUsedAtMs, clock.wall);
});
