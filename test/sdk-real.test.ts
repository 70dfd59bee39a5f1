// A real SDK: made by a hub from the real toolchain module, proved against the real checksum database, and good for building.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { realUpstream } from './support/go-command.ts';
import { roomyFolder, startHub } from './support/hub-process.ts';

const run = promisify(execFile);
const launcher = new URL('../bin/goyi.mjs', import.meta.url).pathname;

test('goyi sdk installs a real release, which builds and runs a program', { timeout: 300_000 }, async (t) => {
  await using folder = await roomyFolder(2 ** 30);
  const release = (await run('go', ['env', 'GOVERSION'])).stdout.trim();
  await using hub = await startHub({
    dataDir: join(folder.path, 'data'),
    upstreams: [await realUpstream()],
    env: { GOYI_LIMITS_PREFETCH_SLOTS: '0' },
  });
  const home = join(folder.path, 'home');
  await mkdir(join(home, 'app'), { recursive: true });
  const env = { HOME: home, PATH: process.env['PATH'] ?? '', LANG: 'C', GOENV: 'off', GOPROXY: 'off', GOSUMDB: 'sum.golang.org' };
  const goyi = async (...args: readonly string[]): Promise<string> => {
    const started = performance.now();
    const { stdout, stderr } = await run(process.execPath, [launcher, 'sdk', ...args], { cwd: join(home, 'app'), env, timeout: 240_000 });
    t.diagnostic(`goyi sdk ${args[0]}: ${Math.round(performance.now() - started)} ms`);
    return stdout + stderr;
  };
  const told = JSON.parse(await goyi('install', release, '--hub', hub.url, '--json')) as {
    installed: { goroot: string; receipt: { database: string } }[];
  };
  assert.equal(told.installed[0]?.receipt.database, 'sum.golang.org');
  const goroot = told.installed[0]?.goroot ?? '';
  await writeFile(join(home, 'app', 'go.mod'), `module app\n\ngo ${release.slice(2)}\n`);
  await writeFile(join(home, 'app', 'main.go'), 'package main\n\nimport "runtime"\n\nfunc main() { println(runtime.Version()) }\n');
  assert.match(await goyi('exec', '--', 'go', 'version'), new RegExp(`^go version ${release} `));
  assert.equal((await goyi('exec', '--', 'go', 'env', 'GOROOT')).trim(), goroot);
  await goyi('exec', '--', 'go', 'build', '-o', 'app', '.');
  const built = await run(join(home, 'app', 'app'));
  assert.equal(built.stderr.trim(), release);
  assert.match(
    await goyi('exec', '--', 'go', '-C', join(goroot, 'src'), 'list', '-m'),
    /^std$/m,
    'the go.mod of the standard library is there',
  );
  await goyi('exec', '--', 'gofmt', '-l', '.');
});
