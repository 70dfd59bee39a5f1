import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { keyOf, openBench, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule } from '../../test/support/synthetic-module.ts';
import { makeToolchain } from '../../test/support/synthetic-toolchain.ts';
import type { BlobKey } from '../base/blob-key.ts';
import { systemClock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { rowOf } from '../meta/contract.ts';
import type { SdkPacker } from '../origin/sdk-packer.ts';
import type { NamePolicy } from '../policy/name-policy.ts';
import type { GoRelease } from '../protocol/go-release.ts';
import { listKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { sdkArchiveKey, sdkManifestKey } from '../protocol/sdk-manifest.ts';
import { BackgroundScrub, type BackgroundScrubParts } from './background-scrub.ts';
import { SdkShelf } from './sdk-shelf.ts';

const modules = ['a', 'b', 'c'].map((name) => makeModule(`example.com/${name}`, 'v1.0.0'));
const [first, second] = modules as [(typeof modules)[number], (typeof modules)[number]];

async function filled(): Promise<StationBench> {
  const bench = await openBench({ memoryBytesMax: 0 });
  for (const module of modules) {
    bench.origin.publish(module);
    bench.database.record(module);
    await bench.ask(`${address(module)}zip`);
  }
  return bench;
}

function start(bench: StationBench, changes: Partial<BackgroundScrubParts> = {}): BackgroundScrub {
  const { store, metadata, events } = bench;
  return new BackgroundScrub({ store, metadata, events, log: silentLog, everyMs: 0, idleMs: 1, ...changes });
}

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 10_000; !(await holds()); ) {
    assert.ok(performance.now() < endMs, 'it never came true');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Rot leaves the inode as it is. */
function rot(bench: StationBench, key: ReturnType<typeof keyOf>): void {
  const { store } = bench;
  const open = store.open.bind(store);
  const sound = open(key).then((blob) => blob?.fingerprint);
  store.open = async (asked) => {
    const blob = await open(asked);
    if (blob === undefined || asked !== key || blob.fingerprint !== (await sound)) return blob;
    const read = blob.read.bind(blob);
    blob.read = async (buffer, length, position) => {
      const count = await read(buffer, length, position);
      if (position === 0 && count > 0) buffer[0] = (buffer[0] ?? 0) ^ 1;
      return count;
    };
    return blob;
  };
}

test('a list that a crash left behind is brought up to date', async () => {
  await using bench = await filled();
  const { store, station } = bench;
  await station.lists.settled();
  const key = listKey('example.com/b' as ModulePath);
  await store.remove(key);
  await using _scrub = start(bench, { lists: station.lists });
  await eventually(async () => (await store.readSmall(key, 100))?.bytes.toString() === 'v1.0.0\n');
});

test('a pass looks at the list of each module once, however many versions it has', async () => {
  await using bench = await filled();
  for (let minor = 1; minor <= 60; minor += 1) {
    const version = `v1.${minor}.0`;
    for (const module of ['example.com/a', 'example.com/b'])
      await bench.metadata.recordFile(rowOf(minor, { module, version, key: `modules/${module}/@v/${version}.zip` as BlobKey }));
  }
  const refreshed: string[] = [];
  const lists = { refresh: (module: string) => void refreshed.push(module), room: async () => {} };
  {
    await using _scrub = start(bench, { lists });
    await eventually(() => refreshed.length >= 6);
  }
  const once = ['example.com/a', 'example.com/b', 'example.com/c'];
  assert.deepEqual(refreshed.slice(0, 6), [...once, ...once]);
});

test('rot that no inode shows is found, set aside and repaired while there is a source', async () => {
  await using bench = await filled();
  rot(bench, keyOf(second, 'zip'));
  {
    await using _scrub = start(bench, { filler: bench.station.filler });
    await eventually(() => bench.origin.asked.get(`${address(second)}zip`) === 2);
    await eventually(async () => (await bench.metadata.file(keyOf(second, 'zip'))) !== undefined);
  }
  assert.deepEqual(
    bench.store.aside.map(({ key }) => key),
    [keyOf(second, 'zip')],
  );
  assert.ok((await bench.ask(`${address(second)}zip`, { fill: false })).bytes.equals(second.zip));
});

test('one file that cannot be opened does not keep the others from being looked at', async () => {
  await using bench = await filled();
  rot(bench, keyOf(second, 'zip'));
  const open = bench.store.open.bind(bench.store);
  bench.store.open = (key) =>
    key === keyOf(first, 'zip') ? Promise.reject(new HubError('storage-fault', 'permission denied')) : open(key);
  {
    await using _scrub = start(bench);
    await eventually(() => bench.store.aside.length === 1);
  }
  assert.equal(await bench.metadata.file(keyOf(second, 'zip')), undefined);
  assert.ok((await bench.metadata.file(keyOf(first, 'zip'))) !== undefined);
});

test('it goes on where the last process stopped, and one process of all does it', async () => {
  await using bench = await filled();
  await bench.metadata.recordSetting('scrub.position', keyOf(first, 'zip'));
  const looked: string[] = [];
  const open = bench.store.open.bind(bench.store);
  bench.store.open = (key) => {
    looked.push(key);
    return open(key);
  };
  {
    await using _scrub = start(bench);
    await eventually(() => looked.length >= 5);
  }
  assert.deepEqual(
    looked.slice(0, 5),
    [1, 2, 0, 1, 2].map((at) => keyOf(modules[at] as typeof first, 'zip')),
  );

  await bench.metadata.releaseLease('scrub');
  const acquire = bench.metadata.acquireLease.bind(bench.metadata);
  let tries = 0;
  bench.metadata.acquireLease = (key) => {
    tries += 1;
    return key === 'scrub' ? Promise.resolve({ kind: 'held', ours: false }) : acquire(key);
  };
  const before = looked.length;
  {
    await using _scrub = start(bench);
    await eventually(() => tries > 3);
  }
  assert.equal(looked.length, before);
});

test('it stops at once, whatever it waits for', async () => {
  await using bench = await filled();
  const scrub = start(bench, { everyMs: 7 * 86_400_000 });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const startMs = performance.now();
  await scrub[Symbol.asyncDispose]();
  assert.ok(performance.now() - startMs < 1_000);
  assert.equal((await bench.metadata.acquireLease('scrub')).kind, 'acquired', 'its lease is free');
});

test('archives of SDKs are read as well, and a rotten one is made anew', async () => {
  await using bench = await filled();
  const toolchain = makeToolchain('go1.30.2');
  bench.origin.publish(toolchain);
  bench.database.record(toolchain);
  const { store, metadata, station } = bench;
  let packed = 0;
  // As small as an archive can be: what the threads make of a zip is tested elsewhere.
  const packer: SdkPacker = {
    pack: async (_sdk, sink) => {
      packed += 1;
      await sink(Buffer.from('archive'));
      return { sha256: createHash('sha256').update('archive').digest('hex'), h1: toolchain.zipHash };
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const policy: NamePolicy = { verdict: () => ({ kind: 'allow' }) };
  await using sdks = new SdkShelf({
    station,
    store,
    metadata,
    packer,
    policy,
    log: silentLog,
    clock: systemClock,
    limits: { waitMs: 10_000 },
  });
  const name = { release: 'go1.30.2' as GoRelease, os: 'linux', arch: 'amd64' };
  await sdks.describe(name, { fill: true }, AbortSignal.timeout(10_000));
  await sdks.describe(name, { fill: true }, AbortSignal.timeout(10_000));
  assert.equal(packed, 1);
  rot(bench, sdkArchiveKey(name));
  await using _scrub = start(bench, { sdks });
  await eventually(async () => (await store.readSmall(sdkManifestKey(name), 10_000)) === undefined);
  await sdks.describe(name, { fill: true }, AbortSignal.timeout(10_000));
  assert.equal(packed, 2);
});
