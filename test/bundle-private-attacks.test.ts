// What a bundle with private modules must neither tell nor prove: modules that were not named, and public ones by a log that is not the public database.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BlobKey } from '../src/base/blob-key.ts';
import { codeOf, messageOf } from '../src/base/errors.ts';
import { openBundle } from '../src/bundle/bundle-file.ts';
import type { FileRow } from '../src/meta/metadata.ts';
import { CarriedFiles } from '../src/store/fs-carried.ts';
import { BUNDLE_KEY_NAME } from '../src/protocol/bundle-head.ts';
import { generateSignerKey, parseVerifierKey, type VerifierKey } from '../src/protocol/note.ts';
import { type FileChanges, filesOf, keyOf, openInside, resigned } from './support/bundle-world.ts';
import { runGo } from './support/go-command.ts';
import { ask, ownDatabaseKey } from './support/hub-client.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { address, makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

const name = 'goyi.example/sumdb';
const rules = 'private:\n  - {match: "*.corp.example/*", uploads: true}\n';
const isPrivate = (module: string): boolean => module.startsWith('git.corp.example/');

let world: SyntheticWorld;
let hub: HubProcess;
let key: VerifierKey;
let ownKey: VerifierKey;
let app: string;
const path = (file: string): string => join(world.folder, file);

async function publish(made: SyntheticModule): Promise<void> {
  const { status, firstLine } = await ask(hub, `api/v1/modules/${address(made)}zip`, { method: 'PUT', body: new Uint8Array(made.zip) });
  assert.equal(status, 201, firstLine);
}

