import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { rowOf } from '../meta/contract.ts';
import type { Metadata } from '../meta/metadata.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { listKey } from '../protocol/layout.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { createMemoryStore } from '../store/memory-store.ts';
import { ListFiles } from './list-files.ts';

const module = 'rsc.io/quote' as ModulePath;
const onDisk = async (store: BlobStore, of = module): Promise<string | undefined> =>
  (await store.readSmall(listKey(of), 1 << 20))?.bytes.toString();

interface Bench extends AsyncDisposable {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  make(): ListFiles;
}

async function bench(faults?: Parameters<typeof createMemoryStore>[0]): Promise<Bench> {
  const store = createMemoryStore(faults);
  const metadata = await openSqliteMetadata({ file: ':memory:', log: silentLog });
  const dispose = async (): Promise<void> => {
    await metadata[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  };
  return {
    store,
    metadata,
    make: () => new ListFiles({ store, metadata, log: silentLog, kindOf: () => 'public' }),
    [Symbol.asyncDispose]: dispose,
  };
}

test('a list follows what is stored, and goes with the last version', async () => {
  await using it = await bench();
  await using lists = it.make();
  for (const version of ['v1.10.0', 'v1.2.0', 'v0.0.0-20200101000000-abcdefabcdef']) await it.metadata.recordFile(rowOf(1, { version }));
  lists.refresh(module);
  await lists.settled();
  assert.equal(await onDisk(it.store), 'v1.2.0\nv1.10.0\n');
  for (const version of ['v1.10.0', 'v1.2.0']) {
    await it.metadata.forgetFile(rowOf(1, { version }).key);
    lists.refresh(module);
  }
  await lists.settled();
  assert.equal(await onDisk(it.store), undefined);
});

test('many calls cost few writes, and a list that is right already none', async () => {
  let writes = 0;
  await using it = await bench({ faults: (point, operation) => (writes += Number(point === 'after' && operation === 'replace')) });
  await using lists = it.make();
  await it.metadata.recordFile(rowOf(1));
  for (let call = 0; call < 1_000; call += 1) lists.refresh(module);
  await lists.settled();
  assert.equal(writes, 1);
  lists.refresh(module);
  await lists.settled();
  assert.equal(writes, 1);
});

test('a list is made from the versions of its module and of no other', async () => {
  const touched = new Set<string>();
  await using it = await bench({ faults: (_, operation, key) => void touched.add(`${operation} ${key ?? 'staging'}`) });
  for (const name of ['rsc.io/quote', 'rsc.io/quote/v3', 'rsc.io/other'])
    for (let patch = 0; patch < 3; patch += 1) await it.metadata.recordFile(rowOf(patch, { module: name }));
  touched.clear();
  const asked: string[] = [];
  const storedVersions = it.metadata.storedVersions.bind(it.metadata);
  it.metadata.storedVersions = (path, of) => {
    asked.push(path);
    return storedVersions(path, of);
  };
  {
    await using lists = it.make();
    lists.refresh(module);
  }
  assert.deepEqual(asked, [module, module]);
  assert.ok(touched.size > 0);
  for (const what of touched) assert.ok(what.endsWith(` ${listKey(module)}`) || what.endsWith(' staging'), what);
  assert.equal(await onDisk(it.store), 'v1.0.0\nv1.0.1\nv1.0.2\n');
});

test('of a thousand modules all are written, a few at a time', async () => {
  await using it = await bench();
  let running = 0;
  let most = 0;
  const replace = it.store.replace.bind(it.store);
  it.store.replace = async (key, bytes) => {
    most = Math.max(most, (running += 1));
    await new Promise((resolve) => setImmediate(resolve));
    await replace(key, bytes);
    running -= 1;
  };
  const modules = Array.from({ length: 1_000 }, (_, serial) => `rsc.io/m${serial}` as ModulePath);
  await Promise.all(modules.map((path) => it.metadata.recordFile(rowOf(1, { module: path }))));
  {
    await using lists = it.make();
    for (const path of modules) lists.refresh(path);
  }
  for (const path of modules) assert.equal(await onDisk(it.store, path), 'v1.0.1\n');
  assert.ok(most <= 4, `${most} at once`);
});

test('two processes that store versions of one module end with all of them in the list', async () => {
  await using it = await bench();
  const replace = it.store.replace.bind(it.store);
  // Each write takes a turn of its own length, so that an older list is often written last.
  let serial = 0;
  it.store.replace = async (key, bytes) => {
    serial += 1;
    for (let turns = (serial * 7) % 5; turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
    await replace(key, bytes);
  };
  {
    await using left = it.make();
    await using right = it.make();
    for (let patch = 0; patch < 40; patch += 1) {
      await it.metadata.recordFile(rowOf(patch));
      (patch % 2 === 0 ? left : right).refresh(module);
      if (patch % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }
  assert.equal(await onDisk(it.store), Array.from({ length: 40 }, (_, patch) => `v1.0.${patch}\n`).join(''));
});

test('a process that comes last with an older list looks again', async () => {
  await using it = await bench();
  const replace = it.store.replace.bind(it.store);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  it.store.replace = async (key, bytes) => {
    it.store.replace = replace;
    arrive();
    await held;
    await replace(key, bytes);
  };
  await using left = it.make();
  await using right = it.make();
  await it.metadata.recordFile(rowOf(1));
  left.refresh(module);
  await arrived;
  await it.metadata.recordFile(rowOf(2));
  right.refresh(module);
  await right.settled();
  release();
  await left.settled();
  assert.equal(await onDisk(it.store), 'v1.0.1\nv1.0.2\n');
});

test('a full disk is said and forgotten; the next version brings the list up to date', async () => {
  let full = true;
  await using it = await bench({
    faults: (point, operation) => {
      if (full && point === 'before' && operation === 'replace') throw new HubError('storage-full', 'full');
    },
  });
  await using lists = it.make();
  await it.metadata.recordFile(rowOf(1));
  lists.refresh(module);
  await lists.settled();
  assert.equal(await onDisk(it.store), undefined);
  full = false;
  await it.metadata.recordFile(rowOf(2));
  lists.refresh(module);
  await lists.settled();
  assert.equal(await onDisk(it.store), 'v1.0.1\nv1.0.2\n');
});

test('a walk over any number of modules waits for room; what nobody waits for is bounded', async () => {
  await using it = await bench();
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const looked = new Set<string>();
  it.store.readSmall = async (key) => {
    await held;
    looked.add(key);
    return undefined;
  };
  {
    await using lists = it.make();
    const named = (serial: number): ModulePath => `rsc.io/m${serial}` as ModulePath;
    for (let serial = 0; serial < 4_000; serial += 1) lists.refresh(named(serial));
    await lists.room();
    for (let serial = 4_000; serial < 20_000; serial += 1) lists.refresh(named(serial));
    let hasRoom = false;
    const room = lists.room().then(() => {
      hasRoom = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(hasRoom, false);
    release();
    await room;
  }
  assert.equal(looked.size, 10_004, 'those under way and the newest of those that waited');
  assert.ok(looked.has(listKey('rsc.io/m19999' as ModulePath)));
});
