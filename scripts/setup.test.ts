import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

// The set-up script in a tiny project of its own, with a small program in the place of npm; run by the machine's own Node,
// which may be far older than the one goyi needs. POSIX only: the stand-ins are shell scripts.

const here = dirname(fileURLToPath(import.meta.url));
const options = { skip: process.platform === 'win32' };

/** Writes down that it was called, makes the tree that `npm ci` would make, and says something on standard output. */
const npmStandIn = `
const fs = require('node:fs');
fs.appendFileSync('npm-calls', process.argv.slice(2).join(' ') + '\\n');
process.stdout.write('added packages\\n');
fs.rmSync('node_modules', { recursive: true, force: true });
setTimeout(() => {
  if (fs.existsSync('npm-fails')) process.exit(7);
  fs.mkdirSync('node_modules/.bin', { recursive: true });
  fs.writeFileSync('node_modules/.bin/node', fs.readFileSync('pinned-node', 'utf8'), { mode: 0o755 });
}, 150);
`;

class Project {
  readonly root = mkdtempSync(join(tmpdir(), 'goyi-setup-'));

  constructor(pinnedNode: string) {
    mkdirSync(join(this.root, 'scripts'));
    cpSync(join(here, 'setup.mjs'), join(this.root, 'scripts/setup.mjs'));
    this.write('package-lock.json', '{"lockfileVersion": 3}');
    this.write('npm-cli.js', npmStandIn);
    this.write('pinned-node', pinnedNode);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.root, name), text);
  }

  get npmCalls(): readonly string[] {
    return existsSync(join(this.root, 'npm-calls')) ? readFileSync(join(this.root, 'npm-calls'), 'utf8').trimEnd().split('\n') : [];
  }

  run(node: string = machineNode()): { status: number | null; stdout: string; stderr: string } {
    return spawnSync(node, ['scripts/setup.mjs'], { cwd: this.root, env: this.#env(), encoding: 'utf8', timeout: 30_000 });
  }

  async runBeside(): Promise<number | null> {
    const child = spawn(machineNode(), ['scripts/setup.mjs'], { cwd: this.root, env: this.#env(), stdio: 'ignore', timeout: 30_000 });
    return new Promise((resolve) => child.once('exit', resolve));
  }

  #env(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'], npm_execpath: join(this.root, 'npm-cli.js') };
  }
}

const RUNS = '#!/bin/sh\nexit 0\n';
const DOES_NOT_RUN = '#!/no/such/loader\n';

function project(t: TestContext, pinnedNode: string = RUNS): Project {
  const made = new Project(pinnedNode);
  t.after(() => rmSync(made.root, { recursive: true, force: true }));
  return made;
}

/** The first `node` of PATH that is not the one of this project's own packages. */
function machineNode(): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'));
  return folders.map((folder) => join(folder, 'node')).find((path) => existsSync(path)) ?? process.execPath;
}

function majorOf(node: string): number {
  return Number(/^v(\d+)/.exec(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout)?.[1]);
}

test('installs once, and says so on standard error only', options, (t) => {
  const made = project(t);
  const first = made.run();
  assert.equal(first.status, 0, first.stderr);
  assert.equal(first.stdout, '');
  assert.match(first.stderr, /npm ci/);
  assert.match(first.stderr, /added packages/);
  const second = made.run();
  assert.deepEqual([second.status, second.stdout, second.stderr], [0, '', '']);
  assert.equal(made.npmCalls.length, 1);
  assert.match(made.npmCalls[0] ?? '', /^ci --include=dev --include=optional --ignore-scripts/);
});

test('installs again when the lock file has changed', options, (t) => {
  const made = project(t);
  made.run();
  made.write('package-lock.json', '{"lockfileVersion": 3, "packages": {}}');
  assert.equal(made.run().status, 0);
  assert.equal(made.npmCalls.length, 2);
});

test('installs again when the tree was removed', options, (t) => {
  const made = project(t);
  made.run();
  rmSync(join(made.root, 'node_modules'), { recursive: true });
  assert.equal(made.run().status, 0);
  assert.equal(made.npmCalls.length, 2);
});

test('of several at once one installs and all succeed', options, async (t) => {
  const made = project(t);
  assert.deepEqual(await Promise.all([made.runBeside(), made.runBeside(), made.runBeside(), made.runBeside()]), [0, 0, 0, 0]);
  assert.equal(made.npmCalls.length, 1);
  assert.deepEqual(readdirSync(join(made.root, '.tools')), []);
});

test('a lock left by a dead process does not hold anybody up', options, async (t) => {
  const made = project(t);
  const dead = spawnSync(process.execPath, ['--version']).pid;
  mkdirSync(join(made.root, '.tools/setup.lock'), { recursive: true });
  made.write('.tools/setup.lock/owner', `${dead}-left-behind`);
  assert.deepEqual(await Promise.all([made.runBeside(), made.runBeside(), made.runBeside()]), [0, 0, 0]);
  assert.equal(made.npmCalls.length, 1);
});

test('a failed npm ci fails with a sentence and is tried again next time', options, (t) => {
  const made = project(t);
  made.write('npm-fails', '');
  const failed = made.run();
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /npm ci failed \(7\).*run the same command again/);
  rmSync(join(made.root, 'npm-fails'));
  assert.equal(made.run().status, 0);
  assert.equal(made.npmCalls.length, 2);
});

test('a pinned Node that does not run here is taken out of the way', options, (t) => {
  const made = project(t, DOES_NOT_RUN);
  assert.equal(made.run(process.execPath).status, 0);
  assert.equal(existsSync(join(made.root, 'node_modules/.bin/node')), false);
  const node = machineNode();
  const again = made.run(node);
  if (majorOf(node) >= 24) {
    assert.equal(again.status, 0);
  } else {
    assert.equal(again.status, 1);
    assert.match(again.stderr, /goyi needs Node 24 or newer/);
    assert.match(again.stderr, /请先安装/);
  }
  assert.equal(made.npmCalls.length, 1);
});

test('the launcher answers an old Node with a sentence', options, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'goyi-launcher-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'dist/bin'), { recursive: true });
  cpSync(join(here, '../bin/goyi.mjs'), join(folder, 'bin/goyi.mjs'));
  chmodSync(join(folder, 'bin/goyi.mjs'), 0o755);
  writeFileSync(join(folder, 'dist/bin/goyi.js'), "console.log('started')\n");
  const node = machineNode();
  const old = spawnSync(node, ['bin/goyi.mjs'], { cwd: folder, encoding: 'utf8' });
  if (majorOf(node) < 24) {
    assert.equal(old.status, 1);
    assert.match(old.stderr, /Node 24 or newer is needed/);
    assert.match(old.stderr, /需要 Node 24/);
  } else {
    assert.equal(old.stdout, 'started\n');
  }
  assert.equal(spawnSync(process.execPath, ['bin/goyi.mjs'], { cwd: folder, encoding: 'utf8' }).stdout, 'started\n');
});
