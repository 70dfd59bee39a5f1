// `goyi warm` against a hub of real processes: exactly what the real go command asks for, so that it finds everything; and what fails says so.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { realUpstream, runGo } from './support/go-command.ts';
import { roomyFolder, runGoyi, startHub } from './support/hub-process.ts';
import { startRelay } from './support/relay-upstream.ts';
import { startWorld } from './support/synthetic-world.ts';

const projects = [
  { module: 'k8s.io/kubectl', version: 'v0.34.1', why: 'a pruned graph' },
  { module: 'github.com/spf13/cobra', version: 'v1.0.0', why: 'a go line older than 1.17' },
] as const;

const isArtefact = (path: string): boolean => /\.(?:info|mod|zip)$/.test(path);

for (const { module, version, why } of projects) {
  test(`${module}@${version}, ${why}: goyi warm fetches what go mod download asks for, no more and no less`, async () => {
    await using folder = await roomyFolder(2 * 2 ** 30);
    await using relay = await startRelay(await realUpstream());
    const goMod = await (await fetch(`${relay.url}/${module}/@v/${version}.mod`)).text();
    const project = join(folder.path, 'project');
    await mkdir(project);
    await writeFile(join(project, 'go.mod'), goMod);
    const go = async (GOPROXY: string, cache: string, more: { GOSUMDB?: string } = {}): Promise<void> => {
      const result = await runGo(project, ['mod', 'download'], { GOPROXY, GOMODCACHE: join(folder.path, cache, 'mod'), ...more });
      assert.equal(result.code, 0, result.stderr);
    };
    let before = relay.requests.length;
    // What it asks of a checksum database is not the matter here, and takes long.
    await go(relay.url, 'direct', { GOSUMDB: 'off' });
    const wanted = new Set(relay.requests.slice(before).filter(isArtefact).map(decodeURIComponent));
    assert.ok(wanted.size > 100, `${wanted.size} artefacts`);

    await using hub = await startHub({
      dataDir: join(folder.path, 'data'),
      upstreams: [relay.url],
      workers: 2,
      env: { GOYI_LIMITS_PREFETCH_SLOTS: '0' },
    });
    // By now go has written a go.sum beside it; the go.mod alone has to do.
    before = relay.requests.length;
    const warmed = await runGoyi(['warm', '--hub', hub.url, join(project, 'go.mod')], { GOENV: 'off' });
    assert.equal(warmed.code, 0, warmed.output);
    const fetched = relay.requests.slice(before).filter(isArtefact).map(decodeURIComponent);
    assert.deepEqual(fetched.toSorted(), [...wanted].toSorted());

    relay.decide = () => ({ kind: 'drop' });
    await go(hub.url, 'through');
    const again = await runGoyi(['warm', '--hub', hub.url, '--json', project], { GOENV: 'off' });
    assert.equal(again.code, 0, again.output);
    const { fetched: more, failed } = JSON.parse(again.output) as { fetched: number; failed: number };
    assert.deepEqual([more, failed], [0, 0], 'its go.sum asks for nothing else and agrees');
  });
}

test('a go.sum that somebody changed, a module that is gone, a run without Go settings', async () => {
  await using world = await startWorld();
  const a = world.publish('a.example/a', 'v1.0.0');
  const b = world.publish('b.example/b', 'v1.0.0', { goMod: 'module b.example/b\n' });
  await using hub = await world.hub();
  const file = join(world.folder, 'go.sum');
  const lines = [
    `a.example/a v1.0.0 ${a.zipHash}`,
    `a.example/a v1.0.0/go.mod ${b.modHash}`,
    `gone.example/g v1.0.0/go.mod ${b.modHash}`,
    `corp.example/p v1.0.0/go.mod ${b.modHash}`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const ran = await runGoyi(['warm', '--hub', hub.url, file], { GOENV: 'off', GOPRIVATE: 'corp.example' });
  assert.equal(ran.code, 5, ran.output);
  assert.match(ran.output, /\(checksum-mismatch\): go\.sum line 2: a\.example\/a v1\.0\.0\/go\.mod has h1:/);
  assert.match(ran.output, /gone\.example\/g@v1\.0\.0 \.mod \(not-found\)/);
  assert.match(ran.output, /1 file left out/);
  assert.deepEqual(
    world.moduleRequests().filter((url) => url.includes('corp.example')),
    [],
    'a private name never left',
  );
});

test('only the machine of the hub may ask, whatever a header says', async () => {
  await using world = await startWorld();
  const own = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal)?.address;
  await using hub = await world.hub({ args: ['--listen', '0.0.0.0:0'], env: { GOYI_ACCESS_ANONYMOUS: 'read' } });
  const { port } = new URL(hub.url);
  const post = (host: string, headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const req = request({
        host,
        port,
        path: '/api/v1/warm',
        method: 'POST',
        agent: false,
        headers: { 'content-type': 'application/json', ...headers },
      });
      req.on('response', (res) => {
        res.resume();
        resolve(res.statusCode ?? 0);
      });
      req.on('error', reject);
      req.end('{"modules":[]}');
    });
  assert.equal(await post('127.0.0.1', {}), 200);
  assert.equal(await post('127.0.0.1', { 'x-forwarded-for': '127.0.0.1' }), 403);
  assert.equal(await post('127.0.0.1', { host: 'evil.example' }), 403);
  // A machine without a network has loopback addresses alone.
  if (own !== undefined) assert.equal(await post(own, { host: '127.0.0.1', 'x-forwarded-for': '127.0.0.1' }), 403);
});
