// Private modules behind the gap: proved there by the log of the hub outside, as strictly as public ones, and readable by whom the hub inside lets.
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { codeOf, messageOf } from '../src/base/errors.ts';
import { openBundle } from '../src/bundle/bundle-file.ts';
import { BUNDLE_KEY_NAME } from '../src/protocol/bundle-head.ts';
import { generateSignerKey, parseVerifierKey, type VerifierKey } from '../src/protocol/note.ts';
import { type FileChanges, filesOf, goyiIn, type Inside, keyOf, openInside, resigned } from './support/bundle-world.ts';
import { type GoResult, runGo } from './support/go-command.ts';
import { ask, ownDatabaseKey } from './support/hub-client.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { address, makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';
import { makeVulnerabilities, writeVulnerabilities } from './support/vulnerability-world.ts';

const name = 'goyi.example/sumdb';
const rules = 'private:\n  - {match: "*.corp.example/*", uploads: true}\n';
const isPrivate = (module: string): boolean => module.startsWith('git.corp.example/');

let world: SyntheticWorld;
let hub: HubProcess;
let inside: HubProcess;
let key: VerifierKey;
/** Of the log of the hub outside. */
let ownKey: VerifierKey;
let library: SyntheticModule;
let app: string;
let first: string;
const path = (file: string): string => join(world.folder, file);

function publish(made: SyntheticModule): Promise<unknown> {
  return ask(hub, `api/v1/modules/${address(made)}zip`, { method: 'PUT', body: new Uint8Array(made.zip) }).then(({ status, firstLine }) =>
    assert.equal(status, 201, firstLine),
  );
}

before(async () => {
  world = await startWorld();
  await writeFile(path('goyi.yaml'), rules);
  const base = world.publish('base.example/base', 'v1.0.0');
  world.database.pad(300);
  hub = await world.hub({
    args: ['--config', path('goyi.yaml')],
    env: { GOYI_OWN_DATABASE_NAME: name, GOYI_ACCESS_ANONYMOUS: 'read,read:*' },
  });
  const deep = makeModule('git.corp.example/deep', 'v0.1.0');
  library = makeModule('git.corp.example/Lib', 'v1.2.0', { requires: { [base.path]: base.version, [deep.path]: deep.version } });
  await publish(deep);
  await publish(library);
  const parsed = parseVerifierKey(await ownDatabaseKey(hub));
  assert.ok(parsed.ok);
  ownKey = parsed.value;
  app = path('app');
  await mkdir(app);
  await writeFile(join(app, 'go.mod'), 'module app.example/app\n\ngo 1.21\n');
  await writeFile(join(app, 'app.go'), 'package app\n\nimport _ "git.corp.example/Lib"\n');
  const got = await runGo(app, ['get', 'git.corp.example/Lib@v1.2.0'], {
    GOPROXY: hub.url,
    GOSUMDB: ownKey.text,
    GOMODCACHE: path('first/mod'),
  });
  assert.equal(got.code, 0, got.stderr);
  key = keyOf((await goyiIn(world, 'data')('key', 'new')).output);
  first = await create('first.goyi', app, '--private', '--created', '2026-11-20T08:00:00Z');
});

