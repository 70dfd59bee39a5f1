import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { servedBytes, startHub, talk } from './fake-station.ts';

// The station would answer anything with 200: what is refused here is refused by the server and its one parser.
const fake = await startHub({ answer: () => servedBytes('SECRET') });
after(() => fake.stop());
const { port } = fake;

const HOST = 'Host: h\r\nConnection: close\r\n\r\n';

/** Targets that must be 400 or 404 and never reach the station. */
const targets = [
  '/../../../etc/passwd',
  '/..',
  '/.',
  '/...',
  '//',
  '///',
  '/./rsc.io/quote/@v/list',
  '/rsc.io/../rsc.io/quote/@v/list',
  '/rsc.io//quote/@v/list',
  '/%2e%2e/%2e%2e/etc/passwd',
  '/%2F%2F..%2F..%2Fetc%2Fpasswd',
  '/..%2f..%2fetc%2fpasswd',
  '/%252e%252e%252fetc',
  '/..%5c..%5cwindows',
  '/..%c0%afetc',
  '/%c0%ae%c0%ae/',
  '/rsc.io%2Fquote/@v/list',
  '/rsc.io/quote%2F@v/list',
  '/rsc.io/quote/@v/..%2f..%2fx.zip',
  '/rsc.io/quote/@v/%2e%2e%2fv1.0.0.zip',
  '/rsc.io/quote/@v/../v1.0.0.zip',
  '/rsc.io/quote/@v/v1.0.0.zip%00',
  '/rsc.io/quote%00/@v/list',
  '/%00',
  '/rsc.io/quote/@v/v1.0.0%0d%0aX:y.info',
  '/rsc.io/quote/@v/%0a.info',
  '/rsc.io/quote/@v/%1b[31m.info',
  '/%7f/@v/list',
  '/rsc.io/quote/@v/v1.0.0.zip%',
  '/rsc.io/quote/@v/%zz.info',
  '/%',
  '/%2',
  '/rsc.io/%ff/@v/list',
  '/%ed%a0%80/@v/list',
  '/rsc.io/quote\\..\\x/@v/list',
  '/rsc.io/quote/@v/%5c.info',
  '/rsc.io/Quote/@v/list',
  '/rsc.io/!Quote/@v/list',
  '/rsc.io/!!quote/@v/list',
  '/rsc.io/quote!/@v/list',
  '/rsc.io/!1/@v/list',
  '/rsc.io/%51uote/@v/list',
  '/rsc.io/quote/@v/',
  '/rsc.io/quote/@v/v1.0.0',
  '/rsc.io/quote/@v/v1.0.0.exe',
  '/rsc.io/quote/@v/.zip',
  '/rsc.io/quote/@v/v1.0.zip',
  '/rsc.io/quote/@v/master.mod',
  '/rsc.io/quote/@v',
  '/@v/list',
  '/@latest',
  '/rsc.io/quote/@v/v1.0.0.zip/',
  '/rsc.io/quote/@v/list/',
  '/rsc.io/quote/@latest/',
  '/rsc.io/quote/@v/feature/x.info',
  '/rsc.io/quote/v1/@v/list',
  '/.rsc.io/x/@v/list',
  '/con/@v/list',
  '/sumdb/',
  '/sumdb/evil.example/supported',
  '/sumdb/sum.golang.org/',
  '/sumdb/sum.golang.org/nothing',
  '/sumdb/sum.golang.org/../latest',
  '/sumdb/sum.golang.org%2flatest',
  '/sumdb/sum.golang.org/tile/8/0/001.p/0',
  '/sumdb/sum.golang.org/tile/8/0/001.p/256',
  '/sumdb/sum.golang.org/tile/8/0/1',
  '/sumdb/sum.golang.org/tile/8/-1/000',
  '/sumdb/sum.golang.org/tile/9/0/000',
  '/sumdb/sum.golang.org/tile/8/0/x000/001',
  '/sumdb/sum.golang.org/lookup/rsc.io/quote',
  '/sumdb/sum.golang.org/lookup/rsc.io/quote@v1',
  '/sumdb/sum.golang.org/lookup/rsc.io/quote@v1.0.0/go.mod',
  '/sumdb/sum.golang.org/lookup/../../x@v1.0.0',
  '/sumdb/sum.golang.org/tile/8/0/999999999999999999999',
  '/cached-only',
  '/cached-only/',
  '/cached-only/cached-only/rsc.io/quote/@v/list',
  '/cached-only/-/metrics',
  '/cached-only/index',
  '/-/',
  '/-/healthz/',
  '/-//metrics',
  '/-/%6detrics',
  '/%2D/metrics',
  '/-/metrics%00',
  '/INDEX',
  '/index/',
  '/goyi.db',
  '/staging/',
  '/modules/rsc.io/quote/@v/v1.0.0.zip',
  '/.git/config',
  '/.env',
  '/actuator/env',
  '/cgi-bin/%2e%2e/sh',
  '/-/healthz;x',
  '*',
  'rsc.io/quote/@v/list',
  'ftp://h/rsc.io/quote/@v/list',
  'http:///rsc.io/quote/@v/list',
  'http:rsc.io',
  '?',
  '%2Frsc.io/quote/@v/list',
  `/${'a/'.repeat(1000)}@v/list`,
  `/rsc.io/${'a'.repeat(4200)}/@v/list`,
  `/rsc.io/quote/@v/${'9'.repeat(3000)}.info`,
  `/rsc.io/quote/@v/v1.0.0.info?${'q'.repeat(5000)}`,
];
for (const target of targets) {
  test(`GET ${target.slice(0, 80)} is refused`, async () => {
    const before = fake.asked.length;
    const { text, closed, ms } = await talk(port, `GET ${target} HTTP/1.1\r\n${HOST}`);
    assert.match(text, /^HTTP\/1\.1 40[04] /);
    assert.doesNotMatch(text, /SECRET|root:/);
    assert.ok(closed && ms < 2000);
    assert.equal(fake.asked.length, before);
  });
}

