// A courier's round: a bundle is made outside, carried in, and a stock go command builds there with nothing but the hub inside; what is missing is wished for and carried in next.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { VerifierKey } from '../src/protocol/note.ts';
import { goyiIn, keyOf, outside } from './support/bundle-world.ts';
import { runGo } from './support/go-command.ts';
import { ask, eventually, freePort } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';

const run = promisify(execFile);
const launcher = fileURLToPath(new URL('../bin/goyi.mjs', import.meta.url));

let world: SyntheticWorld;
let hub: HubProcess;
let inside: HubProcess;
let app: string;
let key: VerifierKey;
const path = (name: string): string => join(world.folder, name);

before(async () => {
  world = await startWorld();
  const leaf = world.publish('leaf.example/Capital/Leaf', 'v0.2.0', { files: { 'leaf.go': 'package leaf\n' } });
  world.publish('leaf.example/Capital/Leaf', 'v0.3.0', { files: { 'leaf.go': 'package leaf\n' } });
  const checked = world.publish('check.example/check', 'v1.1.0', { files: { 'check.go': 'package check\n' } });
  // Its test needs a module that the app never builds with: go mod tidy looks for it all the same.
  const root = world.publish('root.example/tree', 'v1.4.0', {
    requires: { [leaf.path]: leaf.version, [checked.path]: checked.version },
    files: {
      'tree.go': 'package tree\n\nimport _ "leaf.example/Capital/Leaf"\n',
      'tree_test.go': 'package tree\n\nimport _ "check.example/check"\n',
    },
  });
  world.publish('pseudo.example/p', 'v0.0.0-20240102030405-0123456789ab', { files: { 'p.go': 'package p\n' } });
  world.database.pad(600);
  hub = await world.hub();
  app = path('app');
  await mkdir(app);
  await writeFile(join(app, 'go.mod'), 'module app.example/app\n\ngo 1.21\n');
  await writeFile(join(app, 'app.go'), `package app\n\nimport (\n\t_ "root.example/tree"\n\t_ "pseudo.example/p"\n)\n`);
  const settings = { GOPROXY: hub.url, GOMODCACHE: path('first/mod'), GOSUMDB: world.goSumDb };
  const got = await runGo(app, ['get', `${root.path}@${root.version}`, 'pseudo.example/p@v0.0.0-20240102030405-0123456789ab'], settings);
  assert.equal(got.code, 0, got.stderr);
  const tidy = await runGo(app, ['mod', 'tidy'], settings);
  assert.equal(tidy.code, 0, tidy.stderr);
  const made = await outside(world)('key', 'new');
  assert.equal(made.code, 0, made.output);
  key = keyOf(made.output);
});

