import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type Http2ServerRequest, type Http2ServerResponse, createSecureServer } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { test } from 'node:test';
import { createOutboundClient } from './http-client.ts';
import { withoutProxy } from './proxy-rules.ts';

const certificates = new URL('../../testdata/tls/', import.meta.url);
const caPem = readFileSync(new URL('ca.pem', certificates), 'utf8');
const tls = { key: readFileSync(new URL('server.key', certificates)), cert: readFileSync(new URL('server.pem', certificates)) };
const limits = { firstByteMs: 5_000, idleMs: 5_000, bytesPerSecondMin: 0, sizeMaxBytes: 1_000_000 };

/** Answers with the method, the version, the type and the body of a request; `/moved` with a redirect. */
function echo(request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    response.statusCode = request.url === '/moved' ? 308 : 200;
    if (request.url === '/moved') response.setHeader('location', '/elsewhere');
    const head = `${request.method} ${request.httpVersion} ${request.headers['content-type']}\n`;
    response.end(Buffer.concat([Buffer.from(head), ...chunks]) as Buffer & string);
  });
}

const servers: readonly { readonly name: string; readonly scheme: string; readonly version: string; readonly open: () => Server }[] = [
  { name: 'http', scheme: 'http', version: '1.1', open: () => createServer(echo) },
  { name: 'https without HTTP/2', scheme: 'https', version: '1.1', open: () => createTlsServer(tls, echo) },
  { name: 'HTTP/2', scheme: 'https', version: '2.0', open: () => createSecureServer(tls, echo) },
];

for (const { name, scheme, version, open } of servers) {
  test(`a body is posted over ${name}, and follows no redirect`, async () => {
    const server = open();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const origin = new URL(`${scheme}://localhost:${(server.address() as AddressInfo).port}`);
    const client = createOutboundClient({ configuredOrigins: [origin], proxy: withoutProxy, userAgent: 'goyi-test', caPem });
    const post = async (path: string, body: Buffer): Promise<{ status: number; text: string }> => {
      const headers = { 'Content-Type': 'text/x.test' };
      const request = { url: new URL(path, origin), method: 'POST', headers, body, limits, followRedirects: true } as const;
      const response = await client.send(request, AbortSignal.timeout(20_000));
      const chunks: Buffer[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      return { status: response.status, text: Buffer.concat(chunks).toString() };
    };
    const head = `POST ${version} text/x.test\n`;
    for (const size of [0, 1, 200_000]) {
      assert.deepEqual(await post('/', Buffer.alloc(size, 'a')), { status: 200, text: head + 'a'.repeat(size) });
    }
    assert.deepEqual(await post('/moved', Buffer.from('once')), { status: 308, text: `${head}once` });
    await client[Symbol.asyncDispose]();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
}
