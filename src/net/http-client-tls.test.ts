import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { connect as connectTcp, type AddressInfo, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { startScriptedUpstream, type ScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import { createOutboundClient, type OutboundClientOptions } from './http-client.ts';
import type { ExchangeLimits, OutboundClient, OutboundResponse } from './outbound-client.ts';
import { parseProxyRules, withoutProxy, type ProxyRules } from './proxy-rules.ts';

const certificates = new URL('../../testdata/tls/', import.meta.url);
const caPem = readFileSync(new URL('ca.pem', certificates), 'utf8');
const tls = { key: readFileSync(new URL('server.key', certificates)), cert: readFileSync(new URL('server.pem', certificates)) };
const never = new AbortController().signal;
const limits: ExchangeLimits = { firstByteMs: 2_000, idleMs: 2_000, bytesPerSecondMin: 0, sizeMaxBytes: 10_000_000 };

function clientFor(urls: readonly string[], options: Partial<OutboundClientOptions> = {}): OutboundClient {
  return createOutboundClient({
    configuredOrigins: urls.map((url) => new URL(url)),
    proxy: withoutProxy,
    userAgent: 'goyi-test',
    connectMs: 2_000,
    caPem,
    ...options,
  });
}

async function bodyOf(response: OutboundResponse): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const send = (client: OutboundClient, url: string, own: Partial<ExchangeLimits> = {}): Promise<OutboundResponse> =>
  client.send({ url: new URL(url), limits: { ...limits, ...own }, followRedirects: true }, never);
const get = async (client: OutboundClient, url: string, own: Partial<ExchangeLimits> = {}): Promise<string> =>
  (await bodyOf(await send(client, url, own))).toString();

async function until(holds: () => boolean): Promise<void> {
  for (const stopMs = performance.now() + 2_000; !holds(); ) {
    assert.ok(performance.now() < stopMs, 'waited too long');
    await pause(2);
  }
}

test("a company's own authority is trusted when it is configured, and only then", async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'hello' }, tls });
  await using trusting = clientFor([upstream.url]);
  assert.equal(await get(trusting, `${upstream.url}/a`), 'hello');
  await using wary = createOutboundClient({ configuredOrigins: [new URL(upstream.url)], proxy: withoutProxy, userAgent: 'goyi-test' });
  await assert.rejects(send(wary, `${upstream.url}/a`), { fault: 'untrusted', code: 'origin-unavailable' });
});

test('a certificate for another name is not trusted', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'hello' }, tls });
  const url = upstream.url.replace('localhost', 'mirror.example');
  await using client = clientFor([url], { resolver: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]) });
  await assert.rejects(send(client, `${url}/a`), { fault: 'untrusted', message: /certificate/ });
});

test('HTTP/2 is spoken where it is offered: 200 exchanges on one connection', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'x'.repeat(50_000) }, tls });
  await using client = clientFor([upstream.url]);
  await get(client, `${upstream.url}/a`);
  const texts = await Promise.all(Array.from({ length: 200 }, () => get(client, `${upstream.url}/a`)));
  assert.equal(
    texts.every((text) => text.length === 50_000),
    true,
  );
  assert.equal(
    upstream.requests.every(({ httpVersion }) => httpVersion === '2.0'),
    true,
  );
  assert.ok(upstream.connections <= 4, `${upstream.connections} connections`);
});

test('200 exchanges that start before the first connection is there do not storm the server', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'x' }, tls });
  await using client = clientFor([upstream.url]);
  await Promise.all(Array.from({ length: 200 }, () => get(client, `${upstream.url}/a`)));
  assert.ok(upstream.connections <= 4, `${upstream.connections} connections`);
});

test('HTTP/1.1 is spoken over TLS where HTTP/2 is not offered, on kept connections', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'hello' }, tls: { ...tls, http2: false } });
  await using client = clientFor([upstream.url]);
  for (let i = 0; i < 5; i += 1) assert.equal(await get(client, `${upstream.url}/a`), 'hello');
  assert.equal(upstream.requests[0]?.httpVersion, '1.1');
  assert.ok(upstream.connections <= 2, `${upstream.connections} connections`);
});

