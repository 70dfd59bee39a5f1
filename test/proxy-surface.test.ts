// What a client of the GOPROXY protocol sees of a whole hub: addresses, methods, headers, ranges, the index, and what is answered to hostile requests.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, askUntilFound, assertServes, eventually, rawExchange, leftInStaging, storedFiles } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { address, type SyntheticModule } from './support/synthetic-module.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let module: SyntheticModule;

before(async () => {
  world = await startWorld();
  module = world.publish('surface.example/Big/Thing', 'v1.2.0-RC.1', { fillBytes: 400_000 });
  hub = await world.hub({ workers: 2 });
  for (const file of ['info', 'mod', 'zip']) await askUntilFound(hub, address(module) + file);
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

/** Upstream requests so far, once what the hub fetches ahead of its clients has come to rest. */
async function requestsAtRest(): Promise<number> {
  const isQuiet = async (): Promise<boolean> => {
    const count = world.moduleRequests().length;
    await pause(150);
    return world.moduleRequests().length === count;
  };
  await eventually(isQuiet, (quiet) => quiet);
  return world.moduleRequests().length;
}

test('every prefix of an import path is asked, and the wrong ones are 404', async () => {
  world.publish('deep.example/a/b', 'v1.0.0');
  for (const path of ['deep.example', 'deep.example/a', 'deep.example/a/b/c', 'deep.example/a/b/c/d']) {
    const answer = await ask(hub, `${path}/@v/list`);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.headers.get('cache-control'), 'max-age=60');
    assert.ok(answer.firstLine.length > 5, 'with a sentence');
  }
  assertServes(await ask(hub, 'deep.example/a/b/@v/list'), 'v1.0.0\n');
});

test('list: canonical, sorted, without pseudo-versions, blank lines and what is no version', async () => {
  world.upstream.files.set(
    'many.example/m/@v/list',
    Buffer.from('v1.10.0\nv1.2.0\r\n\nv1.2.0-rc.1\nv0.0.0-20200101000000-aaaaaaaaaaaa\nv1.9.9 extra\nv2.0.0\nv1.2\n<b>\nv1.2.0\n'),
  );
  const { body } = await ask(hub, 'many.example/m/@v/list');
  const lines = body.toString().split('\n');
  assert.deepEqual(
    lines.filter((line) => line.includes('-2020') || line === '<b>' || line === 'v1.2' || line === 'v2.0.0'),
    [],
  );
  assert.deepEqual(lines.slice(0, 2), ['v1.2.0-rc.1', 'v1.2.0']);
  assert.equal(lines.filter((line) => line === 'v1.2.0').length, 1);
  assert.ok(lines.includes('v1.10.0') && lines.indexOf('v1.10.0') > lines.indexOf('v1.2.0'));
});

test('@latest from the list when the upstream has none: release before prerelease', async () => {
  world.publish('latest.example/m', 'v1.1.0');
  world.publish('latest.example/m', 'v1.0.0');
  world.publish('latest.example/m', 'v1.2.0-beta.1');
  const answer = await ask(hub, 'latest.example/m/@latest');
  assert.equal((JSON.parse(answer.body.toString()) as { Version: string }).Version, 'v1.1.0');
  assert.equal(answer.headers.get('cache-control'), 'max-age=60');
});

test('+incompatible: a plus is a plus, raw or escaped, and never a space', async () => {
  const old = world.publish('plus.example/m', 'v2.0.0+incompatible');
  for (const version of ['v2.0.0+incompatible', 'v2.0.0%2Bincompatible', 'v2.0.0%2bincompatible']) {
    assertServes(await ask(hub, `plus.example/m/@v/${version}.zip`), old.zip, version);
  }
  assert.equal((await ask(hub, 'plus.example/m/@v/v2.0.0%20incompatible.zip')).status, 400);
  assert.equal(world.upstream.count('plus.example/m/@v/v2.0.0+incompatible.zip'), 1);
});

test('one canonical address: ! and %21 are one thing, everything else is refused', async () => {
  assertServes(await ask(hub, 'surface.example/!big/!thing/@v/v1.2.0-!r!c.1.mod'), module.goMod);
  assertServes(await ask(hub, 'surface.example/%21big/%21thing/@v/v1.2.0-%21r%21c.1.mod'), module.goMod);
  const before = await requestsAtRest();
  const wrong = [
    'Big/Thing/@v/v1.2.0-!r!c.1',
    '!big/!thing/@v/v1.2.0-RC.1',
    '%2521big/%2521thing/@v/v1.2.0-!r!c.1',
    '!Big/!thing/@v/v1.2.0-!r!c.1',
    '!big%2F!thing/@v/v1.2.0-!r!c.1',
    '!big//!thing/@v/v1.2.0-!r!c.1',
  ];
  for (const path of wrong) assert.equal((await ask(hub, `surface.example/${path}.mod`)).status, 400, path);
  assert.equal(world.moduleRequests().length, before, 'no upstream hears of it');
});

test('a query in the address changes nothing', async () => {
  assertServes(await ask(hub, `${address(module)}mod?go-get=1&x=%00`), module.goMod);
});

test('HEAD is GET without a body, and fills no less truthfully', async () => {
  const cold = world.publish('head.example/m', 'v1.0.0');
  const head = await ask(hub, `${address(cold)}zip`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.body.length, 0);
  assert.equal(Number(head.headers.get('content-length')), cold.zip.length);
  const get = await ask(hub, `${address(cold)}zip`);
  assertServes(get, cold.zip);
  assert.equal(get.headers.get('etag'), head.headers.get('etag'));
  assert.equal((await ask(hub, 'nothing.example/m/@v/list', { method: 'HEAD' })).status, 404);
});

test('Range, If-Range, ETag and 304 on immutable files', async () => {
  const path = `${address(module)}zip`;
  const whole = await ask(hub, path);
  assertServes(whole, module.zip);
  const etag = whole.headers.get('etag') ?? '';
  assert.match(etag, /^"[^"]+"$/);
  assert.equal(whole.headers.get('accept-ranges'), 'bytes');
  assert.equal(whole.headers.get('cache-control'), 'public, max-age=31536000, immutable');
  const size = module.zip.length;
  const ranges: readonly (readonly [string, number, number])[] = [
    ['bytes=0-0', 0, 1],
    ['bytes=1000-', 1000, size],
    ['bytes=-77', size - 77, size],
    [`bytes=${size - 1}-${size + 500}`, size - 1, size],
  ];
  for (const [range, from, to] of ranges) {
    const answer = await ask(hub, path, { headers: { range } });
    assert.equal(answer.status, 206, range);
    assert.equal(answer.headers.get('content-range'), `bytes ${from}-${to - 1}/${size}`);
    assert.ok(answer.body.equals(module.zip.subarray(from, to)), range);
  }
  assert.equal((await ask(hub, path, { headers: { range: `bytes=${size}-` } })).status, 416);
  assert.equal((await ask(hub, path, { headers: { 'if-none-match': etag } })).status, 304);
  assert.equal((await ask(hub, path, { headers: { 'if-none-match': `"x", W/${etag}` } })).status, 304);
  assert.equal((await ask(hub, path, { headers: { 'if-none-match': '"other"' } })).status, 200);
  assert.equal((await ask(hub, path, { headers: { range: 'bytes=5-9', 'if-range': etag } })).status, 206);
  assert.equal((await ask(hub, path, { headers: { range: 'bytes=5-9', 'if-range': '"other"' } })).status, 200);
});

test('HEAD and Range of something cold store the whole and nothing else', async () => {
  const cold = world.publish('coldrange.example/m', 'v1.0.0', { fillBytes: 300_000 });
  const part = await ask(hub, `${address(cold)}zip`, { headers: { range: 'bytes=10-19' } });
  assert.equal(part.status, 206);
  assert.ok(part.body.equals(cold.zip.subarray(10, 20)));
  assert.equal(world.upstream.requests.filter(({ url, headers }) => url.includes('coldrange') && headers['range'] !== undefined).length, 0);
  assertServes(await ask(hub, `${address(cold)}zip`), cold.zip);
});

test('Disable-Module-Fetch and /cached-only/: only what is stored, and no upstream request', async () => {
  const cold = world.publish('uncached.example/m', 'v1.0.0');
  const before = await requestsAtRest();
  for (const file of ['info', 'mod', 'zip']) {
    const disabled = await ask(hub, address(cold) + file, { headers: { 'disable-module-fetch': 'true' } });
    const cachedOnly = await ask(hub, `cached-only/${address(cold)}${file}`);
    for (const answer of [disabled, cachedOnly]) {
      assert.equal(answer.status, 404);
      assert.equal(answer.headers.get('goyi-error'), 'not-cached');
      assert.equal(answer.headers.get('cache-control'), 'no-store', 'a cache in between must not keep it');
    }
    assertServes(
      await ask(hub, `cached-only/${address(module)}${file}`),
      file === 'zip' ? module.zip : file === 'mod' ? module.goMod : module.info,
    );
  }
  assert.equal((await ask(hub, 'cached-only/uncached.example/m/@v/list')).status, 404);
  assertServes(await ask(hub, 'cached-only/surface.example/!big/!thing/@v/list'), 'v1.2.0-RC.1\n');
  assert.equal(world.moduleRequests().length, before);
  assertServes(await ask(hub, `${address(cold)}zip`, { headers: { 'disable-module-fetch': 'false' } }), cold.zip);
});

test('other methods are 405 and end their connection', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
    const answer = await rawExchange(hub, `${method} /${address(module)}mod HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello`);
    assert.match(answer, /^HTTP\/1\.1 405 /, method);
    assert.match(answer, /\r\nallow: GET, HEAD\r\n/i);
  }
});

