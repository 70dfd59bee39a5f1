// What a bundle carries besides the modules of projects: SDKs, commands for `go install`, and all that a hub has.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { VerifierKey } from '../src/protocol/note.ts';
import { goyiIn, keyOf, openInside, outside } from './support/bundle-world.ts';
import { runGo } from './support/go-command.ts';
import { ask, askUntilFound, eventually } from './support/hub-client.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { address } from './support/synthetic-module.ts';
import { publishToolchain } from './support/synthetic-toolchain.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

const run = promisify(execFile);
const realGo = execFileSync('sh', ['-c', 'command -v go']).toString().trim();
const host = `${process.platform}-${{ x64: 'amd64' }[process.arch as 'x64'] ?? process.arch}`;
const created = ['--created', '2026-11-20T08:00:00Z'];

let world: SyntheticWorld;
let hub: HubProcess;
let key: VerifierKey;
const path = (file: string): string => join(world.folder, file);

before(async () => {
  world = await startWorld();
  for (const release of ['go1.29.3', 'go1.29.4', 'go1.31rc1']) publishToolchain(world, release, { platform: host });
  // What runs is the Go of this machine.
  publishToolchain(world, 'go1.30.1', { platform: host, files: { 'bin/go': `#!/bin/sh\nexec '${realGo}' "$@"\n` } });
  publishToolchain(world, 'go1.29.4', { platform: 'linux-loong64' });
  publishTools();
  world.database.pad(300);
  hub = await world.hub();
  key = keyOf((await outside(world)('key', 'new')).output);
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

/** A command in a folder of its module, which needs one module to be built and another to be tested; one in a module below that, and one whose go.mod replaces. */
function publishTools(): void {
  const used = world.publish('used.example/used', 'v1.0.0', { files: { 'used.go': 'package used\n\nconst Text = "used"\n' } });
  const tested = world.publish('tested.example/tested', 'v1.0.0');
  world.publish('unused.example/unused', 'v1.0.0');
  const sums = [used, tested].flatMap(({ path: module, version, zipHash, modHash }) => [
    `${module} ${version} ${zipHash}\n`,
    `${module} ${version}/go.mod ${modHash}\n`,
  ]);
  const main = 'package main\n\nimport "used.example/used"\n\nfunc main() { println(used.Text) }\n';
  const requires = { [used.path]: used.version, [tested.path]: tested.version };
  world.publish('tool.example/kit', 'v1.1.0', { requires, files: { 'cmd/show/main.go': main, 'go.sum': sums.join('') } });
  world.publish('tool.example/kit/cmd/show/v9', 'v9.0.0');
  // A module on the way to the package that does not have it.
  world.publish('tool.example/kit/cmd', 'v1.1.0', { files: { 'other/main.go': 'package main\n\nfunc main() {}\n' } });
  const goMod = 'module tool.example/bent\n\ngo 1.21\n\nrequire used.example/used v1.0.0\n\nreplace used.example/used => ../used\n';
  world.publish('tool.example/bent', 'v1.0.0', { goMod, files: { 'main.go': main } });
}

async function create(file: string, ...args: readonly string[]): Promise<string> {
  const made = await outside(world)('create', '--out', path(file), '--hub', hub.url, ...args);
  assert.equal(made.code, 0, made.output);
  return path(file);
}

/** A hub that has what a bundle brought, and nothing else. */
async function insideWith(data: string, ...bundles: readonly string[]): Promise<HubProcess> {
  const goyi = goyiIn(world, data);
  assert.equal((await goyi('key', 'trust', key.text)).code, 0);
  for (const bundle of bundles) {
    const imported = await goyi('import', bundle);
    assert.equal(imported.code, 0, imported.output);
  }
  const env = { GOYI_CHECKSUM_DATABASES: world.goSumDb, GOYI_FRESHNESS_NEGATIVE_SECONDS: '0', GOYI_FRESHNESS_LIST_SECONDS: '0' };
  return world.hub({ dataDir: path(data), upstreams: ['off'], env });
}

test('SDKs by version and by line, for several platforms, are the same archives inside, and install', async () => {
  const sdk = await create('sdk.goyi', '--sdk', '1.29.x,latest', '--platform', host.replace('-', '/'), ...created);
  const listed = await outside(world)('list', sdk);
  const versions = [...listed.output.matchAll(/golang\.org\/toolchain@(\S+)/g)].map(([, version]) => version);
  assert.deepEqual(versions, [`v0.0.1-go1.29.4.${host}`, `v0.0.1-go1.30.1.${host}`]);
  await using inside = await insideWith('inside-sdk', sdk);
  const all = JSON.parse((await ask(inside, 'dl/?mode=json&include=all')).body.toString()) as { readonly version: string }[];
  assert.deepEqual(all.map(({ version }) => version).sort(), ['go1.29.4', 'go1.30.1']);
  const file = `dl/go1.30.1.${host}.tar.gz`;
  assert.deepEqual((await ask(inside, `${file}.sha256`)).body, (await ask(hub, `${file}.sha256`)).body);
  assert.deepEqual((await ask(inside, file)).body, (await ask(hub, file)).body);
  const home = path('home');
  await mkdir(home);
  const env = { HOME: home, GOENV: 'off', GOPROXY: inside.url, GOSUMDB: world.goSumDb, INIT_CWD: home };
  const installed = await runGoyi(['sdk', 'install', 'latest', '1.29'], env);
  assert.equal(installed.code, 0, installed.output);
  assert.deepEqual((await readdir(join(home, '.goyi/sdk'))).filter((name) => name.startsWith('go1')).sort(), [
    `go1.29.4.${host}`,
    `go1.30.1.${host}`,
  ]);
  const user = path('user');
  await mkdir(user);
  const setUp = `curl -fsSL ${inside.url}/setup.sh | sh -s -- --go latest`;
  const done = await run('sh', ['-c', setUp], { env: { PATH: '/usr/bin:/bin', HOME: user, GOTOOLCHAIN: 'local' }, cwd: user });
  assert.match(done.stdout + done.stderr, new RegExp(`proved by record \\d+ of ${world.database.key.name.replaceAll('.', '\\.')}`));
  assert.ok((await readdir(join(user, '.goyi/sdk'))).includes(`go1.30.1.${host}`));
  const other = await create('loong.goyi', '--sdk', 'go1.29.4', '--platform', 'linux/loong64', ...created);
  assert.match((await outside(world)('list', other)).output, /v0\.0\.1-go1\.29\.4\.linux-loong64/);
});

test('a release that is not there for a platform is told as what could not be had', async () => {
  const made = await outside(world)(
    'create',
    '--out',
    path('lack.goyi'),
    '--hub',
    hub.url,
    '--sdk',
    '1.30.x',
    '--platform',
    'linux/loong64',
  );
  assert.notEqual(made.code, 0);
  assert.match(made.output, /golang\.org\/toolchain@1\.30\.x linux\/loong64/);
});

test('a command is installed inside by its package, with what its own go.sum names', async () => {
  const tools = await create('tools.goyi', '--tools', 'tool.example/kit/cmd/show@latest', ...created);
  const { output } = await outside(world)('list', tools);
  assert.match(output, /tool\.example\/kit@v1\.1\.0 info,mod,zip/);
  assert.match(output, /used\.example\/used@v1\.0\.0 info,mod,zip/);
  assert.doesNotMatch(output, /unused\.example|kit\/cmd@/);
  await using inside = await insideWith('inside-tools', tools);
  for (const query of ['latest', 'v1.1.0']) {
    const bin = path(`bin-${query}`);
    const settings = { GOPROXY: inside.url, GOSUMDB: world.goSumDb, GOMODCACHE: path(`install-${query}/mod`), GOBIN: bin };
    const installed = await runGo(world.folder, ['install', `tool.example/kit/cmd/show@${query}`], settings);
    assert.equal(installed.code, 0, installed.stderr);
    assert.deepEqual(await readdir(bin), ['show']);
  }
});

test('a command that the go command refuses to install, or that is none, is not carried', async () => {
  const made = await outside(world)(
    'create',
    '--out',
    path('no.goyi'),
    '--hub',
    hub.url,
    '--tools',
    'tool.example/bent,tool.example/kit/none@v1.1.0',
  );
  assert.notEqual(made.code, 0);
  assert.match(made.output, /tool\.example\/bent@latest.*replace lines/);
  assert.match(made.output, /tool\.example\/kit\/none@v1\.1\.0 \(not-found\)/);
});

test('everything that the hub has stored, and nothing that it would have to fetch', async () => {
  await using other = await world.hub({ dataDir: path('stored'), env: { GOYI_LIMITS_PREFETCH_SLOTS: '0' } });
  const stored = ['a.example/a', 'b.example/B', 'c.example/c'].map((module) => world.publish(module, 'v1.0.0'));
  world.database.pad(300);
  for (const made of stored) for (const file of ['mod', 'zip']) assert.equal((await ask(other, `${address(made)}${file}`)).status, 200);
  const half = world.publish('half.example/h', 'v1.0.0');
  assert.equal((await ask(other, `${address(half)}mod`)).status, 200);
  const before = world.moduleRequests().length;
  const made = await outside(world)('create', '--trusted', '--out', path('all.goyi'), '--hub', other.url, ...created);
  assert.equal(made.code, 0, made.output);
  assert.deepEqual(world.moduleRequests().slice(before), []);
  const { output } = await outside(world)('list', path('all.goyi'));
  for (const { path: module } of stored) assert.match(output, new RegExp(`\\+ ${module}@v1\\.0\\.0 \\S*mod,zip`));
  assert.match(output, /\+ half\.example\/h@v1\.0\.0 mod /);
  await mkdir(path('taken'));
  await using inside = await openInside({ root: path('taken'), database: world.database.key });
  await inside.import(path('all.goyi'), [key]);
  assert.ok((await inside.state()).rows.some(({ module, kind }) => module === 'b.example/B' && kind === 'zip'));
});

test('a source without a feed has no trusted set', async () => {
  const head = `sumdb/${world.database.key.name}/latest`;
  world.upstream.files.set(head, Buffer.from(world.database.note()));
  const made = await outside(world)('create', '--trusted', '--out', path('none.goyi'), '--hub', world.upstream.url, ...created);
  assert.notEqual(made.code, 0);
  assert.match(made.output, /no feed of what it has stored/);
  world.upstream.files.delete(head);
});

test('nothing that is private here leaves with the trusted set unless --private says so', async () => {
  await writeFile(path('goyi.yaml'), 'private:\n  - {match: "b.example/*", uploads: true}\n');
  await using other = await world.hub({ dataDir: path('stored'), env: { GOYI_LIMITS_PREFETCH_SLOTS: '0' } });
  const env = { GOYI_DATA_DIR: path('data'), GOYI_CHECKSUM_DATABASES: world.goSumDb };
  const args = ['bundle', 'create', '--trusted', '--out', path('most.goyi'), '--hub', other.url, '--config', path('goyi.yaml')];
  const made = await runGoyi(args, env);
  assert.equal(made.code, 0, made.output);
  assert.doesNotMatch((await outside(world)('list', path('most.goyi'))).output, /b\.example/);
  assert.ok((await readFile(path('most.goyi'))).length > 0);
});

test('what was called absent a moment ago is there when a bundle has brought it, whatever the freshness is', async () => {
  const wanted = world.publish('wanted.example/w', 'v1.0.0');
  world.publish('known.example/k', 'v1.0.0');
  world.database.pad(300);
  const known = await create('known.goyi', 'known.example/k@v1.0.0', '--created', '2026-11-20T08:00:00Z');
  const goyi = goyiIn(world, 'absent');
  assert.equal((await goyi('key', 'trust', key.text)).code, 0);
  assert.equal((await goyi('import', known)).code, 0);
  const env = { GOYI_CHECKSUM_DATABASES: world.goSumDb, GOYI_FRESHNESS_NEGATIVE_SECONDS: '600', GOYI_FRESHNESS_LIST_SECONDS: '600' };
  await using inside = await world.hub({ dataDir: path('absent'), upstreams: ['off'], env });
  const asked = [`${address(wanted)}zip`, 'wanted.example/w/@latest'];
  for (const one of asked) assert.equal((await ask(inside, one)).status, 404);
  assert.match((await ask(inside, 'known.example/k/@latest')).body.toString(), /v1\.0\.0/);
  world.publish('known.example/k', 'v1.1.0');
  world.database.pad(300);
  const more = await create('more.goyi', 'known.example/k@v1.1.0', 'wanted.example/w@v1.0.0', '--created', '2026-11-21T08:00:00Z');
  assert.equal((await goyi('import', more)).code, 0);
  for (const one of asked) await askUntilFound(inside, one, 20_000);
  const latest = await eventually(
    async () => (await ask(inside, 'known.example/k/@latest')).body.toString(),
    (body) => body.includes('v1.1.0'),
    20_000,
  );
  assert.match(latest, /v1\.1\.0/);
});

test('a workspace builds inside as outside', async () => {
  const shared = world.publish('shared.example/s', 'v1.0.0', { files: { 's.go': 'package s\n\nconst Text = "one"\n' } });
  world.publish('shared.example/s', 'v1.1.0', { files: { 's.go': 'package s\n\nconst Text = "two"\n' } });
  // The go command reads the go.mod of the version that another module of the workspace requires.
  world.publish('beside.example/b', 'v1.0.0');
  world.database.pad(300);
  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(join(path('workspace'), file, '..'), { recursive: true });
    await writeFile(join(path('workspace'), file), text);
  };
  await write('go.work', 'go 1.21\n\nuse (\n\t./app\n\t../beside\n)\n');
  await write('app/go.mod', `module app.example/a\n\ngo 1.21\n\nrequire (\n\tbeside.example/b v1.0.0\n\t${shared.path} v1.0.0\n)\n`);
  await write(
    'app/main.go',
    'package main\n\nimport (\n\t"beside.example/b"\n\t"shared.example/s"\n)\n\nfunc main() { println(b.Text, s.Text) }\n',
  );
  await write('../beside/go.mod', `module beside.example/b\n\ngo 1.21\n\nrequire ${shared.path} v1.1.0\n`);
  await write('../beside/b.go', 'package b\n\nimport "shared.example/s"\n\nconst Text = s.Text\n');
  const build = ['build', '-o', path('workspace.out'), './app'];
  const settings = { GOSUMDB: world.goSumDb, GOFLAGS: '-modcacherw' };
  const built = await runGo(path('workspace'), build, { ...settings, GOPROXY: hub.url, GOMODCACHE: path('work-1/mod') });
  assert.equal(built.code, 0, built.stderr);
  const bundle = await create('workspace.goyi', path('workspace'), ...created);
  await using inside = await insideWith('inside-work', bundle);
  const again = await runGo(path('workspace'), build, { ...settings, GOPROXY: inside.url, GOMODCACHE: path('work-2/mod') });
  assert.equal(again.code, 0, again.stderr);
  const file = await create('by-file.goyi', path('workspace/go.work'), ...created);
  assert.ok((await readFile(file)).equals(await readFile(bundle)));
});
