import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { request } from 'node:http';
import { parseProblem, type Problem } from '../api/problem.ts';
import { WARM_PATH } from '../api/paths.ts';
import { parseWarmEvent, WARM_BODY_BYTES_MAX, type WarmEvent } from '../api/warm.ts';
import { HubError } from '../base/errors.ts';
import type { Station } from '../hub/station.ts';
import type { WarmCounts, WarmRequest } from '../hub/warm.ts';
import { matchesPattern } from '../protocol/module-pattern.ts';
import { type Reply, startHub, talk, until } from './fake-station.ts';

const counts: WarmCounts = { total: 3, done: 3, fetched: 2, present: 1, failed: 0, skipped: 0, fetchedBytes: 10, presentBytes: 5 };
const noCounts: WarmCounts = { ...counts, done: 0, fetched: 0, present: 0, fetchedBytes: 0, presentBytes: 0 };

let answer: Station['warm'] = async () => counts;
let seen: WarmRequest | undefined;
/** Read by a function, as the compiler does not see that a request writes it. */
const lastSeen = (): WarmRequest | undefined => seen;
const fake = await startHub({
  station: {
    warm: (given, watch, signal) => {
      seen = given;
      return answer(given, watch, signal);
    },
  },
});
after(() => fake.stop());

const json = { 'content-type': 'application/json' };
const oneModule = JSON.stringify({ modules: [{ path: 'rsc.io/quote', version: 'v1.5.2' }] });

function post(body: string | Buffer, headers: Record<string, string> = json, path: string = WARM_PATH, method = 'POST'): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port: fake.port, path, method, agent: false, headers }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks) }));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(body);
  });
}

function problemOf({ headers, body }: Reply): Problem {
  assert.equal(headers['content-type'], 'application/problem+json');
  assert.equal(headers['cache-control'], 'no-store');
  const problem = parseProblem(String(body));
  assert.ok(problem.ok);
  return problem.value;
}

function eventsOf({ status, headers, body }: Reply): WarmEvent[] {
  assert.equal(status, 200, String(body));
  assert.equal(headers['content-type'], 'application/x-ndjson');
  const lines = String(body).split('\n');
  assert.equal(lines.pop(), '', 'the last line is complete');
  return lines.map((line) => {
    const event = parseWarmEvent(line);
    assert.ok(event.ok, line);
    return event.value;
  });
}

test('the three kinds of body reach the station, options with them', async () => {
  answer = async () => counts;
  await post(oneModule);
  assert.deepEqual(seen?.list, { kind: 'modules', wishes: [{ path: 'rsc.io/quote', version: 'v1.5.2', files: ['info', 'mod', 'zip'] }] });
  assert.equal(seen?.dryRun, false);
  await post('module m\ngo 1.21\nrequire rsc.io/quote v1.5.2\n', { 'content-type': 'text/x-go-mod; charset=utf-8' });
  const seenMod = lastSeen();
  assert.ok(seenMod?.list.kind === 'go-mod' && seenMod.list.main.require.length === 1);
  await post(
    'rsc.io/quote v1.5.2 h1:3fEykkD9k7lYzXqCYrwGAf7iNhbk4yCjHmKBN9td4L0=\n',
    { 'content-type': 'Text/X-Go-Sum' },
    `${WARM_PATH}?dryRun=true&skip=*.corp.example%2Ca.example`,
  );
  const seenSum = lastSeen();
  assert.ok(seenSum?.list.kind === 'go-sum' && seenSum.list.lines.length === 1);
  assert.equal(seenSum.dryRun, true);
  assert.deepEqual(
    ['git.corp.example/x', 'a.example/y', 'b.example'].map((path) => matchesPattern(seenSum.skip, path)),
    [true, true, false],
  );
});

test('what happens is told as it happens, the summary last', async () => {
  answer = async (_request, watch) => {
    watch.started(() => noCounts);
    watch.noted('a note');
    watch.missing({ kind: 'mod', module: 'a.example/a', version: 'v1.0.0', key: 'k' } as never);
    watch.failed({
      path: 'a.example/a',
      version: 'v1.0.0',
      file: 'zip',
      code: 'checksum-mismatch',
      reason: 'it\u001b[31m\n differs',
      line: 7,
    });
    // A tick passes: progress is told meanwhile.
    await until(() => performance.now() > endMs);
    return { ...counts, failed: 1 };
  };
  const endMs = performance.now() + 320;
  const events = eventsOf(await post(oneModule));
  assert.deepEqual(
    events.map(({ event }) => event),
    ['note', 'would-fetch', 'failed', 'progress', 'summary'],
  );
  assert.deepEqual(events[2], {
    event: 'failed',
    path: 'a.example/a',
    version: 'v1.0.0',
    file: 'zip',
    code: 'checksum-mismatch',
    reason: 'it\\u{1b}[31m\\u{a} differs',
    line: 7,
  });
  const summary = events.at(-1);
  assert.ok(summary?.event === 'summary' && !summary.ok && summary.failed === 1 && summary.bytes === 10 && summary.seconds > 0.2);
});

