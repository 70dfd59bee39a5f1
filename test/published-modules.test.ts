// Private modules that live in no Git host: published to the hub, verified by stock go commands through its own database, and never told to anybody.
import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runGo } from './support/go-command.ts';
import { ask, type HubAnswer, metric, ownDatabaseKey } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { address, makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

const ownDatabase = 'goyi.example/sumdb';

let world: SyntheticWorld;
let hub: HubProcess;
let key = '';
let library: SyntheticModule;
let open: SyntheticModule;

const rules = `private:
  - {match: "open.corp.example/*", public: true}
  - {match: "*.corp.example/*", uploads: true}
`;

async function start(text: string = rules): Promise<HubProcess> {
  const file = join(world.folder, 'goyi.yaml');
  await writeFile(file, text);
  const env = {
    GOYI_OWN_DATABASE_NAME: ownDatabase,
    GOYI_ACCESS_ANONYMOUS: 'read,read:*',
    GOYI_FRESHNESS_NEGATIVE_SECONDS: '60',
    GOYI_FRESHNESS_LIST_SECONDS: '60',
  };
  return world.hub({ workers: 2, args: ['--config', file], env });
}

function put(made: Pick<SyntheticModule, 'path' | 'version'>, zip: Buffer, headers: Record<string, string> = {}): Promise<HubAnswer> {
  return ask(hub, `api/v1/modules/${address(made)}zip`, { method: 'PUT', body: new Uint8Array(zip), headers });
}

/** Everything that was ever asked of the upstream or the public database. */
function told(): string {
  return [...world.upstream.requests.map(({ url }) => url), ...world.databaseServer.asked].join('\n').toLowerCase();
}

before(async () => {
  world = await startWorld();
  open = world.publish('open.corp.example/Thing', 'v1.0.0');
  // Somebody outside registered our name and offers a higher version.
  world.publish('git.corp.example/Lib', 'v1.99.0');
  hub = await start();
  key = await ownDatabaseKey(hub);
  library = makeModule('git.corp.example/Lib', 'v1.2.0', { requires: { [open.path]: open.version } });
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

test('what is not published is absent, and is there at once when it is, in every process', async () => {
  for (let turn = 0; turn < 6; turn += 1) assert.equal((await ask(hub, `${address(library)}info`)).status, 404);
  const first = await put(library, library.zip);
  assert.equal(first.status, 201, first.firstLine);
  const { path: module, version, zipHash, modHash } = library;
  assert.deepEqual(JSON.parse(first.body.toString()), { module, version, zipHash, modHash, isNew: true });
  for (let turn = 0; turn < 6; turn += 1) {
    assert.ok((await ask(hub, `${address(library)}zip`)).body.equals(library.zip));
    assert.equal((await ask(hub, 'git.corp.example/!lib/@v/list')).body.toString(), 'v1.2.0\n');
    assert.equal((JSON.parse((await ask(hub, 'git.corp.example/!lib/@latest')).body.toString()) as { Version: string }).Version, 'v1.2.0');
    assert.equal(
      (JSON.parse((await ask(hub, 'git.corp.example/!lib/@v/v1.info')).body.toString()) as { Version: string }).Version,
      'v1.2.0',
    );
  }
});

test('a version never changes: the same again is no news, other content is a conflict, whoever stands in for whom', async () => {
  const again = await put(library, library.zip);
  assert.equal(again.status, 200, again.firstLine);
  const other = makeModule(library.path, library.version, { files: { 'lib.go': 'package lib // other\n' } });
  const refused = await put(library, other.zip);
  assert.equal(refused.status, 409);
  assert.match(refused.body.toString(), /"code":"conflict"/);
  assert.ok((await ask(hub, `${address(library)}zip`)).body.equals(library.zip));
  const one = makeModule('git.corp.example/race', 'v1.0.0', { files: { 'a.go': 'package race // a\n' } });
  const two = makeModule('git.corp.example/race', 'v1.0.0', { files: { 'a.go': 'package race // b\n' } });
  const answers = await Promise.all([one, two, one, two, one, two].map((made) => put(made, made.zip)));
  const kept = (await ask(hub, `${address(one)}zip`)).body;
  const [winner, loser] = kept.equals(one.zip) ? [0, 1] : [1, 0];
  assert.ok(kept.equals((winner === 0 ? one : two).zip));
  for (const [index, { status }] of answers.entries()) {
    if (index % 2 === loser) assert.equal(status, 409);
    else assert.ok(status === 201 || status === 200, `${status}`);
  }
  assert.equal(answers.filter(({ status }) => status === 201).length, 1);
});

test('a stock go command builds with it and verifies it, and nobody outside hears of it', async () => {
  const folder = join(world.folder, 'app');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'go.mod'), 'module example.com/app\n\ngo 1.21\n');
  await writeFile(join(folder, 'main.go'), 'package main\n\nimport _ "git.corp.example/Lib"\n\nfunc main() {}\n');
  const settings = { GOPROXY: hub.url, GOSUMDB: key, GOMODCACHE: join(world.folder, 'cache') };
  for (const args of [
    ['get', 'git.corp.example/Lib@latest'],
    ['build', './...'],
    ['mod', 'verify'],
  ]) {
    const { code, stderr } = await runGo(folder, args, settings);
    assert.equal(code, 0, stderr);
  }
  const listed = await runGo(folder, ['list', '-m', '-versions', 'git.corp.example/Lib'], settings);
  assert.equal(listed.stdout.trim(), 'git.corp.example/Lib v1.2.0', listed.stderr);
  assert.match(told(), /open\.corp\.example/);
  assert.doesNotMatch(told(), /git\.corp/);
});

test('a name of ours in any spelling, its parents and its look-ups stay in the house', async () => {
  for (const path of [
    'git.corp.example/other/@v/list',
    'git.corp.example/other/@latest',
    'git.corp.example/other/@v/master.info',
    'git.corp.example/!l!i!b/@v/v1.2.0.zip',
    'git.corp.example/@v/list',
    'git.corp.example/!lib/sub/pkg/@v/list',
    `sumdb/${world.database.key.name}/lookup/git.corp.example/!lib@v1.2.0`,
    `sumdb/${world.database.key.name}/lookup/git.corp.example/!lib@v1.99.0`,
    `sumdb/${ownDatabase}/lookup/git.corp.example/!lib@v1.99.0`,
    `sumdb/${ownDatabase}/lookup/git.corp.example/other@v1.0.0`,
    'git.corp.example/!lib/@v/v1.99.0.info',
    'git.corp.example/!lib/@v/v1.99.0.zip',
  ]) {
    const { status, firstLine } = await ask(hub, path);
    assert.equal(status, 404, `${path}: ${firstLine}`);
  }
  assert.doesNotMatch(told(), /git\.corp/);
});

test('bad uploads are refused in one sentence each, and nothing of them stays', async () => {
  const good = makeModule('git.corp.example/bad', 'v1.0.0');
  const cases: readonly (readonly [what: string, answer: HubAnswer, status: number, reason: RegExp])[] = [
    ['no zip', await put(good, Buffer.from('hello')), 400, /zip of git\.corp\.example\/bad@v1\.0\.0/],
    ['of another version', await put({ ...good, version: 'v1.0.1' }, good.zip), 400, /git\.corp\.example\/bad@v1\.0\.1/],
    [
      'go.mod of another',
      await put(good, makeModule(good.path, good.version, { goMod: 'module git.corp.example/worse\n' }).zip),
      400,
      /names git\.corp\.example\/worse/,
    ],
    ['two files of one name', await put(good, makeModule(good.path, good.version, { files: { A: '1', a: '2' } }).zip), 400, /case/i],
    ['a public module', await put(open, open.zip), 403, /no module that is published here/],
    ['no version', await ask(hub, 'api/v1/modules/git.corp.example/bad/@v/master.zip', { method: 'PUT', body: 'x' }), 400, /version/],
    [
      'no zip name',
      await ask(hub, 'api/v1/modules/git.corp.example/bad/@v/v1.0.0.mod', { method: 'PUT', body: 'x' }),
      404,
      /@v\/VERSION\.zip/,
    ],
    [
      'not escaped',
      await ask(hub, 'api/v1/modules/git.corp.example/Bad/@v/v1.0.0.zip', { method: 'PUT', body: 'x' }),
      400,
      /capital|escape/i,
    ],
    ['another method', await ask(hub, 'api/v1/modules/git.corp.example/bad/@v/v1.0.0.zip', { method: 'POST', body: 'x' }), 405, /PUT/],
    ['from a web page', await put(good, good.zip, { Origin: 'https://evil.example' }), 403, /web pages/],
  ];
  for (const [what, { status, body }, wanted, reason] of cases) {
    assert.equal(status, wanted, `${what}: ${body.toString()}`);
    assert.match((JSON.parse(body.toString()) as { detail: string }).detail, reason, what);
  }
  assert.equal((await ask(hub, 'git.corp.example/bad/@v/list')).status, 404);
});

test('what was published survives garbage collection and the end of the hub; what is lost is a fault and no absence', async () => {
  const { zipHash } = library;
  await hub.kill();
  await hub.exited;
  hub = await start();
  assert.ok((await ask(hub, `${address(library)}zip`)).body.equals(library.zip));
  await hub.stop();
  await rm(join(hub.dataDir, 'modules/git.corp.example/!lib/@v/v1.2.0.zip'));
  hub = await start();
  const lost = await ask(hub, `${address(library)}zip`);
  assert.equal(lost.status, 503, lost.firstLine);
  assert.match(lost.firstLine, /lost or damaged/);
  const mended = await put(library, library.zip);
  assert.equal(mended.status, 201, mended.firstLine);
  assert.ok((await ask(hub, `${address(library)}zip`)).body.equals(library.zip));
  assert.equal((JSON.parse(mended.body.toString()) as { zipHash: string }).zipHash, zipHash);
});

test('a name that becomes private serves nothing of what was stored while it was public, and the other way round', async () => {
  await hub.stop();
  hub = await start('private: []\n');
  // Public again, our version is a stranger's that cannot be proved; the squatter's can.
  assert.notEqual((await ask(hub, `${address(library)}zip`)).status, 200);
  assert.equal((await ask(hub, 'git.corp.example/!lib/@v/v1.99.0.zip')).status, 200);
  await hub.stop();
  hub = await start();
  assert.ok((await ask(hub, `${address(library)}zip`)).body.equals(library.zip));
  assert.equal((await ask(hub, 'git.corp.example/!lib/@v/v1.99.0.zip')).status, 404);
  assert.equal((await ask(hub, 'git.corp.example/!lib/@v/list')).body.toString(), 'v1.2.0\n');
  assert.equal(await metric(hub, 'goyi_verification_failures_total'), 0);
});
