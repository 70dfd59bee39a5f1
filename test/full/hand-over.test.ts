// A real nginx in front of a hub that hands large files over to it, and a real go command that downloads through both. The blocks of its
// configuration are those of docs/operations.md, word for word but for addresses and folders.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type GoResult, runGo } from '../support/go-command.ts';
import { ask, askUntilFound, assertServes, freePort, type HubAnswer } from '../support/hub-client.ts';
import type { HubProcess } from '../support/hub-process.ts';
import { documentedServer, type Nginx, startNginx } from '../support/nginx.ts';
import { address, noise, type SyntheticModule } from '../support/synthetic-module.ts';
import { type SyntheticWorld, startWorld } from '../support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let nginx: Nginx;
let small: SyntheticModule;
let large: SyntheticModule;
/** Its address holds a `!` and a `+`. */
let odd: SyntheticModule;

before(async () => {
  world = await startWorld();
  small = world.publish('small.example/m', 'v1.0.0');
  large = world.publish('large.example/m', 'v1.2.3', { fillBytes: 3_000_000 });
  odd = world.publish('odd.example/Some/Thing', 'v2.0.0+incompatible', { goMod: 'module odd.example/Some/Thing\n', fillBytes: 2_000_000 });
  hub = await world.hub({ env: { GOYI_HAND_OVER_KIND: 'x-accel-redirect', GOYI_LOG_ACCESS: 'all' } });
  nginx = await startNginx({ folder: join(world.folder, 'nginx'), server: await documentedServer('x-accel-redirect', hub) });
  for (const module of [small, large, odd]) await askUntilFound(nginx, `${address(module)}zip`);
});

