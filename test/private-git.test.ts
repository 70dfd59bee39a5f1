// Private modules from a Git server with a password, through a hub of two workers, by stock go commands that have no Git credentials at all.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { startGitServer, type GitServer } from './support/git-server.ts';
import { runGo } from './support/go-command.ts';
import { ask, eventually, ownDatabaseKey } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

const login = { username: 'bot', password: 'p4ss word' };
const run = promisify(execFile);

let world: SyntheticWorld;
let server: GitServer;
let hub: HubProcess;
let key = '';
let work = '';

async function git(...args: readonly string[]): Promise<string> {
  const env = {
    PATH: process.env['PATH'],
    HOME: world.folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'A',
    GIT_AUTHOR_EMAIL: 'a@corp.example',
    GIT_COMMITTER_NAME: 'A',
    GIT_COMMITTER_EMAIL: 'a@corp.example',
  };
  return (await run('git', ['-C', work, ...args], { env })).stdout.trim();
}

async function commit(files: Readonly<Record<string, string>>, ...tags: readonly string[]): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(work, name, '..'), { recursive: true });
    await writeFile(join(work, name), text);
  }
  await git('add', '-A');
  await git('commit', '-q', '-m', 'change');
  for (const tag of tags) await git('tag', '-f', tag);
  await git('push', '-q', '-f', '--tags', 'origin', 'HEAD:main');
}

function told(): string {
  return [...world.upstream.requests.map(({ url }) => url), ...world.databaseServer.asked].join('\n');
}

before(async () => {
  world = await startWorld();
  world.publish('open.example/dep', 'v1.0.0');
  const bare = join(world.folder, 'repositories/Team/lib.git');
  await mkdir(bare, { recursive: true });
  work = bare;
  await git('init', '-q', '--bare', '-b', 'main');
  work = join(world.folder, 'work');
  await mkdir(work);
  await git('init', '-q', '-b', 'main');
  await git('remote', 'add', 'origin', bare);
  await commit(
    {
      'go.mod': 'module git.corp.example/Team/lib\n\ngo 1.21\n\nrequire open.example/dep v1.0.0\n',
      'lib.go': 'package lib\n\nimport _ "open.example/dep"\n\nconst Answer = 42\n',
      'sub/go.mod': 'module git.corp.example/Team/lib/sub\n\ngo 1.21\n',
      'sub/sub.go': 'package sub\n',
      LICENSE: 'ours\n',
    },
    'v1.0.0',
    'sub/v0.1.0',
  );
  server = await startGitServer(join(world.folder, 'repositories'), login);
  const config = join(world.folder, 'goyi.yaml');
  await writeFile(
    config,
    `access: {anonymous: [read, "read:git.corp.example/*"]}\nprivate:\n  - match: "git.corp.example/*"\n    git: "${server.url}/{repo}.git"\n    credential: {username: ${login.username}, passwordEnv: CORP_GIT_PASSWORD}\n`,
  );
  hub = await world.hub({
    workers: 2,
    args: ['--config', config],
    env: { GOYI_OWN_DATABASE_NAME: 'goyi.example/sumdb', CORP_GIT_PASSWORD: login.password },
  });
  key = await ownDatabaseKey(hub);
});

after(async () => {
  await hub?.stop();
  await server?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

async function project(name: string): Promise<(...args: readonly string[]) => Promise<string>> {
  const folder = join(world.folder, name);
  await mkdir(folder);
  await writeFile(join(folder, 'go.mod'), `module example.com/${name}\n\ngo 1.21\n`);
  await writeFile(join(folder, 'main.go'), 'package main\n\nimport "git.corp.example/Team/lib"\n\nfunc main() { println(lib.Answer) }\n');
  const settings = { GOPROXY: hub.url, GOSUMDB: key, GOMODCACHE: join(world.folder, `${name}-cache`) };
  return async (...args) => {
    const { code, stdout, stderr } = await runGo(folder, args, settings);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
}

test('go get, build, verify and list work with no credentials of the developer, and every hash is in the own database', async () => {
  const go = await project('one');
  await go('get', 'git.corp.example/Team/lib@v1.0.0');
  await go('build', '-o', 'app', '.');
  await go('mod', 'verify');
  assert.equal(await go('list', '-m', '-versions', 'git.corp.example/Team/lib'), 'git.corp.example/Team/lib v1.0.0');
  await go('get', 'git.corp.example/Team/lib/sub@latest');
  assert.match(await go('list', '-m', 'all'), /git\.corp\.example\/Team\/lib\/sub v0\.1\.0/);
  assert.match(told(), /open\.example/);
  assert.doesNotMatch(told(), /corp\.example/);
  assert.ok(!hub.output().includes(login.password) && !hub.output().includes('p4ss'));
});

test('branches and commits are pseudo-versions, as go itself makes them', async () => {
  await commit({ 'more.go': 'package lib\n' });
  const hash = (await git('rev-parse', 'HEAD')).slice(0, 12);
  const info = await eventually(
    async () => JSON.parse((await ask(hub, 'git.corp.example/!team/lib/@v/main.info')).body.toString()) as { Version: string },
    ({ Version }) => Version.endsWith(hash),
    15_000,
  );
  assert.match(info.Version, new RegExp(`^v1\\.0\\.1-0\\.\\d{14}-${hash}$`));
});

test('a moved tag changes nothing that was served, not even when the file is gone', async () => {
  const path = 'git.corp.example/!team/lib/@v/v1.0.0.zip';
  const first = await ask(hub, path);
  await commit({ 'lib.go': 'package lib\n\nconst Answer = 43\n' }, 'v1.0.0');
  assert.ok((await ask(hub, path)).body.equals(first.body));
  await hub.stop();
  await rm(join(hub.dataDir, 'modules', path));
  const config = join(world.folder, 'goyi.yaml');
  hub = await world.hub({
    workers: 1,
    args: ['--config', config],
    env: { GOYI_OWN_DATABASE_NAME: 'goyi.example/sumdb', CORP_GIT_PASSWORD: login.password },
  });
  // Made again of the commit that was served first: the mirror keeps it.
  assert.ok((await ask(hub, path)).body.equals(first.body));
});

test('without its Git server the hub serves what it has; a wrong password is a fault and no absence, and is shown nowhere', async () => {
  const config = join(world.folder, 'goyi.yaml');
  await hub.stop();
  hub = await world.hub({ args: ['--config', config], env: { CORP_GIT_PASSWORD: 'wr0ng-one' } });
  const wrong = await ask(hub, 'git.corp.example/!team/other/@v/list');
  assert.ok(wrong.status >= 500, `${wrong.status} ${wrong.firstLine}`);
  assert.doesNotMatch(wrong.body.toString() + hub.output(), /wr0ng/);
  assert.equal((await ask(hub, 'git.corp.example/!team/lib/@v/v1.0.0.zip')).status, 200);
  await server[Symbol.asyncDispose]();
  assert.equal((await ask(hub, 'git.corp.example/!team/lib/@v/v1.0.0.mod')).status, 200);
  assert.equal((await ask(hub, 'git.corp.example/!team/lib/@v/list')).body.toString(), 'v1.0.0\n');
  const down = await ask(hub, 'git.corp.example/!team/lib/@v/v1.9.0.info');
  assert.ok(down.status >= 500, `${down.status} ${down.firstLine}`);
});
