import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { createOutboundClient } from '../net/http-client.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import { withoutProxy } from '../net/proxy-rules.ts';
import { type LogReader, createHttpLogReader } from './log-reader.ts';

const asked: string[] = [];
/** Statuses to come; 200 when there are none left. */
let statuses: number[] = [];
let body = Buffer.from('hello');
const server = createServer((request, response) => {
  asked.push(request.url ?? '');
  const status = statuses.shift() ?? 200;
  if (status === 0) request.socket.destroy();
  else response.writeHead(status, { location: '/elsewhere' }).end(body);
});
let client: OutboundClient;
let reader: LogReader;
const signal = AbortSignal.timeout(60_000);

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(`http://user:secret@127.0.0.1:${(server.address() as AddressInfo).port}/sumdb/sum.test.example/`);
  client = createOutboundClient({ configuredOrigins: [url], proxy: withoutProxy, userAgent: 'goyi-test' });
  reader = createHttpLogReader({ url, client, limits: { firstByteMs: 5_000, idleMs: 5_000, bytesPerSecondMin: 0 }, pauseMs: 1 });
});

after(async () => {
  await client[Symbol.asyncDispose]();
  server.closeAllConnections();
  server.close();
});

test('each thing has its one path', async () => {
  asked.length = 0;
  assert.deepEqual(await reader.latest(signal), { kind: 'found', bytes: body });
  await reader.tile({ level: 1, index: 1_234_067, width: 256 }, signal);
  await reader.tile({ level: 'data', index: 0, width: 7 }, signal);
  await reader.lookup('github.com/Azure/sdk', 'v1.0.0-RC1+incompatible', signal);
  assert.deepEqual(asked, [
    '/sumdb/sum.test.example/latest',
    '/sumdb/sum.test.example/tile/8/1/x001/x234/067',
    '/sumdb/sum.test.example/tile/8/data/000.p/7',
    '/sumdb/sum.test.example/lookup/github.com/!azure/sdk@v1.0.0-!r!c1+incompatible',
  ]);
});

test('an absence, a refusal and a fault are three things', async () => {
  for (const status of [404, 410]) {
    statuses = [status];
    assert.deepEqual(await reader.latest(signal), { kind: 'absent' });
  }
  for (const status of [401, 403]) {
    statuses = [status];
    assert.deepEqual(await reader.latest(signal), { kind: 'refused', status });
  }
  statuses = [500, 502, 503, 429];
  await assert.rejects(reader.latest(signal), (error: Error & { code: unknown }) => {
    assert.equal(error.code, 'origin-unavailable');
    assert.match(error.message, /latest answers 429$/);
    assert.doesNotMatch(error.message + reader.origin, /secret|user/);
    return true;
  });
  assert.deepEqual(statuses, []);
});

test('what failed by the way is asked again, three times', async () => {
  statuses = [0, 500, 503];
  assert.deepEqual(await reader.latest(signal), { kind: 'found', bytes: body });
  assert.deepEqual(statuses, []);
});

test('an endless answer is refused while reading, a tile that is somewhat too long is not', async () => {
  body = Buffer.alloc(9_000);
  assert.equal((await reader.tile({ level: 0, index: 0, width: 256 }, signal)).kind, 'found');
  body = Buffer.alloc(100_000);
  await assert.rejects(reader.tile({ level: 0, index: 0, width: 256 }, signal), { code: 'upstream-invalid' });
  await assert.rejects(reader.latest(signal), { code: 'upstream-invalid' });
  assert.equal((await reader.tile({ level: 'data', index: 0, width: 256 }, signal)).kind, 'found');
});