test('a cut HTTP/2 connection is a cut for every body on it, and the next request has a fresh one', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'x'.repeat(1000), b: 'fine' }, tls });
  upstream.on('a', { stallAfterBytes: 500, noLength: true });
  await using client = clientFor([upstream.url]);
  const responses = await Promise.all(Array.from({ length: 20 }, () => send(client, `${upstream.url}/a`)));
  const bodies = responses.map((response) => bodyOf(response));
  upstream.cutAll();
  for (const body of bodies) await assert.rejects(body, { fault: 'cut' });
  assert.equal(await get(client, `${upstream.url}/b`), 'fine');
});

test('an HTTP/2 stream that is silent is stalled, and one that has no head in time is head-timeout; the others go on', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'x'.repeat(1000), slow: 'slow' }, tls });
  upstream.on('a', [{ stallAfterBytes: 500 }, { hang: true }]);
  upstream.on('slow', { delayHeadMs: 200 });
  await using client = clientFor([upstream.url]);
  const slow = get(client, `${upstream.url}/slow`);
  await assert.rejects(get(client, `${upstream.url}/a`, { idleMs: 50 }), { fault: 'stalled' });
  await assert.rejects(get(client, `${upstream.url}/a`, { firstByteMs: 50 }), { fault: 'head-timeout' });
  assert.equal(await slow, 'slow');
});

test('an endless HTTP/2 body is refused while reading, and one that nobody reads does not stop its neighbours', async () => {
  await using upstream = await startScriptedUpstream({ files: { b: 'x'.repeat(3_000_000) }, tls });
  upstream.on('a', { endless: true });
  await using client = clientFor([upstream.url]);
  const unread = await Promise.all(Array.from({ length: 20 }, () => send(client, `${upstream.url}/a`)));
  assert.equal((await get(client, `${upstream.url}/b`)).length, 3_000_000);
  for (const response of unread) await response[Symbol.asyncDispose]();
  await assert.rejects(get(client, `${upstream.url}/a`, { sizeMaxBytes: 2_000_000 }), { fault: 'too-large' });
});

/** Frames by hand, to do what node's own HTTP/2 server would not. RFC 9113 §4.1 */
function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const uint32 = (...numbers: number[]): Buffer =>
  Buffer.concat(numbers.map((number) => Buffer.from([number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255])));
const [DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY] = [0, 1, 3, 4, 7];

