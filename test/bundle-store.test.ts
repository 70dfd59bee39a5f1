// A bundle made out of the data folder of a hub: the same bytes as by HTTP, and never a byte that is not the one that was proved.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { VerifierKey } from '../src/protocol/note.ts';
import { keyOf, openInside, outside } from './support/bundle-world.ts';
import type { HubProcess } from './support/hub-process.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let key: VerifierKey;
const path = (name: string): string => join(world.folder, name);
const modules = Array.from({ length: 5 }, (_, i) => `large.example/M${i}@v1.0.0`);
const zipOf = (i: number): string => `modules/large.example/!m${i}/@v/v1.0.0.zip`;

before(async () => {
  world = await startWorld();
  for (let i = 0; i < modules.length; i += 1) world.publish(`large.example/M${i}`, 'v1.0.0', { fillBytes: 700_000 });
  world.database.pad(300);
  hub = await world.hub();
  key = keyOf((await outside(world)('key', 'new')).output);
  // The hub has everything after this.
  assert.equal((await create('http.goyi')).code, 0);
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

function create(name: string, ...args: readonly string[]): ReturnType<ReturnType<typeof outside>> {
  const created = ['--created', '2026-11-20T08:00:00Z'];
  return outside(world)('create', ...modules, '--out', path(name), '--hub', hub.url, ...created, ...args);
}

/** Changes one byte in the middle of a stored file. */
async function damage(name: string): Promise<void> {
  await using file = await open(join(path('data'), name), 'r+');
  const { size } = await file.stat();
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size >> 1);
  await file.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, size >> 1);
}

const asides = (): readonly string[] => {
  try {
    return readdirSync(join(path('data'), 'staging/aside'));
  } catch {
    return [];
  }
};

test('the same bytes as by HTTP, and no zip is fetched', async () => {
  const staging = path('store.goyi.staging');
  // Where something were fetched to, there is no room.
  await mkdir(join(staging, 'modules'), { recursive: true });
  for (let i = 0; i < modules.length; i += 1) await mkdir(join(staging, `${zipOf(i)}.part`), { recursive: true });
  const made = await create('store.goyi', '--from-store');
  assert.equal(made.code, 0, made.output);
  assert.ok((await readFile(path('store.goyi'))).equals(await readFile(path('http.goyi'))));
  assert.ok((await readFile(path('store.goyi.manifest'))).equals(await readFile(path('http.goyi.manifest'))));
  const nowhere = await create('none.goyi', '--from-store', '--data-dir', path('nothing'), '--key-file', path('data-keys/bundle.key'));
  assert.equal(nowhere.code, 7, nowhere.output);
  assert.match(nowhere.output, /there is no hub's data in/);
});

test('cut into parts in the middle of its files, it is the same bundle', async () => {
  const made = await create('parts.goyi', '--from-store', '--split', '1M');
  assert.equal(made.code, 0, made.output);
  const parts = (await readdir(world.folder)).filter((name) => /^parts\.goyi\.\d+$/.test(name)).toSorted();
  assert.equal(parts.length, 4);
  const whole = Buffer.concat(await Promise.all(parts.map((name) => readFile(path(name)))));
  assert.ok(whole.equals(await readFile(path('http.goyi'))));
  const verified = await outside(world)('verify', path('parts.goyi'));
  assert.equal(verified.code, 0, verified.output);
  await using inside = await openInside({ root: path('inside-parts'), database: world.database.key });
  assert.equal((await inside.import(path('parts.goyi'), [key])).files, 3 * modules.length);
  for (const part of parts) await rm(path(part));
});

test('a stored file that changed is set aside and fetched: nothing but what was proved is carried', async () => {
  await damage(zipOf(1));
  await damage(zipOf(3));
  const before = asides().length;
  const made = await create('damaged.goyi', '--from-store');
  assert.equal(made.code, 0, made.output);
  assert.ok((await readFile(path('damaged.goyi'))).equals(await readFile(path('http.goyi'))));
  assert.ok(asides().length >= before + 2, asides().join(' '));
  const after = await create('after.goyi', '--from-store');
  assert.equal(after.code, 0, after.output);
  assert.ok((await readFile(path('after.goyi'))).equals(await readFile(path('http.goyi'))));
});

test('a small stored file as well', async () => {
  await damage(zipOf(2).replace('.zip', '.mod'));
  const made = await create('small.goyi', '--from-store');
  assert.equal(made.code, 0, made.output);
  assert.ok((await readFile(path('small.goyi'))).equals(await readFile(path('http.goyi'))));
});

test('what cannot be had again is a lack, and the rest is carried', async () => {
  await damage(zipOf(4));
  await world.upstream.down();
  const made = await create('lacks.goyi', '--from-store');
  assert.equal(made.code, 6, made.output);
  assert.match(made.output, /large\.example\/M4@v1\.0\.0 \.zip/);
  const listed = await outside(world)('list', path('lacks.goyi'));
  assert.match(listed.output, /large\.example\/M3@v1\.0\.0 info,mod,zip/);
  assert.match(listed.output, /large\.example\/M4@v1\.0\.0 info,mod /);
  assert.equal((await outside(world)('verify', path('lacks.goyi'))).code, 0);
});
