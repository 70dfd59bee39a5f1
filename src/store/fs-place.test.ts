import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import type { BlobStore } from './blob-store.ts';
import { contentOf, key, keysOf, mustOpen } from './contract.ts';
import { openFsStore } from './fs-store.ts';

interface Bench extends AsyncDisposable {
  readonly store: BlobStore;
  readonly root: string;
}

async function bench(): Promise<Bench> {
  const root = await mkdtemp(join(tmpdir(), 'goyi-place-'));
  const store = await openFsStore({ root, events: silentEvents, log: silentLog });
  const end = async (): Promise<void> => {
    await store[Symbol.asyncDispose]();
    await rm(root, { recursive: true, force: true });
  };
  return { store, root, [Symbol.asyncDispose]: end };
}

const mod = key('modules/rsc.io/quote/@v/v1.5.2.mod');
const list = key('modules/rsc.io/quote/@v/list');

test('a placed file is visible and whole, has the fingerprint that it opens with, and leaves nothing in staging', async () => {
  await using made = await bench();
  const { store, root } = made;
  const placed = await store.place(mod, Buffer.from('module rsc.io/quote\n'), 'put');
  await using blob = await mustOpen(store, mod);
  assert.deepEqual([blob.sizeBytes, blob.fingerprint], [placed.sizeBytes, placed.fingerprint]);
  assert.equal((await stat(join(root, mod))).mode & 0o777, 0o444);
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  await store.settle([mod]);
  assert.equal(await contentOf(store, mod), 'module rsc.io/quote\n');
});

test('placing the same bytes again is success, other bytes are refused, and replacing takes them', async () => {
  await using made = await bench();
  const { store } = made;
  const first = await store.place(mod, Buffer.from('one'), 'put');
  assert.deepEqual(await store.place(mod, Buffer.from('one'), 'put').then(({ fingerprint }) => fingerprint), first.fingerprint);
  await assert.rejects(store.place(mod, Buffer.from('two'), 'put'), { code: 'storage-fault' });
  assert.equal(await contentOf(store, mod), 'one');
  for (const text of ['v1.0.0\n', 'v1.0.0\nv1.1.0\n']) {
    const { fingerprint } = await store.place(list, Buffer.from(text), 'replace');
    await using blob = await mustOpen(store, list);
    assert.equal(blob.fingerprint, fingerprint);
    assert.equal(await contentOf(store, list), text);
  }
});

test('many at once, of the same and of other names', async () => {
  await using made = await bench();
  const { store } = made;
  const keys = Array.from({ length: 300 }, (_, at) => key(`modules/example.com/m${at % 40}/@v/v1.0.${at % 100}.mod`));
  await Promise.all(keys.map((name) => store.place(name, Buffer.from(name), 'put')));
  assert.deepEqual(await keysOf(store), [...new Set(keys)].toSorted());
  for (const name of new Set(keys)) assert.equal(await contentOf(store, name), name);
  await store.settle(keys);
});

test('what cannot be placed says why, leaves nothing in staging, and the next one goes', async () => {
  await using made = await bench();
  const { store, root } = made;
  await mkdir(join(root, 'modules'), { recursive: true });
  await symlink('/nowhere-at-all/x', join(root, 'modules/broken.example'));
  await assert.rejects(store.place(key('modules/broken.example/m/@v/v1.0.0.mod'), Buffer.from('x'), 'put'), { code: 'storage-fault' });
  await assert.rejects(store.place(key('modules/../etc'), Buffer.from('x'), 'put'), { code: 'bad-request' });
  assert.deepEqual(await readdir(join(root, 'staging')), []);
  await store.place(mod, Buffer.from('x'), 'put');
  assert.equal(await contentOf(store, mod), 'x');
});

test('settling what is gone meanwhile is none the worse', async () => {
  await using made = await bench();
  const { store } = made;
  await store.place(mod, Buffer.from('x'), 'put');
  await store.remove(mod);
  await store.settle([mod, key('modules/never.example/m/@v/v1.0.0.mod')]);
});