/** Answers every request with `:status 200` and 1000 bytes, then lets `finish` do as it likes. */
async function frameServer(
  finish: (socket: Socket, stream: number) => void,
): Promise<{ url: string; connections: () => number } & AsyncDisposable> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const server = createTlsServer({ ...tls, ALPNProtocols: ['h2'] }, (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write(frame(SETTINGS, 0, 0));
    let unread = Buffer.alloc(0);
    let greeted = false;
    socket.on('data', (chunk: Buffer) => {
      unread = Buffer.concat([unread, chunk]);
      if (!greeted && unread.length >= 24) {
        greeted = true;
        unread = unread.subarray(24);
      }
      while (greeted && unread.length >= 9 && unread.length >= 9 + unread.readUIntBE(0, 3)) {
        const [type, flags, stream] = [unread.readUInt8(3), unread.readUInt8(4), unread.readUInt32BE(5)];
        unread = unread.subarray(9 + unread.readUIntBE(0, 3));
        if (type === SETTINGS && flags === 0) socket.write(frame(SETTINGS, 1, 0));
        if (type === HEADERS) {
          socket.write(Buffer.concat([frame(HEADERS, 4, stream, Buffer.from([0x88])), frame(DATA, 0, stream, Buffer.alloc(1000))]));
          finish(socket, stream);
        }
      }
    });
  });
  return { url: await listening(server), connections: () => connections, [Symbol.asyncDispose]: () => closing(server, sockets) };
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function closing(server: Server, sockets: Iterable<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy();
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

for (const code of [2, 5, 7, 8, 11]) {
  test(`an HTTP/2 stream that the server resets with code ${code} in the middle is a cut, never a whole body`, async () => {
    await using server = await frameServer((socket, stream) => socket.write(frame(RST_STREAM, 0, stream, uint32(code))));
    await using client = clientFor([server.url]);
    await assert.rejects(get(client, `${server.url}/a`), { fault: 'cut' });
  });
}

test('a graceful GOAWAY lets the body under way end, and the next request has a fresh connection', async () => {
  await using server = await frameServer((socket, stream) => {
    socket.write(frame(GOAWAY, 0, 0, uint32(stream, 0)));
    setTimeout(() => socket.write(frame(DATA, 1, stream, Buffer.alloc(5))), 30);
  });
  await using client = clientFor([server.url]);
  assert.equal((await get(client, `${server.url}/a`)).length, 1005);
  assert.equal((await get(client, `${server.url}/a`)).length, 1005);
  assert.equal(server.connections(), 2);
});

test('a GOAWAY that leaves a request out, and one followed by the end, are cuts', async () => {
  for (const lastStream of [0, 1]) {
    await using server = await frameServer((socket) => {
      socket.write(frame(GOAWAY, 0, 0, uint32(lastStream, 0)));
      setTimeout(() => socket.end(), 20);
    });
    await using client = clientFor([server.url]);
    await assert.rejects(get(client, `${server.url}/a`), { fault: 'cut' });
  }
});

interface Proxy extends AsyncDisposable {
  readonly url: string;
  readonly seen: {
    readonly method: string;
    readonly target: string;
    readonly authorization: string | undefined;
    readonly host: string | undefined;
  }[];
}

/** A company's proxy: CONNECT and plain requests, with a password. `names` are the hosts it alone can resolve. */
async function startProxy(names: Readonly<Record<string, string>> = {}): Promise<Proxy> {
  const seen: Proxy['seen'][number][] = [];
  const sockets = new Set<Socket>();
  const server: HttpServer = createHttpServer((request, response) => {
    seen.push({
      method: request.method ?? '',
      target: request.url ?? '',
      authorization: request.headers['proxy-authorization'],
      host: request.headers.host,
    });
    response.end('through the proxy');
  });
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})));
  server.on('connect', (request, socket: Socket) => {
    const target = request.url ?? '';
    seen.push({ method: 'CONNECT', target, authorization: request.headers['proxy-authorization'], host: request.headers.host });
    if (request.headers['proxy-authorization'] !== `Basic ${Buffer.from('me:se cret').toString('base64')}`) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const onward = connectTcp(Number(target.split(':').at(-1)), names[target] ?? '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    sockets.add(onward.on('error', () => socket.destroy()));
    socket.once('close', () => onward.destroy());
  });
  const url = (await listening(server)).replace('https:', 'http:');
  return { url, seen, [Symbol.asyncDispose]: () => closing(server, sockets) };
}

function rulesFor(proxyUrl: string): ProxyRules {
  const rules = parseProxyRules({ httpProxy: proxyUrl, httpsProxy: proxyUrl });
  assert.ok(rules.ok);
  return rules.value;
}

const withPassword = (url: string, password = 'se%20cret'): string => url.replace('//', `//me:${password}@`);
const unresolvable = (): Promise<never> => Promise.reject(new Error('a name behind the proxy must not be resolved'));

