import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, beforeEach, test } from 'node:test';
import { parse } from 'yaml';
import { HubError } from '../../base/errors.ts';
import { generateCosigner } from '../../protocol/cosignature.ts';
import { generateSignerKey } from '../../protocol/note.ts';
import type { KeyPlace, OwnKey } from '../backends.ts';
import { loadConfig } from '../config/load.ts';
import { runCli } from '../main.ts';

const folder = await mkdtemp(join(tmpdir(), 'goyi-key-'));
after(() => rm(folder, { recursive: true, force: true }));
const logKey = join(folder, 'data-keys', 'log.key');
const configure = (text: string): Promise<void> => writeFile(join(folder, 'goyi.yaml'), text);

/** By file. */
const keys = new Map<string, OwnKey>();
let refusesToMake = false;
beforeEach(() => {
  keys.clear();
  refusesToMake = false;
});

const backends = {
  async readKey({ name, keyFile }: KeyPlace): Promise<OwnKey | undefined> {
    const key = keys.get(keyFile);
    if (key !== undefined && key.name !== name) throw new HubError('config-invalid', `${keyFile} holds the key of ${key.name}`);
    return key;
  },
  async makeKey(_config: unknown, { name, keyFile }: KeyPlace): Promise<OwnKey | undefined> {
    if (refusesToMake || keys.has(keyFile)) return undefined;
    const { signer } = generateSignerKey(name);
    const key = { name, keyFile, verifierKey: signer.verifier.text };
    keys.set(keyFile, key);
    return key;
  },
};

