import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { JOBS_PATH, type JobsPage } from '../../api/jobs.ts';
import { silentEvents } from '../../base/events.ts';
import { silentLog } from '../../base/log.ts';
import { HookDesk } from '../../hub/hook-desk.ts';
import { type HookKind, hookKinds, type TagEvent } from '../../hub/tag-event.ts';
import type { Metadata } from '../../meta/metadata.ts';
import { openSqliteMetadata } from '../../meta/sqlite-metadata.ts';
import { memoryFile } from '../../meta/sqlite-open.ts';
import { type FakeHub, type Reply, ask, startHub } from '../fake-station.ts';
import { HOOK_BODY_BYTES_MAX } from './answer-hook.ts';
import { sampleHooks, sampleNowMs, type SampleHook, secret } from './sample-hooks.ts';

let metadata: Metadata;
let fake: FakeHub;
let answered: string[] = [];
before(async () => {
  metadata = await openSqliteMetadata({ file: memoryFile, log: silentLog });
  const clock = { wallMs: () => sampleNowMs, monotonicMs: () => performance.now() };
  const desk = new HookDesk({ jobs: metadata, clock, onAdded: () => {} });
  const secrets = new Map<HookKind, { name: string; secret: string }[]>(hookKinds.map((kind) => [kind, [{ name: `our-${kind}`, secret }]]));
  secrets.get('github')?.push({ name: 'second', secret: 'the second secret' });
  const events = { ...silentEvents, hookAnswered: ({ outcome }: { outcome: string }) => void answered.push(outcome) };
  fake = await startHub({ clock, hooks: { desk, secrets, events }, trustedProxies: [{ address: '127.0.0.1', bits: 32 }] });
});
after(async () => {
  await fake.stop();
  await metadata[Symbol.asyncDispose]();
});

function post(path: string, headers: Readonly<Record<string, string>>, body: string | Buffer, method = 'POST'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const req = httpRequest({ host: '127.0.0.1', port: fake.port, path, method, agent: false, headers }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks) }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

function deliver(
  { kind, headers, query, body, sign }: SampleHook,
  more: { body?: object; headers?: Record<string, string>; path?: string } = {},
): Promise<Reply> {
  const text = JSON.stringify(more.body ?? body);
  const path = more.path ?? `/hooks/${kind}${query === undefined ? '' : `?${query}`}`;
  return post(path, { 'content-type': 'application/json', ...headers, ...sign(text), ...more.headers }, text);
}

const jobCount = async (): Promise<number> => (await metadata.jobs(1_000)).length;
const [github] = sampleHooks as readonly [SampleHook, ...SampleHook[]];

for (const sample of sampleHooks)
  test(`${sample.title}: 202 and a job, then 200 for the same delivery`, async () => {
    const before = await jobCount();
    // Its own tag, because one that waits takes in the next.
    const tag = `v1.0.${sampleHooks.indexOf(sample)}`;
    const body = JSON.parse(JSON.stringify(sample.body).replaceAll('v1.2.3', tag)) as object;
    const first = await deliver(sample, { body });
    assert.equal(first.status, 202, String(first.body));
    const { job, accepted } = JSON.parse(String(first.body)) as { job: number; accepted: boolean };
    assert.equal(accepted, true);
    const [row] = await metadata.jobs(1);
    assert.deepEqual([row?.id, row?.kind, row?.state], [job, 'tag', 'waiting']);
    const { kind, hook, path } = JSON.parse(row?.payload ?? '') as TagEvent;
    assert.deepEqual([kind, hook, path], [sample.kind, `our-${sample.kind}`, sample.event.path]);
    const second = await deliver(sample, { body, headers: { 'x-github-delivery': 'another' } });
    assert.deepEqual([second.status, await jobCount()], [200, before + 1]);
    assert.match(String(second.body), /taken before/);
  });

