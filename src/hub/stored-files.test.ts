// What happens to stored files behind the hub's back: a wrong byte is never served, and a source that exists heals the store.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeDatabase, keyOf, openBench, ScriptedOrigin, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule } from '../../test/support/synthetic-module.ts';
import { createZipProver } from '../origin/zip-prover-pool.ts';
import { createMemoryStore } from '../store/memory-store.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { condemn } from './condemn.ts';

const module = makeModule('example.com/m', 'v1.2.3', { fillBytes: 300_000 });
const files = ['info', 'mod', 'zip'] as const;
type File = (typeof files)[number];
const truth: Record<File, Buffer> = { info: Buffer.from(module.info), mod: Buffer.from(module.goMod), zip: module.zip };
const pathOf = (file: File): string => `${address(module)}${file}`;

/** Nothing is served from memory but what is too small to matter. */
async function filled(options: Parameters<typeof openBench>[0] = {}): Promise<StationBench> {
  const bench = await openBench({ memoryBytesMax: 0, ...options });
  bench.origin.publish(module);
  bench.database.record(module);
  for (const file of files) await bench.ask(pathOf(file));
  return bench;
}

/** A hub that starts anew on the same store and metadata. */
function again(bench: StationBench, options: Parameters<typeof openBench>[0] = {}): Promise<StationBench> {
  const { store, metadata, origin, database, prover, clock } = bench;
  return openBench({ store, metadata, origin, database, prover, clock, memoryBytesMax: 0, ...options });
}

const damages: readonly { readonly name: string; readonly of: (bytes: Buffer) => Buffer }[] = [
  {
    name: 'one byte changed',
    of: (bytes) => Buffer.concat([bytes.subarray(0, 9), Buffer.from([(bytes[9] ?? 0) ^ 1]), bytes.subarray(10)]),
  },
  { name: 'cut short', of: (bytes) => bytes.subarray(0, bytes.length - 1) },
  { name: 'emptied', of: () => Buffer.alloc(0) },
  { name: 'longer', of: (bytes) => Buffer.concat([bytes, Buffer.from(' ')]) },
];

for (const { name, of } of damages) {
  test(`a stored file, ${name}: set aside, fetched again, served right`, async () => {
    await using bench = await filled();
    for (const file of files) {
      bench.store.tamper(keyOf(module, file), of(truth[file]));
      await using fresh = await again(bench);
      for (const hub of file === 'zip' ? [bench, fresh] : [fresh]) {
        const answers = await Promise.all([hub.ask(pathOf(file)), hub.ask(pathOf(file))]);
        assert.ok(answers.every(({ bytes }) => bytes.equals(truth[file])));
      }
      assert.equal(bench.origin.asked.get(pathOf(file)), 2);
    }
    assert.deepEqual(
      bench.store.aside.map(({ key }) => key),
      files.map((file) => keyOf(module, file)),
    );
    assert.ok(bench.seen.some((line) => line.startsWith('set aside')));
  });

  test(`a stored file, ${name}, with no upstream: not served, and that is no absence`, async () => {
    await using bench = await filled();
    bench.origin.goDown();
    for (const file of files) {
      bench.store.tamper(keyOf(module, file), of(truth[file]));
      await using fresh = await again(bench);
      await assert.rejects(fresh.ask(pathOf(file)), { code: 'origin-unavailable' });
      await assert.rejects(fresh.ask(pathOf(file), { fill: false }), { code: 'not-cached' });
    }
  });
}

test('a small file that reads otherwise than it was sealed is not served, although nobody seems to have touched it', async () => {
  await using bench = await filled();
  const key = keyOf(module, 'mod');
  const open = bench.store.open.bind(bench.store);
  let rotten = true;
  bench.store.open = async (asked) => {
    const blob = await open(asked);
    if (blob === undefined || asked !== key || !rotten) return blob;
    blob.read = async (buffer, _length, position) => {
      buffer.set(Buffer.alloc(buffer.length, 'x'));
      return position === 0 ? buffer.length : 0;
    };
    return blob;
  };
  bench.origin.goDown();
  await using fresh = await again(bench);
  await assert.rejects(fresh.ask(pathOf('mod'), { fill: false }), { code: 'not-cached' });
  rotten = false;
  assert.deepEqual(
    bench.store.aside.map((item) => item.key),
    [key],
  );
});

test('a file that was only touched is hashed once for all who ask, and served', async () => {
  await using bench = await filled();
  for (const file of files) bench.store.tamper(keyOf(module, file), truth[file]);
  bench.origin.goDown();
  const open = bench.store.open.bind(bench.store);
  let reads = 0;
  bench.store.open = async (key) => {
    const blob = await open(key);
    if (blob === undefined) return undefined;
    const read = blob.read.bind(blob);
    blob.read = (buffer, length, position) => {
      reads += 1;
      return read(buffer, length, position);
    };
    return blob;
  };
  await using fresh = await again(bench);
  const request = await Promise.all(
    Array.from({ length: 20 }, () =>
      fresh.station.answer(
        { kind: 'file', file: 'zip', module: module.path as never, version: module.version as never },
        { fill: true },
        new AbortController().signal,
      ),
    ),
  );
  for (const served of request) if (served.kind === 'blob') await served.blob[Symbol.asyncDispose]();
  assert.equal(reads, 2, 'one read, and one that finds the end');
  for (const file of files) assert.ok((await fresh.ask(pathOf(file))).bytes.equals(truth[file]));
  assert.equal((await bench.metadata.file(keyOf(module, 'zip')))?.fingerprint, (await open(keyOf(module, 'zip')))?.fingerprint);
});

