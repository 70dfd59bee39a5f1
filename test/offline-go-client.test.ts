// A real go command in a world of its own: through the hub with everything verified, then again with nothing but the hub, then with nothing but its folder.
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type GoResult, runGo } from './support/go-command.ts';
import { ask, eventually } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { address, makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { type SyntheticWorld, serveModule, startWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let app: string;
let modules: SyntheticModule[];

before(async () => {
  world = await startWorld();
  const leaf = world.publish('leaf.example/Capital/Leaf', 'v0.2.0', { files: { 'leaf.go': 'package leaf\n\nconst Name = "leaf"\n' } });
  const old = world.publish('old.example/lib', 'v3.1.0+incompatible', {
    goMod: 'module old.example/lib\n',
    files: { 'lib.go': 'package lib\n' },
  });
  const major = world.publish('major.example/kit/v2', 'v2.0.1-RC.1', { files: { 'kit.go': 'package kit\n' } });
  const root = world.publish('root.example/tree', 'v1.4.0', {
    requires: { [leaf.path]: leaf.version },
    files: { 'tree.go': 'package tree\n', 'deep/er/er.go': 'package er\n\nimport _ "leaf.example/Capital/Leaf"\n' },
  });
  const pseudo = world.publish('pseudo.example/p', 'v0.0.0-20240102030405-0123456789ab', { files: { 'p.go': 'package p\n' } });
  modules = [leaf, old, major, root, pseudo];
  hub = await world.hub({ workers: 2 });
  app = join(world.folder, 'app');
  await mkdir(app);
  await writeFile(join(app, 'go.mod'), 'module app.example/app\n\ngo 1.21\n');
  const imports = ['leaf.example/Capital/Leaf', 'old.example/lib', 'major.example/kit/v2', 'root.example/tree/deep/er', 'pseudo.example/p'];
  await writeFile(join(app, 'app.go'), `package app\n\n${imports.map((path) => `import _ "${path}"\n`).join('')}`);
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

/** Runs go with an empty module cache and an empty memory of the checksum database. */
async function goAnew(args: readonly string[], proxy: string = hub.url): Promise<GoResult> {
  const client = join(world.folder, 'client');
  await rm(client, { recursive: true, force: true });
  return runGo(app, args, { GOPROXY: proxy, GOMODCACHE: join(client, 'mod'), GOSUMDB: world.goSumDb }, 60_000);
}

test('go get finds, downloads and verifies everything through the hub alone', async () => {
  const wanted = modules
    .filter(({ path }) => !path.startsWith('leaf'))
    .map(({ path, version }) => `${path === 'root.example/tree' ? `${path}/deep/er` : path}@${version}`);
  const result = await goAnew(['get', ...wanted]);
  assert.equal(result.code, 0, result.stderr);
  const all = await goAnew(['mod', 'download', 'all']);
  assert.equal(all.code, 0, all.stderr);
  const sum = await readFile(join(app, 'go.sum'), 'utf8');
  for (const { path, version, zipHash, modHash } of modules) {
    assert.ok(sum.includes(`${path} ${version} ${zipHash}\n`), `${path} in go.sum:\n${sum}`);
    assert.ok(sum.includes(`${path} ${version}/go.mod ${modHash}\n`), path);
  }
  const built = await goAnew(['build', './...']);
  assert.equal(built.code, 0, built.stderr);
});

test('with upstream and database gone the same commands succeed from an empty cache', async () => {
  await world.disconnect();
  for (const args of [
    ['mod', 'download', 'all'],
    ['build', './...'],
    ['list', '-m', '-versions', 'root.example/tree'],
    ['mod', 'verify'],
  ]) {
    const result = await goAnew(args);
    assert.equal(result.code, 0, `go ${args.join(' ')}: ${result.stderr}`);
  }
  const sumBefore = await readFile(join(app, 'go.sum'), 'utf8');
  await rm(join(app, 'go.sum'));
  const anew = await goAnew(['mod', 'download', 'all']);
  assert.equal(anew.code, 0, anew.stderr);
  const sumAfter = await readFile(join(app, 'go.sum'), 'utf8');
  for (const line of sumAfter.split('\n')) assert.ok(sumBefore.includes(line), `verified anew, with the same result: ${line}`);
});

test('and after a restart of the hub without them', async () => {
  const stopped = await hub.stop();
  assert.equal(stopped, 0);
  hub = await world.hub({ workers: 2 });
  const result = await goAnew(['mod', 'download', 'all']);
  assert.equal(result.code, 0, result.stderr);
  const list = await ask(hub, 'root.example/tree/@v/list');
  assert.equal(list.body.toString(), 'v1.4.0\n');
});

test('the folder is a GOPROXY by itself, with the checksum database in it', async () => {
  const folder = `file://${join(hub.dataDir, 'modules')}`;
  const list = await eventually(
    () => readFile(join(hub.dataDir, 'modules/root.example/tree/@v/list'), 'utf8'),
    (text) => text !== '',
  );
  assert.equal(list, 'v1.4.0\n');
  const result = await goAnew(['mod', 'download', 'all'], folder);
  assert.equal(result.code, 0, result.stderr);
});

test('what was never asked for is a fault without upstream, not an absence', async () => {
  const result = await goAnew(['mod', 'download', 'never.example/seen@v1.0.0'], `${hub.url},off`);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /50[24] /);
  assert.doesNotMatch(result.stderr, /404|module lookup disabled/);
});

test('a go command shows the reason of a refusal first', async () => {
  await world.upstream.up();
  world.databaseServer.lie = undefined;
  const moved = world.publish('moved.example/m', 'v1.0.0');
  serveModule(world.upstream, makeModule(moved.path, moved.version, { files: { 'm.go': 'package evil\n' } }));
  await eventually(
    () => ask(hub, `${address(moved)}info`),
    ({ status }) => status === 200,
    20_000,
  );
  const result = await goAnew(['mod', 'download', `${moved.path}@${moved.version}`]);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /502 Bad Gateway\s+server response:\s+moved\.example\/m@v1\.0\.0 does not match the checksum database/);
});
