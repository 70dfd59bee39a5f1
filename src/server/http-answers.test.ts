import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { HubError, type ErrorCode } from '../base/errors.ts';
import { accessOf } from './fake-access.ts';
import { ask, ETAG, FakeBlob, servedBlob, servedBytes, startHub, type FakeAnswer } from './fake-station.ts';
import { statusOf } from './status.ts';

const ZIP = Buffer.from(Array.from({ length: 1_000_000 }, (_, at) => (at * 7 + (at >> 8)) & 0xff));
const IMMUTABLE = 'public, max-age=31536000, immutable';

const answer: FakeAnswer = (request) => {
  if (request.kind === 'list')
    return servedBytes('v1.0.0\n', {
      contentType: 'text/plain; charset=utf-8',
      immutable: false,
      outcome: 'stale',
      stale: true,
      ageSeconds: 99.7,
      etag: undefined,
    } as never);
  if (request.kind === 'latest') return servedBytes('', { immutable: false, outcome: 'miss', etag: undefined } as never);
  if (request.kind !== 'file') throw new HubError('not-found', `no ${request.kind} here`);
  if (request.file === 'zip') return servedBlob(new FakeBlob(ZIP, { readMax: 100_000 }));
  if (request.file === 'mod') return servedBytes(ZIP, { contentType: 'text/plain; charset=utf-8' });
  return servedBytes('{"Version":"v1.0.0"}');
};
const fake = await startHub({ answer });
after(() => fake.stop());
const { port } = fake;

test('an immutable answer from memory has every header', async () => {
  const { status, headers, body } = await ask(port, '/rsc.io/quote/@v/v1.0.0.info');
  assert.equal(status, 200);
  assert.equal(String(body), '{"Version":"v1.0.0"}');
  const { date, 'x-request-id': id, connection, ...rest } = headers;
  assert.ok(date !== undefined && connection !== undefined);
  assert.match(String(id), /^[0-9a-f]{8}-[0-9a-z]+$/);
  assert.deepEqual(rest, {
    'cache-control': IMMUTABLE,
    'goyi-cache': 'hit',
    'content-type': 'application/json',
    'content-length': '20',
    etag: ETAG,
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
  });
});

test('a stale answer says how old it is, and is kept for a minute', async () => {
  const { status, headers } = await ask(port, '/rsc.io/quote/@v/list');
  assert.equal(status, 200);
  assert.equal(headers['cache-control'], 'max-age=60');
  assert.equal(headers.age, '99');
  assert.equal(headers['warning'], '110 - "Response is Stale"');
  assert.equal(headers['goyi-cache'], 'stale');
  assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
  assert.equal(headers.etag, undefined);
  assert.equal(headers['accept-ranges'], undefined);
});

test('an empty answer is 200 with length 0', async () => {
  const { status, headers, body } = await ask(port, '/rsc.io/quote/@latest');
  assert.deepEqual([status, headers['content-length'], body.length], [200, '0', 0]);
});

