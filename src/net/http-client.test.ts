import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startScriptedUpstream, type Behaviour, type ScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import { createOutboundClient, type OutboundClientOptions } from './http-client.ts';
import type { ExchangeLimits, OutboundClient, OutboundRequest, OutboundResponse } from './outbound-client.ts';
import { withoutProxy } from './proxy-rules.ts';

const never = new AbortController().signal;
const limits: ExchangeLimits = { firstByteMs: 2_000, idleMs: 2_000, bytesPerSecondMin: 0, sizeMaxBytes: 10_000_000 };

function clientFor(upstreams: readonly ScriptedUpstream[], options: Partial<OutboundClientOptions> = {}): OutboundClient {
  const configuredOrigins = upstreams.map(({ url }) => new URL(url));
  return createOutboundClient({ configuredOrigins, proxy: withoutProxy, userAgent: 'goyi-test', connectMs: 2_000, ...options });
}

const get = (upstream: ScriptedUpstream, path: string, more: Partial<OutboundRequest> = {}): OutboundRequest => ({
  url: new URL(`${upstream.url}/${path}`),
  limits,
  followRedirects: true,
  ...more,
});

async function bodyOf(response: OutboundResponse): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function fetchText(client: OutboundClient, request: OutboundRequest): Promise<string> {
  return (await bodyOf(await client.send(request, never))).toString();
}

test('a body comes as it was sent: nothing is decompressed, and identity was asked', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'plain' } });
  upstream.on('a', { headers: { 'content-encoding': 'gzip', 'x-twice': 'one' } });
  await using client = clientFor([upstream]);
  const response = await client.send(get(upstream, 'a'), never);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-encoding'), 'gzip');
  assert.equal((await bodyOf(response)).toString(), 'plain');
  assert.equal(upstream.requests[0]?.headers['accept-encoding'], 'identity');
  assert.equal(upstream.requests[0]?.headers['user-agent'], 'goyi-test');
});

test('every status is an answer, and connections are kept', async () => {
  await using upstream = await startScriptedUpstream();
  await using client = clientFor([upstream]);
  for (const status of [304, 400, 404, 410, 429, 500, 503]) {
    upstream.on(`s${status}`, { status });
    const response = await client.send(get(upstream, `s${status}`), never);
    assert.equal(response.status, status);
    await bodyOf(response);
  }
  const head = await client.send(get(upstream, 's400', { method: 'HEAD' }), never);
  assert.equal((await bodyOf(head)).length, 0);
  // undici rests a connection for one turn of the event loop, and opens a second one meanwhile.
  assert.ok(upstream.connections <= 2, `${upstream.connections} connections`);
});

test('200 exchanges at once share a bounded number of connections', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'x'.repeat(1000) } });
  upstream.on('a', { delayHeadMs: 5 });
  await using client = clientFor([upstream], { connectionsMax: 16 });
  const texts = await Promise.all(Array.from({ length: 200 }, () => fetchText(client, get(upstream, 'a'))));
  assert.equal(texts.filter((text) => text.length === 1000).length, 200);
  assert.ok(upstream.connections <= 16, `${upstream.connections} connections`);
});

const faults: readonly (Behaviour & { name: string; fault: string; code: string; limits?: Partial<ExchangeLimits> })[] = [
  { name: 'never answering', hang: true, fault: 'head-timeout', code: 'origin-timeout', limits: { firstByteMs: 60 } },
  { name: 'closing instead of answering', refuse: true, fault: 'cut', code: 'origin-unavailable' },
  { name: 'no HTTP', garbage: 'SSH-2.0-OpenSSH_9.9\r\n', fault: 'garbled', code: 'origin-unavailable' },
  { name: 'a head of a megabyte', headBytes: 1_000_000, fault: 'garbled', code: 'origin-unavailable' },
  { name: 'a cut with Content-Length', cutAfterBytes: 100, fault: 'cut', code: 'origin-unavailable' },
  { name: 'a cut without Content-Length', cutAfterBytes: 100, noLength: true, fault: 'cut', code: 'origin-unavailable' },
  { name: 'less than Content-Length says', declaredBytes: 9_000, fault: 'cut', code: 'origin-unavailable' },
  { name: 'silence in the body', stallAfterBytes: 100, fault: 'stalled', code: 'origin-timeout', limits: { idleMs: 60 } },
  {
    name: 'a small answer in drips',
    drip: { sizeBytes: 10, everyMs: 10 },
    fault: 'too-slow',
    code: 'origin-timeout',
    limits: { firstByteMs: 100 },
  },
  { name: 'a declared size beyond the cap', fault: 'too-large', code: 'upstream-invalid', limits: { sizeMaxBytes: 999 } },
  {
    name: 'an undeclared size beyond the cap',
    noLength: true,
    fault: 'too-large',
    code: 'upstream-invalid',
    limits: { sizeMaxBytes: 999 },
  },
  { name: 'an endless body', endless: true, fault: 'too-large', code: 'upstream-invalid', limits: { sizeMaxBytes: 1_000_000 } },
];
for (const { name, fault, code, limits: own, ...behaviour } of faults) {
  test(`${name} is ${fault}, soon, and the next request is not harmed`, async () => {
    await using upstream = await startScriptedUpstream({ files: { a: 'x'.repeat(1000), b: 'fine' } });
    upstream.on('a', behaviour);
    await using client = clientFor([upstream]);
    const startMs = performance.now();
    const request = get(upstream, 'a', { limits: { ...limits, ...own } });
    await assert.rejects(client.send(request, never).then(bodyOf), (error: Error & { fault?: string; code?: string }) => {
      assert.deepEqual({ fault: error.fault, code: error.code }, { fault, code }, error.message);
      assert.match(error.message, /GET http:\/\/127\.0\.0\.1/);
      return true;
    });
    assert.ok(performance.now() - startMs < 1_500);
    assert.equal(await fetchText(client, get(upstream, 'b')), 'fine');
  });
}

