// The keys of a checksum database of our own, as an operator meets them: made by the first start, shown, guarded, rotated.
import assert from 'node:assert/strict';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, eventually, freePort } from './support/hub-client.ts';
import { runGoyi, startHub, temporaryFolder } from './support/hub-process.ts';
import { childrenOf } from './support/processes.ts';

const name = 'goyi.example/sumdb';
const API = 'api/v1/checksum-database';

interface Facts {
  readonly name: string;
  readonly verifierKey: string;
  readonly gosumdb: string;
  readonly former: readonly { readonly name: string; readonly gosumdb: string }[];
}

const factsOf = async (hub: { readonly url: string }): Promise<Facts> => {
  const { status, body, firstLine } = await ask(hub, API);
  assert.equal(status, 200, firstLine);
  return JSON.parse(body.toString()) as Facts;
};

/** The line that `key show` prints; fails unless it is the only one. */
async function shown(args: readonly string[]): Promise<string> {
  const { code, output } = await runGoyi(['admin', 'key', 'show', ...args]);
  assert.equal(code, 0, output);
  assert.match(output, /^GOSUMDB=\S+\n$/);
  return output.trimEnd();
}

test('a first start makes the key; show says the same line before, during and after', async () => {
  await using folder = await temporaryFolder();
  const dataDir = join(folder.path, 'data');
  const flags = ['--data-dir', dataDir, '--own-database-name', name];
  const early = await runGoyi(['admin', 'key', 'show', ...flags]);
  assert.equal(early.code, 1, early.output);
  assert.match(early.output, /has no key yet/);
  assert.deepEqual(await readdir(folder.path), [], 'to look makes nothing');
  const options = { dataDir, upstreams: ['off'], workers: 2, env: { GOYI_OWN_DATABASE_NAME: name } };
  let line = '';
  {
    await using hub = await startHub(options);
    line = await shown(flags);
    assert.ok(hub.output().includes(`"use":"${line}","msg":"made the signing key of the checksum database: keep a copy of the key file"`));
    assert.equal((await factsOf(hub)).gosumdb, line);
    const file = join(folder.path, 'data-keys', 'log.key');
    const modes = await Promise.all([file, join(folder.path, 'data-keys')].map(async (path) => (await stat(path)).mode & 0o777));
    assert.deepEqual(modes, [0o600, 0o700]);
    assert.ok(!(await readdir(dataDir, { recursive: true })).some((entry) => entry.endsWith('.key')));
    await assertSecret(await readFile(file, 'latin1'), [hub.pid, ...(await childrenOf(hub.pid))], hub.output());
  }
  assert.equal(await shown(flags), line);
  await using again = await startHub(options);
  assert.equal((await factsOf(again)).gosumdb, line);
  assert.match(again.output(), /the hub has a checksum database of its own/);
  assert.doesNotMatch(again.output(), /made the signing key/);
});

/** No process tells the key: neither in what it prints nor in what others see of it. */
async function assertSecret(keyLine: string, pids: readonly number[], output: string): Promise<void> {
  const secret = keyLine.trimEnd().slice(-44);
  assert.match(secret, /^[A-Za-z0-9+/]{44}$/);
  assert.ok(!output.includes(secret) && !output.includes('PRIVATE'));
  assert.ok(pids.length >= 3, pids.join());
  for (const pid of pids) {
    for (const file of ['cmdline', 'environ']) {
      const text = await readFile(`/proc/${pid}/${file}`, 'latin1').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return ''; // No Linux.
        throw error;
      });
      assert.ok(!text.includes(secret), `${file} of ${pid}`);
    }
  }
}

test('a key that others may read keeps the hub from starting, with the line that mends it', async () => {
  await using folder = await temporaryFolder();
  const dataDir = join(folder.path, 'data');
  const file = join(folder.path, 'data-keys', 'log.key');
  const flags = ['--data-dir', dataDir, '--own-database-name', name];
  assert.equal((await runGoyi(['admin', 'key', 'new', ...flags])).code, 0);
  const serve = ['serve', '--listen', '127.0.0.1:0', '--upstreams', 'off', '--workers', '1', ...flags];
  for (const mode of [0o640, 0o604]) {
    await chmod(file, mode);
    for (const args of [serve, ['admin', 'key', 'show', ...flags]]) {
      const { code, output } = await runGoyi(args);
      assert.equal(code, 2, output);
      assert.ok(output.includes(`run chmod 600 ${file}`), output);
      assert.doesNotMatch(output, /\n\s+at /, 'no stack trace');
    }
  }
  await chmod(file, 0o600);
  await using hub = await startHub({ dataDir, upstreams: ['off'], args: ['--own-database-name', name] });
  assert.equal((await factsOf(hub)).gosumdb, await shown(flags));
});

