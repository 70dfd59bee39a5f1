// The single executable, made as it is for people, in an environment without any Node: a command, and a whole hub with its workers and threads.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ask, assertServes } from '../support/hub-client.ts';
import { address } from '../support/synthetic-module.ts';
import { quickLimits, startWorld } from '../support/synthetic-world.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const executable = join(root, 'executables', `goyi-${process.platform}-${process.arch}`);
const run = promisify(execFile);

before(() => run(process.execPath, [join(root, 'scripts/dist.mjs')], { timeout: 300_000 }));

test('it says its version, and what is wrong, without any file beside it', async () => {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const env = { PATH: '/nowhere', LANG: 'C' };
  assert.equal((await run(executable, ['--version'], { env, cwd: '/' })).stdout.trim(), version);
  await assert.rejects(run(executable, ['serve', '--frobnicate'], { env, cwd: '/' }), (error: { code?: number; stderr?: string }) => {
    assert.match(error.stderr ?? '', /no flag --frobnicate/);
    return error.code === 2;
  });
});

test('it is a whole hub: two workers prove, store and serve', async () => {
  await using world = await startWorld();
  const made = world.publish('one.example/m', 'v1.0.0', { fillBytes: 100_000 });
  const dataDir = join(world.folder, 'data');
  const args = ['serve', '--listen', '127.0.0.1:0', '--data-dir', dataDir, '--workers', '2', '--upstreams', world.upstream.url];
  const databases = { GOYI_CHECKSUM_DATABASES: `${world.database.key.text} ${world.databaseServer.url}` };
  const child = spawn(executable, args, { env: { PATH: '/usr/bin:/bin', LANG: 'C', ...quickLimits, ...databases }, cwd: '/' });
  let output = '';
  const listening = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const found = /"address":"(http[^"]+)"/.exec(output)?.[1];
      if (found !== undefined) listening.resolve(found);
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  void ended.then(() => listening.reject(new Error(output)));
  try {
    const url = await listening.promise;
    for (const [file, bytes] of [
      ['info', made.info],
      ['mod', made.goMod],
      ['zip', made.zip],
    ] as const)
      assertServes(await ask({ url }, `${address(made)}${file}`), bytes, file);
    assert.match((await ask({ url }, 'docs/sdk.md')).body.toString(), /^# Go SDKs\n/);
  } finally {
    child.kill('SIGTERM');
    assert.equal(await ended, 0, output);
  }
});