after(async () => {
  await inside?.stop();
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

const created = ['--created', '2026-11-20T08:00:00Z'];

async function create(name: string, ...args: readonly string[]): Promise<string> {
  const file = path(name);
  const result = await outside(world)('create', '--out', file, '--hub', hub.url, ...args);
  assert.equal(result.code, 0, result.output);
  return file;
}

test('a bundle is made with a plan first, and the same input gives the same bytes', async () => {
  const plan = await outside(world)('create', app, '--out', path('plan.goyi'), '--hub', hub.url, '--dry-run', '--json');
  assert.equal(plan.code, 0, plan.output);
  assert.match(plan.output, /"newFiles": 12/);
  await assert.rejects(stat(path('plan.goyi')));
  const first = await create('first.goyi', app, ...created);
  const again = await create('again.goyi', app, ...created);
  assert.ok((await readFile(first)).equals(await readFile(again)));
  assert.deepEqual(
    (await readdir(world.folder)).filter((name) => name.endsWith('.staging') && !name.startsWith('plan')),
    [],
    'what was on the way is gone',
  );
});

test('tar and sha256sum read it', async () => {
  const folder = path('by-tar');
  await mkdir(folder);
  await run('tar', ['-xf', path('first.goyi'), '-C', folder]);
  const manifest = (await readFile(join(folder, 'manifest'), 'utf8')).trimEnd().split('\n');
  assert.ok(manifest.length > 15);
  const sums = manifest.map((line) => line.split(' ')).map(([, sha256, , name]) => `${sha256}  ${name}\n`);
  await writeFile(join(folder, 'sums'), sums.join(''));
  await run('sha256sum', ['--check', '--strict', 'sums'], { cwd: folder });
  const result = await runGo(app, ['mod', 'download'], {
    GOPROXY: `file://${folder}/modules`,
    GOMODCACHE: path('tar/mod'),
    GOSUMDB: world.goSumDb,
  });
  assert.equal(result.code, 0, result.stderr);
});

test('verify, list and diff say what is in it', async () => {
  const verified = await outside(world)('verify', path('first.goyi'));
  assert.equal(verified.code, 0, verified.output);
  assert.match(verified.output, /intact: \d+ files/);
  const listed = await outside(world)('list', path('first.goyi'));
  assert.match(listed.output, /\+ root\.example\/tree@v1\.4\.0 info,mod,zip/);
  assert.match(listed.output, /\+ check\.example\/check@v1\.1\.0 info,mod,zip/);
  const stranger = await goyiIn(world, 'inside')('verify', path('first.goyi'));
  assert.equal(stranger.code, 5, stranger.output);
  assert.match(stranger.output, /no key is trusted/);
});

test('what was cut is gone on with: nothing is fetched twice', async () => {
  const staging = path('cut.goyi.staging');
  const zip = 'modules/root.example/tree/@v/v1.4.0.zip';
  await mkdir(join(staging, zip, '..'), { recursive: true });
  await copyFile(join(path('by-tar'), zip), join(staging, zip));
  const cut = await create('cut.goyi', app, ...created);
  assert.ok((await readFile(cut)).equals(await readFile(path('first.goyi'))));
  // A broken one is found by its hash, told, and fetched the next time.
  await mkdir(join(staging, zip, '..'), { recursive: true });
  await writeFile(join(staging, zip), 'half a zip');
  await rm(cut);
  const broken = await outside(world)('create', app, '--out', cut, '--hub', hub.url, ...created);
  assert.equal(broken.code, 5, broken.output);
  assert.match(broken.output, /root\.example\/tree@v1\.4\.0 \.zip/);
  assert.ok((await readFile(await create('cut.goyi', app, ...created))).equals(await readFile(path('first.goyi'))));
});

/** Runs go with nothing known beforehand, on a copy of the app. */
async function goAnew(args: readonly string[], proxy: string): Promise<void> {
  const folder = path('anew');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  for (const name of ['go.mod', 'go.sum', 'app.go']) await copyFile(join(app, name), join(folder, name));
  const settings = { GOPROXY: proxy, GOMODCACHE: join(folder, 'cache/mod'), GOSUMDB: world.goSumDb };
  const result = await runGo(folder, args, settings, 120_000);
  assert.equal(result.code, 0, `go ${args.join(' ')} through ${proxy}: ${result.stderr}`);
  for (const name of ['go.mod', 'go.sum'])
    assert.equal(await readFile(join(folder, name), 'utf8'), await readFile(join(app, name), 'utf8'), `${name} after go ${args.join(' ')}`);
}

const everyday = [
  ['mod', 'download'],
  ['build', './...'],
  ['vet', './...'],
  ['test', './...'],
  ['mod', 'tidy'],
  ['list', '-m', 'all'],
  ['mod', 'verify'],
] as const;

test('imported, it serves a stock go command that can reach nothing else', async () => {
  const goyi = goyiIn(world, 'inside');
  const untrusted = await goyi('import', path('first.goyi'));
  assert.equal(untrusted.code, 5, untrusted.output);
  assert.equal((await goyi('key', 'trust', key.text)).code, 0);
  const imported = await goyi('import', path('first.goyi'));
  assert.equal(imported.code, 0, imported.output);
  assert.match(imported.output, /took in 12 new files/);
  assert.match((await goyi('import', path('first.goyi'))).output, /imported before/);
  inside = await world.hub({
    dataDir: path('inside'),
    upstreams: ['off'],
    env: { GOYI_CHECKSUM_DATABASES: world.goSumDb, GOYI_FRESHNESS_NEGATIVE_SECONDS: '0', GOYI_FRESHNESS_LIST_SECONDS: '0' },
  });
  for (const args of everyday) await goAnew(args, inside.url);
  const list = await ask(inside, 'root.example/tree/@v/list');
  assert.equal(list.body.toString(), 'v1.4.0\n');
});

test('served from the file itself, or extracted, it does the same', async () => {
  const folder = path('extracted');
  const extracted = await goyiIn(world, 'inside')('extract', path('first.goyi'), '--to', folder);
  assert.equal(extracted.code, 0, extracted.output);
  for (const args of everyday) await goAnew(args, `file://${folder}/modules`);
  const port = await freePort();
  const env = { PATH: process.env['PATH'] ?? '', LANG: 'C', GOYI_DATA_DIR: path('inside') };
  const server = spawn(process.execPath, [launcher, 'bundle', 'serve', path('first.goyi'), '--listen', `127.0.0.1:${port}`], { env });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  await new Promise((resolve) => server.stdout.once('data', resolve));
  for (const args of everyday) await goAnew(args, `http://127.0.0.1:${port}`);
  server.kill('SIGTERM');
  assert.equal(await ended, 0);
});

test('what is missing is wished for, carried in as a delta, and there', async () => {
  const settings = { GOPROXY: inside.url, GOMODCACHE: path('wish/mod'), GOSUMDB: world.goSumDb };
  const folder = path('wish');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'go.mod'), 'module wish.example/w\n\ngo 1.21\n');
  const denied = await runGo(folder, ['get', 'leaf.example/Capital/Leaf@v0.3.0'], settings);
  assert.notEqual(denied.code, 0);
  assert.match(denied.stderr, /goyi bundle wishes/);
  const missing = await runGo(folder, ['get', 'fresh.example/mod/deep/package'], settings);
  assert.notEqual(missing.code, 0);
  const answer = await ask(inside, 'api/v1/wishes');
  const { wishes } = JSON.parse(answer.body.toString()) as { readonly wishes: readonly { module: string; version: string | null }[] };
  assert.deepEqual(
    wishes.filter(({ module }) => module.startsWith('fresh')).map(({ module, version }) => [module, version]),
    [['fresh.example/mod/deep/package', null]],
    'of all prefixes the longest',
  );
  assert.ok(wishes.some(({ module, version }) => module === 'leaf.example/Capital/Leaf' && version === 'v0.3.0'));
  world.publish('fresh.example/mod', 'v1.0.0', { files: { 'deep/package/p.go': 'package p\n' } });
  world.database.pad(300);
  const goyi = goyiIn(world, 'inside');
  assert.equal((await goyi('wishes', '--out', path('wishes.json'))).code, 0);
  const since = ['--since', path('first.goyi.manifest'), '--wishes', path('wishes.json'), '--created', '2026-11-21T08:00:00Z'];
  const delta = await create('delta.goyi', ...since);
  const diff = await outside(world)('diff', path('first.goyi'), delta);
  assert.match(diff.output, /\+ fresh\.example\/mod@v1\.0\.0/);
  assert.match(diff.output, /\+ leaf\.example\/Capital\/Leaf@v0\.3\.0/);
  assert.doesNotMatch((await outside(world)('list', delta, '--json')).output, /"carried": true[^}]*root\.example/);
  const imported = await goyi('import', delta);
  assert.equal(imported.code, 0, imported.output);
  const got = await eventually(
    () => runGo(folder, ['get', 'leaf.example/Capital/Leaf@v0.3.0', 'fresh.example/mod/deep/package'], settings),
    ({ code }) => code === 0,
    20_000,
  );
  assert.equal(got.code, 0, got.stderr);
  for (const args of everyday) await goAnew(args, inside.url);
  const left = JSON.parse((await ask(inside, 'api/v1/wishes')).body.toString()) as { readonly wishes: readonly unknown[] };
  assert.deepEqual(left.wishes, []);
});

test('split for sticks it is the same bundle', async () => {
  await create('split.goyi', app, '--split', '1M', ...created);
  const parts = (await readdir(world.folder)).filter((name) => /^split\.goyi\.\d+$/.test(name));
  assert.ok(parts.length >= 1);
  const whole = Buffer.concat(await Promise.all(parts.toSorted().map((name) => readFile(path(name)))));
  assert.ok(whole.length > 0);
  assert.equal((await outside(world)('verify', path('split.goyi'))).code, 0);
});