/** Whole requests that are no HTTP, or that two servers could read in two ways. */
const raws: readonly { name: string; bytes: string | Buffer; status: RegExp }[] = [
  {
    name: 'content-length and chunked',
    bytes: `GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n${HOST}0\r\n\r\n`,
    status: /400/,
  },
  { name: 'two content-lengths', bytes: `GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n${HOST}hello`, status: /400/ },
  { name: 'a folded transfer-encoding', bytes: `GET / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n${HOST}0\r\n\r\n`, status: /400/ },
  {
    name: 'a transfer-encoding that is not chunked at the end',
    bytes: `GET / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n${HOST}`,
    status: /400/,
  },
  { name: 'a space before the colon', bytes: `GET / HTTP/1.1\r\nContent-Length : 0\r\n${HOST}`, status: /400/ },
  { name: 'a bare line feed', bytes: 'GET / HTTP/1.1\nHost: h\n\n', status: /400/ },
  { name: 'a NUL in a header', bytes: `GET / HTTP/1.1\r\nX: a\0b\r\n${HOST}`, status: /400/ },
  { name: 'a body on GET', bytes: `GET / HTTP/1.1\r\nContent-Length: 5\r\n${HOST}hello`, status: /400/ },
  { name: 'a chunked body on GET', bytes: `GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${HOST}5\r\nhello\r\n0\r\n\r\n`, status: /400/ },
  { name: 'no host', bytes: 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', status: /400/ },
  { name: 'a space in the target', bytes: `GET /a b HTTP/1.1\r\n${HOST}`, status: /400/ },
  { name: 'a control byte in the target', bytes: `GET /a\u0001b HTTP/1.1\r\n${HOST}`, status: /400/ },
  { name: 'a high byte in the target', bytes: Buffer.from(`GET /a\u00ffb HTTP/1.1\r\n${HOST}`, 'latin1'), status: /400/ },
  { name: 'HTTP/0.9', bytes: 'GET /\r\n\r\n', status: /400/ },
  { name: 'HTTP/3.7', bytes: `GET / HTTP/3.7\r\n${HOST}`, status: /400/ },
  { name: 'an unknown method', bytes: `HACK / HTTP/1.1\r\n${HOST}`, status: /400/ },
  { name: 'TLS on a plain port', bytes: Buffer.from('16030100a5010000a10303', 'hex'), status: /400/ },
  { name: 'the preface of HTTP/2', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', status: /400/ },
  { name: 'noise', bytes: Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 89) % 256)), status: /400/ },
  { name: 'a head of 17 KiB', bytes: `GET / HTTP/1.1\r\nX: ${'x'.repeat(17 * 1024)}\r\n${HOST}`, status: /431/ },
  { name: 'a thousand headers', bytes: `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(4000)}${HOST}`, status: /431/ },
  { name: 'an unknown expectation', bytes: `GET / HTTP/1.1\r\nExpect: magic\r\n${HOST}`, status: /417/ },
  { name: 'a POST with a body', bytes: `POST /rsc.io/quote/@v/v1.0.0.zip HTTP/1.1\r\nContent-Length: 5\r\n${HOST}hello`, status: /405/ },
  { name: 'a POST whose body never comes', bytes: `POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 500000000\r\n\r\n`, status: /405/ },
];
for (const { name, bytes, status } of raws) {
  test(`${name} is ${status.source}`, async () => {
    const before = fake.asked.length;
    const { text, closed, ms } = await talk(port, bytes);
    assert.match(text.slice(0, 40), new RegExp(`^HTTP/1\\.1 ${status.source} `));
    assert.ok(closed && ms < 2000, `closed: ${closed}, ${ms} ms`);
    assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 1, 'one answer');
    assert.equal(fake.asked.length, before);
  });
}

for (const { name, bytes } of [
  { name: 'CONNECT', bytes: `CONNECT other:443 HTTP/1.1\r\n${HOST}` },
  { name: 'an upgrade', bytes: `GET /rsc.io/quote/@v/list HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nHost: h\r\n\r\n` },
]) {
  test(`${name} opens no tunnel`, async () => {
    const { text } = await talk(port, bytes, { enough: (reply) => reply.includes('SECRET'), timeoutMs: 2_000 });
    assert.doesNotMatch(text, /HTTP\/1\.1 101/);
  });
}

test('no bytes in a target make a 5xx, a hang or an answer that was not asked for', async () => {
  const byte = fc.oneof(
    fc.constantFrom(...Array.from('/%@!v.~+-_;?#[]\\"<>^`{|}'), '%2f', '%00', '..', '/@v/', '.info', '%25'),
    fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(byte, { maxLength: 40 }), async (parts) => {
      const { text, closed } = await talk(port, Buffer.from(`GET /${parts.join('')} HTTP/1.1\r\n${HOST}`, 'latin1'), { timeoutMs: 2_000 });
      assert.match(text, /^HTTP\/1\.1 (?:200|400|404) /);
      assert.ok(closed);
    }),
    { numRuns: 200 },
  );
});

test('nothing hostile reaches the log unescaped', () => {
  assert.ok(fake.lines.length > 100);
  for (const { sentence, fields } of fake.lines) assert.doesNotMatch(sentence + Object.values(fields).join(''), /[\p{Cc}\p{Cf}]/u);
});