test('/index: oldest first, since and limit page through everything once', async () => {
  interface Entry {
    Path: string;
    Version: string;
    Timestamp: string;
  }
  for (let i = 0; i < 7; i += 1) await askUntilFound(hub, `${address(world.publish(`index${i}.example/m`, 'v1.0.0'))}zip`);
  const read = async (query: string): Promise<Entry[]> => {
    const { status, body } = await ask(hub, `index${query}`);
    assert.equal(status, 200);
    return body
      .toString()
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Entry);
  };
  const all = await read('');
  assert.ok(all.length >= 8);
  assert.deepEqual(
    all.map(({ Timestamp }) => Timestamp),
    all.map(({ Timestamp }) => Timestamp).toSorted(),
  );
  assert.equal(new Set(all.map(({ Path, Version }) => `${Path}@${Version}`)).size, all.length);
  const paged = new Map<string, Entry>();
  for (let since = '', rounds = 0; rounds < 50; rounds += 1) {
    const page = await read(`?limit=3${since === '' ? '' : `&since=${since}`}`);
    assert.ok(page.length <= 3);
    const known = paged.size;
    for (const entry of page) paged.set(`${entry.Path}@${entry.Version}`, entry);
    if (paged.size === known) break;
    since = page.at(-1)?.Timestamp ?? '';
  }
  assert.deepEqual(
    [...paged.keys()],
    all.map(({ Path, Version }) => `${Path}@${Version}`),
  );
  assert.deepEqual(await read('?since=2999-01-01T00:00:00Z'), []);
  for (const query of ['?since=yesterday', '?limit=0', '?limit=2001', '?limit=x', '?since=2024-02-30T00:00:00Z']) {
    assert.equal((await ask(hub, `index${query}`)).status, 400, query);
  }
});

