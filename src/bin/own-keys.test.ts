import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { loadConfig } from '../cli/config/load.ts';
import { createKeyFile } from '../meta/key-file.ts';
import { openSignedHeads } from '../meta/signed-heads.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { makeOwnKey, publicFacts, readOwnKey, readOwnSigners, readyOwnKeys } from './own-keys.ts';

interface Place extends AsyncDisposable {
  readonly path: string;
  readonly keys: string;
  configOf(text: string): HubConfig;
}

async function place(): Promise<Place> {
  const path = await mkdtemp(join(tmpdir(), 'goyi-own-keys-'));
  await mkdir(join(path, 'data'));
  return {
    path,
    keys: join(path, 'data-keys'),
    configOf(text) {
      const outcome = loadConfig({
        file: { path: join(path, 'goyi.yaml'), shown: 'goyi.yaml', text },
        env: {},
        flags: {},
        folder: path,
        cores: 1,
      });
      assert.ok(outcome.ok);
      return outcome.config;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

const name = 'goyi.example/sumdb';
const root = Buffer.alloc(32).toString('base64');
const gone = { code: 'config-invalid', message: /is gone, and goyi\.example\/sumdb cannot be signed on with another key: put it back/ };

test('without a name nothing is made', async () => {
  await using here = await place();
  assert.deepEqual(await readyOwnKeys(here.configOf('workers: 1')), []);
  assert.equal(publicFacts(await readOwnSigners(here.configOf('workers: 1'))), undefined);
  await assert.rejects(stat(here.keys), { code: 'ENOENT' });
});

test('the key is made at the first start and found at every other', async () => {
  await using here = await place();
  const config = here.configOf(`ownDatabase: {name: ${name}}`);
  const [first] = await readyOwnKeys(config);
  assert.deepEqual([first?.made, first?.name, first?.keyFile], [true, name, join(here.keys, 'log.key')]);
  const [second] = await readyOwnKeys(config);
  assert.deepEqual(second, { ...first, made: false });
  const signers = await readOwnSigners(config);
  assert.deepEqual(publicFacts(signers), { name, sign: 'all', verifierKey: first?.verifierKey, former: [] });
  assert.doesNotMatch(JSON.stringify(await readOwnKey({ name, keyFile: join(here.keys, 'log.key') })), /PRIVATE/);
});

test('of two that start at once one makes the key, and both have it', async () => {
  await using here = await place();
  const config = here.configOf(`ownDatabase: {name: ${name}}`);
  const both = (await Promise.all([readyOwnKeys(config), readyOwnKeys(config)])).flat();
  assert.equal(both[0]?.verifierKey, both[1]?.verifierKey);
  assert.equal(both.filter(({ made }) => made).length, 1);
});

test('former databases have their keys, or the hub does not start', async () => {
  await using here = await place();
  const config = here.configOf(`ownDatabase: {name: ${name}-2, former: [{name: ${name}, keyFile: former.key, sign: private}]}`);
  await assert.rejects(readyOwnKeys(config), gone);
  assert.deepEqual(await readdir(here.path), ['data'], 'a former key is never made, and no other before it is there');
  const former = await createKeyFile({ file: join(here.path, 'former.key'), name });
  const keys = await readyOwnKeys(config);
  assert.deepEqual(
    keys.map((key) => [key.name, key.made]),
    [
      [`${name}-2`, true],
      [name, false],
    ],
  );
  assert.deepEqual(publicFacts(await readOwnSigners(config))?.former, [{ name, sign: 'private', verifierKey: former?.verifier.text }]);
});

test('a key that is gone though its database has signed is not made anew', async () => {
  await using here = await place();
  const config = here.configOf(`ownDatabase: {name: ${name}}`);
  await readyOwnKeys(config);
  {
    await using heads = await openSignedHeads(here.keys);
    await heads.remember({ name, treeSize: 3, root, note: 'note' });
  }
  await rename(join(here.keys, 'log.key'), join(here.path, 'copy'));
  await assert.rejects(readyOwnKeys(config), gone);
  await assert.rejects(makeOwnKey({ name, keyFile: join(here.path, 'elsewhere.key') }, config.dataDir), gone);
  await assert.rejects(readOwnSigners(config), gone);
  await rename(join(here.path, 'copy'), join(here.keys, 'log.key'));
  assert.equal((await readyOwnKeys(config))[0]?.made, false);
});

test('nor is it when all that is left of what it signed are records in the metadata', async () => {
  await using here = await place();
  const config = here.configOf(`ownDatabase: {name: ${name}}`);
  const hash = `h1:${root}`;
  {
    await using metadata = await openSqliteMetadata({ file: join(config.dataDir, 'goyi.db'), log: silentLog });
    assert.equal((await readyOwnKeys(config))[0]?.made, true, 'metadata without such a log is no reason');
    const entry = { module: 'a.example/m', version: 'v1.0.0', zipHash: hash, modHash: hash, provedBy: undefined };
    await metadata.appendOwn(name, [entry], 0);
  }
  await rm(here.keys, { recursive: true });
  await assert.rejects(readyOwnKeys(config), gone);
  await assert.rejects(readOwnSigners(config), gone);
});

test('nor is it when the whole folder of keys is gone, but the data folder has what it signed', async () => {
  await using here = await place();
  await mkdir(join(here.path, 'data', 'modules', 'sumdb', name), { recursive: true });
  await assert.rejects(readyOwnKeys(here.configOf(`ownDatabase: {name: ${name}}`)), gone);
  assert.equal((await readyOwnKeys(here.configOf(`ownDatabase: {name: ${name}-2}`)))[0]?.made, true);
});

test('a key folder that a symbolic link leads into the data folder is refused, before a key is in it', async () => {
  await using here = await place();
  await mkdir(join(here.path, 'data', 'secret'));
  await symlink(join(here.path, 'data', 'secret'), here.keys);
  await assert.rejects(readyOwnKeys(here.configOf(`ownDatabase: {name: ${name}}`)), {
    code: 'config-invalid',
    message: /lies inside the data folder/,
  });
  assert.deepEqual(await readdir(join(here.path, 'data', 'secret')), []);
});

test('a key that others may read stops the start', async () => {
  await using here = await place();
  const config = here.configOf(`ownDatabase: {name: ${name}}`);
  await readyOwnKeys(config);
  await chmod(join(here.keys, 'log.key'), 0o644);
  await assert.rejects(readyOwnKeys(config), { code: 'config-invalid', message: /run chmod 600/ });
  await assert.rejects(readOwnSigners(config), { code: 'config-invalid' });
});