const files = [
  { path: '/rsc.io/quote/@v/v1.0.0.zip', from: 'a stored file' },
  { path: '/rsc.io/quote/@v/v1.0.0.mod', from: 'memory' },
] as const;
for (const { path, from } of files) {
  test(`a large answer from ${from} is whole`, async () => {
    const { status, headers, body } = await ask(port, path);
    assert.deepEqual([status, headers['content-length']], [200, '1000000']);
    assert.ok(body.equals(ZIP));
  });

  const ranges = [
    { range: 'bytes=0-9', status: 206, start: 0, end: 10 },
    { range: 'bytes=999990-', status: 206, start: 999_990, end: 1_000_000 },
    { range: 'bytes=-5', status: 206, start: 999_995, end: 1_000_000 },
    { range: 'bytes=100-700099', status: 206, start: 100, end: 700_100 },
    { range: 'bytes=0-1,5-6', status: 200, start: 0, end: 1_000_000 },
    { range: 'bytes=9-1', status: 200, start: 0, end: 1_000_000 },
    { range: 'lines=1-2', status: 200, start: 0, end: 1_000_000 },
  ] as const;
  for (const { range, status, start, end } of ranges) {
    test(`Range: ${range} from ${from} is ${status}`, async () => {
      const reply = await ask(port, path, { headers: { range } });
      assert.equal(reply.status, status);
      assert.ok(reply.body.equals(ZIP.subarray(start, end)));
      assert.equal(reply.headers['content-length'], String(end - start));
      assert.equal(reply.headers['content-range'], status === 206 ? `bytes ${start}-${end - 1}/1000000` : undefined);
      assert.equal(reply.headers.etag, ETAG);
    });
  }

  test(`a range outside of ${from} is 416 with the size`, async () => {
    const { status, headers, body } = await ask(port, path, { headers: { range: 'bytes=1000000-' } });
    assert.equal(status, 416);
    assert.equal(headers['content-range'], 'bytes */1000000');
    assert.equal(headers['cache-control'], 'no-store');
    assert.match(String(body), /^the range asked for lies outside/);
  });

  test(`If-Range decides on ranges of ${from}`, async () => {
    assert.equal((await ask(port, path, { headers: { range: 'bytes=0-0', 'if-range': ETAG } })).status, 206);
    assert.equal((await ask(port, path, { headers: { range: 'bytes=0-0', 'if-range': '"old"' } })).status, 200);
  });

  test(`If-None-Match is 304 without a body from ${from}, and comes before Range`, async () => {
    for (const tag of [ETAG, `W/${ETAG}`, `"x", ${ETAG}`, '*']) {
      const { status, headers, body } = await ask(port, path, { headers: { 'if-none-match': tag, range: 'bytes=0-1' } });
      assert.deepEqual(
        [status, body.length, headers.etag, headers['cache-control'], headers['content-length']],
        [304, 0, ETAG, IMMUTABLE, undefined],
      );
    }
    assert.equal((await ask(port, path, { headers: { 'if-none-match': '"other"' } })).status, 200);
  });

  test(`HEAD of ${from} has the headers of GET and ignores Range`, async () => {
    const get = await ask(port, path);
    const head = await ask(port, path, { method: 'HEAD', headers: { range: 'bytes=0-1' } });
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
    assert.deepEqual({ ...head.headers, date: '', 'x-request-id': '' }, { ...get.headers, date: '', 'x-request-id': '' });
  });
}

test('every path answers HEAD with the status, type and length of GET', async () => {
  for (const path of [
    '/',
    '/index',
    '/-/healthz',
    '/-/readyz',
    '/-/metrics',
    '/rsc.io/quote/@v/list',
    '/nowhere',
    '/..',
    '/rsc.io/quote/@v/v1.0.0.info',
  ]) {
    const [get, head] = [await ask(port, path), await ask(port, path, { method: 'HEAD' })];
    assert.deepEqual(
      [head.status, head.headers['content-type'], head.headers['content-length']],
      [get.status, get.headers['content-type'], get.headers['content-length']],
      path,
    );
    assert.equal(head.body.length, 0);
    assert.equal(get.headers['x-content-type-options'], 'nosniff', path);
  }
});

test('every opened blob was closed', () => {
  assert.ok(FakeBlob.opened > 15);
  assert.equal(FakeBlob.closed, FakeBlob.opened);
});

test('other methods are 405 and say which are allowed', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
    const { status, headers } = await ask(port, '/rsc.io/quote/@v/v1.0.0.info', { method });
    assert.deepEqual(
      [status, headers['allow'], headers['cache-control'], headers['goyi-error']],
      [405, 'GET, HEAD', 'no-store', 'method-not-allowed'],
      method,
    );
  }
});

test('what is not a path of the hub is 404 with a sentence, what is malformed 400', async () => {
  const absent = await ask(port, '/favicon.ico');
  assert.deepEqual([absent.status, absent.headers['cache-control'], absent.headers['goyi-error']], [404, 'max-age=60', 'not-found']);
  assert.ok(absent.body.length > 10);
  const malformed = await ask(port, '/github.com/Azure/sdk/@v/list');
  assert.deepEqual(
    [malformed.status, malformed.headers['cache-control'], malformed.headers['goyi-error']],
    [400, 'no-store', 'bad-request'],
  );
});

