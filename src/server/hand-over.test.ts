import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test, type TestContext } from 'node:test';
import fc from 'fast-check';
import type { BlobKey } from '../base/blob-key.ts';
import { Exchange } from './exchange.ts';
import { ask, ETAG, FakeBlob, type FakeHub, servedBlob, servedBytes, startHub } from './fake-station.ts';
import { encodePath, HandOver, type HandOverSettings } from './hand-over.ts';

const key = 'modules/github.com/!azure/sdk/@v/v2.0.0+incompatible.zip' as BlobKey;
const encoded = 'modules/github.com/!azure/sdk/@v/v2.0.0%2Bincompatible.zip';
const path = '/github.com/!azure/sdk/@v/v2.0.0+incompatible.zip';
const bytes = Buffer.alloc(5000, 'zip ');
const loopback = [
  { address: '127.0.0.0', bits: 8 },
  { address: '::1', bits: 128 },
];
const accel: HandOverSettings = { kind: 'x-accel-redirect', prefix: '/goyi-store/', minBytes: 5000, to: loopback };

/** A hub with one stored file. `storedAs`: where it lies, or that it has to be checked while it is sent. */
async function hubWith(t: TestContext, handOver: HandOverSettings, storedAs: BlobKey | 'checked' = key): Promise<FakeHub> {
  const more = storedAs === 'checked' ? {} : { storedAs };
  const fake = await startHub({ handOver, answer: () => servedBlob(new FakeBlob(bytes), more) });
  t.after(() => fake.stop());
  return fake;
}

const kinds = [
  { settings: accel, header: 'x-accel-redirect', value: `/goyi-store/${encoded}` },
  {
    settings: { kind: 'x-sendfile', prefix: '/srv/goyi/', minBytes: 1, to: loopback },
    header: 'x-sendfile',
    value: '/srv/goyi/modules/github.com/!azure/sdk/@v/v2.0.0+incompatible.zip',
  },
] as const;

for (const { settings, header, value } of kinds) {
  test(`${header}: the head of the whole answer, and no body`, async (t) => {
    const fake = await hubWith(t, settings);
    for (const headers of [{}, { range: 'bytes=1-2' }, { range: 'bytes=4000-', 'if-range': ETAG }]) {
      const reply = await ask(fake.port, path, { headers });
      assert.equal(reply.status, 200);
      assert.equal(reply.headers[header], value);
      assert.equal(reply.body.length, 0);
      const { etag, 'content-length': length, 'content-type': type, 'accept-ranges': ranges, 'content-range': range } = reply.headers;
      assert.deepEqual(
        [etag, length, type, ranges, range],
        [ETAG, '0', 'application/zip', header === 'x-sendfile' ? 'bytes' : undefined, undefined],
      );
      assert.equal(reply.headers['cache-control'], 'public, max-age=31536000, immutable');
    }
    assert.deepEqual(
      fake.records.map(({ status, sentBytes, handedOverBytes }) => [status, sentBytes, handedOverBytes]),
      [
        [200, 0, 5000],
        [200, 0, 2],
        [200, 0, 1000],
      ],
    );
  });
}

test('redirect: 302 to the same name elsewhere, to be asked here again each time', async (t) => {
  const fake = await hubWith(t, { kind: 'redirect', prefix: 'https://cdn.example/go/', minBytes: 5000 });
  const reply = await ask(fake.port, path, { headers: { range: 'bytes=1-2' } });
  assert.equal(reply.status, 302);
  assert.equal(reply.headers.location, `https://cdn.example/go/${encoded}`);
  assert.equal(reply.headers['cache-control'], 'no-store');
  assert.equal(reply.headers.etag, undefined);
  assert.ok(reply.body.length < 200);
});

const ownAnswers = [
  { name: 'HEAD', method: 'HEAD', headers: {}, status: 200, length: 0 },
  { name: 'what the client has already', method: 'GET', headers: { 'if-none-match': ETAG }, status: 304, length: 0 },
  { name: 'a range that is none', method: 'GET', headers: { range: 'bytes=9999-' }, status: 416, length: undefined },
] as const;