test('a run that cannot go on ends with an error, a bug without a last line', async () => {
  answer = () => Promise.reject(new HubError('storage-fault', 'the metadata cannot be read'));
  assert.deepEqual(eventsOf(await post(oneModule)), [{ event: 'error', code: 'storage-fault', reason: 'the metadata cannot be read' }]);
  answer = () => Promise.reject(new TypeError('x is not a function'));
  await assert.rejects(post(oneModule));
  assert.ok(fake.lines.some(({ sentence }) => sentence === 'a request met a bug'));
});

const refusals: { name: string; send: () => Promise<Reply>; status: number; code: string; says: RegExp }[] = [
  { name: 'another path', send: () => post('', json, '/api/v1/war'), status: 404, code: 'not-found', says: /no such call/ },
  { name: 'GET', send: () => post('', {}, WARM_PATH, 'GET'), status: 405, code: 'method-not-allowed', says: /called with POST/ },
  { name: 'a web page', send: () => post(oneModule, { ...json, origin: 'http://x' }), status: 403, code: 'forbidden', says: /web pages/ },
  { name: 'a proxy', send: () => post(oneModule, { ...json, 'x-real-ip': '127.0.0.1' }), status: 403, code: 'forbidden', says: /proxy/ },
  { name: 'no type', send: () => post(oneModule, {}), status: 400, code: 'bad-request', says: /Content-Type must be one of/ },
  { name: 'a form', send: () => post('a=b', { 'content-type': 'text/plain' }), status: 400, code: 'bad-request', says: /Content-Type/ },
  { name: 'no JSON', send: () => post('{'), status: 400, code: 'bad-request', says: /not JSON/ },
  { name: 'another shape', send: () => post('{"modules":[{"path":1}]}'), status: 400, code: 'bad-request', says: /modules\.0\.path/ },
  { name: 'an unknown key', send: () => post('{"modules":[],"x":1}'), status: 400, code: 'bad-request', says: /x/ },
  {
    name: 'a bad version',
    send: () => post('{"modules":[{"path":"a.example/a","version":"latest"}]}'),
    status: 400,
    code: 'bad-request',
    says: /modules\.0: version/,
  },
  {
    name: 'a bad go.sum',
    send: () => post('x', { 'content-type': 'text/x-go-sum' }),
    status: 400,
    code: 'bad-request',
    says: /go\.sum line 1/,
  },
  { name: 'no UTF-8', send: () => post(Buffer.from([0xff, 0xfe])), status: 400, code: 'bad-request', says: /UTF-8/ },
  {
    name: 'an unknown option',
    send: () => post(oneModule, json, `${WARM_PATH}?dry=1`),
    status: 400,
    code: 'bad-request',
    says: /dryRun and skip/,
  },
  { name: 'dryRun=1', send: () => post(oneModule, json, `${WARM_PATH}?dryRun=1`), status: 400, code: 'bad-request', says: /true or false/ },
  {
    name: 'a bad pattern',
    send: () => post(oneModule, json, `${WARM_PATH}?skip=[`),
    status: 400,
    code: 'bad-request',
    says: /skip: pattern/,
  },
];
for (const { name, send, status, code, says } of refusals) {
  test(`refused: ${name}`, async () => {
    seen = undefined;
    const reply = await send();
    const problem = problemOf(reply);
    assert.deepEqual([reply.status, problem.status, problem.code], [status, status, code]);
    assert.match(problem.detail, says);
    assert.equal(problem.request, reply.headers['x-request-id']);
    assert.equal(seen, undefined, 'the station was not asked');
    if (status === 405) assert.equal(reply.headers.allow, 'POST');
  });
}

test('a body beyond the limit is refused, declared or not', async () => {
  const head = `POST ${WARM_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
  const declared = await talk(fake.port, `${head}Content-Length: ${WARM_BODY_BYTES_MAX + 1}\r\n\r\n`);
  assert.match(declared.text, /^HTTP\/1\.1 400 [\s\S]*the body is longer than 4194304 bytes/);
  const chunk = `100000\r\n${' '.repeat(0x10_0000)}\r\n`;
  const streamed = await talk(fake.port, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(5)}`, {
    enough: (text) => text.includes('}'),
  });
  assert.match(streamed.text, /^HTTP\/1\.1 400 [\s\S]*the body is longer/);
});

test('a client that leaves ends its run; only so many run at once', async () => {
  const reasons: unknown[] = [];
  let running = 0;
  answer = (_request, watch, signal) => {
    watch.started(() => noCounts);
    running += 1;
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => {
        running -= 1;
        reasons.push(signal.reason);
        reject(signal.reason as Error);
      }),
    );
  };
  const clients = Array.from({ length: 4 }, () => {
    const req = request({ host: '127.0.0.1', port: fake.port, path: WARM_PATH, method: 'POST', agent: false, headers: json });
    req.on('error', () => {});
    req.on('response', (res) => res.on('error', () => {}).resume());
    req.end(oneModule);
    return req;
  });
  await until(() => running === 4);
  const fifth = await post(oneModule);
  assert.deepEqual([fifth.status, problemOf(fifth).code, fifth.headers['retry-after']], [503, 'overloaded', '5']);
  for (const client of clients) client.destroy();
  await until(() => running === 0);
  assert.ok(reasons.every((reason) => reason instanceof HubError && reason.code === 'canceled'));
  answer = async () => counts;
  assert.equal(eventsOf(await post(oneModule)).at(-1)?.event, 'summary');
});