const codes: ErrorCode[] = [
  'not-found',
  'not-cached',
  'policy-denied',
  'checksum-mismatch',
  'origin-unavailable',
  'still-fetching',
  'storage-full',
  'overloaded',
  'canceled',
];
test('each failure has its status, its code and its first line', async () => {
  let code: ErrorCode = 'not-found';
  const failing = await startHub({ answer: () => Promise.reject(new HubError(code, 'module x: it \u001b[2J failed\nsecond line')) });
  try {
    for (code of codes) {
      const { status, headers, body } = await ask(failing.port, '/rsc.io/quote/@v/list');
      assert.equal(status, statusOf(code), code);
      assert.equal(headers['goyi-error'], code);
      assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
      assert.equal(headers['cache-control'], code === 'not-found' ? 'max-age=60' : 'no-store', code);
      assert.equal(headers['retry-after'], code === 'overloaded' || code === 'still-fetching' ? '5' : undefined);
      const lines = String(body).split('\n');
      if (code === 'canceled') assert.match(lines[0] ?? '', /stopping/);
      else assert.deepEqual(lines.slice(0, 2), ['module x: it \\u{1b}[2J failed', 'second line']);
      if (status >= 500) assert.match(String(body), new RegExp(`\\(goyi: ${code}, request ${String(headers['x-request-id'])}\\)\n$`));
    }
  } finally {
    await failing.stop();
  }
});

test('a bug is 503 without a word of it, and stands in the log with its stack', async () => {
  const failing = await startHub({ answer: () => Promise.reject(new TypeError('secret detail')) });
  try {
    const { status, headers, body } = await ask(failing.port, '/rsc.io/quote/@v/list');
    assert.deepEqual([status, headers['goyi-error']], [503, 'internal']);
    assert.doesNotMatch(String(body), /secret/);
    const line = failing.lines.find(({ level }) => level === 'error');
    assert.match(String(line?.fields['stack']), /secret detail[\s\S]*at /);
    assert.equal(line?.fields['request'], headers['x-request-id']);
  } finally {
    await failing.stop();
  }
});

test('fills are forbidden by /cached-only/ and by Disable-Module-Fetch', async () => {
  const { asked } = fake;
  const fillOf = async (path: string, headers: Record<string, string> = {}): Promise<boolean | undefined> => {
    await ask(port, path, { headers });
    return asked.at(-1)?.options.fill;
  };
  assert.equal(await fillOf('/rsc.io/quote/@v/list'), true);
  assert.equal(await fillOf('/cached-only/rsc.io/quote/@v/list'), false);
  assert.deepEqual(asked.at(-1)?.request, { kind: 'list', module: 'rsc.io/quote' });
  for (const value of ['true', 'TRUE', '1', 't'])
    assert.equal(await fillOf('/rsc.io/quote/@v/list', { 'disable-module-fetch': value }), false);
  for (const value of ['false', '', '0', 'yes'])
    assert.equal(await fillOf('/rsc.io/quote/@v/list', { 'disable-module-fetch': value }), true);
});

test('without read for anonymous everything but probes and the page is 401', async () => {
  const closed = await startHub({ answer, access: accessOf([]) });
  try {
    for (const path of [
      '/rsc.io/quote/@v/list',
      '/index',
      '/-/metrics',
      '/nowhere',
      '/..',
      '/sumdb/sum.golang.org/latest',
      '/cached-only/rsc.io/quote/@v/list',
    ]) {
      const { status, headers } = await ask(closed.port, path);
      assert.deepEqual(
        [status, headers['www-authenticate'], headers['cache-control']],
        [401, 'Basic realm="goyi", charset="UTF-8"', 'no-store'],
        path,
      );
    }
    for (const path of ['/', '/setup.sh', '/setup.ps1', '/api/v1/client-settings', '/-/healthz', '/-/readyz'])
      assert.equal((await ask(closed.port, path)).status, 200, path);
    assert.equal(closed.asked.length, 0);
  } finally {
    await closed.stop();
  }
});

test('verification switched off shows on every answer', async () => {
  const off = await startHub({ answer, verifyOff: true });
  try {
    for (const path of ['/rsc.io/quote/@v/v1.0.0.info', '/nowhere', '/', '/-/healthz', '/rsc.io/quote/@v/v1.0.0.zip']) {
      assert.equal((await ask(off.port, path)).headers['goyi-verify'], 'off', path);
    }
  } finally {
    await off.stop();
  }
  assert.equal((await ask(port, '/')).headers['goyi-verify'], undefined);
});