after(async () => {
  await nginx?.[Symbol.asyncDispose]();
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

async function goAnew(proxy: string, modules: readonly SyntheticModule[]): Promise<GoResult> {
  const client = join(world.folder, 'client');
  await rm(client, { recursive: true, force: true });
  const app = join(client, 'app');
  await mkdir(app, { recursive: true });
  await writeFile(join(app, 'go.mod'), `module app.example/app\n\ngo 1.21\n`);
  const wanted = modules.map(({ path, version }) => `${path}@${version}`);
  const settings = { GOPROXY: proxy, GOMODCACHE: join(client, 'mod'), GOSUMDB: world.goSumDb };
  return runGo(app, ['mod', 'download', '-json', ...wanted], settings, 60_000);
}

/** nginx says when a file was changed and the hub never does: so it shows who sent an answer. */
const isFromNginx = ({ headers }: HubAnswer): boolean => headers.has('last-modified');

test('go mod download through nginx: everything is verified, and nginx sends what is large', async () => {
  const before = hub.output().length;
  const result = await goAnew(nginx.url, [small, large, odd]);
  assert.equal(result.code, 0, result.stderr);
  const sums = [...result.stdout.matchAll(/"Sum": "([^"]+)"/g)].map(([, sum]) => sum);
  assert.deepEqual(
    sums,
    [small, large, odd].map(({ zipHash }) => zipHash),
  );
  const handedOver = [
    ...hub
      .output()
      .slice(before)
      .matchAll(/"path":"([^"]+)".*"handedOver":(\d+)/g),
  ].map(([, path = '', bytes]) => [decodeURIComponent(path), Number(bytes)] as const);
  assert.deepEqual(new Map(handedOver), new Map([large, odd].map((module) => [`/${address(module)}zip`, module.zip.length])));
});

test('what nginx sends has the bytes and the headers of the hub', async () => {
  for (const module of [small, large, odd]) {
    const path = `${address(module)}zip`;
    const [answer, head] = [await ask(nginx, path), await ask(nginx, path, { method: 'HEAD' })];
    assertServes(answer, module.zip);
    assert.equal(isFromNginx(answer), module !== small, path);
    assert.equal(isFromNginx(head), false);
    const digest = createHash('sha256').update(module.zip).digest('hex');
    for (const { headers } of [answer, head]) {
      const names = ['etag', 'content-type', 'content-length', 'cache-control', 'accept-ranges', 'goyi-cache', 'x-content-type-options'];
      assert.deepEqual(
        names.map((name) => headers.get(name)),
        [`"${digest}"`, 'application/zip', `${module.zip.length}`, 'public, max-age=31536000, immutable', 'bytes', 'hit', 'nosniff'],
      );
      assert.match(headers.get('x-request-id') ?? '', /^[0-9a-f]{8}-/);
      assert.equal(headers.get('x-accel-redirect'), null);
    }
  }
});

const ranges = [
  { name: 'from the middle', headers: { range: 'bytes=1000000-1000099' }, status: 206, part: [1_000_000, 1_000_100] },
  { name: 'from the end', headers: { range: 'bytes=-5' }, status: 206, part: [-5] },
  { name: 'resumed', headers: { range: 'bytes=2000000-', 'if-range': 'OWN' }, status: 206, part: [2_000_000] },
  { name: 'resumed of another file', headers: { range: 'bytes=2000000-', 'if-range': '"other"' }, status: 200, part: [0] },
  { name: 'beyond the end', headers: { range: 'bytes=99999999-' }, status: 416, part: undefined },
  { name: 'known already', headers: { 'if-none-match': 'OWN' }, status: 304, part: undefined },
  { name: 'another one known', headers: { 'if-none-match': '"other"' }, status: 200, part: [0] },
] as const;

for (const { name, headers, status, part } of ranges) {
  test(`a part of it: ${name}`, async () => {
    const path = `${address(large)}zip`;
    const etag = (await ask(nginx, path, { method: 'HEAD' })).headers.get('etag') ?? '';
    const asked = Object.fromEntries(Object.entries(headers).map(([header, value]) => [header, value === 'OWN' ? etag : value]));
    const answer = await ask(nginx, path, { headers: asked });
    assert.equal(answer.status, status);
    if (part === undefined) return;
    assert.ok(answer.body.equals(large.zip.subarray(...part)));
    assert.ok(isFromNginx(answer));
    assert.equal(answer.headers.get('etag'), etag);
  });
}

test('no client comes to a file but through the hub', async () => {
  const inside = `goyi-store/modules/${address(large)}zip`;
  for (const path of [
    inside,
    'goyi-store/goyi.db',
    'goyi-store/modules/../goyi.db',
    'goyi-store/modules/%2e%2e/goyi.db',
    'goyi-store/modules/',
  ]) {
    const { status } = await ask(nginx, path);
    assert.ok(status === 404 || status === 400, `${path}: ${status}`);
  }
  const forged = {
    'x-accel-redirect': '/goyi-store/modules/',
    'x-sendfile': '/etc/passwd',
    'x-accel-mapping': '/=/',
    'x-forwarded-for': '10.9.8.7',
  };
  assert.equal((await ask(nginx, 'absent.example/m/@v/v1.0.0.zip', { headers: forged })).status, 404);
  assertServes(await ask(nginx, `${address(small)}zip`, { headers: forged }), small.zip);
  assertServes(await ask(nginx, `${address(large)}zip`, { headers: forged }), large.zip);
});

test('an address with %21 and %2B leads to the same file', async () => {
  const answer = await ask(nginx, `${address(odd)}zip`.replaceAll('!', '%21').replaceAll('+', '%2B'));
  assertServes(answer, odd.zip);
  assert.ok(isFromNginx(answer));
});

test('a stored file that was changed is not handed over: the bytes that arrive are the proved ones', async () => {
  const file = join(hub.dataDir, 'modules', `${address(large)}zip`);
  await chmod(file, 0o644);
  await writeFile(file, noise('somebody else', large.zip.length));
  assertServes(await ask(nginx, `${address(large)}zip`), large.zip);
  assertServes(await ask(nginx, `${address(large)}zip`), large.zip);
  assert.match(hub.output(), /a stored file was set aside/);
});

test('a redirect to a static server: the go command follows it and verifies what it gets', async () => {
  const port = await freePort();
  const dataDir = join(world.folder, 'redirecting');
  await using files = await startNginx({
    folder: join(world.folder, 'static'),
    server: await documentedServer('redirect', { url: '', dataDir }),
  });
  await using redirecting = await world.hub({
    dataDir,
    port,
    env: { GOYI_HAND_OVER_KIND: 'redirect', GOYI_HAND_OVER_PREFIX: `${files.url}/goyi/`, GOYI_PUBLIC_URL: `http://127.0.0.1:${port}` },
  });
  for (const module of [large, odd]) {
    const path = `${address(module)}zip`;
    assert.equal((await ask(redirecting, path)).status, 302);
    const followed = await ask(redirecting, path, { redirect: 'follow' });
    assertServes(followed, module.zip);
    assert.equal(followed.headers.get('content-type'), 'application/zip');
    assert.ok(isFromNginx(followed));
  }
  const result = await goAnew(redirecting.url, [small, large, odd]);
  assert.equal(result.code, 0, result.stderr);
});
