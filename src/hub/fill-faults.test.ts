// Disks that are full, break, or lie about what they did, at every step of a fill: nothing is half-served, and a second try heals.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { keyOf, openBench, ScriptedOrigin, FakeDatabase, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule } from '../../test/support/synthetic-module.ts';
import { HubError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import type { Metadata } from '../meta/metadata.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { createMemoryStore } from '../store/memory-store.ts';
import { openFsStore } from '../store/fs-store.ts';

const module = makeModule('example.com/m', 'v1.2.3', { fillBytes: 300_000 });
const files = ['info', 'mod', 'zip'] as const;
const truth = { info: Buffer.from(module.info), mod: Buffer.from(module.goMod), zip: module.zip };

function publish({ origin, database }: Pick<StationBench, 'origin' | 'database'>): void {
  origin.publish(module);
  database.record(module);
}

const points = ['before', 'after'] as const;
const storeSteps = ['open', 'stage', 'append', 'seal'] as const;
const metadataSteps = ['acquireLease', 'recordFile', 'releaseLease'] as const;

for (const code of ['storage-full', 'storage-fault'] as const) {
  for (const point of points) {
    for (const step of [...storeSteps, ...metadataSteps]) {
      test(`${code} ${point} ${step}: nothing wrong is served, and the next try has it`, async () => {
        let armed = true;
        const fail = (at: string, name: string): void => {
          if (!armed || at !== point || name !== step) return;
          armed = false;
          throw new HubError(code, `the test breaks ${point} ${step}`);
        };
        for (const file of files) {
          armed = false;
          await using bench = await openBench({ storeFaults: fail, metadataFaults: fail });
          publish(bench);
          armed = true;
          const path = `${address(module)}${file}`;
          const first = await bench.ask(path).catch((error: unknown) => error as HubError);
          if (first instanceof Error) {
            assert.equal(first.code, code);
            assert.notEqual(step, 'releaseLease', 'what is stored is answered');
          } else assert.ok(first.bytes.equals(truth[file]));
          // The failure is shared for a second.
          bench.clock.pass(1_001);
          assert.ok((await bench.ask(path)).bytes.equals(truth[file]));
          assert.ok((await bench.ask(path, { fill: false })).bytes.equals(truth[file]));
          assert.equal((await bench.metadata.file(keyOf(module, file)))?.sizeBytes, truth[file].length);
          assert.ok((bench.origin.asked.get(path) ?? 0) <= 2);
        }
      });
    }
  }
}

test('while metadata takes no write, what is stored is served, and nothing else', async () => {
  let broken = false;
  await using bench = await openBench({
    memoryBytesMax: 0,
    metadataFaults: () => {
      if (broken) throw new HubError('storage-full', 'the disk is full');
    },
  });
  publish(bench);
  bench.origin.first.set('example.com/m/@v/list', 'v1.2.3\n');
  for (const file of ['info', 'zip']) await bench.ask(`${address(module)}${file}`);
  await bench.ask('example.com/m/@v/list');
  broken = true;
  for (const file of ['info', 'zip'] as const) assert.ok((await bench.ask(`${address(module)}${file}`)).bytes.equals(truth[file]));
  bench.clock.pass(3_600_000);
  assert.equal((await bench.ask('example.com/m/@v/list')).bytes.toString(), 'v1.2.3\n');
  await assert.rejects(bench.ask(`${address(module)}mod`), { code: 'storage-full' });
  broken = false;
  assert.ok((await bench.ask(`${address(module)}mod`)).bytes.equals(truth.mod));
});

test('a file that was touched is served although metadata cannot take note of it', async () => {
  let broken = false;
  await using bench = await openBench({
    memoryBytesMax: 0,
    metadataFaults: () => {
      if (broken) throw new HubError('storage-full', 'the disk is full');
    },
  });
  publish(bench);
  await bench.ask(`${address(module)}zip`);
  bench.store.tamper(keyOf(module, 'zip'), module.zip);
  broken = true;
  assert.ok((await bench.ask(`${address(module)}zip`)).bytes.equals(module.zip));
});

test('a full disk is no reason to keep a lease: another process fills as soon as there is space', async () => {
  await using place = await folder();
  await using store = createMemoryStore();
  let broken = false;
  const file = join(place.path, 'goyi.db');
  await using here = await openSqliteMetadata({
    file,
    log: silentLog,
    faults: (point, write) => {
      if (broken && point === 'before' && (write === 'recordFile' || write === 'releaseLease')) throw new HubError('storage-full', 'full');
    },
  });
  await using there = await openSqliteMetadata({ file, log: silentLog });
  const origin = new ScriptedOrigin();
  const database = new FakeDatabase();
  publish({ origin, database });
  await using left = await openBench({ store, metadata: here, origin, database });
  await using right = await openBench({ store, metadata: there, origin, database });
  broken = true;
  await assert.rejects(left.ask(`${address(module)}mod`), { code: 'storage-full' });
  assert.deepEqual(await there.acquireLease(keyOf(module, 'mod')), { kind: 'held', ours: false });
  broken = false;
  // The same process goes on with the lease that it still holds, and gives it back.
  assert.ok((await left.ask(`${address(module)}mod`)).bytes.equals(truth.mod));
  assert.equal((await there.acquireLease(keyOf(module, 'mod'))).kind, 'acquired');
  await there.releaseLease(keyOf(module, 'mod'));
  assert.ok((await right.ask(`${address(module)}mod`)).bytes.equals(truth.mod));
});

test('two processes on one data folder fetch an artefact once', async () => {
  await using place = await folder();
  const open = async (): Promise<Metadata> => openSqliteMetadata({ file: join(place.path, 'goyi.db'), log: silentLog });
  const openStore = () => openFsStore({ root: place.path, events: silentEvents, log: silentLog });
  await using stores = new AsyncDisposableStack();
  const origin = new ScriptedOrigin();
  const database = new FakeDatabase();
  publish({ origin, database });
  const make = async (): Promise<StationBench> =>
    stores.use(await openBench({ store: stores.use(await openStore()), metadata: stores.use(await open()), origin, database }));
  const benches = [await make(), await make()];
  for (const file of files) {
    const path = `${address(module)}${file}`;
    const answers = await Promise.all(benches.flatMap((bench) => Array.from({ length: 10 }, () => bench.ask(path))));
    assert.ok(answers.every(({ bytes }) => bytes.equals(truth[file])));
    assert.equal(origin.asked.get(path), 1);
  }
  assert.equal(database.lookups, 2, 'one proof of the mod and one of the zip');
  // A failure is told to those who waited for it in the other process.
  origin.first.set('example.com/m/@v/v1.2.4.mod', 'module example.com/m\n');
  const outcomes = await Promise.allSettled(benches.map((bench) => bench.ask('example.com/m/@v/v1.2.4.mod')));
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status === 'rejected' && (outcome.reason as HubError).code),
    ['checksum-missing', 'checksum-missing'],
  );
  assert.equal(origin.asked.get('example.com/m/@v/v1.2.4.mod'), 1);
});

async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'goyi-hub-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
