// A disk without space, without inodes, read-only, or with a limit on file sizes: what is stored is served, the rest is refused by name, and it recovers by itself.
import assert from 'node:assert/strict';
import { type FileHandle, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, askUntilFound, assertServes, eventually, leftInStaging } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { mountSmallDisk, type SmallDisk } from './support/small-disk.ts';
import { address, type SyntheticModule } from './support/synthetic-module.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';

interface Small {
  readonly world: SyntheticWorld;
  readonly disk: SmallDisk;
  readonly dataDir: string;
}

/** Where no small file system can be had, the test counts as skipped; the limit on file sizes at the end of this file is tested everywhere. */
async function onSmallDisk(t: TestContext, options: string, work: (small: Small) => Promise<void>): Promise<void> {
  await using world = await startWorld();
  const dataDir = join(world.folder, 'data');
  await using disk = await mountSmallDisk(dataDir, options, (reason) => t.diagnostic(reason));
  if (disk === undefined) {
    t.skip('tested by a limit on file sizes only: this needs Linux and the right to mount in a namespace of its own (unshare --mount)');
    return;
  }
  await work({ world, disk, dataDir });
}

/** Writes until there is no byte left, and again until what the hub frees in passing (a log, a probe) is used up as well. */
async function fillUp(disk: SmallDisk): Promise<void> {
  await using file = await open(join(disk.path, 'ballast'), 'a');
  for (let quietRounds = 0; quietRounds < 3; ) {
    quietRounds = (await append(file)) === 0 ? quietRounds + 1 : 0;
    await pause(100);
  }
}

async function append(file: FileHandle): Promise<number> {
  let sizeBytes = 0;
  for (let chunkBytes = 1 << 20; chunkBytes >= 1; ) {
    try {
      sizeBytes += (await file.write(Buffer.alloc(chunkBytes))).bytesWritten;
    } catch {
      chunkBytes >>= 1;
    }
  }
  return sizeBytes;
}

async function assertFull(hub: HubProcess, stored: SyntheticModule, missing: SyntheticModule): Promise<void> {
  for (const file of ['info', 'mod', 'zip'] as const) {
    const answer = await ask(hub, `${address(missing)}${file}`);
    assert.equal(answer.status, 507, `${file}: ${answer.firstLine}`);
    assert.equal(answer.headers.get('goyi-error'), 'storage-full');
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.ok(answer.firstLine.length > 20, answer.firstLine);
  }
  assertServes(await ask(hub, `${address(stored)}zip`), stored.zip, 'what is stored');
  assertServes(await ask(hub, `${address(stored)}mod`), stored.goMod);
  assert.equal((await ask(hub, `${address(stored).replace(/v1\.0\.0\.$/, 'list')}`)).status, 200);
  const ready = await eventually(
    () => ask(hub, '-/readyz'),
    ({ body }) => body.includes('cannot be written'),
  );
  assert.equal(ready.status, 200, 'full is degraded, not down');
  assert.match(ready.body.toString(), /the store cannot be written, so only what is stored is served/);
}

async function assertRecovered(hub: HubProcess, missing: SyntheticModule): Promise<void> {
  await askUntilFound(hub, `${address(missing)}zip`, 10_000);
  assertServes(await ask(hub, `${address(missing)}mod`), missing.goMod);
  const ready = await eventually(
    () => ask(hub, '-/readyz'),
    ({ body }) => !body.includes('cannot be written'),
    10_000,
  );
  assert.doesNotMatch(ready.body.toString(), /cannot be written/);
  assert.deepEqual(await leftInStaging(hub.dataDir), []);
  assert.doesNotMatch(hub.output(), /met a bug|ended unasked/);
}

test('no space left, and none after a restart either', { timeout: 120_000 }, (t) =>
  onSmallDisk(t, 'size=24m', async ({ world, disk, dataDir }) => {
    const stored = world.publish('stored.example/m', 'v1.0.0', { fillBytes: 1_500_000 });
    const missing = world.publish('missing.example/m', 'v1.0.0', { fillBytes: 500_000 });
    const later = world.publish('later.example/m', 'v1.0.0');
    let hub = await world.hub({ dataDir, wrap: disk.wrap });
    const view = (): HubProcess => ({ ...hub, dataDir: disk.path });
    try {
      for (const file of ['info', 'mod', 'zip']) await askUntilFound(hub, address(stored) + file);
      await fillUp(disk);
      await assertFull(view(), stored, missing);
      assert.deepEqual(await leftInStaging(disk.path), [], 'nothing half-written is left');
      await hub.kill();
      hub = await world.hub({ dataDir, wrap: disk.wrap });
      await fillUp(disk);
      await assertFull(view(), stored, missing);
      await rm(join(disk.path, 'ballast'));
      await assertRecovered(view(), missing);
      assertServes(await askUntilFound(hub, `${address(later)}zip`), later.zip);
    } finally {
      await hub.stop();
    }
  }),
);