test('a rate below the least is given up, one above it is not', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: Buffer.alloc(400_000) } });
  upstream.on('a', { drip: { sizeBytes: 20_000, everyMs: 20 } });
  await using client = clientFor([upstream], { rateWindowMs: 80 });
  const send = (bytesPerSecondMin: number): Promise<Buffer> =>
    client.send(get(upstream, 'a', { limits: { ...limits, bytesPerSecondMin } }), never).then(bodyOf);
  await assert.rejects(send(50_000_000), { fault: 'too-slow', code: 'origin-timeout' });
  assert.equal((await send(10_000)).length, 400_000);
});

test('a reader that takes its time is no fault of the sender', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: Buffer.alloc(4_000_000) } });
  await using client = clientFor([upstream]);
  const response = await client.send(get(upstream, 'a', { limits: { ...limits, idleMs: 400, firstByteMs: 10_000 } }), never);
  let sizeBytes = 0;
  for await (const chunk of response.body) {
    if (sizeBytes === 0) await pause(1_000);
    sizeBytes += chunk.length;
  }
  assert.equal(sizeBytes, 4_000_000);
});

test('a caller who leaves gets its own reason, before the head and in the body, and the sender notices', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'x' } });
  upstream.on('a', [{ hang: true }, { body: 'x'.repeat(1000), stallAfterBytes: 10 }]);
  await using client = clientFor([upstream]);
  const gone = new Error('gone');
  for (const phase of ['head', 'body']) {
    const leave = new AbortController();
    const answer = client.send(get(upstream, 'a'), leave.signal).then(bodyOf);
    setTimeout(() => leave.abort(gone), 40);
    await assert.rejects(answer, (error) => error === gone, phase);
  }
  await assert.rejects(client.send(get(upstream, 'a'), AbortSignal.abort(gone)), (error) => error === gone);
  while (upstream.active > 0) await pause(5);
});

test('a response that is disposed of unread gives its connection up', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: Buffer.alloc(5_000_000), b: 'fine' } });
  await using client = clientFor([upstream], { connectionsMax: 1 });
  for (let i = 0; i < 3; i += 1) {
    await using response = await client.send(get(upstream, 'a'), never);
    assert.equal(response.status, 200);
  }
  assert.equal(await fetchText(client, get(upstream, 'b')), 'fine');
});

test('the time to the first byte counts while every connection is busy', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'x' } });
  upstream.on('a', { hang: true });
  await using client = clientFor([upstream], { connectionsMax: 1 });
  const leave = new AbortController();
  const busy = client.send(get(upstream, 'a'), leave.signal);
  busy.catch(() => {});
  await assert.rejects(client.send(get(upstream, 'a', { limits: { ...limits, firstByteMs: 60 } }), never), { fault: 'head-timeout' });
  leave.abort();
});

test('nobody listens: unreachable', async () => {
  const upstream = await startScriptedUpstream();
  await upstream.down();
  await using client = clientFor([upstream]);
  await assert.rejects(client.send(get(upstream, 'a'), never), {
    fault: 'unreachable',
    code: 'origin-unavailable',
    message: /connection refused/,
  });
});

test('a host that takes no connection is connect-timeout', async () => {
  await using client = createOutboundClient({
    configuredOrigins: [],
    proxy: withoutProxy,
    userAgent: 'x',
    connectMs: 50,
    resolver: () => new Promise(() => {}),
  });
  await assert.rejects(client.send({ url: new URL('https://silent.example/'), limits, followRedirects: true }, never), {
    fault: 'connect-timeout',
    code: 'origin-timeout',
  });
});

