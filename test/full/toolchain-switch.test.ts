// GOTOOLCHAIN=auto through a hub, and goyi sdk beside it: both give a go command of the same release, made of the same files.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { compareReleases, parseGoRelease, parseToolchainVersion } from '../../src/protocol/go-release.ts';
import { realUpstream, runGo } from '../support/go-command.ts';
import { roomyFolder, startHub } from '../support/hub-process.ts';

const run = promisify(execFile);
const launcher = new URL('../../bin/goyi.mjs', import.meta.url).pathname;

/** Digests and whether executable, of every file of an SDK. */
async function contents(folder: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // Where the go command unpacks a toolchain both names of a go.mod stay.
    if (entry.isFile() && entry.name !== '_go.mod' && entry.name !== '.goyi-sdk.json')
      found.set(
        relative(folder, path),
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      );
  }
  return found;
}

test('the go command switches to a newer toolchain through the hub, to the very files that goyi sdk installs', {
  timeout: 600_000,
}, async () => {
  await using folder = await roomyFolder(2 ** 31);
  const upstream = await realUpstream();
  const [local, platform] = (await run('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'])).stdout.trim().split(/\n(.*)/s, 2) as [string, string];
  const [os, arch] = platform.split('\n');
  const installed = parseGoRelease(local);
  assert.ok(installed.ok);
  const list = await (await fetch(`${upstream}/golang.org/toolchain/@v/list`)).text();
  const newer = list
    .split('\n')
    .flatMap((line) => parseToolchainVersion(line) ?? [])
    .filter((name) => name.os === os && name.arch === arch && compareReleases(name.release, installed.value) > 0)
    .map(({ release }) => release)
    .sort(compareReleases)[0];
  assert.ok(newer !== undefined, `the module proxy has no release newer than ${local}`);
  await using hub = await startHub({ dataDir: join(folder.path, 'data'), upstreams: [upstream] });
  const app = join(folder.path, 'app');
  await mkdir(app);
  await writeFile(join(app, 'go.mod'), `module app\n\ngo ${newer.slice(2)}\n`);
  const settings = { GOPROXY: hub.url, GOMODCACHE: join(folder.path, 'client', 'mod'), GOTOOLCHAIN: 'auto' };
  const version = await runGo(app, ['version'], settings);
  assert.equal(version.code, 0, version.stderr);
  assert.match(version.stdout, new RegExp(`^go version ${newer} `));
  const switched = (await runGo(app, ['env', 'GOROOT'], settings)).stdout.trim();

  const env = { HOME: folder.path, PATH: process.env['PATH'] ?? '', LANG: 'C', GOENV: 'off', GOPROXY: hub.url };
  await run(process.execPath, [launcher, 'sdk', 'install', newer], { env, cwd: app, timeout: 300_000 });
  const own = (await run(process.execPath, [launcher, 'sdk', 'which'], { env, cwd: app })).stdout.trim().replace(/\/bin\/go$/, '');
  const [theirs, ours] = await Promise.all([contents(switched), contents(own)]);
  assert.ok(ours.size > 5_000, `${ours.size} files`);
  assert.deepEqual(ours, theirs);
});