test('a good file without a row is proved and recorded without being fetched', async () => {
  await using bench = await openBench();
  bench.origin.publish(module);
  bench.database.record(module);
  for (const file of files) await bench.store.put(keyOf(module, file), truth[file]);
  await assert.rejects(bench.ask(pathOf('zip'), { fill: false }), { code: 'not-cached' }, 'unproved, it is as if it were not there');
  for (const file of files) assert.ok((await bench.ask(pathOf(file))).bytes.equals(truth[file]));
  assert.equal(bench.origin.total, 0);
  for (const file of files) assert.equal((await bench.metadata.file(keyOf(module, file)))?.origin, 'store');
  assert.equal(bench.store.aside.length, 0);
});

test('a bad file without a row is set aside and replaced by a good fill', async () => {
  await using bench = await openBench();
  bench.origin.publish(module);
  bench.database.record(module);
  await bench.store.put(keyOf(module, 'info'), Buffer.from('{"Version":"v9.9.9"}'));
  await bench.store.put(keyOf(module, 'mod'), Buffer.from('module evil.example/m\n'));
  await bench.store.put(keyOf(module, 'zip'), module.zip.subarray(0, 1000));
  for (const file of files) {
    assert.ok((await bench.ask(pathOf(file))).bytes.equals(truth[file]));
    assert.equal(bench.origin.asked.get(pathOf(file)), 1);
  }
  assert.equal(bench.store.aside.length, 3);
});

test('a file without a row stays where it is while no database answers', async () => {
  await using bench = await openBench();
  bench.origin.publish(module);
  await bench.store.put(keyOf(module, 'zip'), module.zip);
  bench.database.down = true;
  await assert.rejects(bench.ask(pathOf('zip')), { code: 'database-unavailable' });
  assert.equal(bench.store.aside.length, 0);
  bench.database.down = false;
  bench.database.record(module);
  bench.clock.pass(1_001);
  assert.ok((await bench.ask(pathOf('zip'))).bytes.equals(module.zip));
  assert.equal(bench.origin.total, 0);
});

test('what was stored with verify: off is served as proved only after it was', async () => {
  const evil = makeModule('example.com/evil', 'v1.0.0', { fillBytes: 300_000 });
  const good = makeModule('example.com/evil', 'v1.0.0', { fillBytes: 300_001 });
  await using store = createMemoryStore();
  await using metadata = await openSqliteMetadata({ file: ':memory:', log: silentLog });
  await using prover = createZipProver({ threadsMax: 1 });
  const origin = new ScriptedOrigin();
  const database = new FakeDatabase();
  const parts = { store, metadata, prover, origin, database, memoryBytesMax: 0 };
  {
    await using careless = await openBench({ ...parts, verify: 'off' });
    origin.publish(module);
    origin.publish(evil);
    for (const file of files) await careless.ask(pathOf(file));
    await careless.ask(`${address(evil)}zip`);
    assert.equal(database.lookups, 0);
    assert.equal((await metadata.file(keyOf(module, 'zip')))?.proof.kind, 'none');
  }
  database.record(module);
  database.record(good);
  origin.publish(good);
  await using careful = await openBench(parts);
  const asked = origin.total;
  for (const file of files) assert.ok((await careful.ask(pathOf(file))).bytes.equals(truth[file]));
  assert.equal(origin.total, asked, 'it is proved where it lies');
  const row = await metadata.file(keyOf(module, 'zip'));
  assert.deepEqual([row?.proof.kind, row?.origin], ['checksum-database', 'https://upstream-0.example']);
  assert.ok((await careful.ask(`${address(evil)}zip`)).bytes.equals(good.zip));
  assert.deepEqual(
    store.aside.map(({ key }) => key),
    [keyOf(evil, 'zip')],
  );
});

test('a verdict on a file that was replaced meanwhile harms neither the new file nor its row', async () => {
  await using bench = await filled();
  const key = keyOf(module, 'zip');
  const row = await bench.metadata.file(key);
  assert.ok(row !== undefined);
  const parts = { store: bench.store, metadata: bench.metadata, events: silentEvents };
  const verdict = { key, fingerprint: 'as it was read', row: { fingerprint: 'as it was then', proof: row.proof } };
  assert.equal(await condemn(parts, verdict, 'bad'), false);
  await bench.store.setAside(key, 'another process came to the same verdict');
  assert.equal(await condemn(parts, verdict, 'bad'), false);
  assert.deepEqual(await bench.metadata.file(key), row);
  await bench.store.put(key, module.zip);
  assert.ok((await bench.ask(pathOf('zip'))).bytes.equals(module.zip));
  assert.equal(bench.origin.asked.get(pathOf('zip')), 1);
});

test('small files are served from memory: a change on disk does not reach who asks again', async () => {
  await using bench = await filled({ memoryBytesMax: 1 << 20 });
  bench.store.tamper(keyOf(module, 'mod'), Buffer.from('module evil.example/m\n'));
  assert.ok((await bench.ask(pathOf('mod'))).bytes.equals(truth.mod));
});

test('a file that stays in memory keeps nothing else alive, whether it was just fetched or read again', async () => {
  await using bench = await filled({ memoryBytesMax: 1 << 20 });
  await using fresh = await again(bench, { memoryBytesMax: 1 << 20 });
  for (const hub of [bench, fresh]) {
    for (const file of ['info', 'mod'] as const) {
      await hub.ask(pathOf(file));
      const { bytes } = await hub.ask(pathOf(file));
      assert.ok(bytes.equals(truth[file]));
      assert.equal(bytes.buffer.byteLength, bytes.length, file);
    }
  }
});