test('what cannot be a database of ours is refused at start', async () => {
  await using folder = await temporaryFolder();
  const dataDir = join(folder.path, 'data');
  const refusals = [
    { args: ['--own-database-name', 'sum.golang.org'], says: /name of a public checksum database/ },
    { args: ['--own-database-name', 'goyi.example/lookup'], says: /must read host\[\/path\]/ },
    { args: ['--own-database-name', name, '--own-database-key-file', join(dataDir, 'log.key')], says: /never lies inside the data folder/ },
    { args: ['--own-database-name', name, '--verify', 'off'], says: /sign: all cannot go with verify: off/ },
  ];
  for (const { args, says } of refusals) {
    const { code, output } = await runGoyi(['serve', '--listen', '127.0.0.1:0', '--upstreams', 'off', '--data-dir', dataDir, ...args]);
    assert.equal(code, 2, output);
    assert.match(output, says);
  }
  assert.deepEqual(await readdir(folder.path), [], 'nothing was made');
});

test('a lost key is not replaced by another under the same name', async () => {
  await using folder = await temporaryFolder();
  const dataDir = join(folder.path, 'data');
  await mkdir(join(dataDir, 'modules', 'sumdb', name), { recursive: true });
  const flags = ['--data-dir', dataDir, '--own-database-name', name];
  for (const args of [
    ['serve', '--listen', '127.0.0.1:0', '--upstreams', 'off', ...flags],
    ['admin', 'key', 'new', ...flags],
  ]) {
    const { code, output } = await runGoyi(args);
    assert.equal(code, 2, output);
    assert.match(output, /is gone, and goyi\.example\/sumdb cannot be signed on with another key: put it back from its backup/);
  }
});

test('a rotation: the printed configuration is written, the hub reloads, and both databases have their keys', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'goyi.yaml');
  const base = `listen: 127.0.0.1:${await freePort()}\ndataDir: data\nupstreams: off\nworkers: 1\n`;
  await writeFile(file, `${base}ownDatabase: {name: ${name}}\n`);
  const config = ['--config', file];
  await using hub = await startHub({ bare: true, dataDir: join(folder.path, 'data'), upstreams: [], args: config });
  const line = await shown(config);
  const dry = await runGoyi(['admin', 'key', 'rotate', '--dry-run', ...config]);
  assert.equal(dry.code, 0, dry.output);
  assert.match(dry.output, /^would make the key of goyi\.example\/sumdb-2 /);
  const before = await readdir(join(folder.path, 'data-keys'));
  const { code, output } = await runGoyi(['admin', 'key', 'rotate', ...config]);
  assert.equal(code, 0, output);
  assert.deepEqual(
    (await readdir(join(folder.path, 'data-keys'))).filter((entry) => !before.includes(entry)),
    ['goyi.example_sumdb-2.key'],
  );
  const next = /^GOSUMDB=goyi\.example\/sumdb-2\+\S+$/m.exec(output)?.[0];
  assert.ok(next !== undefined, output);
  assert.equal((await factsOf(hub)).gosumdb, line, 'nothing changes before the configuration does');
  await writeFile(`${file}.part`, base + (/\n(ownDatabase:\n(?: .*\n)+)/.exec(output)?.[1] ?? ''));
  await rename(`${file}.part`, file);
  const facts = await eventually(
    () => factsOf(hub),
    (answer) => answer.name !== name,
    15_000,
  );
  assert.equal(facts.gosumdb, next);
  assert.deepEqual(
    facts.former.map(({ gosumdb }) => gosumdb),
    [line],
  );
  assert.equal(await shown(config), next);
  // A former key that is lost is a fault of the reload; what runs goes on.
  await rename(join(folder.path, 'data-keys', 'log.key'), join(folder.path, 'copy'));
  hub.signal('SIGHUP');
  await eventually(
    () => hub.output(),
    (said) => said.includes('the configuration could not be reloaded'),
    15_000,
  );
  assert.equal((await factsOf(hub)).gosumdb, next);
  await rm(join(folder.path, 'copy'));
});
