// `goyi publish` from a folder to a hub: the zip is what golang.org/x/mod/zip would make, and a stock go command builds with it.
import assert from 'node:assert/strict';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { runGo } from './support/go-command.ts';
import { ask } from './support/hub-client.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let folder = '';

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}

const publish = (...args: readonly string[]): ReturnType<typeof runGoyi> => runGoyi(['publish', folder, '--hub', hub.url, ...args]);

before(async () => {
  world = await startWorld();
  const config = join(world.folder, 'goyi.yaml');
  await writeFile(
    config,
    'access: {anonymous: [read, "read:pkg.corp.example/*"]}\nprivate:\n  - {match: "pkg.corp.example/*", uploads: true}\n',
  );
  hub = await world.hub({ args: ['--config', config] });
  folder = join(world.folder, 'lib');
  await put('go.mod', 'module pkg.corp.example/Team/lib\n\ngo 1.21\n');
  await put('lib.go', 'package lib\n\nconst Answer = 42\n');
  await put('.git/config', '[core]\n');
  await put('vendor/x.example/y/y.go', 'package y\n');
  await put('vendor/modules.txt', '# x.example/y v1.0.0\n');
  await put('other/go.mod', 'module pkg.corp.example/Team/lib/other\n');
  await put('other/other.go', 'package other\n');
  await put('testdata/big.bin', 'x'.repeat(3 << 20));
  await symlink('lib.go', join(folder, 'link.go'));
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

test('a dry run changes nothing; published, it is there once, and go builds with it', async () => {
  const dry = await publish('--at', 'v1.0.0', '--dry-run');
  assert.equal(dry.code, 0, dry.output);
  assert.match(dry.output, /would publish pkg\.corp\.example\/Team\/lib@v1\.0\.0 \(.*, 4 files; dry run/);
  assert.equal((await ask(hub, 'pkg.corp.example/!team/lib/@v/list')).status, 404);
  const first = await publish('--at', 'v1.0.0');
  assert.equal(first.code, 0, first.output);
  const [h1 = ''] = /h1:[^\n]+/.exec(first.output) ?? [];
  assert.ok(dry.output.includes(h1));
  assert.match((await publish('--at', 'v1.0.0')).output, /was there already/);

  const app = join(world.folder, 'app');
  await mkdir(app);
  await writeFile(join(app, 'go.mod'), 'module example.com/app\n\ngo 1.21\n');
  await writeFile(join(app, 'main.go'), 'package main\n\nimport "pkg.corp.example/Team/lib"\n\nfunc main() { println(lib.Answer) }\n');
  const settings = { GOPROXY: hub.url, GOMODCACHE: join(world.folder, 'cache'), GONOSUMDB: 'pkg.corp.example' };
  for (const args of [
    ['get', 'pkg.corp.example/Team/lib@v1.0.0'],
    ['build', '-o', 'app', '.'],
  ]) {
    const { code, stderr } = await runGo(app, args, settings);
    assert.equal(code, 0, stderr);
  }
  assert.ok((await readFile(join(app, 'go.sum'), 'utf8')).includes(`pkg.corp.example/Team/lib v1.0.0 ${h1}\n`));
});

test('the same files make the same zip; another content under a published version is a conflict', async () => {
  for (const file of ['one.zip', 'two.zip']) assert.equal((await publish('--at', 'v1.1.0', '--out', join(world.folder, file))).code, 0);
  const [one, two] = await Promise.all(['one.zip', 'two.zip'].map((file) => readFile(join(world.folder, file))));
  assert.ok(one?.equals(two ?? Buffer.alloc(0)));
  assert.equal((await publish('--at', 'v1.1.0', '--out', join(world.folder, 'one.zip'))).code, 7, 'nothing is replaced');
  await put('lib.go', 'package lib\n\nconst Answer = 43\n');
  const { code, output } = await publish('--at', 'v1.0.0');
  assert.equal(code, 4, output);
  assert.match(output, /is here with other content/);
  const zip = [
    'publish',
    '--hub',
    hub.url,
    '--at',
    'v1.1.0',
    '--module',
    'pkg.corp.example/Team/lib',
    '--zip',
    join(world.folder, 'one.zip'),
  ];
  assert.equal((await runGoyi(zip)).code, 0);
});

test('what cannot be published is said before anything is sent', async () => {
  for (const [args, code, reason] of [
    [['--at', 'v1'], 2, /no version that can be published/],
    [['--at', 'v2.0.0'], 2, /major/],
    [['--at', 'v1.2.0', '--module', 'public.example/x'], 4, /no module that is published here/],
    [['--at', 'v1.2.0', '--zip', join(folder, 'lib.go'), '--module', 'pkg.corp.example/Team/lib'], 5, /zip/],
    [[], 2, /--at .*is missing/],
  ] as const) {
    const done = await publish(...args);
    assert.equal(done.code, code, `${args.join(' ')}: ${done.output}`);
    assert.match(done.output, reason);
  }
});