test('a hook is had by its name as well, and then by no other secret of its kind', async () => {
  assert.equal(
    (await deliver(github, { body: { ...github.body, ref: 'refs/tags/v7.0.0' }, path: '/hooks/github/our-github' })).status,
    202,
  );
  assert.equal((await deliver(github, { body: { ...github.body, ref: 'refs/tags/v7.0.1' }, path: '/hooks/github/second' })).status, 401);
});

const json = { 'content-type': 'application/json' };
const signed = (body: string): Record<string, string> => github.sign(body);
const refusals = [
  ['no signature', 401, '/hooks/github', json, '{}'],
  ['a wrong signature', 401, '/hooks/github', { ...json, ...signed('{"a":1}') }, '{}'],
  ['an unknown kind', 404, '/hooks/svn', json, '{}'],
  ['an unknown name', 404, '/hooks/github/nobody', json, '{}'],
  ['a longer path', 404, '/hooks/github/our-github/x', json, '{}'],
  ['another type', 400, '/hooks/github', { 'content-type': 'application/x-www-form-urlencoded', ...signed('{}') }, '{}'],
  ['no JSON', 400, '/hooks/github', { ...json, ...signed('{') }, '{'],
  ['a tag that is none', 400, '/hooks/github', { ...json, ...signed('{"ref":"refs/tags/"}') }, '{"ref":"refs/tags/"}'],
] as const;
for (const [title, status, path, headers, body] of refusals)
  test(`${title}: ${status}, one sentence, nothing stored`, async () => {
    const before = await jobCount();
    const reply = await post(path, headers, body);
    assert.equal(reply.status, status, String(reply.body));
    assert.match(String(reply.body), /^[^\n]+\n$/);
    assert.equal(reply.headers['cache-control']?.includes('immutable'), false);
    assert.equal(await jobCount(), before);
  });

test('a body above the cap: 413, whether it is announced or not', async () => {
  const large = Buffer.alloc(HOOK_BODY_BYTES_MAX + 1, 0x20);
  assert.equal((await post('/hooks/github', { ...json, 'content-length': String(large.length) }, '')).status, 413);
  const before = await jobCount();
  const chunked = await post('/hooks/github', { ...json, 'transfer-encoding': 'chunked', ...signed('') }, large).catch(
    (error: Error) => error,
  );
  if (!(chunked instanceof Error)) assert.equal(chunked.status, 413);
  assert.equal(await jobCount(), before);
});

/** Sends the head and a part of a body, and answers the first line that comes back; with nothing coming it keeps the request open. */
async function begin(
  headers: readonly string[],
  path: string,
  part: Buffer,
): Promise<{ readonly line: Promise<string>; readonly socket: Socket }> {
  const socket = connect(fake.port, '127.0.0.1');
  await once(socket, 'connect');
  const line = once(socket, 'data').then(([bytes]) => String(bytes).split('\r\n', 1)[0] ?? '');
  line.catch(() => {});
  const head = [`POST ${path} HTTP/1.1`, 'Host: hub', 'Content-Type: application/json', ...headers, '', ''].join('\r\n');
  socket.on('error', () => {}).write(Buffer.concat([Buffer.from(head), part]));
  return { line, socket };
}

const lengthMax = `Content-Length: ${HOOK_BODY_BYTES_MAX}`;

test('who shows a wrong secret where the body plays no part is refused before the body comes', async () => {
  const cases = [
    ['/hooks/gitlab', 'X-Gitlab-Token: wrong'],
    ['/hooks/codeup', 'X-Codeup-Token: wrong'],
    ['/hooks/tgit', 'X-Token: wrong'],
    ['/hooks/gitee', 'X-Gitee-Token: wrong'],
    ['/hooks/gitcode', 'X-GitCode-Token: wrong'],
    ['/hooks/zentao?timestamp=1&sign=x', 'X: y'],
    ['/hooks/github', 'X: y'],
  ] as const;
  for (const [path, header] of cases) {
    const { line, socket } = await begin([lengthMax, header], path, Buffer.alloc(0));
    assert.match(await line, /^HTTP\/1\.1 401 /, path);
    socket.destroy();
  }
});

