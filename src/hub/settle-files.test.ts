import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BlobKey } from '../base/blob-key.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import type { Metadata } from '../meta/metadata.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { openFsStore } from '../store/fs-store.ts';
import { createKeptStore, keptBytesMax } from './kept-store.ts';
import { restoreKept } from './settle-files.ts';

const keyOf = (serial: number): BlobKey => `modules/example.com/m${serial}/@v/v1.0.0.mod` as BlobKey;
const bytesOf = (serial: number): Buffer => Buffer.from(`module example.com/m${serial}\n`);

/** A folder as the machine `boot` uses it; two of them are two starts of the machine. */
async function openFolder(
  root: string,
  boot: string,
): Promise<AsyncDisposable & { metadata: Metadata; files: BlobStore; store: BlobStore }> {
  const files = await openFsStore({ root, events: silentEvents, log: silentLog });
  const metadata = await openSqliteMetadata({ file: join(root, 'goyi.db'), log: silentLog, owner: `${boot}-1-1` });
  const end = async (): Promise<void> => {
    await metadata[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  };
  return { metadata, files, store: createKeptStore(files, metadata), [Symbol.asyncDispose]: end };
}

async function kept(metadata: Metadata): Promise<string[]> {
  return (await metadata.keptAfter(undefined, 1000)).map(({ key }) => key);
}

test('what a power cut took of placed files is written again at the next start of the machine, and only then', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'goyi-settle-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  {
    await using folder = await openFolder(root, 'aaa');
    for (let serial = 0; serial < 5; serial += 1) await folder.store.put(keyOf(serial), bytesOf(serial));
    await folder.store.replace(keyOf(9), Buffer.from('old'));
    await folder.store.replace(keyOf(9), Buffer.from('new'));
  }
  // As a disk is after its power went: an entry that never came to it, a file without bytes, one with other bytes.
  await unlink(join(root, keyOf(0)));
  for (const serial of [1, 2, 9]) await chmod(join(root, keyOf(serial)), 0o644);
  await truncate(join(root, keyOf(1)), 0);
  await writeFile(join(root, keyOf(2)), Buffer.alloc(bytesOf(2).length));
  await writeFile(join(root, keyOf(9)), 'old');
  {
    await using folder = await openFolder(root, 'aaa');
    assert.equal(
      await restoreKept({ store: folder.files, metadata: folder.metadata }),
      0,
      'the same start of the machine: its memory has them all',
    );
    assert.equal((await kept(folder.metadata)).length, 6);
  }
  await using folder = await openFolder(root, 'bbb');
  assert.equal(await restoreKept({ store: folder.files, metadata: folder.metadata }), 4);
  for (let serial = 0; serial < 5; serial += 1)
    assert.deepEqual((await folder.store.readSmall(keyOf(serial), 1000))?.bytes, bytesOf(serial));
  assert.equal((await folder.store.readSmall(keyOf(9), 1000))?.bytes.toString(), 'new');
  assert.deepEqual(await kept(folder.metadata), []);
});

test('a large file is stored durably by itself, and what was removed is not brought back', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'goyi-settle-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  await using folder = await openFolder(root, 'aaa');
  await folder.store.put(keyOf(0), Buffer.alloc(keptBytesMax + 1));
  assert.deepEqual(await kept(folder.metadata), []);
  await folder.store.put(keyOf(1), bytesOf(1));
  await folder.metadata.forgetFile(keyOf(1));
  assert.deepEqual(await kept(folder.metadata), []);
});

test('what was placed anew while it was settled stays kept', async () => {
  let nowMs = 1_000;
  await using metadata = await openSqliteMetadata({ file: ':memory:', log: silentLog, clock: { wallMs: () => nowMs } });
  await metadata.keep(keyOf(0), bytesOf(0));
  const due = await metadata.keptUntil(nowMs, { newestMax: 100, limit: 10 });
  nowMs += 1;
  await metadata.keep(keyOf(0), bytesOf(1));
  await metadata.settled(due);
  assert.deepEqual(await kept(metadata), [keyOf(0)]);
});

test('more than may be kept is due at once, the oldest first', async () => {
  let nowMs = 1_000;
  await using metadata = await openSqliteMetadata({ file: ':memory:', log: silentLog, clock: { wallMs: () => nowMs } });
  for (let serial = 0; serial < 10; serial += 1, nowMs += 1) await metadata.keep(keyOf(serial), bytesOf(serial));
  const due = await metadata.keptUntil(0, { newestMax: 7, limit: 10 });
  assert.deepEqual(
    due.map(({ key }) => key),
    [0, 1, 2].map(keyOf),
  );
  assert.deepEqual(await metadata.keptUntil(1_003, { newestMax: 100, limit: 2 }), due.slice(0, 2));
});
