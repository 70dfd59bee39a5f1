// Git goes where it was told to, and nowhere else: real git, a real https server, and a name server that a test has in its hand.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../src/base/clock.ts';
import { codeOf, messageOf } from '../src/base/errors.ts';
import { silentLog } from '../src/base/log.ts';
import { createPinnedRoutes, type PinnedRoutes } from '../src/net/pinned-routes.ts';
import { withoutProxy } from '../src/net/proxy-rules.ts';
import { createGitSource } from '../src/origin/git/git-source.ts';
import type { ModuleSource } from '../src/origin/module-source.ts';
import { type CodeWorld, startCodeWorld } from './support/code-world.ts';
import { makeRepository } from './support/git-repository.ts';
import { modulePath, versionOf } from './support/git-source-bench.ts';
import { temporaryFolder } from './support/hub-process.ts';

const lib = modulePath('code.example/lib');

function soon(): AbortSignal {
  return AbortSignal.timeout(60_000);
}

function sourceOf(folder: string, world: CodeWorld, url: string, routes: PinnedRoutes): ModuleSource & AsyncDisposable {
  return createGitSource({
    locator: () => async () => ({ root: lib, url, credential: undefined, routes }),
    mirrors: join(folder, 'git-public'),
    exclusively: (_, run, signal) => run(signal),
    // Settings of the machine that would lead git elsewhere, were they heeded.
    environment: { PATH: process.env['PATH'], HTTPS_PROXY: 'http://127.0.0.1:9', ALL_PROXY: 'http://127.0.0.1:9', NO_PROXY: 'nobody' },
    caFile: world.caFile,
    limits: { refsMs: 0 },
    clock: systemClock,
    log: silentLog,
  });
}

test('git connects to the addresses that were checked, without a name server or a proxy of the machine', async () => {
  await using folder = await temporaryFolder();
  await using world = await startCodeWorld(join(folder.path, 'hosts'));
  await makeRepository(join(folder.path, 'hosts'), 'code.example/lib', {
    steps: [{ commit: 'one', files: { 'go.mod': `module ${lib}\n` } }, { tag: 'v1.0.0' }],
  });
  const url = `https://code.example:${world.port}/lib`;
  const asked: string[] = [];
  const resolver = async (host: string): Promise<{ address: string; family: number }[]> => {
    asked.push(host);
    return [{ address: '127.0.0.1', family: 4 }];
  };
  const routes = createPinnedRoutes({ configuredOrigins: [new URL(url)], proxy: withoutProxy, resolver });
  await using source = sourceOf(folder.path, world, url, routes);
  assert.equal((await source.resolve(lib, 'latest', soon())).version, 'v1.0.0');
  assert.ok(world.requests.some((request) => request.includes('code.example/lib')));
  assert.ok(asked.length > 0 && asked.every((host) => host === 'code.example'));
  assert.deepEqual(world.hosts, [], 'not through the proxy');
  // To make room, by any process of the hub.
  await rm(join(folder.path, 'git-public', 'code.example'), { recursive: true });
  assert.equal((await source.resolve(lib, 'v1.0.0', soon())).version, 'v1.0.0');
  assert.equal((await source.goMod(lib, versionOf('v1.0.0'), soon())).toString(), `module ${lib}\n`);
});

test('a name that begins to lead inward is not followed: git is not even started', async () => {
  await using folder = await temporaryFolder();
  await using world = await startCodeWorld(join(folder.path, 'hosts'));
  await makeRepository(join(folder.path, 'hosts'), 'code.example/lib', {
    steps: [{ commit: 'one', files: { a: 'a' } }, { tag: 'v1.0.0' }],
  });
  const url = `https://code.example:${world.port}/lib`;
  const routes = createPinnedRoutes({
    configuredOrigins: [],
    proxy: withoutProxy,
    resolver: async () => [{ address: '127.0.0.1', family: 4 }],
  });
  await using source = sourceOf(folder.path, world, url, routes);
  const error = await source.versions(lib, soon()).catch((caught: unknown) => caught);
  assert.equal(codeOf(error), 'origin-unavailable');
  assert.match(messageOf(error), /loopback/);
  assert.deepEqual(world.requests, []);
});

test('a public repository is read by https alone, and a wanted login means that there is none', async () => {
  await using folder = await temporaryFolder();
  await using world = await startCodeWorld(join(folder.path, 'hosts'));
  const routes = createPinnedRoutes({
    configuredOrigins: [new URL(`https://code.example:${world.port}`)],
    proxy: withoutProxy,
    resolver: async () => [{ address: '127.0.0.1', family: 4 }],
  });
  for (const url of [`http://code.example:${world.port}/lib`, `ssh://git@code.example/lib`, `file:///etc`]) {
    await using source = sourceOf(folder.path, world, url, routes);
    const error = await source.versions(lib, soon()).catch((caught: unknown) => caught);
    assert.equal(codeOf(error), 'not-found', messageOf(error));
  }
  assert.deepEqual(world.requests, []);
  world.trouble = (_, response) => void response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
  await using private401 = sourceOf(folder.path, world, `https://code.example:${world.port}/lib`, routes);
  assert.equal(codeOf(await private401.versions(lib, soon()).catch((caught: unknown) => caught)), 'not-found');
  world.trouble = (_, response) => void response.writeHead(302, { location: 'https://127.0.0.1/lib/info/refs' }).end();
  await using moved = sourceOf(folder.path, world, `https://code.example:${world.port}/lib`, routes);
  assert.equal(codeOf(await moved.versions(lib, soon()).catch((caught: unknown) => caught)), 'upstream-invalid');
  world.trouble = (_, response) => void response.writeHead(403).end();
  await using refusing = sourceOf(folder.path, world, `https://code.example:${world.port}/lib`, routes);
  assert.equal(codeOf(await refusing.versions(lib, soon()).catch((caught: unknown) => caught)), 'origin-unavailable');
});
