import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BlobKey } from '../base/blob-key.ts';
import { CarriedFiles } from './fs-carried.ts';

const keys = ['modules/a.example/m/@v/v1.0.0.mod', 'modules/a.example/m/@v/v1.0.0.zip', 'modules/b.example/@v/v1.0.0.mod'] as BlobKey[];
let root: string;
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'goyi-test-'));
});
after(() => rm(root, { recursive: true, force: true }));

async function sealed(name: string): Promise<CarriedFiles> {
  const carried = await CarriedFiles.begin(root, name);
  for (const key of keys) await carried.add(key, [Buffer.from(`${name} ${key}`)]);
  await carried.seal();
  return carried;
}

async function place(carried: CarriedFiles, isWanted: (key: BlobKey) => boolean = () => true): Promise<readonly BlobKey[]> {
  const placed: BlobKey[] = [];
  await carried.place(
    async (key) => isWanted(key),
    async (key, fingerprint) => {
      assert.match(fingerprint, /^\d+:\d+:\d+:\d+$/);
      placed.push(key);
    },
  );
  return placed;
}

test('what was sealed is placed, in its order and once, also where a folder was taken away meanwhile', async () => {
  const carried = await sealed('first');
  for (const folder of ['modules/b.example/@v', 'modules/b.example']) await rmdir(join(root, folder));
  assert.deepEqual(await place(carried), keys);
  for (const key of keys) assert.equal(await readFile(join(root, key), 'utf8'), `first ${key}`);
  const reopened = await CarriedFiles.reopen(root, 'first');
  assert.ok(reopened);
  assert.deepEqual(await place(reopened), []);
  await carried.discard();
  assert.equal(await CarriedFiles.reopen(root, 'first'), undefined);
});

test('what is not wanted keeps what is there, and a place in which a folder cannot be is a fault that loses nothing', async () => {
  const carried = await sealed('second');
  assert.deepEqual(await place(carried, (key) => key.endsWith('.zip')), [keys[1]]);
  assert.equal(await readFile(join(root, keys[0] ?? ''), 'utf8'), `first ${keys[0]}`);
  await rm(join(root, 'modules/b.example'), { recursive: true });
  await writeFile(join(root, 'modules/b.example'), 'no folder');
  await assert.rejects(place(carried), { code: 'storage-fault' });
  await rm(join(root, 'modules/b.example'));
  assert.deepEqual(await place(carried), [keys[2]]);
  for (const key of keys) assert.equal(await readFile(join(root, key), 'utf8'), `second ${key}`);
});