for (const { name, method, headers, status, length } of ownAnswers) {
  test(`the hub itself answers ${name}`, async (t) => {
    for (const settings of [accel, { kind: 'redirect', prefix: 'https://cdn.example/', minBytes: 1 } as const]) {
      const fake = await hubWith(t, settings);
      const reply = await ask(fake.port, path, { method, headers });
      assert.equal(reply.status, status);
      if (length !== undefined) assert.equal(reply.body.length, length);
      assert.deepEqual([reply.headers['x-accel-redirect'], reply.headers.location], [undefined, undefined]);
      if (method === 'HEAD') assert.equal(reply.headers['content-length'], '5000');
    }
  });
}

const notHandedOver: readonly { name: string; settings: HandOverSettings; storedAs?: 'checked' }[] = [
  { name: 'off', settings: { kind: 'off' } },
  { name: 'too small', settings: { ...accel, minBytes: 5001 } },
  { name: 'redirect, too small', settings: { kind: 'redirect', prefix: 'https://cdn.example/', minBytes: 5001 } },
  { name: 'to be checked while it is sent', settings: accel, storedAs: 'checked' },
  { name: 'a client that did not come through the web server', settings: { ...accel, to: [{ address: '10.0.0.0', bits: 8 }] } },
  { name: 'nobody in front', settings: { ...accel, to: [] } },
];

for (const row of notHandedOver) {
  test(`the hub sends it: ${row.name}`, async (t) => {
    const fake = await hubWith(t, row.settings, row.storedAs);
    // Nothing that a request says makes a difference.
    const headers = {
      'x-accel-redirect': '/goyi-store/goyi.db',
      'x-sendfile': '/etc/passwd',
      'x-sendfile-type': 'X-Accel-Redirect',
      'x-accel-mapping': '/=/goyi-store/',
      'x-forwarded-for': '127.0.0.1',
    };
    const reply = await ask(fake.port, path, { headers });
    assert.equal(reply.status, 200);
    assert.ok(reply.body.equals(bytes));
    for (const name of ['x-accel-redirect', 'x-sendfile', 'location']) assert.equal(reply.headers[name], undefined);
  });
}

test('what is in memory the hub sends, whatever its size', async (t) => {
  const fake = await startHub({ handOver: { ...accel, minBytes: 1 }, answer: () => servedBytes(bytes) });
  t.after(() => fake.stop());
  assert.ok((await ask(fake.port, path)).body.equals(bytes));
});

test('an open file is closed whoever sends it', async (t) => {
  const before = FakeBlob.closed;
  const fake = await hubWith(t, accel);
  await ask(fake.port, path);
  assert.equal(FakeBlob.closed - before, 1);
});

const addresses = [
  { remote: '127.0.0.1', is: true },
  { remote: '::ffff:127.9.9.9', is: true },
  { remote: '::1', is: true },
  { remote: '::2', is: false },
  { remote: '128.0.0.1', is: false },
  { remote: '::ffff:10.0.0.1', is: false },
  { remote: undefined, is: false },
] as const;

for (const { remote, is } of addresses) {
  test(`a connection from ${remote} ${is ? 'is' : 'is not'} the web server`, () => {
    const req = { method: 'GET', socket: { remoteAddress: remote } } as IncomingMessage;
    const exchange = new Exchange(req, {} as ServerResponse, 'id', 0);
    assert.equal(new HandOver(accel).choose(exchange, key, 5000) !== undefined, is);
  });
}

test('any path is plain letters in a header, and comes back by decoding once', () =>
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', minLength: 1 }).filter((part) => !part.includes('/'))), (parts) => {
      const text = `/${parts.join('/')}`;
      assert.match(encodePath(text), /^[\w/.~!@%-]+$/);
      assert.equal(decodeURIComponent(encodePath(text)), text);
    }),
  ));
