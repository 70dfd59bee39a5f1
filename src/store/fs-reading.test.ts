import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { BlobKey } from '../base/blob-key.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { readFsStore } from './fs-reading.ts';
import { openFsStore } from './fs-store.ts';

test('what a store has written is read, and nothing is made', async () => {
  const root = await mkdtemp(join(tmpdir(), 'goyi-reading-'));
  try {
    await using store = await openFsStore({ root, events: silentEvents, log: silentLog });
    const keys = ['modules/a.example/@v/list', 'modules/sumdb/x/latest', 'sdk/y'] as unknown as BlobKey[];
    for (const key of keys) await store.replace(key, Buffer.from(key));
    await rm(join(root, 'staging'), { recursive: true });
    const reading = readFsStore(root);
    const seen: string[] = [];
    for await (const key of reading.keys('modules/')) seen.push(key);
    assert.deepEqual(seen.sort(), keys.slice(0, 2));
    for (const key of keys) assert.equal((await reading.readSmall(key, 100))?.bytes.toString(), key);
    assert.equal(await reading.readSmall('modules/absent' as BlobKey, 100), undefined);
    assert.equal(await reading.readSmall('modules/a.example' as BlobKey, 100), undefined);
    await assert.rejects(reading.readSmall(keys[0]!, 3), { code: 'storage-fault' });
    await writeFile(join(root, 'secret'), 'secret');
    await mkdir(join(root, 'modules/b'));
    await symlink(join(root, 'secret'), join(root, 'modules/b/link'));
    await assert.rejects(reading.readSmall('modules/b/link' as BlobKey, 100), { code: 'storage-fault' });
    assert.deepEqual((await readdir(root)).sort(), ['modules', 'sdk', 'secret']);
    const absent: string[] = [];
    for await (const key of readFsStore(join(root, 'absent')).keys('')) absent.push(key);
    assert.deepEqual(absent, []);
  } finally {
    await chmod(root, 0o700);
    await rm(root, { recursive: true, force: true });
  }
});