after(async () => {
  await inside?.stop();
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

function outside(...args: readonly string[]): ReturnType<typeof runGoyi> {
  const env = { GOYI_DATA_DIR: path('data'), GOYI_CHECKSUM_DATABASES: world.goSumDb, GOYI_OWN_DATABASE_NAME: name };
  return runGoyi(['bundle', ...args, '--config', path('goyi.yaml')], { ...env, GOYI_LIMITS_PROOF_THREADS: '1' });
}

async function create(file: string, ...args: readonly string[]): Promise<string> {
  const made = await outside('create', ...args, '--out', path(file), '--hub', hub.url);
  assert.equal(made.code, 0, made.output);
  return path(file);
}

/** The command inside, where the log of the hub outside stands beside the public database. */
function within(...args: readonly string[]): ReturnType<typeof runGoyi> {
  return runGoyi(['bundle', ...args, '--config', path('goyi.yaml')], insideEnv());
}

function insideEnv(): Record<string, string> {
  return { GOYI_DATA_DIR: path('inside'), GOYI_CHECKSUM_DATABASES: `${world.goSumDb},${ownKey.text}`, GOYI_LIMITS_PROOF_THREADS: '1' };
}

async function startInside(anonymous: string): Promise<HubProcess> {
  const { GOYI_CHECKSUM_DATABASES = '' } = insideEnv();
  const env = { GOYI_CHECKSUM_DATABASES, GOYI_ACCESS_ANONYMOUS: anonymous, GOYI_FRESHNESS_NEGATIVE_SECONDS: '0' };
  return world.hub({ dataDir: path('inside'), upstreams: ['off'], args: ['--config', path('goyi.yaml')], env });
}

let clients = 0;
/** With nothing known beforehand. */
async function goAnew(args: readonly string[], settings: { GOPROXY: string; GOSUMDB?: string }): Promise<GoResult> {
  clients += 1;
  const folder = path(`client-${clients}`);
  await mkdir(folder);
  for (const file of ['go.mod', 'app.go']) await writeFile(join(folder, file), await readFile(join(app, file)));
  return runGo(folder, args, { GOSUMDB: ownKey.text, ...settings, GOMODCACHE: join(folder, 'cache/mod') }, 120_000);
}

test('the plan counts them, list and verify know them, the same input gives the same bytes', async () => {
  const plan = await outside('create', app, '--private', '--out', path('plan.goyi'), '--hub', hub.url, '--dry-run', '--json');
  assert.equal(plan.code, 0, plan.output);
  assert.match(plan.output, /"privateVersions": 2/);
  const again = await create('again.goyi', app, '--private=*.corp.example', '--own-key', ownKey.text, '--created', '2026-11-20T08:00:00Z');
  assert.ok((await readFile(again)).equals(await readFile(first)));
  const listed = await outside('list', first);
  assert.match(listed.output, /\+ git\.corp\.example\/Lib@v1\.2\.0 info,mod,zip/);
  const named = await outside('verify', first, '--own-key', ownKey.text);
  assert.equal(named.code, 0, named.output);
  const unnamed = await outside('verify', first);
  assert.equal(unnamed.code, 5, unnamed.output);
  assert.match(unnamed.output, /whose key is not trusted here/);
});

test('without --private they are reported as what could not be had', async () => {
  const made = await outside('create', app, '--out', path('public.goyi'), '--hub', hub.url);
  assert.notEqual(made.code, 0);
  assert.match(made.output, /git\.corp\.example\/Lib@v1\.2\.0/);
  const folder = await outside('create', '--private', app, '--out', path('public.goyi'), '--hub', hub.url);
  assert.equal(folder.code, 2, folder.output);
  assert.match(folder.output, /--private=PATTERNS/);
});

test('inside, a stock go command verifies private and public code by the one database', async () => {
  assert.equal((await goyiIn(world, 'inside')('key', 'trust', key.text)).code, 0);
  const imported = await within('import', first);
  assert.equal(imported.code, 0, imported.output);
  await world.disconnect();
  inside = await startInside('read,read:*');
  const settings = { GOPROXY: inside.url };
  for (const args of [
    ['get', 'git.corp.example/Lib@latest'],
    ['mod', 'tidy'],
    ['build', './...'],
  ]) {
    const { code, stderr } = await goAnew(args, settings);
    assert.equal(code, 0, `go ${args.join(' ')}: ${stderr}`);
  }
  const listed = await goAnew(['list', '-m', '-versions', 'git.corp.example/Lib'], settings);
  assert.equal(listed.stdout.trim(), 'git.corp.example/Lib v1.2.0', listed.stderr);
  // The public one still proves what is public, and is told nothing of what is private.
  const plain = await goAnew(['mod', 'download', 'base.example/base@v1.0.0'], { ...settings, GOSUMDB: world.goSumDb });
  assert.equal(plain.code, 0, plain.stderr);
  assert.equal(
    (await ask(inside, `sumdb/${world.database.key.name}/lookup/${address(library).replace('/@v/', '@').slice(0, -1)}`)).status,
    404,
  );
});

test('a client whose database is another key stops, and so does one that is given other bytes', async () => {
  const stranger = generateSignerKey(name).signer.verifier.text;
  const stopped = await goAnew(['get', 'git.corp.example/Lib@v1.2.0'], { GOPROXY: inside.url, GOSUMDB: stranger });
  assert.notEqual(stopped.code, 0);
  assert.match(stopped.stderr, /verif/);
});

test('who may not read private modules inside is not told that they are there', async () => {
  await inside.stop();
  inside = await startInside('read');
  for (const hidden of [
    `${address(library)}zip`,
    `${address(library)}info`,
    'git.corp.example/!lib/@v/list',
    `sumdb/${name}/lookup/git.corp.example/!lib@v1.2.0`,
  ])
    assert.equal((await ask(inside, hidden)).status, 404, hidden);
  assert.equal((await ask(inside, `sumdb/${name}/lookup/base.example/base@v1.0.0`)).status, 200);
  assert.equal((await ask(inside, 'base.example/base/@v/v1.0.0.zip')).status, 200);
  assert.equal((await ask(inside, `sumdb/${name}/tile/8/data/000.p/1`)).status, 401, 'texts of records name private modules');
});

test('from the file itself, or extracted, it does the same', async () => {
  const folder = path('extracted');
  const extracted = await goyiIn(world, 'inside')('extract', first, '--to', folder);
  assert.equal(extracted.code, 0, extracted.output);
  const { code, stderr } = await goAnew(['get', 'git.corp.example/Lib@v1.2.0'], { GOPROXY: `file://${folder}/modules` });
  assert.equal(code, 0, stderr);
});

test('a delta moves both trees on, and tells nothing twice', async () => {
  await publish(makeModule('git.corp.example/Lib', 'v1.3.0'));
  const more = ['--private', '--since', first, '--created', '2026-11-21T08:00:00Z'];
  const delta = await create('delta.goyi', app, 'git.corp.example/Lib@v1.3.0', ...more);
  const alone = await outside('create', app, '--since', first, '--out', path('alone.goyi'), '--hub', hub.url);
  assert.equal(alone.code, 2, alone.output);
  assert.match(alone.output, /--private/);
  await using folder = await emptyInside();
  await folder.import(first);
  const report = await folder.import(delta);
  assert.deepEqual([report.files, report.missing], [3, 0]);
  const { rows } = await folder.state();
  assert.ok(
    rows.some(({ module, version, proof }) => module === 'git.corp.example/Lib' && version === 'v1.3.0' && proof.kind === 'private'),
  );
});

interface Taking extends AsyncDisposable, Pick<Inside, 'root' | 'state' | 'metadata'> {
  import(file: string, keys?: readonly VerifierKey[], changes?: Parameters<Inside['import']>[2]): ReturnType<Inside['import']>;
}

let serial = 0;
async function emptyInside(foreign: readonly VerifierKey[] = [ownKey]): Promise<Taking> {
  serial += 1;
  const root = path(`empty-${serial}`);
  await mkdir(root);
  const opened = await openInside({ root, database: world.database.key, foreign });
  return {
    root,
    state: () => opened.state(),
    metadata: opened.metadata,
    import: (file, keys = [key], changes = {}) => opened.import(file, keys, { isPrivate, ...changes }),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

async function refusal(taking: Taking, ...args: Parameters<Taking['import']>): Promise<string> {
  const before = await taking.state();
  const error = await taking.import(...args).then(
    () => assert.fail('it was taken'),
    (reason: unknown) => reason,
  );
  assert.notEqual(codeOf(error), undefined, messageOf(error));
  assert.deepEqual(await taking.state(), before);
  return messageOf(error);
}

test('a name is private on both sides or on none', async () => {
  await using taking = await emptyInside();
  assert.match(await refusal(taking, first, [key], { isPrivate: () => false }), /private where it comes from and public here/);
  assert.match(await refusal(taking, first, [key], { isPrivate: () => true }), /public where it comes from/);
});

test('the log of the hub outside counts by the key that is trusted here, and continues what is known of it', async () => {
  await using strange = await emptyInside([generateSignerKey(name).signer.verifier]);
  assert.match(await refusal(strange, first), /refused/);
  await using none = await emptyInside([]);
  assert.match(await refusal(none, first), /whose key is not trusted/);
  await using forked = await emptyInside();
  const root = Buffer.alloc(32, 7).toString('base64');
  await forked.metadata.advanceHead({ database: name, treeSize: 1, root, note: 'another' }, undefined);
  const error = await forked.import(first).catch((reason: unknown) => reason);
  assert.equal(codeOf(error), 'log-forked', messageOf(error));
  assert.notEqual(await forked.metadata.fork(name), undefined);
  assert.deepEqual((await forked.state()).rows, []);
});

test('what was served or recorded here once is not replaced by what differs', async () => {
  await using taking = await emptyInside();
  await taking.import(first);
  const { rows } = await taking.state();
  const row = rows.find(({ module, kind }) => module === 'git.corp.example/Lib' && kind === 'zip');
  assert.ok(row !== undefined);
  await using other = await emptyInside();
  await other.metadata.recordFile({ ...row, h1: `h1:${Buffer.alloc(32, 3).toString('base64')}` });
  assert.match(await refusal(other, first), /\.zip of git\.corp\.example\/Lib@v1\.2\.0 has h1:\S+ here/);
  await using signs = await emptyInside();
  const zipHash = `h1:${Buffer.alloc(32, 3).toString('base64')}`;
  const entry = { module: 'git.corp.example/Lib', version: 'v1.2.0', zipHash, modHash: zipHash, provedBy: undefined };
  await signs.metadata.appendOwn('inside.example/sumdb', [entry], 0);
  assert.match(await refusal(signs, first, [key], { ownLogs: ['inside.example/sumdb'] }), /in inside\.example\/sumdb/);
});

test('one changed bit, wherever it is, and nothing is taken', async () => {
  const files = makeVulnerabilities('2026-11-18T10:00:00Z', [{ id: 'GO-2024-0001', module: 'base.example/base' }]);
  await writeVulnerabilities(path('vulndb'), files);
  const both = await create('both.goyi', app, '--private', '--vulndb', path('vulndb'), '--created', '2026-11-22T08:00:00Z');
  const honest = await readFile(both);
  const file = path('changed.goyi');
  await using taking = await emptyInside();
  await fc.assert(
    fc.asyncProperty(fc.nat(honest.length - 1), fc.integer({ min: 0, max: 7 }), async (position, bit) => {
      const changed = Buffer.from(honest);
      changed[position] = (changed[position] ?? 0) ^ (1 << bit);
      await writeFile(file, changed);
      await refusal(taking, file);
    }),
    { numRuns: 60 },
  );
  await taking.import(both);
  assert.deepEqual(await readFile(join(taking.root, 'vulndb/index/db.json')), files.get('index/db.json'));
});

test('a private file that was lost is put back', async () => {
  await using taking = await emptyInside();
  await taking.import(first);
  const zip = join(taking.root, 'modules/git.corp.example/!lib/@v/v1.2.0.zip');
  const bytes = await readFile(zip);
  await rm(zip);
  const report = await taking.import(await create('again-later.goyi', app, '--private', '--created', '2026-11-23T08:00:00Z'));
  assert.equal(report.files, 1);
  assert.deepEqual(await readFile(zip), bytes);
});

test('signed by the right key, but with what the log of the hub outside does not have so', async () => {
  const { signer } = generateSignerKey(BUNDLE_KEY_NAME);
  await using honest = await openBundle({ file: first, keys: [key] });
  const files = await filesOf(honest);
  const own = `modules/sumdb/${name}/`;
  const lookup = `${own}lookup/git.corp.example/!lib@v1.2.0`;
  const publicFolder = `modules/sumdb/${world.database.key.name}/`;
  const tile = [...files.keys()].find((file) => file.startsWith(`${own}tile/`)) ?? '';
  const cases: readonly [string, FileChanges, RegExp][] = [
    ['mod', new Map([['modules/git.corp.example/!lib/@v/v1.2.0.mod', Buffer.from('module git.corp.example/Lib\n')]]), /recorded h1:/],
    ['record', new Map([[lookup, undefined]]), /without its record/],
    ['other-record', new Map([[lookup, files.get(`${own}lookup/git.corp.example/deep@v0.1.0`)]]), /is another/],
    ['public-record', new Map([[`${publicFolder}lookup/git.corp.example/!lib@v1.2.0`, files.get(lookup)]]), /public where it comes from/],
    ['tile', new Map([[tile, Buffer.alloc(files.get(tile)?.length ?? 0, 1)]]), /does not combine|not that of the signed tree/],
    ['head', new Map([[`${own}latest`, files.get(`${publicFolder}latest`)]]), /head of goyi\.example\/sumdb/],
    ['no-head', new Map([[`${own}latest`, undefined]]), /no head of goyi/],
    ['info', new Map([['modules/git.corp.example/!lib/@v/v1.2.0.info', Buffer.from('{"Version":"v9.9.9"}')]]), /v1\.2\.0\.info/],
  ];
  for (const [what, changes, sentence] of cases) {
    await using taking = await emptyInside();
    const file = await resigned(honest, { file: path(`signed-${what}.goyi`), signer, changes });
    assert.match(await refusal(taking, file, [signer.verifier]), sentence, what);
  }
});
