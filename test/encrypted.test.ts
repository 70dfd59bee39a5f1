// The whole hub in a company's network: TLS on both sides with the company's own authority, and a proxy with a password before the world outside.
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runGo } from './support/go-command.ts';
import { ask, assertServes } from './support/hub-client.ts';
import { address } from './support/synthetic-module.ts';
import { startWorld } from './support/synthetic-world.ts';

const file = (name: string): string => fileURLToPath(new URL(`../testdata/tls/${name}`, import.meta.url));

interface CompanyProxy extends AsyncDisposable {
  readonly url: string;
  /** What it was asked for, as `METHOD TARGET`. */
  readonly seen: string[];
}

/** A company's HTTP proxy with a password: it alone can resolve the names of the world outside, which is a server on this `port`. */
async function startCompanyProxy(password: string, port: number): Promise<CompanyProxy> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const mayPass = ({ headers }: IncomingMessage): boolean =>
    headers['proxy-authorization'] === `Basic ${Buffer.from(`bot:${password}`).toString('base64')}`;
  const server = createServer((asked, response) => {
    seen.push(`${asked.method} ${asked.url}`);
    if (!mayPass(asked)) return void response.writeHead(407).end();
    const { pathname, search } = new URL(asked.url ?? '/', 'http://none.example');
    const passed = plainRequest({ host: '127.0.0.1', port, path: pathname + search, method: asked.method }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    passed.on('error', () => response.destroy());
    passed.end();
  });
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.on('connect', (asked: IncomingMessage, client: Socket) => {
    seen.push(`CONNECT ${asked.url}`);
    client.on('error', () => {});
    if (!mayPass(asked)) return void client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.on('data', (chunk) => target.write(chunk));
      target.on('data', (chunk) => client.write(chunk));
    });
    target.on('error', () => client.destroy());
    target.on('close', () => client.destroy());
    client.on('close', () => target.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://bot:${password}@127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function getOverTls(url: string, ca: Buffer): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { ca, servername: 'localhost', agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
    });
    asking.on('error', reject);
    asking.end();
  });
}

test('TLS in, TLS out with caFile, and a go client that trusts the same authority', async () => {
  const [key, cert, ca] = await Promise.all([readFile(file('server.key')), readFile(file('server.pem')), readFile(file('ca.pem'))]);
  await using world = await startWorld({ upstream: { tls: { key, cert } } });
  const module = world.publish('tls.example/m', 'v1.0.0', { fillBytes: 300_000 });
  await using hub = await world.hub({
    env: {
      GOYI_TLS_CERT_FILE: file('server.pem'),
      GOYI_TLS_KEY_FILE: file('server.key'),
      GOYI_TLS_CA_FILE: file('ca.pem'),
    },
  });
  assert.match(hub.url, /^https:/);
  const address_ = hub.url.replace('127.0.0.1', 'localhost');
  const answer = await getOverTls(`${address_}/${address(module)}zip`, ca);
  assert.equal(answer.status, 200, answer.body.subarray(0, 300).toString());
  assert.ok(answer.body.equals(module.zip));
  await assert.rejects(getOverTls(`${address_}/-/healthz`, Buffer.from('')), /certificate/);

  const app = join(world.folder, 'app');
  await mkdir(app);
  await writeFile(join(app, 'go.mod'), 'module app.example/app\n\ngo 1.21\n');
  const settings = {
    GOPROXY: address_,
    GOMODCACHE: join(world.folder, 'client', 'mod'),
    GOSUMDB: world.goSumDb,
    SSL_CERT_FILE: file('ca.pem'),
  };
  const result = await runGo(app, ['get', 'tls.example/m@v1.0.0'], settings, 60_000);
  assert.equal(result.code, 0, result.stderr);
});

test('an upstream whose certificate nobody vouches for is a fault with a sentence', async () => {
  const [key, cert] = await Promise.all([readFile(file('server.key')), readFile(file('server.pem'))]);
  await using world = await startWorld({ upstream: { tls: { key, cert } } });
  const module = world.publish('untrusted.example/m', 'v1.0.0');
  await using hub = await world.hub();
  const response = await fetch(`${hub.url}/${address(module)}zip`);
  assert.equal(response.status, 502);
  assert.match(await response.text(), /certificate|trusted|self.signed|verify/i);
});

test('an outbound proxy with a password, which alone resolves the upstream; databases that need none go past it', async () => {
  await using world = await startWorld();
  await using proxy = await startCompanyProxy('hunter2', Number(new URL(world.upstream.url).port));
  const module = world.publish('outside.example/m', 'v1.0.0', { fillBytes: 300_000 });
  await using hub = await world.hub({ upstreams: ['http://mirror.invalid'], env: { GOYI_OUTBOUND_PROXY: proxy.url } });
  assertServes(await ask(hub, `${address(module)}zip`), module.zip);
  assert.ok(proxy.seen.length > 0);
  for (const line of proxy.seen) assert.match(line, /^(CONNECT mirror\.invalid:80|GET http:\/\/mirror\.invalid\/)/);
  assert.ok(world.databaseServer.asked.length > 0);
  assert.doesNotMatch(hub.output(), /hunter2/, 'no password in the log');
  assert.equal(world.upstream.requests.filter(({ headers }) => headers['proxy-authorization'] !== undefined).length, 0, 'nor outside');
});