test('https: goes through the outbound proxy by CONNECT, with its password, HTTP/2 inside, the name resolved there', async () => {
  await using upstream: ScriptedUpstream = await startScriptedUpstream({ files: { a: 'hello' }, tls });
  await using proxy = await startProxy();
  const url = upstream.url.replace('localhost', 'mirror.example');
  await using client = clientFor([url], { proxy: rulesFor(withPassword(proxy.url)), resolver: unresolvable });
  // The certificate is for localhost: that the name is checked inside the tunnel is what this shows.
  await assert.rejects(send(client, `${url}/a`), { fault: 'untrusted' });
  await using direct = clientFor([], { proxy: always(new URL(withPassword(proxy.url))) });
  const inside = upstream.url.replace('localhost', '127.0.0.1');
  await assert.rejects(send(direct, `${inside}/a`), { fault: 'forbidden' });
  await using configured = clientFor([inside], { proxy: always(new URL(withPassword(proxy.url))) });
  for (let i = 0; i < 3; i += 1) assert.equal(await get(configured, `${inside}/a`), 'hello');
  assert.equal(upstream.requests[0]?.httpVersion, '2.0');
  assert.deepEqual(
    proxy.seen.map(({ method }) => method),
    ['CONNECT', 'CONNECT'],
  );
  assert.equal(proxy.seen[0]?.target, new URL(url).host);
  assert.equal(upstream.requests[0]?.headers['proxy-authorization'], undefined);
});

/** Loopback addresses never go through a proxy by Go's rules, so that a test on loopback needs its own. */
function always(proxy: URL): ProxyRules {
  return { proxies: [proxy], proxyFor: () => proxy };
}

test('http: goes through the outbound proxy in the absolute form', async () => {
  await using proxy = await startProxy();
  await using client = clientFor(['http://mirror.example:8081'], { proxy: rulesFor(withPassword(proxy.url)), resolver: unresolvable });
  assert.equal(await get(client, 'http://mirror.example:8081/a/%21b?c'), 'through the proxy');
  assert.deepEqual(proxy.seen, [
    {
      method: 'GET',
      target: 'http://mirror.example:8081/a/%21b?c',
      authorization: `Basic ${Buffer.from('me:se cret').toString('base64')}`,
      host: 'mirror.example:8081',
    },
  ]);
});

test('a proxy that wants another password, and one that is gone, are unreachable; no message holds the password', async () => {
  await using proxy = await startProxy();
  await using client = clientFor(['https://mirror.example'], { proxy: rulesFor(withPassword(proxy.url, 'wr0ng')), resolver: unresolvable });
  await assert.rejects(send(client, 'https://mirror.example/a'), (error: Error & { fault?: string }) => {
    assert.equal(error.fault, 'unreachable');
    assert.match(error.message, /407/);
    assert.doesNotMatch(error.message, /wr0ng/);
    return true;
  });
  const gone = await startProxy();
  await gone[Symbol.asyncDispose]();
  await using lost = clientFor(['https://mirror.example'], { proxy: rulesFor(withPassword(gone.url, 'wr0ng')), resolver: unresolvable });
  await assert.rejects(
    send(lost, 'https://mirror.example/a'),
    (error: Error & { fault?: string }) => error.fault === 'unreachable' && !error.message.includes('wr0ng'),
  );
});

test('behind a proxy the names of a redirect are still checked', async () => {
  await using proxy = await startProxy();
  await using client = clientFor([], { proxy: rulesFor(withPassword(proxy.url)), resolver: unresolvable });
  for (const url of [
    'https://169.254.169.254/',
    'https://metadata.google.internal/',
    'https://intranet/',
    'https://[::ffff:10.0.0.1]/',
    'http://10.0.0.1/',
  ]) {
    await assert.rejects(send(client, url), { fault: 'forbidden' }, url);
  }
  assert.equal(proxy.seen.length, 0);
});

test('stopping the client ends what runs', async () => {
  await using upstream = await startScriptedUpstream({ tls });
  upstream.on('a', { hang: true });
  const client = clientFor([upstream.url]);
  const answer = send(client, `${upstream.url}/a`);
  answer.catch(() => {});
  await until(() => upstream.count('a') === 1);
  await client[Symbol.asyncDispose]();
  await assert.rejects(answer, { code: 'origin-unavailable' });
});
