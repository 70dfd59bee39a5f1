// A code host's webhooks, from the push to the verdict: a hub of two workers, a Git server with a password, a host that takes statuses and a chat.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type GitServer, startGitServer } from './support/git-server.ts';
import { ask, eventually } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';

const login = { username: 'bot', password: 'p4ss word' };
const secrets = { HOOK_SECRET: 'h00k-secret', HOST_TOKEN: 'h0st-token', ROBOT_SECRET: 'SEC-r0bot' };
const run = promisify(execFile);
const lib = 'git.corp.example/team/lib';

interface Told {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A host's API and a chat's robot on one port. A chat that is `deaf` takes the message and never answers. */
const told: Told[] = [];
let isDeaf = false;
const host = createServer((req, res) => {
  let body = '';
  req.on('data', (chunk: Buffer) => void (body += chunk.toString()));
  req.on('end', () => {
    told.push({ url: req.url ?? '', headers: req.headers, body });
    if (!isDeaf) res.writeHead(201, { 'content-type': 'application/json' }).end('{"errcode":0}');
  });
});

let world: SyntheticWorld;
let server: GitServer;
let hub: HubProcess;
let work = '';
let start: () => Promise<HubProcess>;

async function git(...args: readonly string[]): Promise<string> {
  const who = { GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@corp.example', GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@corp.example' };
  const env = { PATH: process.env['PATH'], HOME: world.folder, GIT_CONFIG_NOSYSTEM: '1', ...who };
  return (await run('git', ['-C', work, ...args], { env })).stdout.trim();
}

/** Answers the commit. */
async function push(goMod: string, tag: string): Promise<string> {
  await writeFile(join(work, 'go.mod'), goMod);
  await writeFile(join(work, 'lib.go'), `package lib\n\nconst Tag = "${tag}"\n`);
  await git('add', '-A');
  await git('commit', '-q', '--allow-empty', '-m', tag);
  await git('tag', '-f', tag);
  await git('push', '-q', '-f', '--tags', 'origin', 'HEAD:main');
  return await git('rev-parse', 'HEAD');
}

interface Hooked {
  readonly status: number;
  readonly text: string;
  readonly job: number | undefined;
}

async function hook(
  tag: string,
  { commit = '', secret = secrets.HOOK_SECRET, path = 'hooks/gitea', delivery = `d-${tag}` } = {},
): Promise<Hooked> {
  const body = JSON.stringify({
    ref: `refs/tags/${tag}`,
    before: '0'.repeat(40),
    after: commit,
    repository: { full_name: 'team/lib', clone_url: 'http://localhost:3000/team/lib.git' },
  });
  const signature = createHmac('sha256', secret).update(body).digest('hex');
  const reply = await fetch(`${hub.url}/${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-gitea-event': 'push',
      'x-gitea-delivery': delivery,
      'x-gitea-signature': signature,
    },
    body,
  });
  const text = await reply.text();
  return { status: reply.status, text, job: reply.ok ? (JSON.parse(text) as { job?: number }).job : undefined };
}

interface Job {
  readonly id: number;
  readonly kind: string;
  readonly subject: string;
  readonly state: string;
  readonly attempts: number;
  readonly outcome: string | null;
  readonly error: string | null;
}

async function jobs(): Promise<readonly Job[]> {
  return (JSON.parse((await ask(hub, 'api/v1/jobs')).body.toString()) as { jobs: readonly Job[] }).jobs;
}

async function ended(id: number | undefined): Promise<Job> {
  const job = await eventually(
    async () => (await jobs()).find((one) => one.id === id),
    (one) => one?.state === 'done' || one?.state === 'failed',
    40_000,
  );
  assert.ok(job !== undefined);
  return job;
}

before(async () => {
  world = await startWorld();
  world.publish('open.example/dep', 'v1.0.0');
  const bare = join(world.folder, 'repositories/team/lib.git');
  await mkdir(bare, { recursive: true });
  work = bare;
  await git('init', '-q', '--bare', '-b', 'main');
  work = join(world.folder, 'work');
  await mkdir(work);
  await git('init', '-q', '-b', 'main');
  await git('remote', 'add', 'origin', bare);
  server = await startGitServer(join(world.folder, 'repositories'), login);
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
  const config = join(world.folder, 'goyi.yaml');
  await writeFile(
    config,
    `access: {anonymous: [read, "read:git.corp.example/*"]}
private:
  - match: "git.corp.example/*"
    git: "${server.url}/{repo}.git"
    mode: archive-on-tag
    credential: {username: ${login.username}, passwordEnv: CORP_GIT_PASSWORD}
webhooks:
  hooks:
    - {kind: gitea, secretEnv: HOOK_SECRET, report: {api: "${address}/api/v1", tokenEnv: HOST_TOKEN}}
  chat:
    - {kind: dingtalk, urlEnv: ROBOT_URL, secretEnv: ROBOT_SECRET}
`,
  );
  const env = { ...secrets, ROBOT_URL: `${address}/robot/send?access_token=r0bot-token`, CORP_GIT_PASSWORD: login.password };
  start = () => world.hub({ workers: 2, args: ['--config', config], env });
  hub = await start();
});

after(async () => {
  await hub?.stop();
  host.closeAllConnections();
  host.close();
  await server?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

const file = (version: string, kind: string): string => `${lib}/@v/${version}.${kind}`;

test('a pushed tag is archived: not to be had before, to be had after, and host and chat are told', async () => {
  const commit = await push(`module ${lib}\n\ngo 1.21\n\nrequire open.example/dep v1.0.0\n`, 'v1.0.0');
  assert.equal((await ask(hub, file('v1.0.0', 'info'))).status, 404);
  const taken = await hook('v1.0.0', { commit });
  assert.equal(taken.status, 202, taken.text);
  const job = await ended(taken.job);
  assert.match(job.outcome ?? job.error ?? '', /^archive git\.corp\.example\/team\/lib@v1\.0\.0: /);
  for (const kind of ['info', 'mod', 'zip']) assert.equal((await ask(hub, file('v1.0.0', kind))).status, 200, kind);
  await eventually(
    () => told.length,
    (count) => count >= 2,
    10_000,
  );
  const status = told.find(({ url }) => url === `/api/v1/repos/team/lib/statuses/${commit}`);
  assert.deepEqual(
    [status?.headers.authorization, (JSON.parse(status?.body ?? '{}') as { state?: string }).state],
    [`token ${secrets.HOST_TOKEN}`, 'success'],
  );
  const chat = told.find(({ url }) => url.startsWith('/robot/send?access_token=r0bot-token&timestamp='));
  assert.match(chat?.body ?? '', /已归档/);
  const again = await hook('v1.0.0', { commit });
  assert.deepEqual([again.status, again.job], [200, taken.job]);
});

test('a tag that is moved is seen at once, told, and changes nothing that is served', async () => {
  const zip = (await ask(hub, file('v1.0.0', 'zip'))).body;
  told.length = 0;
  const commit = await push(`module ${lib}\n\ngo 1.21\n`, 'v1.0.0');
  const job = await ended((await hook('v1.0.0', { commit, delivery: 'moved' })).job);
  assert.match(job.outcome ?? job.error ?? '', new RegExp(`^archive .*; the tag was moved from [0-9a-f]{12} to ${commit.slice(0, 12)}`));
  assert.ok((await ask(hub, file('v1.0.0', 'zip'))).body.equals(zip));
  const chat = await eventually(
    () => told.find(({ url }) => url.startsWith('/robot/')),
    (one) => one !== undefined,
    10_000,
  );
  assert.match(chat?.body ?? '', /the tag was moved/);
});

test('a version that the gate blocks is not to be had, and the reason is on the commit', async () => {
  told.length = 0;
  const commit = await push('module other.example/m\n\ngo 1.21\n', 'v1.0.1');
  const job = await ended((await hook('v1.0.1', { commit })).job);
  assert.match(job.outcome ?? job.error ?? '', /^block .*its go\.mod says module other\.example\/m/);
  for (const kind of ['info', 'mod', 'zip']) {
    const refused = await ask(hub, file('v1.0.1', kind));
    assert.deepEqual(
      [refused.status, /was blocked when it was tagged: .*other\.example/.test(refused.firstLine)],
      [403, true],
      refused.firstLine,
    );
  }
  const latest = await eventually(
    async () => JSON.parse((await ask(hub, `${lib}/@latest`)).body.toString()) as { Version: string },
    ({ Version }) => Version === 'v1.0.0',
    10_000,
  );
  assert.equal(latest.Version, 'v1.0.0');
  assert.equal((await ask(hub, `${lib}/@v/list`)).body.toString(), 'v1.0.0\n');
  await eventually(
    () => readFile(join(hub.dataDir, 'modules', lib, '@v/list'), 'utf8').catch(() => ''),
    (text) => text === 'v1.0.0\n',
    10_000,
  );
  const status = await eventually(
    () => told.find(({ url }) => url.includes('/statuses/')),
    (one) => one !== undefined,
    10_000,
  );
  assert.match(status?.body ?? '', /"state":"failure".*says module other\.example\/m/);
});

test('an operator releases what was blocked: it is made, and that is in the audit trail', async () => {
  const admin = async (...args: readonly string[]): Promise<string> => {
    const launcher = fileURLToPath(new URL('../bin/goyi.mjs', import.meta.url));
    const { PATH = '', HOME = '' } = process.env;
    return (
      await run(process.execPath, [launcher, 'admin', ...args, '--data-dir', hub.dataDir], {
        env: { PATH, HOME, LANG: 'C' },
        cwd: tmpdir(),
      })
    ).stdout;
  };
  assert.match(await admin('verdict', 'show'), /team\/lib@v1\.0\.1 .*says module other\.example\/m/);
  await admin('verdict', 'clear', `${lib}@v1.0.1`, '--reason', 'ticket 7');
  await assert.rejects(admin('verdict', 'clear', `${lib}@v1.0.1`, '--reason', 'ticket 8'), (error: { code?: number }) => error.code === 3);
  assert.match(await admin('verdict', 'show'), /nothing is blocked/);
  const job = await eventually(
    async () => (await jobs()).find(({ kind }) => kind === 'release'),
    (one) => one?.state === 'done' || one?.state === 'failed',
    40_000,
  );
  assert.match(`${job?.state} ${job?.outcome ?? job?.error}`, /^done .*is stored/);
  assert.equal((await ask(hub, file('v1.0.1', 'zip'))).status, 200);
  assert.match(await admin('audit', 'list'), /policy\.override.*v1\.0\.1/);
});

test('what is wrong is refused and leaves nothing behind', async () => {
  const before = (await jobs()).length;
  assert.equal((await hook('v9.9.9', { secret: 'another' })).status, 401);
  assert.equal((await hook('v9.9.9', { path: 'hooks/github' })).status, 404);
  assert.equal((await hook('-x')).status, 400);
  assert.equal((await jobs()).length, before);
});

test('killed with -9 while a job runs, the hub does it when it is back', async () => {
  told.length = 0;
  isDeaf = true;
  const commit = await push(`module ${lib}\n\ngo 1.21\n`, 'v1.0.2');
  const taken = await hook('v1.0.2', { commit });
  assert.equal(taken.status, 202);
  await eventually(
    () => told.length,
    (count) => count >= 1,
    30_000,
  );
  await hub.kill();
  isDeaf = false;
  told.length = 0;
  hub = await start();
  assert.match((await ended(taken.job)).outcome ?? '', /^archive /);
  const ends = await eventually(
    async () => (await jobs()).filter(({ kind, subject }) => kind === 'report' && subject.includes('v1.0.2')),
    (reports) => reports.length === 2 && reports.every(({ state }) => state === 'done'),
    20_000,
  );
  assert.ok(
    ends.some(({ attempts }) => attempts >= 2),
    JSON.stringify(ends),
  );
  assert.ok(told.length >= 1);
  assert.equal((await ask(hub, file('v1.0.2', 'zip'))).status, 200);
});

test('no secret is in any line of the log, and the figures are there', async () => {
  const output = hub.output();
  for (const secret of [...Object.values(secrets), 'r0bot-token', login.password]) assert.ok(!output.includes(secret), secret);
  const metrics = (await ask(hub, '-/metrics')).body.toString();
  assert.match(metrics, /goyi_jobs_total\{kind="report",outcome="done"\} [12]/);
});