test('bodies of who may be anybody keep nobody out who shows a secret, and one address not the others', async () => {
  const part = Buffer.alloc(HOOK_BODY_BYTES_MAX - 1, 0x20);
  const unknown = ['X-Hub-Signature-256: sha256=00', lengthMax];
  const first = await begin(unknown, '/hooks/github', part);
  // Above the share of one address: the second of two that are nearly whole is let go.
  const second = await begin(unknown, '/hooks/github', part);
  assert.match(await Promise.race([first.line, second.line]), /^HTTP\/1\.1 503 /);
  const elsewhere = await begin([...unknown, 'X-Forwarded-For: 192.0.2.7'], '/hooks/github', Buffer.concat([part, Buffer.from(' ')]));
  assert.match(await elsewhere.line, /^HTTP\/1\.1 401 /);
  const gitlab = sampleHooks.find(({ kind }) => kind === 'gitlab') ?? github;
  assert.equal((await deliver(gitlab, { body: { ...gitlab.body, ref: 'refs/tags/v8.0.0' } })).status, 202);
  for (const { socket } of [first, second, elsewhere]) socket.destroy();
});

test('another method: 405; another event: 200 and no job', async () => {
  assert.equal((await ask(fake.port, '/hooks/github')).status, 405);
  const before = await jobCount();
  const ping = await deliver({ ...github, headers: { 'x-github-event': 'ping' } }, { body: { zen: 'x' } });
  assert.deepEqual([ping.status, await jobCount()], [200, before]);
  assert.match(String(ping.body), /ping is not about a tag/);
});

test('no input is a 5xx or a hang', async () => {
  answered = [];
  const value = fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)), maxLength: 40 });
  const names = fc.constantFrom(
    'x-hub-signature-256',
    'x-gitee-token',
    'x-gitee-timestamp',
    'webhook-signature',
    'webhook-id',
    'webhook-timestamp',
    'x-gitlab-token',
    'x-token',
    'goyi-timestamp',
    'goyi-signature',
    'x-github-event',
    'x-gitlab-event',
    'x-coding-signature',
    'content-type',
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...hookKinds, 'x', ''),
      fc.dictionary(names, fc.oneof(value, fc.constantFrom(secret, String(sampleNowMs), String(sampleNowMs / 1_000), 'application/json'))),
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map((text) => Buffer.from(text)),
      ),
      fc.oneof(
        fc.constant(''),
        value.map((text) => `?${encodeURIComponent(text)}`),
      ),
      async (kind, headers, body, query) => {
        const { status } = await post(`/hooks/${kind}${query}`, headers, Buffer.from(body));
        assert.ok(status >= 200 && status < 500, `status ${status}`);
      },
    ),
    { numRuns: 600 },
  );
  assert.ok(answered.includes('unauthorized') && answered.length > 100);
});

test('jobs are listed a page at a time, on the machine of the hub alone', async () => {
  const page = async (query: string): Promise<JobsPage> =>
    JSON.parse(String((await ask(fake.port, `${JOBS_PATH}${query}`)).body)) as JobsPage;
  const first = await page('?limit=2');
  assert.deepEqual([first.jobs.length, first.jobs[0]?.state], [2, 'waiting']);
  const second = await page(`?limit=1000&before=${first.next}`);
  assert.equal(second.jobs.length, (await jobCount()) - 2);
  assert.equal(second.next, null);
  assert.equal((await ask(fake.port, `${JOBS_PATH}?limit=0`)).status, 400);
  assert.equal((await ask(fake.port, JOBS_PATH, { headers: { 'x-forwarded-for': '192.0.2.1' } })).status, 403);
});

test('without webhooks in the configuration every hook is unknown', async () => {
  const bare = await startHub();
  const reply = await ask(bare.port, '/hooks/github', { method: 'POST' });
  assert.equal(reply.status, 404);
  await bare.stop();
});