test('redirects: relative and absolute ones are followed, nine at most', async () => {
  await using upstream = await startScriptedUpstream({ files: { end: 'here' } });
  upstream.on(/^hop\d+$/, ({ url }) => {
    const left = Number(url.slice(4)) - 1;
    return {
      redirectTo: left === 0 ? '/end' : left % 2 === 0 ? `/hop${left}` : `${upstream.url}/hop${left}`,
      status: left % 2 === 0 ? 302 : 307,
    };
  });
  await using client = clientFor([upstream]);
  const response = await client.send(get(upstream, 'hop9'), never);
  assert.equal(response.url.pathname, '/end');
  assert.equal((await bodyOf(response)).toString(), 'here');
  await assert.rejects(client.send(get(upstream, 'hop10'), never), { fault: 'forbidden', message: /more than 9 redirects/ });
  assert.equal((await client.send(get(upstream, 'hop1', { followRedirects: false }), never)).status, 302);
  assert.equal(upstream.connections <= 2, true);
});

const traps = [
  'http://169.254.169.254/latest/meta-data',
  'http://[::ffff:10.0.0.1]/',
  'http://0x7f.1/',
  'http://2130706433/',
  'http://0177.0.0.1/',
  'http://localhost:1/',
  'file:///etc/passwd',
  'gopher://x/',
  'http://rebound.example/',
  'http://[fe80::1]/',
  'http://0.0.0.0/',
  '//[::1]:9/',
  'http://user:pw@10.0.0.1/',
] as const;
for (const trap of traps) {
  test(`a redirect to ${trap} is not followed, and nobody there is asked`, async () => {
    await using canary = await startScriptedUpstream({ files: { a: 'secret' } });
    await using upstream = await startScriptedUpstream();
    upstream.on('a', { redirectTo: trap });
    upstream.on('b', { redirectTo: `${canary.url}/a` });
    const asked: string[] = [];
    const resolver = (name: string): Promise<{ address: string; family: number }[]> => {
      asked.push(name);
      return Promise.resolve([{ address: asked.length > 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
    };
    await using client = clientFor([upstream], { resolver });
    await assert.rejects(
      client.send(get(upstream, 'a'), never),
      (error: Error & { fault?: string }) => error.fault === 'forbidden' && !error.message.includes('pw'),
    );
    await assert.rejects(client.send(get(upstream, 'b'), never), { fault: 'forbidden' });
    assert.equal(canary.connections, 0);
    assert.deepEqual(asked, trap.includes('rebound') ? ['rebound.example'] : []);
  });
}

test('credentials of an address become Basic auth there, and go nowhere else', async () => {
  await using other = await startScriptedUpstream({ files: { a: 'other' } });
  await using upstream = await startScriptedUpstream({ files: { mine: 'mine' } });
  upstream.on('same', { redirectTo: '/mine' });
  upstream.on('away', { redirectTo: `${other.url.replace('//', '//evil:evil@')}/a` });
  await using client = clientFor([upstream, other]);
  const at = (path: string): OutboundRequest => ({
    url: new URL(`${upstream.url.replace('//', '//bot:p%40ss@')}/${path}`),
    limits,
    followRedirects: true,
    headers: { Cookie: 'c=1' },
  });
  const expected = `Basic ${Buffer.from('bot:p@ss').toString('base64')}`;
  assert.equal(await fetchText(client, at('same')), 'mine');
  assert.equal(await fetchText(client, at('away')), 'other');
  assert.deepEqual(
    upstream.requests.map(({ headers }) => headers['authorization']),
    [expected, expected, expected],
  );
  assert.equal(other.requests[0]?.headers['authorization'], undefined);
  assert.equal(other.requests[0]?.headers['cookie'], undefined);
  await upstream.down();
  await assert.rejects(
    client.send(at('same'), never),
    (error: Error) => !error.message.includes('p%40ss') && !error.message.includes('p@ss'),
  );
});

test('a head that comes in drips is bounded by the time to the first byte', async () => {
  await using server = await dripServer();
  await using client = createOutboundClient({ configuredOrigins: [new URL(server.url)], proxy: withoutProxy, userAgent: 'x' });
  await assert.rejects(client.send({ url: new URL(server.url), limits: { ...limits, firstByteMs: 80 }, followRedirects: true }, never), {
    fault: 'head-timeout',
  });
});

async function dripServer(): Promise<{ url: string } & AsyncDisposable> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('HTTP/1.1 200 OK\r\n');
    const timer = setInterval(() => socket.write('x-a: b\r\n'), 10);
    socket.once('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}
