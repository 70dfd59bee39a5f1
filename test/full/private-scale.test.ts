// Private modules of a size that companies have: a thousand versions, and a repository of 300 MB, through a whole hub by a stock go command.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { runGo } from '../support/go-command.ts';
import { ask, ownDatabaseKey } from '../support/hub-client.ts';
import type { HubProcess } from '../support/hub-process.ts';
import { childrenOf, peakMegabytes } from '../support/processes.ts';
import { startWorld, type SyntheticWorld } from '../support/synthetic-world.ts';

const login = { username: 'bot', password: 'p4ss word' };
const run = promisify(execFile);
const versionsCount = 1_000;
const largeMegabytes = 300;

let world: SyntheticWorld;
let server: GitServer;
let hub: HubProcess;
let key = '';

async function git(folder: string, args: readonly string[], input = ''): Promise<void> {
  const who = { GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@corp.example', GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@corp.example' };
  const env = { PATH: process.env['PATH'], HOME: world.folder, GIT_CONFIG_NOSYSTEM: '1', ...who };
  const child = run('git', ['-C', folder, ...args], { env });
  child.child.stdin?.on('error', () => {}).end(input);
  await child;
}

/** A repository of one commit, with these tags on it. */
async function repository(name: string, files: Readonly<Record<string, string | Buffer>>, tags: readonly string[]): Promise<void> {
  const folder = join(world.folder, 'repositories/team', `${name}.git`);
  await mkdir(folder, { recursive: true });
  await git(folder, ['init', '-q', '-b', 'main']);
  for (const [file, bytes] of Object.entries(files)) await writeFile(join(folder, file), bytes);
  await git(folder, ['add', '-A']);
  await git(folder, ['commit', '-q', '-m', 'all']);
  await git(folder, ['update-ref', '--stdin'], tags.map((tag) => `create refs/tags/${tag} HEAD\n`).join(''));
}

before(async () => {
  world = await startWorld();
  const names = Array.from({ length: versionsCount }, (_, number) => `v1.${number}.0`);
  await repository('many', { 'go.mod': 'module git.corp.example/team/many\n\ngo 1.21\n', 'many.go': 'package many\n' }, names);
  const parts = Array.from({ length: 30 }, (_, number) => [`part${number}.bin`, randomBytes((largeMegabytes * 1_000_000) / 30)] as const);
  const large = {
    'go.mod': 'module git.corp.example/team/large\n\ngo 1.21\n',
    'large.go': 'package large\n',
    ...Object.fromEntries(parts),
  };
  await repository('large', large, ['v1.0.0']);
  server = await startGitServer(join(world.folder, 'repositories'), login);
  const config = join(world.folder, 'goyi.yaml');
  await writeFile(
    config,
    `access: {anonymous: [read, "read:git.corp.example/*"]}
private:
  - match: "git.corp.example/*"
    git: "${server.url}/{repo}.git"
    rootElements: 3
    credential: {username: ${login.username}, passwordFile: git.secret}
`,
  );
  await writeFile(join(world.folder, 'git.secret'), `${login.password}\n`);
  const env = { GOYI_OWN_DATABASE_NAME: 'goyi.example/sumdb' };
  hub = await world.hub({ workers: 1, args: ['--config', config], env });
  key = await ownDatabaseKey(hub);
});

after(async () => {
  await using stack = new AsyncDisposableStack();
  for (const owned of [world, server, hub]) if (owned !== undefined) stack.use(owned);
});

async function go(...args: readonly string[]): Promise<string> {
  const settings = { GOPROXY: hub.url, GOSUMDB: key, GOMODCACHE: join(world.folder, 'cache') };
  const { code, stdout, stderr } = await runGo(world.folder, args, settings);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

test('a thousand private versions are listed', async () => {
  const [name, ...versions] = (await go('list', '-m', '-versions', 'git.corp.example/team/many')).split(' ');
  assert.deepEqual([name, versions.length, versions.at(-1)], ['git.corp.example/team/many', versionsCount, `v1.${versionsCount - 1}.0`]);
});

test('a module of 300 MB is made, recorded, verified by the client and kept out of memory', async () => {
  const workers = await childrenOf(hub.pid);
  let told: { readonly Sum?: string; readonly Zip?: string } = {};
  const peak = await peakMegabytes(workers, async () => {
    told = JSON.parse(await go('mod', 'download', '-json', 'git.corp.example/team/large@v1.0.0')) as typeof told;
  });
  assert.match(told.Sum ?? '', /^h1:/);
  assert.ok(peak < 250, `a worker had ${Math.round(peak)} MB`);
  const { body } = await ask(hub, `sumdb/goyi.example/sumdb/lookup/git.corp.example/team/large@v1.0.0`);
  assert.ok(body.toString().includes(`git.corp.example/team/large v1.0.0 ${told.Sum}`));
});

test('nobody outside heard of any of it', () => {
  const told = [...world.upstream.requests.map(({ url }) => url), ...world.databaseServer.asked].join('\n');
  assert.doesNotMatch(told, /corp\.example/);
});