test('stale lists are served with their age when the upstream is gone', async () => {
  world.publish('stale.example/m', 'v1.0.0');
  await askUntilFound(hub, 'stale.example/m/@v/list');
  await world.upstream.down();
  try {
    const answer = await ask(hub, 'stale.example/m/@v/list');
    assertServes(answer, 'v1.0.0\n');
    assert.match(answer.headers.get('age') ?? '', /^\d+$/);
    assert.match(answer.headers.get('warning') ?? '', /^110 /);
    const absent = await ask(hub, 'neverseen.example/m/@v/list');
    assert.equal(absent.status, 502, 'a dead upstream is no absence');
  } finally {
    await world.upstream.up();
  }
  await eventually(
    () => ask(hub, 'stale.example/m/@v/list'),
    ({ headers }) => headers.get('warning') === null,
  );
});

const long = 'a'.repeat(5000);

/** The worst, byte by byte. None may store, ask an upstream, crash or hang. */
const hostile: readonly (readonly [string, RegExp])[] = [
  ['GET /%2F%2F..%2F..%2Fetc/passwd HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 40[04] /],
  ['GET /../../../../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 40[04] /],
  ['GET /h.example/m/@v/..%2f..%2fgoyi.db HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /h.example/m/@v/../../../goyi.db HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 40[04] /],
  ['GET /h.example/m/@v/v1.0.0%00.zip HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /h.example/m%0d%0aX:%20y/@v/list HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /h.example/m/@v/-upload-pack=touch.info HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /h.example/con/@v/list HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /h.example/%E2%84%AA/@v/list HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /h.example/m/@v/v1.0.0.zip%2e HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 40[04] /],
  ['GET /h.example/m/@v/v01.0.0.zip HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /sumdb/other.example/latest HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 404 /],
  ['GET /sumdb/sum.test.example/tile/8/0/000.p/256 HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /sumdb/sum.test.example/tile/8/0/x000/000 HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /sumdb/sum.test.example/lookup/h.example/m@v1.0.0%0aevil HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 400 /],
  [`GET /${long} HTTP/1.1\r\nHost: h\r\n\r\n`, /^HTTP\/1\.1 4(00|14) /],
  [`GET / HTTP/1.1\r\nHost: h\r\nX: ${long.repeat(10)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
  ['GET /h.example/m/@v/list HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['GET /h.example/m/@v/list HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody', /^HTTP\/1\.1 400 /],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^(HTTP\/1\.1 400 |$)/],
  ['\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003', /^(HTTP\/1\.1 400 |$)/],
  ['CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: h\r\n\r\n', /^(HTTP\/1\.1 4\d\d |$)/],
  ['GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nHost: h\r\n\r\n', /^HTTP\/1\.1 40[04] /],
];

test('hostile bytes: a refusal at once, nothing stored, no upstream request', async (t) => {
  const before = { requests: await requestsAtRest(), files: await storedFiles(hub.dataDir) };
  for (const [bytes, answer] of hostile) {
    await t.test(JSON.stringify(bytes.slice(0, 70)), async () => {
      const startedMs = performance.now();
      const closing = bytes.startsWith('GET') ? bytes.replace('\r\nHost: h\r\n', '\r\nHost: h\r\nConnection: close\r\n') : bytes;
      const text = await rawExchange(hub, Buffer.from(closing, 'latin1'));
      assert.match(text, answer);
      assert.ok(performance.now() - startedMs < 2_000, 'at once');
      assert.doesNotMatch(text, /root:|SQLite format/);
    });
  }
  assert.equal(await requestsAtRest(), before.requests);
  assert.deepEqual(await storedFiles(hub.dataDir), before.files);
  assert.deepEqual(await leftInStaging(hub.dataDir), []);
  assert.doesNotMatch(hub.output(), /met a bug|"code":"internal"/);
  assert.equal((await ask(hub, '-/healthz')).status, 200);
});