async function goyi(line: string, env: Record<string, string> = {}): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await runCli({
    argv: ['admin', 'key', ...line.split(' ')],
    env,
    cwd: folder,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    openStdin: () => Readable.from([]),
    isTerminal: false,
    version: '1.2.3',
    cores: 2,
    backends: backends as never,
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

const sumdb = 'ownDatabase: {name: goyi.example/sumdb}\n';
const verifierOf = (file: string): string => keys.get(file)?.verifierKey ?? '';

test('show prints exactly one line', async () => {
  await configure(sumdb);
  await backends.makeKey(undefined, { name: 'goyi.example/sumdb', keyFile: logKey });
  assert.deepEqual(await goyi('show'), { code: 0, out: `GOSUMDB=${verifierOf(logKey)}\n`, err: '' });
  assert.deepEqual(await goyi('show --lang zh'), { code: 0, out: `GOSUMDB=${verifierOf(logKey)}\n`, err: '' });
});

test('show --url appends the address of the database, quoted', async () => {
  await configure(`${sumdb}publicUrl: https://goyi.example/go/\n`);
  await backends.makeKey(undefined, { name: 'goyi.example/sumdb', keyFile: logKey });
  assert.equal((await goyi('show --url')).out, `GOSUMDB="${verifierOf(logKey)} https://goyi.example/go/sumdb/goyi.example/sumdb"\n`);
  await configure(sumdb);
  assert.equal((await goyi('show --url')).out, `GOSUMDB="${verifierOf(logKey)} http://127.0.0.1:8080/sumdb/goyi.example/sumdb"\n`);
  assert.match((await goyi('show --url --listen [::1]:1')).out, / http:\/\/\[::1\]:1\/sumdb\//);
  // What an address for all machines is called only its operator knows.
  await configure(`${sumdb}listen: :80\naccess: {anonymous: [read]}\n`);
  for (const line of ['show --url', 'show --url --listen 127.0.0.1:0']) {
    const refused = await goyi(line);
    assert.deepEqual([refused.code, refused.out], [2, '']);
    assert.match(refused.err, /--url needs publicUrl/);
  }
  assert.equal((await goyi('show')).code, 0);
  assert.equal((JSON.parse((await goyi('show --json')).out) as { gosumdbWithUrl: unknown }).gosumdbWithUrl, null);
});

test('show without a key, or without a database, ends with 1 and one sentence', async () => {
  for (const [text, says] of [
    [sumdb, new RegExp(`^goyi: goyi\\.example/sumdb has no key yet: there is no ${logKey}; goyi serve makes it at its first start`)],
    ['workers: 1\n', /^goyi: this hub has no checksum database of its own: ownDatabase\.name is not set\n$/],
  ] as const) {
    await configure(text);
    const { code, out, err } = await goyi('show');
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, says);
    assert.equal(err.trimEnd().split('\n').length, 1);
    const json = await goyi('show --json');
    assert.deepEqual([json.code, json.err], [1, '']);
    assert.equal((JSON.parse(json.out) as { error: { code: string } }).error.code, 'not-found');
    assert.match((await goyi('show --lang zh')).err, /\p{Script=Han}/u);
  }
});

test('show --json says what the API says, former databases included', async () => {
  const formerFile = join(folder, 'former.key');
  await configure(
    `ownDatabase: {name: goyi.example/2, sign: private, former: [{name: goyi.example/1, keyFile: former.key}, {name: goyi.example/0, keyFile: gone.key}]}\n`,
  );
  await backends.makeKey(undefined, { name: 'goyi.example/2', keyFile: logKey });
  await backends.makeKey(undefined, { name: 'goyi.example/1', keyFile: formerFile });
  assert.deepEqual(JSON.parse((await goyi('show --json')).out), {
    ok: true,
    keyFile: logKey,
    name: 'goyi.example/2',
    verifierKey: verifierOf(logKey),
    sign: 'private',
    gosumdb: `GOSUMDB=${verifierOf(logKey)}`,
    gosumdbWithUrl: `GOSUMDB="${verifierOf(logKey)} http://127.0.0.1:8080/sumdb/goyi.example/2"`,
    former: [{ name: 'goyi.example/1', verifierKey: verifierOf(formerFile), sign: 'all', gosumdb: `GOSUMDB=${verifierOf(formerFile)}` }],
  });
});

test('a key that may not be used is told as what it is, not as absent', async () => {
  await configure(sumdb);
  await backends.makeKey(undefined, { name: 'other.example', keyFile: logKey });
  const { code, err } = await goyi('show');
  assert.equal(code, 2);
  assert.match(err, /holds the key of other\.example/);
});

test('new makes the key of the configured name, once', async () => {
  await configure(sumdb);
  const dry = await goyi('new --dry-run');
  assert.deepEqual([dry.code, dry.out], [0, `would make the key of goyi.example/sumdb in ${logKey} (dry run, nothing was made)\n`]);
  assert.equal(keys.size, 0);
  const made = await goyi('new');
  assert.deepEqual([made.code, made.out], [0, `GOSUMDB=${verifierOf(logKey)}\n`]);
  assert.match(made.err, new RegExp(`^made the key; keep a copy of this file .*: ${logKey}\n$`));
  const before = verifierOf(logKey);
  for (const line of ['new', 'new --dry-run', 'new --json']) {
    const again = await goyi(line);
    assert.equal(again.code, 1, line);
    assert.match(again.out + again.err, /there is a key already, which stays as it is/);
  }
  assert.equal(verifierOf(logKey), before);
});

test('new loses to another process without harm', async () => {
  await configure(sumdb);
  refusesToMake = true;
  const { code, err } = await goyi('new');
  assert.equal(code, 1);
  assert.match(err, /there is a key already/);
});

test('new --name names the database, and says what to configure', async () => {
  await configure('workers: 1\n');
  const unnamed = await goyi('new');
  assert.deepEqual([unnamed.code, unnamed.out], [2, '']);
  assert.match(unnamed.err, /a key needs the name of its database/);
  const named = await goyi('new --name a.example/x');
  assert.equal(named.code, 0);
  assert.equal(keys.get(logKey)?.name, 'a.example/x');
  assert.match(named.err, /write this into the configuration: ownDatabase: \{name: a\.example\/x\}\n$/);
  await configure(sumdb);
  keys.clear();
  const other = await goyi('new --name a.example/x');
  assert.equal(other.code, 2);
  assert.match(other.err, /the configuration names goyi\.example\/sumdb; goyi admin key rotate/);
  assert.equal((await goyi('new --name goyi.example/sumdb')).code, 0);
  await configure('workers: 1\n');
  for (const [name, says] of [
    ['https://a.example', /--name must read host/],
    ['sum.golang.org', /--name: ownDatabase\.name: this is the name of a public checksum database/],
  ] as const) {
    const refused = await goyi(`new --name ${name}`);
    assert.equal(refused.code, 2);
    assert.match(refused.err, says);
  }
});

/** What `rotate` prints between its sentences. */
function configurationIn(out: string): string {
  return /\n(ownDatabase:\n(?: .*\n)+)/.exec(out)?.[1] ?? '';
}

test('rotate makes a key under the next name, and its configuration is one', async () => {
  await configure(`ownDatabase: {name: goyi.example/sumdb, sign: private}\n`);
  const early = await goyi('rotate');
  assert.deepEqual([early.code, early.out], [1, '']);
  assert.match(early.err, /has no key yet \(.*\), so there is nothing to rotate/);
  await backends.makeKey(undefined, { name: 'goyi.example/sumdb', keyFile: logKey });
  const nextFile = join(folder, 'data-keys', 'goyi.example_sumdb-2.key');
  const dry = await goyi('rotate --dry-run');
  assert.equal(dry.code, 0);
  assert.equal(keys.size, 1);
  assert.match(dry.out, new RegExp(`^would make the key of goyi\\.example/sumdb-2 in ${nextFile}`));
  const rotated = await goyi('rotate');
  assert.equal(rotated.code, 0);
  assert.equal(configurationIn(rotated.out), configurationIn(dry.out));
  assert.ok(rotated.out.includes(`\nGOSUMDB=${verifierOf(nextFile)}\n`));
  const written = loadConfig({
    file: { path: join(folder, 'goyi.yaml'), shown: 'goyi.yaml', text: configurationIn(rotated.out) },
    env: {},
    flags: {},
    folder,
    cores: 1,
  });
  assert.deepEqual(written.ok && written.config.ownDatabase, {
    name: 'goyi.example/sumdb-2',
    keyFile: nextFile,
    sign: 'private',
    former: [{ name: 'goyi.example/sumdb', keyFile: logKey, sign: 'private' }],
    witnesses: [],
  });
  const again = await goyi('rotate --json');
  const { made, verifierKey, configuration } = JSON.parse(again.out) as { made: boolean; verifierKey: string; configuration: unknown };
  assert.deepEqual([made, verifierKey], [false, verifierOf(nextFile)]);
  assert.deepEqual(configuration, parse(configurationIn(rotated.out)));
  assert.match((await goyi('rotate')).out, /^this key was made before: /);
  // The next one goes on from there.
  await configure(configurationIn(rotated.out));
  const third = parse(configurationIn((await goyi('rotate')).out)) as { ownDatabase: { name: string; former: { name: string }[] } };
  assert.equal(third.ownDatabase.name, 'goyi.example/sumdb-3');
  assert.deepEqual(
    third.ownDatabase.former.map(({ name }) => name),
    ['goyi.example/sumdb-2', 'goyi.example/sumdb'],
  );
});

test('rotate says that witnesses have to be told of the next database, and writes none of them for it', async () => {
  const witness = generateCosigner('witness.example/w1', Buffer.alloc(32, 1)).cosigner.key.cosigner.text;
  await configure(`ownDatabase: {name: goyi.example/sumdb, witnesses: [{url: "http://127.0.0.1:8090", key: "${witness}"}]}\n`);
  await backends.makeKey(undefined, { name: 'goyi.example/sumdb', keyFile: logKey });
  const rotated = await goyi('rotate');
  assert.match(rotated.out, /write ownDatabase\.witnesses anew/);
  assert.doesNotMatch(configurationIn(rotated.out), /witness/);
});

const names = [
  { own: 'goyi.example', former: [], next: 'goyi.example/2' },
  { own: 'goyi.example/2', former: [], next: 'goyi.example/3' },
  { own: 'goyi.example/a/b', former: [], next: 'goyi.example/a/b-2' },
  { own: 'goyi.example/log-9', former: [], next: 'goyi.example/log-10' },
  { own: 'goyi.example/v2', former: [], next: 'goyi.example/v2-2' },
  { own: 'goyi.example/log-007', former: [], next: 'goyi.example/log-007-2' },
  { own: 'goyi.example/x', former: ['goyi.example/X-2', 'goyi.example/x-3'], next: 'goyi.example/x-4' },
] as const;

for (const { own, former, next } of names) {
  test(`after ${own}${former.length > 0 ? ` and ${former.join(', ')}` : ''} comes ${next}`, async () => {
    await configure(`ownDatabase: {name: ${own}, former: [${former.map((name, at) => `{name: ${name}, keyFile: f${at}}`).join(', ')}]}\n`);
    await backends.makeKey(undefined, { name: own, keyFile: logKey });
    assert.equal((JSON.parse((await goyi('rotate --json')).out) as { name: string }).name, next);
  });
}

test('rotate refuses names that are taken or public, and more former databases than can be', async () => {
  await configure('ownDatabase: {name: goyi.example/x, former: [{name: goyi.example/w, keyFile: w}]}\n');
  await backends.makeKey(undefined, { name: 'goyi.example/x', keyFile: logKey });
  for (const [name, says] of [
    ['goyi.example/x', /is taken already: a new key needs a new name/],
    ['goyi.example/W', /is taken already/],
    ['sum.golang.org', /--name: ownDatabase\.name: this is the name of a public/],
    ['a b', /too many arguments/],
    ['a+b', /--name must read host/],
  ] as const) {
    const { code, err } = await goyi(`rotate --name ${name}`);
    assert.equal(code, 2, name);
    assert.match(err, says);
  }
  assert.equal(keys.size, 1);
  const former = Array.from({ length: 8 }, (_, at) => `{name: f${at}.example, keyFile: f${at}}`);
  await configure(`ownDatabase: {name: goyi.example/x, former: [${former.join(', ')}]}\n`);
  const full = await goyi('rotate');
  assert.equal(full.code, 2);
  assert.match(full.err, /has 8 databases already/);
});

test('rotate names the variables that would go before the file', async () => {
  await configure('workers: 1\n');
  await backends.makeKey(undefined, { name: 'goyi.example/x', keyFile: logKey });
  const { code, out } = await goyi('rotate --lang en', { GOYI_OWN_DATABASE_NAME: 'goyi.example/x' });
  assert.equal(code, 0);
  assert.match(out, /these variables go before the file, take them away or change them: GOYI_OWN_DATABASE_NAME\n/);
  assert.match(
    (await goyi('rotate --lang zh', { GOYI_OWN_DATABASE_NAME: 'goyi.example/x' })).out,
    /以下变量优先于配置文件.*GOYI_OWN_DATABASE_NAME\n/,
  );
});