test('no inodes left', { timeout: 120_000 }, (t) =>
  onSmallDisk(t, 'size=64m,nr_inodes=200', async ({ world, disk, dataDir }) => {
    const stored = world.publish('stored.example/m', 'v1.0.0', { fillBytes: 400_000 });
    const missing = world.publish('missing.example/m', 'v1.0.0', { fillBytes: 400_000 });
    await using hub = await world.hub({ dataDir, wrap: disk.wrap });
    const view: HubProcess = { ...hub, dataDir: disk.path };
    for (const file of ['info', 'mod', 'zip']) await askUntilFound(hub, address(stored) + file);
    const names: string[] = [];
    for (let full = false; !full && names.length < 400; ) {
      const name = join(disk.path, `empty${names.length}`);
      full = await writeFile(name, '').then(
        () => false,
        () => true,
      );
      if (!full) names.push(name);
    }
    assert.ok(names.length < 400, 'the inodes are used up');
    await assertFull(view, stored, missing);
    for (const name of names) await rm(name);
    await assertRecovered(view, missing);
  }),
);

test('a store that became read-only', { timeout: 120_000 }, (t) =>
  onSmallDisk(t, 'size=32m', async ({ world, disk, dataDir }) => {
    const stored = world.publish('stored.example/m', 'v1.0.0', { fillBytes: 400_000 });
    const missing = world.publish('missing.example/m', 'v1.0.0', { fillBytes: 400_000 });
    await using hub = await world.hub({ dataDir, wrap: disk.wrap });
    for (const file of ['info', 'mod', 'zip']) await askUntilFound(hub, address(stored) + file);
    const parts = (await readdir(disk.path, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(dataDir, name));
    for (const part of parts) {
      await disk.run('mount', '--bind', part, part);
      await disk.run('mount', '-o', 'remount,bind,ro', part);
    }
    const answer = await ask(hub, `${address(missing)}zip`);
    assert.ok(answer.status === 503 || answer.status === 507, `${answer.status} ${answer.firstLine}`);
    assert.match(answer.headers.get('goyi-error') ?? '', /^storage-(fault|full)$/);
    assert.match(answer.firstLine, /read-only|EROFS|write|stag/i);
    assertServes(await ask(hub, `${address(stored)}zip`), stored.zip);
    const ready = await eventually(
      () => ask(hub, '-/readyz'),
      ({ body }) => body.includes('cannot be written'),
    );
    assert.equal(ready.status, 200);
    assert.match(ready.body.toString(), /cannot be written/);
    for (const part of parts) await disk.run('umount', part);
    await assertRecovered({ ...hub, dataDir: disk.path }, missing);
  }),
);

test('a hub started on a read-only data folder', { timeout: 120_000 }, (t) =>
  onSmallDisk(t, 'size=32m', async ({ world, disk, dataDir }) => {
    const stored = world.publish('stored.example/m', 'v1.0.0', { fillBytes: 400_000 });
    const missing = world.publish('missing.example/m', 'v1.0.0');
    const first = await world.hub({ dataDir, wrap: disk.wrap });
    for (const file of ['info', 'mod', 'zip']) await askUntilFound(first, address(stored) + file);
    await first.stop();
    await disk.run('mount', '-o', 'remount,ro', dataDir);
    await using hub = await world.hub({ dataDir, wrap: disk.wrap });
    assertServes(await ask(hub, `${address(stored)}zip`), stored.zip);
    assert.match((await ask(hub, `${address(missing)}zip`)).headers.get('goyi-error') ?? '', /^storage-/);
    const ready = await ask(hub, '-/readyz');
    assert.equal(ready.status, 200);
    assert.match(ready.body.toString(), /cannot be written/);
  }),
);

test('a limit on file sizes: what is too large is refused and leaves nothing, the rest goes on', {
  skip: process.platform === 'win32' ? 'there is no such limit here' : false,
}, async () => {
  await using world = await startWorld();
  const small = world.publish('small.example/m', 'v1.0.0');
  const large = world.publish('large.example/m', 'v1.0.0', { fillBytes: 30_000_000 });
  // In units of 512 or 1024 bytes: 10 or 20 MB, which the hub's own database stays below.
  await using hub = await world.hub({ wrap: ['sh', '-c', 'ulimit -f 20000; trap "" XFSZ; exec "$@"', 'sh'] });
  assertServes(await ask(hub, `${address(small)}zip`), small.zip);
  const answer = await ask(hub, `${address(large)}zip`);
  assert.ok(answer.status === 507 || answer.status === 503, `${answer.status} ${answer.firstLine}`);
  assert.match(answer.headers.get('goyi-error') ?? '', /^storage-/);
  assert.deepEqual(await leftInStaging(hub.dataDir), []);
  assertServes(await ask(hub, `${address(large)}mod`), large.goMod);
  assertServes(await ask(hub, `${address(small)}zip`), small.zip);
});