before(async () => {
  world = await startWorld();
  await writeFile(path('goyi.yaml'), rules);
  const base = world.publish('base.example/base', 'v1.0.0');
  world.publish('base.example/base', 'v1.1.0');
  world.database.pad(300);
  hub = await world.hub({
    args: ['--config', path('goyi.yaml')],
    env: { GOYI_OWN_DATABASE_NAME: name, GOYI_ACCESS_ANONYMOUS: 'read,read:*' },
  });
  const secret = makeModule('git.corp.example/secret', 'v0.1.0');
  const library = makeModule('git.corp.example/lib', 'v1.2.0', { requires: { [base.path]: base.version, [secret.path]: secret.version } });
  await publish(secret);
  await publish(library);
  const parsed = parseVerifierKey(await ownDatabaseKey(hub));
  assert.ok(parsed.ok);
  ownKey = parsed.value;
  app = path('app');
  await mkdir(app);
  await writeFile(join(app, 'go.mod'), 'module app.example/app\n\ngo 1.21\n');
  await writeFile(join(app, 'app.go'), 'package app\n\nimport _ "git.corp.example/lib"\n');
  const env = { GOPROXY: hub.url, GOSUMDB: ownKey.text, GOMODCACHE: path('first/mod') };
  const got = await runGo(app, ['get', 'git.corp.example/lib@v1.2.0'], env);
  assert.equal(got.code, 0, got.stderr);
  key = keyOf((await outside('key', 'new')).output);
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

function outside(...args: readonly string[]): ReturnType<typeof runGoyi> {
  const env = { GOYI_DATA_DIR: path('data'), GOYI_CHECKSUM_DATABASES: world.goSumDb, GOYI_OWN_DATABASE_NAME: name };
  return runGoyi(['bundle', ...args, '--config', path('goyi.yaml')], { ...env, GOYI_LIMITS_PROOF_THREADS: '1' });
}

const create = (file: string, ...args: readonly string[]): ReturnType<typeof runGoyi> =>
  outside('create', ...args, '--out', path(file), '--hub', hub.url);

test('a private module that --private does not name stays outside, its record as well', async () => {
  for (const [i, how] of [[app], ['git.corp.example/lib@v1.2.0']].entries()) {
    const file = `named-${i}.goyi`;
    const made = await create(file, ...how, '--private=git.corp.example/lib');
    assert.match(made.output, /git\.corp\.example\/secret@v0\.1\.0/, 'it is told as what could not be had');
    const names = (await outside('list', path(file), '--files')).output;
    assert.match(names, /git\.corp\.example\/lib\/@v\/v1\.2\.0\.zip/);
    assert.doesNotMatch(names, /secret/);
    assert.notEqual(made.code, 0, made.output);
  }
});

test('the latest version of what is not carried is not told either', async () => {
  const file = 'latest.goyi';
  await create(file, app, '--with-latest');
  const names = (await outside('list', path(file), '--files')).output;
  assert.match(names, /base\.example\/base\/@latest/);
  assert.doesNotMatch(names, /corp\.example/);
});

test('what only the log of the hub outside has is no public module, whatever else there is of it', async () => {
  const file = 'both.goyi';
  const made = await create(file, app, 'base.example/base@v1.1.0', '--private');
  assert.equal(made.code, 0, made.output);
  const { signer } = generateSignerKey(BUNDLE_KEY_NAME);
  await using honest = await openBundle({ file: path(file), keys: [key] });
  const files = await filesOf(honest);
  const publicFolder = `modules/sumdb/${world.database.key.name}/`;
  const lookup = `${publicFolder}lookup/base.example/base@v1.1.0`;
  const own = `modules/sumdb/${name}/lookup/base.example/base@v1.1.0`;
  assert.ok(files.has(lookup) && files.has(own));
  const note = files.get(lookup)?.toString() ?? '';
  const module = 'modules/base.example/base/@v/v1.1.0';
  const without = new Map([lookup, `${module}.mod`, `${module}.zip`].map((one) => [one, undefined]));
  const list = ['modules/base.example/base/@v/list', Buffer.from('v1.0.0\n')] as const;
  const cases: readonly [string, FileChanges, RegExp][] = [
    ['own-record', new Map([[lookup, undefined]]), /v1\.1\.0\.\w+ in \S+ comes without its record/],
    ['info-alone', new Map([...without, list]), /v1\.1\.0\.info in \S+ comes without its record/],
    [
      'note',
      new Map([[lookup, Buffer.from(note.replace(/^[\s\S]*?\n\n/, (record) => `${record}not signed by anybody\n`))]]),
      /its record and the head/,
    ],
    ['latest', new Map([['modules/base.example/base/@latest', Buffer.from('{"Version":"v1.9.9"}')]]), /v1\.9\.9, which it does not have/],
  ];
  for (const [i, [what, changes, sentence]] of cases.entries()) {
    const root = path(`refusing-${i}`);
    await mkdir(root);
    await using inside = await openInside({ root, database: world.database.key, foreign: [ownKey] });
    const forged = await resigned(honest, { file: path(`signed-${what}.goyi`), signer, changes });
    const error = await inside.import(forged, [signer.verifier], { isPrivate }).then(
      () => assert.fail(`${what} was taken`),
      (reason: unknown) => reason,
    );
    assert.match(messageOf(error), sentence, what);
    assert.notEqual(codeOf(error), undefined);
    assert.deepEqual((await inside.state()).rows, []);
  }
});

test('a list of wishes brings no private module out', async () => {
  const wish = (module: string, version: string): unknown => ({ module, version, count: 1, firstSeen: '', lastSeen: '' });
  const list = {
    format: 'goyi wishes 1',
    trees: [],
    wishes: [wish('git.corp.example/secret', 'v0.1.0'), wish('git.corp.example/lib/deep', 'v1.2.0'), wish('base.example/base', 'v1.1.0')],
  };
  await writeFile(path('wishes.json'), JSON.stringify(list));
  const made = await create('wishes.goyi', '--wishes', path('wishes.json'), '--private');
  assert.equal(made.code, 0, made.output);
  assert.match(made.output, /the wish for git\.corp\.example\/secret is passed over/);
  const names = (await outside('list', path('wishes.goyi'), '--files')).output;
  assert.match(names, /base\.example\/base\/@v\/v1\.1\.0\.zip/);
  assert.doesNotMatch(names, /corp\.example/);
});

test('a private version that was published while the bundle was read stays what it is', async () => {
  const made = await create('race.goyi', app, '--private');
  assert.equal(made.code, 0, made.output);
  const root = path('race');
  await mkdir(root);
  await using inside = await openInside({ root, database: world.database.key, foreign: [ownKey] });
  const zip = 'modules/git.corp.example/lib/@v/v1.2.0.zip' as BlobKey;
  const published: FileRow = {
    key: zip,
    kind: 'zip',
    module: 'git.corp.example/lib',
    version: 'v1.2.0',
    sizeBytes: 1,
    sha256: '0'.repeat(64),
    fingerprint: 'published',
    h1: `h1:${Buffer.alloc(32, 3).toString('base64')}`,
    origin: 'published',
    proof: { kind: 'private' },
    storedAtMs: 1,
  };
  // Behind everything that an import looks at.
  const begin = async (digest: string): Promise<CarriedFiles> => {
    await inside.metadata.recordFile(published);
    return CarriedFiles.begin(root, digest);
  };
  await assert.rejects(inside.import(path('race.goyi'), [key], { isPrivate, begin }), /import it again/);
  assert.deepEqual((await inside.state()).rows, [published]);
  await assert.rejects(inside.import(path('race.goyi'), [key], { isPrivate }), /\.zip of git\.corp\.example\/lib@v1\.2\.0 has h1:\S+ here/);
});

test('who serves private modules to a network is told that nobody is asked who he is', async () => {
  const made = await create('served.goyi', app, '--private');
  assert.equal(made.code, 0, made.output);
  const told = async (listen: string): Promise<string> => {
    // The port is taken: it says what it would do, and ends.
    const { code, output } = await outside('serve', path('served.goyi'), '--listen', listen);
    assert.equal(code, 8, output);
    return output;
  };
  await using taken = await listenOn('0.0.0.0');
  assert.match(await told(`0.0.0.0:${taken.port}`), /carries private modules, and whoever reaches this address may read them/);
  assert.doesNotMatch(await told(`127.0.0.1:${taken.port}`), /private modules/);
});

async function listenOn(host: string): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

test('a record without any file of its version stays outside, and keeps no bundle out', async () => {
  const proxy = createServer((req, res) => {
    const resource = req.url ?? '';
    if (resource.includes('/secret/')) return void res.writeHead(404).end('lost\n');
    void ask(hub, resource.slice(1), { method: req.method ?? 'GET' }).then(({ status, body }) => res.writeHead(status).end(body));
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as AddressInfo;
  const made = await outside('create', app, '--private', '--out', path('lost.goyi'), '--hub', `http://127.0.0.1:${port}`);
  proxy.close();
  assert.equal(made.code, 3, made.output);
  assert.doesNotMatch((await outside('list', path('lost.goyi'), '--files')).output, /secret/);
  const root = path('lost');
  await mkdir(root);
  await using inside = await openInside({ root, database: world.database.key, foreign: [ownKey] });
  assert.equal((await inside.import(path('lost.goyi'), [key], { isPrivate })).files, 6);
});
