import assert from 'node:assert/strict';
import {
  appendFile,
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BlobKey } from '../base/blob-key.ts';
import { type Events, silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { type BreakableStore, blobStoreContract, contentOf, key, keysOf, mustOpen } from './contract.ts';
import type { BlobStore } from './blob-store.ts';
import { type FsOperations, realOperations } from './fs-operations.ts';
import { openFsStore } from './fs-store.ts';

const zip = key('modules/rsc.io/quote/@v/v1.5.2.zip');

/** A store in a folder of its own, on a disk that the test may replace call by call. */
interface Bench extends AsyncDisposable {
  readonly store: BlobStore;
  readonly root: string;
  readonly disk: { -readonly [K in keyof FsOperations]: FsOperations[K] };
  readonly degraded: string[];
}

async function bench(): Promise<Bench> {
  const root = await mkdtemp(join(tmpdir(), 'goyi-fs-store-'));
  const disk = { ...realOperations };
  const degraded: string[] = [];
  const events: Events = { ...silentEvents, storageDegraded: ({ reason }) => degraded.push(reason) };
  const store = await openFsStore({ root, events, log: silentLog, operations: disk });
  return { store, root, disk, degraded, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}

const failing = (code: string) => async (): Promise<never> => {
  throw Object.assign(new Error(`${code}: says the test`), { code });
};

async function stagedNames(root: string): Promise<string[]> {
  return (await readdir(join(root, 'staging'))).filter((name) => name !== 'aside');
}

blobStoreContract('file system', async (): Promise<BreakableStore> => {
  const made = await bench();
  const { store, disk } = made;
  const full = failing('ENOSPC');
  const syncFails: FsOperations['sync'] = async () => {
    disk.sync = realOperations.sync;
    await full();
  };
  return {
    store,
    breakNext: (point) => {
      for (const name of ['link', 'rename'] as const) {
        disk[name] = async (from, to) => {
          Object.assign(disk, { link: realOperations.link, rename: realOperations.rename });
          if (point === 'before') await full();
          await realOperations[name](from, to);
          // The name is there; the sync of its folder fails.
          disk.sync = syncFails;
        };
      }
    },
    [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
  };
});

test('files lie where a file:// GOPROXY looks for them, for everybody to read and nobody to write', async () => {
  await using made = await bench();
  await made.store.put(zip, Buffer.from('PK'));
  const path = join(made.root, zip);
  assert.equal(await readFile(path, 'latin1'), 'PK');
  assert.equal((await stat(path)).mode & 0o222, 0);
  assert.deepEqual(await stagedNames(made.root), []);
});

test('a file is read at once only as far as it was read before, and never when it cannot be', async () => {
  await using made = await bench();
  await made.store.put(zip, Buffer.from('0123456789'));
  const blob = await mustOpen(made.store, zip);
  const buffer = Buffer.alloc(10);
  assert.equal(blob.readNow(buffer, 4, 0), undefined);
  assert.equal(await blob.read(buffer, 4, 0), 4);
  assert.equal(blob.readNow(buffer, 5, 0), undefined);
  await using another = await mustOpen(made.store, zip);
  assert.equal(another.readNow(buffer, 4, 0), 4);
  await chmod(join(made.root, zip), 0o644);
  await using touched = await mustOpen(made.store, zip);
  assert.equal(touched.readNow(buffer, 4, 0), undefined, 'a file that was touched is another');
  await blob[Symbol.asyncDispose]();
});

test('an open file is closed only when its reads are done, and read no more from then on', async () => {
  await using made = await bench();
  await made.store.put(zip, Buffer.alloc(100_000, 'x'));
  const blob = await mustOpen(made.store, zip);
  const buffers = Array.from({ length: 20 }, () => Buffer.alloc(100_000));
  const reads = buffers.map((buffer) => blob.read(buffer, 100_000, 0));
  let done = 0;
  for (const read of reads) void read.then(() => (done += 1));
  await Promise.all([blob[Symbol.asyncDispose](), blob[Symbol.asyncDispose]()]);
  assert.equal(done, 20);
  assert.ok(buffers.every((buffer) => buffer.every((byte) => byte === 'x'.charCodeAt(0))));
  assert.throws(() => blob.readNow(buffers[0] ?? Buffer.alloc(1), 1, 0), { name: 'InvariantError' });
  assert.throws(() => void blob.read(buffers[0] ?? Buffer.alloc(1), 1, 0), { name: 'InvariantError' });
});

const touches: readonly { name: string; act: (path: string) => Promise<void> }[] = [
  { name: 'truncated', act: (path) => truncate(path, 2) },
  { name: 'appended to', act: (path) => appendFile(path, 'x') },
  { name: 'overwritten with its own bytes', act: (path) => writeFile(path, 'whole') },
  { name: 'overwritten, its old times set again', act: rewriteQuietly },
  { name: 'given another mode', act: (path) => chmod(path, 0o600) },
  { name: 'given a second name', act: (path) => link(path, `${path}.copy`) },
  { name: 'replaced by a copy', act: replaceByCopy },
];

async function rewriteQuietly(path: string): Promise<void> {
  const { atime, mtime } = await stat(path);
  await writeFile(path, 'whore');
  await utimes(path, atime, mtime);
}

async function replaceByCopy(path: string): Promise<void> {
  const bytes = await readFile(path);
  await rm(path);
  await writeFile(path, bytes);
}

for (const { name, act } of touches) {
  test(`the fingerprint tells that a file was ${name}`, async () => {
    await using made = await bench();
    const sealed = await made.store.put(zip, Buffer.from('whole'));
    const path = join(made.root, zip);
    await chmod(path, 0o644);
    const before = await fingerprintOf(made.store, zip);
    assert.notEqual(before, sealed.fingerprint);
    await act(path);
    assert.notEqual(await fingerprintOf(made.store, zip), before);
  });
}

async function fingerprintOf(store: BlobStore, name: BlobKey): Promise<string> {
  await using blob = await mustOpen(store, name);
  return blob.fingerprint;
}

test('a planted symbolic link, pipe or folder is no blob; a seal takes its place', async () => {
  await using made = await bench();
  const { store, root } = made;
  const secret = join(root, 'secret');
  await writeFile(secret, 'secret');
  const path = join(root, zip);
  await mkdir(join(path, '..'), { recursive: true });
  await symlink(secret, path);
  assert.equal(await store.open(zip), undefined);
  assert.equal(await store.readSmall(zip, 100), undefined);
  assert.deepEqual(await keysOf(store), []);
  await store.put(zip, Buffer.from('good'));
  assert.equal(await contentOf(store, zip), 'good');
  assert.equal(await readFile(secret, 'latin1'), 'secret');
  const folder = key('modules/rsc.io/quote');
  assert.equal(await store.open(folder), undefined);
  assert.equal(await store.remove(zip), true);
  await mkdir(path, { recursive: true });
  await assert.rejects(store.put(zip, Buffer.from('good')), { code: 'storage-fault' });
  assert.deepEqual(await stagedNames(root), []);
});

test('names that no disk can hold are absent, not a fault', async () => {
  await using made = await bench();
  await made.store.put(zip, Buffer.from('x'));
  for (const text of [`modules/${'a'.repeat(300)}/@v/list`, `${zip}/below/a/file`]) {
    assert.equal(await made.store.open(key(text)), undefined);
    assert.equal(await made.store.remove(key(text)), false);
    assert.equal(await made.store.setAside(key(text), 'bad'), false);
    await assert.rejects(made.store.put(key(text), Buffer.from('x')), { code: 'storage-fault' });
  }
  assert.deepEqual(await stagedNames(made.root), []);
});

const stages = ['open', 'write', 'sync', 'mkdir', 'link'] as const satisfies readonly (keyof FsOperations)[];
for (const operation of stages) {
  for (const [errno, code] of [
    ['ENOSPC', 'storage-full'],
    ['EDQUOT', 'storage-full'],
    ['EIO', 'storage-fault'],
    ['EROFS', 'storage-fault'],
    ['EACCES', 'storage-fault'],
  ] as const) {
    test(`${errno} in ${operation}: ${code}, nothing visible, nothing left, and well again after`, async () => {
      await using made = await bench();
      const { store, root, disk } = made;
      disk[operation] = failing(errno);
      await assert.rejects(store.put(zip, Buffer.from('bytes')), { code });
      await assert.rejects(store.put(zip, Buffer.from('bytes')), { code });
      disk[operation] = realOperations[operation] as never;
      assert.deepEqual([made.degraded.length, await keysOf(store), await stagedNames(root)], [1, [], []]);
      await store.put(zip, Buffer.from('bytes'));
      assert.equal(await contentOf(store, zip), 'bytes');
    });
  }
}

test('after a failed fsync a staged file takes nothing more: nobody knows what is on the disk', async () => {
  await using made = await bench();
  await using staged = await made.store.stage();
  await staged.append(Buffer.from('bytes'));
  made.disk.sync = failing('EIO');
  await assert.rejects(staged.seal(zip), { code: 'storage-fault' });
  made.disk.sync = realOperations.sync;
  await assert.rejects(staged.seal(zip), { code: 'storage-fault' });
  await assert.rejects(staged.append(Buffer.from('more')), { code: 'storage-fault' });
  assert.deepEqual([await keysOf(made.store), await stagedNames(made.root)], [[], []]);
});

test('short writes are continued', async () => {
  await using made = await bench();
  made.disk.write = (handle, chunk, position) => realOperations.write(handle, chunk.subarray(0, Math.min(chunk.length, 7)), position);
  await made.store.put(zip, Buffer.from('a text that is longer than seven bytes'));
  assert.equal(await contentOf(made.store, zip), 'a text that is longer than seven bytes');
});

test('a medium without hard links still keeps the first bytes of a name', async () => {
  await using made = await bench();
  made.disk.link = failing('EPERM');
  await made.store.put(zip, Buffer.from('one'));
  await made.store.put(zip, Buffer.from('one'));
  await assert.rejects(made.store.put(zip, Buffer.from('two')), { code: 'storage-fault' });
  assert.equal(await contentOf(made.store, zip), 'one');
  assert.deepEqual(await stagedNames(made.root), []);
});

test('folders that another process removes as they become empty are made again', async () => {
  await using first = await bench();
  const second = await openFsStore({ root: first.root, events: silentEvents, log: silentLog });
  const rounds = 60;
  await Promise.all([
    (async () => {
      for (let round = 0; round < rounds; round += 1) {
        const name = key(`modules/rsc.io/quote/@v/v1.0.${round}.mod`);
        await first.store.put(name, Buffer.from(`${round}`));
        assert.equal(await second.remove(name), true);
      }
    })(),
    (async () => {
      for (let round = 0; round < rounds; round += 1) {
        const name = key(`modules/rsc.io/quote/@v/v2.0.${round}.mod`);
        await second.put(name, Buffer.from(`${round}`));
        assert.equal(await first.store.remove(name), true);
      }
    })(),
  ]);
  assert.deepEqual(await keysOf(first.store), []);
  assert.deepEqual(await readdir(join(first.root, 'modules')), []);
});

test('a folder that vanished after it was found durable is synced into its parents again', async () => {
  await using made = await bench();
  const { store, disk, root } = made;
  await store.put(zip, Buffer.from('one'));
  const parent = await stat(join(root, 'modules'));
  await rm(join(root, 'modules/rsc.io'), { recursive: true });
  const synced = new Set<number>();
  disk.sync = async (handle) => {
    synced.add((await handle.stat()).ino);
    await realOperations.sync(handle);
  };
  await store.put(zip, Buffer.from('one'));
  assert.ok(synced.has(parent.ino));
});

test('evidence is kept with its key and reason, and is bounded', async () => {
  await using made = await bench();
  const { store, root } = made;
  for (let round = 0; round < 70; round += 1) {
    await store.put(zip, Buffer.from(`bad ${round}`));
    await store.setAside(zip, `reason ${round}`);
  }
  const names = (await readdir(join(root, 'staging/aside'))).toSorted();
  assert.equal(names.length, 128);
  const note = names.findLast((name) => name.endsWith('.json')) ?? '';
  assert.equal((JSON.parse(await readFile(join(root, 'staging/aside', note), 'utf8')) as { key: string }).key, zip);
});

test('a bad file goes out of sight even where evidence cannot be kept', async () => {
  await using made = await bench();
  await made.store.put(zip, Buffer.from('bad'));
  made.disk.rename = failing('ENOSPC');
  assert.equal(await made.store.setAside(zip, 'bad'), true);
  assert.equal(await made.store.open(zip), undefined);
});

test('health tells a full disk from a good one, and looks at most once in a while', async () => {
  await using made = await bench();
  let looks = 0;
  made.disk.statfs = (path) => {
    looks += 1;
    return realOperations.statfs(path);
  };
  await Promise.all([made.store.health(), made.store.health()]);
  const good = await made.store.health();
  assert.deepEqual([good.readable, good.writable, looks], [true, true, 1]);
  assert.ok((good.freeBytes ?? 0) > 0);
  made.disk.write = failing('ENOSPC');
  await assert.rejects(made.store.put(zip, Buffer.from('x')), { code: 'storage-full' });
  const full = await made.store.health();
  assert.deepEqual([full.readable, full.writable, looks], [true, false, 2]);
  assert.match(full.reason ?? '', /ENOSPC/);
  assert.deepEqual(await stagedNames(made.root), []);
});

test('open files are always closed', { skip: process.platform !== 'linux' && 'the count needs /proc' }, async () => {
  await using made = await bench();
  const { store } = made;
  const open = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
  await store.put(zip, Buffer.from('bytes'));
  const before = await open();
  for (let round = 0; round < 50; round += 1) {
    await store.readSmall(zip, 100);
    await assert.rejects(store.readSmall(zip, 1));
    await (await mustOpen(store, zip))[Symbol.asyncDispose]();
    await assert.rejects(store.put(zip, Buffer.from('other')));
    await store.put(zip, Buffer.from('bytes'));
    await (await store.stage())[Symbol.asyncDispose]();
    await store.open(key('modules/rsc.io'));
    await keysOf(store);
    await store.sweep();
  }
  assert.equal(await open(), before);
});