test('absolute targets and queries change nothing', async () => {
  for (const path of [
    'http://user:secret@other.example/rsc.io/quote/@v/v1.0.0.info?x=1',
    '/rsc.io/quote/@v/v1.0.0.info?go-get=1',
    'HTTPS://h/rsc.io/quote/@v/v1.0.0.info',
  ]) {
    assert.equal(String((await ask(port, path)).body), '{"Version":"v1.0.0"}', path);
  }
  assert.doesNotMatch(JSON.stringify(fake.lines), /secret/);
  assert.equal((await ask(port, 'http://other.example')).status, 200);
});

test('the page at / speaks the language of the reader', async () => {
  const chinese = await ask(port, '/', { headers: { 'accept-language': 'zh-CN', host: 'goyi.corp.example:8080' } });
  assert.match(String(chinese.body), /GOPROXY=http:\/\/goyi\.corp\.example:8080 go build/);
  assert.match(String(chinese.body), /模块/);
  assert.match(String((await ask(port, '/')).body), /Go module mirror/);
});

test('a browser gets a page at /, with a policy, for the system it runs on; the scripts are for the address they were asked at', async () => {
  const headers = { accept: 'text/html,*/*;q=0.8', 'user-agent': 'Mozilla/5.0 (Windows NT 10.0)', host: 'goyi.corp.example' };
  const page = await ask(port, '/', { headers });
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  assert.match(String(page.headers['content-security-policy']), /^default-src 'none'; style-src 'sha256-/);
  assert.equal(page.headers['vary'], 'Accept, Accept-Language, Host, User-Agent');
  assert.match(
    String(page.body),
    /<code>irm http:\/\/goyi\.corp\.example\/setup\.ps1 \| iex[\s\S]*<code>curl -fsSL http:\/\/goyi\.corp\.example\/setup\.sh \| sh</,
  );
  const script = await ask(port, '/setup.ps1', { headers: { host: 'goyi.corp.example' } });
  // What irm does with it depends on this.
  assert.equal(script.headers['content-type'], 'text/plain; charset=utf-8');
  assert.match(String(script.body), /\$hub = 'http:\/\/goyi\.corp\.example'\n/);
});

test('the index answers lines of JSON, and 400 to a bad since', async () => {
  const seen: unknown[] = [];
  const indexed = await startHub({
    station: {
      index: async (sinceUs, limit) => {
        seen.push(sinceUs, limit);
        return [{ module: 'rsc.io/quote', version: 'v1.5.2', storedAtUs: 1_554_923_332_997_264 }];
      },
    },
  });
  try {
    const { status, headers, body } = await ask(indexed.port, '/index?since=2019-04-10T19:08:52.997264Z&limit=5');
    assert.deepEqual([status, headers['content-type']], [200, 'application/x-ndjson']);
    assert.equal(String(body), '{"Path":"rsc.io/quote","Version":"v1.5.2","Timestamp":"2019-04-10T19:08:52.997264Z"}\n');
    assert.deepEqual(seen, [1_554_923_332_997_264, 5]);
    assert.equal((await ask(indexed.port, '/index?since=yesterday')).status, 400);
    assert.equal((await ask(indexed.port, '/index?limit=2001')).status, 400);
  } finally {
    await indexed.stop();
  }
});

test('the answers are told to telemetry and to the log', async () => {
  fake.hub.server.closeIdleConnections();
  const { headers } = await ask(port, '/rsc.io/quote/@v/v1.0.0.zip', { headers: { range: 'bytes=0-9' } });
  assert.deepEqual(
    { ...fake.records.at(-1), seconds: 0 },
    { kind: 'zip', outcome: 'hit', status: 206, seconds: 0, sentBytes: 10, handedOverBytes: 0 },
  );
  const line = fake.lines.at(-1);
  assert.equal(line?.sentence, 'request answered');
  assert.deepEqual(
    [line?.fields['path'], line?.fields['status'], line?.fields['bytes'], line?.fields['request'], line?.fields['remote']],
    ['/rsc.io/quote/@v/v1.0.0.zip', 206, 10, headers['x-request-id'], '127.0.0.1'],
  );
});
