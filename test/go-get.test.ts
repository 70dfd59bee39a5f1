// What people type, through a hub with healthy, dead and dying upstreams.
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { realUpstream, runGo } from './support/go-command.ts';
import { startHub, temporaryFolder } from './support/hub-process.ts';
import { startRelay } from './support/relay-upstream.ts';

async function emptyModule(folder: string, name: string): Promise<string> {
  const directory = join(folder, name);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'go.mod'), 'module example.com/app\n\ngo 1.24\n');
  return directory;
}

test('go get of a package below a module root, with one of two upstreams dead from the start', async () => {
  await using folder = await temporaryFolder();
  await using dead = await startRelay('http://127.0.0.1:9');
  dead.decide = () => ({ kind: 'drop' });
  await using alive = await startRelay(await realUpstream());
  await using hub = await startHub({ dataDir: join(folder.path, 'data'), upstreams: [dead.url, alive.url] });
  const directory = await emptyModule(folder.path, 'app');
  const result = await runGo(directory, ['get', 'golang.org/x/text/language'], {
    GOPROXY: hub.url,
    GOMODCACHE: join(folder.path, 'cache'),
  });
  assert.equal(result.code, 0, result.stderr + hub.output());
  assert.match(await readFile(join(directory, 'go.mod'), 'utf8'), /golang\.org\/x\/text v0\.\d+\.\d+/);
});

test('go get of a package below a module root, with one of two upstreams dying in the middle', async () => {
  await using folder = await temporaryFolder();
  const target = await realUpstream();
  await using dying = await startRelay(target);
  dying.decide = (_path, count) => (count <= 4 ? { kind: 'pass' } : { kind: 'drop' });
  await using alive = await startRelay(target);
  await using hub = await startHub({ dataDir: join(folder.path, 'data'), upstreams: [dying.url, alive.url] });
  const directory = await emptyModule(folder.path, 'app');
  let result = await runGo(directory, ['get', 'golang.org/x/text/language'], { GOPROXY: hub.url, GOMODCACHE: join(folder.path, 'cache') });
  // While the breaker learns that the upstream is gone, its absence must not look like the module's: a fault is allowed once, a 404 never.
  if (result.code !== 0) {
    assert.doesNotMatch(result.stderr, /404 Not Found/);
    result = await runGo(directory, ['get', 'golang.org/x/text/language'], { GOPROXY: hub.url, GOMODCACHE: join(folder.path, 'cache') });
  }
  assert.equal(result.code, 0, result.stderr + hub.output());
});

test('go list -m -versions, @latest by list, a version prefix and an unknown version', async () => {
  await using folder = await temporaryFolder();
  await using hub = await startHub({ dataDir: join(folder.path, 'data'), upstreams: [await realUpstream()] });
  const directory = await emptyModule(folder.path, 'app');
  const settings = { GOPROXY: hub.url, GOMODCACHE: join(folder.path, 'cache') };
  const versions = await runGo(directory, ['list', '-m', '-versions', 'github.com/pkg/errors'], settings);
  assert.match(versions.stdout, /^github\.com\/pkg\/errors v0\.1\.0 .*v0\.9\.1$/m, versions.stderr);
  assert.doesNotMatch(versions.stdout, /v0\.0\.0-2017/, 'pseudo-versions are not listed');
  const latest = await fetch(`${hub.url}/github.com/pkg/errors/@latest`);
  assert.equal(latest.status, 200);
  assert.equal(((await latest.json()) as { Version: string }).Version, 'v0.9.1');
  const prefix = await fetch(`${hub.url}/github.com/pkg/errors/@v/v0.8.info`);
  assert.equal(((await prefix.json()) as { Version: string }).Version, 'v0.8.1');
  const unknown = await fetch(`${hub.url}/github.com/pkg/errors/@v/v0.99.0.info`);
  assert.ok(unknown.status === 404 || unknown.status === 403, String(unknown.status));
});

test('a toolchain through the hub, verified', async () => {
  await using folder = await temporaryFolder();
  await using hub = await startHub({ dataDir: join(folder.path, 'data'), upstreams: [await realUpstream()] });
  const directory = await emptyModule(folder.path, 'app');
  const result = await runGo(directory, ['version'], { GOPROXY: hub.url, GOMODCACHE: join(folder.path, 'cache'), GOTOOLCHAIN: 'go1.25.0' });
  assert.equal(result.code, 0, result.stderr + hub.output());
  assert.match(result.stdout, /^go version go1\.25\.0 /);
});
