import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { formatProblem } from '../../api/problem.ts';
import { formatWarmEvent, type WarmEvent } from '../../api/warm.ts';
import { runCli } from '../main.ts';

const folder = await mkdtemp(join(tmpdir(), 'goyi-warm-'));
await mkdir(join(folder, 'both'));
await mkdir(join(folder, 'empty'));
const goMod = '// a comment\nmodule m\n';
await writeFile(join(folder, 'both', 'go.mod'), goMod);
await writeFile(join(folder, 'both', 'go.sum'), 'sums');
await writeFile(join(folder, 'env'), 'GOFLAGS=-x\nGOPRIVATE=written.example\n');

interface Asked {
  readonly url: string;
  readonly type: string;
  readonly body: string;
}

const asked: Asked[] = [];
let reply: (res: ServerResponse, req: IncomingMessage) => void = () => {};
const server = createServer((req, res) => {
  let body = '';
  req.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')));
  req.on('end', () => {
    asked.push({ url: req.url ?? '', type: String(req.headers['content-type']), body });
    reply(res, req);
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const hub = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const counts = { total: 3, done: 3, fetched: 2, present: 1, failed: 0, skipped: 0, bytes: 2048, presentBytes: 5 };
const summary: WarmEvent = { event: 'summary', ok: true, dryRun: false, ...counts, seconds: 1.25 };

function stream(...events: readonly WarmEvent[]): void {
  reply = (res) => {
    res.writeHead(200, { 'content-type': 'application/x-ndjson' });
    res.end(events.map(formatWarmEvent).join(''));
  };
}

async function goyi(
  line: string,
  more: { env?: Record<string, string>; isTerminal?: boolean; stdin?: string; signal?: AbortSignal; to?: string } = {},
): Promise<{ code: number; out: string; err: string }> {
  asked.length = 0;
  let out = '';
  let err = '';
  const code = await runCli({
    argv: ['warm', ...(more.to === '' ? [] : ['--hub', more.to ?? hub]), ...line.split(' ').filter((word) => word !== '')],
    env: { GOENV: 'off', ...more.env },
    cwd: folder,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    openStdin: () => Readable.from([Buffer.from(more.stdin ?? '')]),
    isTerminal: more.isTerminal ?? false,
    version: '1.2.3',
    cores: 2,
    backends: {} as never,
    signal: more.signal ?? new AbortController().signal,
  });
  return { code, out, err };
}

const sources: { name: string; line: string; env?: Record<string, string>; stdin?: string; sent: Asked[] }[] = [
  {
    name: 'a folder: go.sum, then go.mod',
    line: 'both',
    sent: [
      { url: '/api/v1/warm', type: 'text/x-go-sum', body: 'sums' },
      { url: '/api/v1/warm', type: 'text/x-go-mod', body: goMod },
    ],
  },
  { name: 'a file, dry', line: 'both/go.sum --dry-run', sent: [{ url: '/api/v1/warm?dryRun=true', type: 'text/x-go-sum', body: 'sums' }] },
  { name: 'a go.mod on standard input', line: '-', stdin: goMod, sent: [{ url: '/api/v1/warm', type: 'text/x-go-mod', body: goMod }] },
  { name: 'a go.sum on standard input', line: '-', stdin: 'a b c', sent: [{ url: '/api/v1/warm', type: 'text/x-go-sum', body: 'a b c' }] },
  {
    name: 'private names stay here',
    line: 'both/go.sum',
    env: { GOPRIVATE: '*.corp.example,b' },
    sent: [{ url: '/api/v1/warm?skip=*.corp.example%2Cb', type: 'text/x-go-sum', body: 'sums' }],
  },
  {
    name: 'GONOPROXY=none means none',
    line: 'both/go.sum',
    env: { GONOPROXY: 'none', GOPRIVATE: 'x' },
    sent: [{ url: '/api/v1/warm', type: 'text/x-go-sum', body: 'sums' }],
  },
  {
    name: 'what go env -w wrote counts',
    line: 'both/go.sum',
    env: { GOENV: join(folder, 'env') },
    sent: [{ url: '/api/v1/warm?skip=written.example', type: 'text/x-go-sum', body: 'sums' }],
  },
];
for (const { name, line, env = {}, stdin = '', sent } of sources) {
  test(name, async () => {
    stream(summary);
    const { code } = await goyi(line, { env, stdin });
    assert.equal(code, 0);
    assert.deepEqual(asked, sent);
  });
}

test('in a pipe only the result is said; a terminal sees progress; JSON is one value', async () => {
  stream({ event: 'progress', ...counts, done: 1 }, { event: 'note', reason: 'a note' }, summary);
  const quiet = await goyi('both/go.mod');
  assert.deepEqual(quiet, { code: 0, out: 'fetched and proved 2 files, 2.0 KiB, in 1.3 s; 1 were there already\n', err: 'note: a note\n' });
  const seen = await goyi('both/go.mod', { isTerminal: true });
  assert.match(seen.err, /asking the hub to fetch both\/go\.mod/);
  const { ok, fetched, failures, notes } = JSON.parse((await goyi('both/go.mod --json')).out) as Record<string, unknown>;
  assert.deepEqual([ok, fetched, failures, notes], [true, 2, [], ['a note']]);
  assert.match((await goyi('both --lang zh')).out, /^获取并验证了 4 个文件，共 4\.0 KiB/);
});

test('a dry run lists what would be fetched, once', async () => {
  const missing = { event: 'would-fetch', path: 'a.example/a', version: 'v1.0.0', file: 'zip' } as const;
  stream(missing, { ...summary, dryRun: true, fetched: 1, bytes: 0 });
  const { code, out } = await goyi('both --dry-run');
  assert.equal(code, 0);
  assert.equal(out, 'would fetch a.example/a@v1.0.0 .zip\n1 file would be fetched, 2 are there already (dry run, nothing was fetched)\n');
});

const outcomes = [
  { codes: ['not-found'], exit: 3 },
  { codes: ['not-found', 'origin-unavailable'], exit: 6 },
  { codes: ['not-found', 'checksum-mismatch', 'policy-denied'], exit: 5 },
  { codes: ['policy-denied', 'not-found'], exit: 4 },
  { codes: ['storage-full', 'origin-timeout'], exit: 7 },
  { codes: ['invented-later'], exit: 1 },
];
for (const { codes, exit } of outcomes) {
  test(`${codes.join(', ')}: exit code ${exit}`, async () => {
    const failures = codes.map(
      (code) => ({ event: 'failed', path: 'a.example/a', version: 'v1.0.0', file: 'zip', code, reason: 'why' }) as const,
    );
    stream(...failures, { ...summary, ok: false, failed: codes.length });
    const { code, err } = await goyi('both/go.mod');
    assert.equal(code, exit);
    assert.match(err, new RegExp(`^${codes.length} failed:\n {2}a\\.example/a@v1\\.0\\.0 \\.zip \\(${codes[0]}\\): why\n`));
    assert.equal(JSON.parse((await goyi('both/go.mod --json')).out).failures.length, codes.length);
  });
}

test('many failures: the first are printed, the others counted', async () => {
  const failure = { event: 'failed', path: 'a.example/a', version: 'v1.0.0', file: 'mod', code: 'not-found', reason: 'why' } as const;
  stream(...Array.from({ length: 50 }, () => failure), { ...summary, ok: false, failed: 70 });
  const { err } = await goyi('both/go.mod');
  assert.equal(err.match(/\(not-found\)/g)?.length, 20);
  assert.match(err, /… and 50 more/);
});

const faults: { name: string; reply: typeof reply; exit: number; says: RegExp }[] = [
  {
    name: 'a refusal of the hub',
    reply: (res) => {
      res.writeHead(403, { 'content-type': 'application/problem+json' });
      res.end(
        formatProblem({ title: 'Forbidden', status: 403, detail: 'from the machine of the hub alone', code: 'forbidden', request: 'r' }),
      );
    },
    exit: 4,
    says: /both\/go\.mod: from the machine of the hub alone/,
  },
  { name: 'something else that listens there', reply: (res) => void res.end('<html>'), exit: 6, says: /is no goyi hub/ },
  {
    name: 'events of no kind',
    reply: (res) => void res.writeHead(200, { 'content-type': 'application/x-ndjson' }).end('{"event":"x"}\n'),
    exit: 6,
    says: /is no goyi hub/,
  },
  {
    name: 'a clean end without a summary',
    reply: (res) =>
      void res.writeHead(200, { 'content-type': 'application/x-ndjson' }).end(formatWarmEvent({ event: 'note', reason: 'x' })),
    exit: 6,
    says: /broke off/,
  },
  {
    name: 'a cut',
    reply: (res) => {
      res.writeHead(200, { 'content-type': 'application/x-ndjson' }).write('{"event"');
      setImmediate(() => res.destroy());
    },
    exit: 6,
    says: /broke off/,
  },
  {
    name: 'a line without an end',
    reply: (res) => void res.writeHead(200, { 'content-type': 'application/x-ndjson' }).end('x'.repeat(100_000)),
    exit: 6,
    says: /line without an end/,
  },
  {
    name: 'a run that could not go on',
    reply: (res) =>
      void res
        .writeHead(200, { 'content-type': 'application/x-ndjson' })
        .end(formatWarmEvent({ event: 'error', code: 'storage-fault', reason: 'no\u001bdata' })),
    exit: 7,
    says: /storage-fault\): no\uFFFDdata/,
  },
];
for (const { name, reply: given, exit, says } of faults) {
  test(`the command tells apart: ${name}`, async () => {
    reply = given;
    const { code, out, err } = await goyi('both/go.mod');
    assert.equal(code, exit, err);
    assert.equal(out, '');
    assert.match(err, says);
  });
}

const misuses = [
  { line: 'nowhere', says: /nowhere cannot be read \(ENOENT\)/ },
  { line: 'empty', says: /neither a go\.mod nor a go\.sum in empty/ },
  { line: '- -', says: /named only once/ },
  { line: 'both --hub ftp://x', says: /is no address of a hub/ },
  { line: 'both --hub http://a:b@x', says: /is no address of a hub/ },
];
for (const { line, says } of misuses) {
  test(`wrong use: ${line}`, async () => {
    const { code, err } = await goyi(line);
    assert.equal(code, 2);
    assert.match(err, says);
    assert.equal(asked.length, 0);
  });
}

test('no hub is said in one sentence; an interrupted command ends with 130', async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const { code, err } = await goyi('both/go.mod', { to: '', env: { GOYI_LISTEN: `127.0.0.1:${port}` } });
  assert.equal(code, 6);
  assert.match(err, new RegExp(`cannot reach the hub at http://127\\.0\\.0\\.1:${port}/api/v1/warm: .*ECONNREFUSED`));
  const stop = new AbortController();
  reply = (res) => {
    res.writeHead(200, { 'content-type': 'application/x-ndjson' }).flushHeaders();
    stop.abort(new Error('stopped by SIGINT'));
  };
  assert.equal((await goyi('both/go.mod', { signal: stop.signal })).code, 130);
});
