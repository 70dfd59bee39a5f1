// Starting where one may not, stopping while somebody downloads, and changing the configuration of a running hub.
import assert from 'node:assert/strict';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { runGo } from './support/go-command.ts';
import { ask, assertServes, eventually, freePort } from './support/hub-client.ts';
import { type HubProcess, runGoyi, temporaryFolder } from './support/hub-process.ts';
import { childrenOf, isRunning } from './support/processes.ts';
import { address } from './support/synthetic-module.ts';
import { startWorld } from './support/synthetic-world.ts';

test('a second hub on the same data folder is refused with a sentence and its exit code; the first notices nothing', async () => {
  await using world = await startWorld();
  const module = world.publish('first.example/m', 'v1.0.0');
  await using first = await world.hub();
  assertServes(await ask(first, `${address(module)}zip`), module.zip);
  const second = await runGoyi(['serve', '--listen', '127.0.0.1:0', '--data-dir', first.dataDir, '--upstreams', 'off']);
  assert.equal(second.code, 8, second.output);
  assert.match(second.output, new RegExp(`another hub \\(process ${first.pid}\\) uses the data folder`));
  assert.doesNotMatch(second.output, /\n\s+at /, 'no stack trace');
  assertServes(await ask(first, `${address(module)}zip`), module.zip);
  await first.stop();
  await using successor = await world.hub();
  assertServes(await ask(successor, `${address(module)}zip`, { headers: { 'disable-module-fetch': 'true' } }), module.zip);
});

test('two hubs that start at the same moment: one of them serves', async () => {
  await using world = await startWorld();
  const started = await Promise.allSettled([world.hub(), world.hub(), world.hub()]);
  const hubs = started
    .filter((outcome): outcome is PromiseFulfilledResult<HubProcess> => outcome.status === 'fulfilled')
    .map(({ value }) => value);
  try {
    assert.equal(hubs.length, 1);
    for (const outcome of started)
      if (outcome.status === 'rejected') assert.match(String(outcome.reason), /ended with 8[\s\S]*another hub/);
  } finally {
    for (const hub of hubs) await hub.stop();
  }
});

test('a taken port is refused with a sentence and its exit code', async () => {
  await using folder = await temporaryFolder();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const taken = await runGoyi([
      'serve',
      '--listen',
      `127.0.0.1:${port}`,
      '--data-dir',
      join(folder.path, 'data'),
      '--upstreams',
      'off',
      '--workers',
      '2',
    ]);
    assert.equal(taken.code, 8, taken.output);
    assert.match(taken.output, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: another program listens there`));
    assert.doesNotMatch(taken.output, /\n\s+at /);
  } finally {
    server.close();
  }
});

const refusedStarts: readonly {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
  readonly says: RegExp;
}[] = [
  {
    name: 'other machines could reach it and nobody said that they may',
    args: ['--listen', '0.0.0.0:0'],
    says: /access: \{anonymous: \[read\]\}/,
  },
  { name: 'the same on all addresses', args: ['--listen', ':0'], says: /access: \{anonymous: \[read\]\}/ },
  { name: 'an unknown variable', args: [], env: { GOYI_UPSTREAM: 'x' }, says: /GOYI_UPSTREAM\b/ },
  { name: 'a list with a bar', args: ['--upstreams', 'https://a.example|https://b.example'], says: /\|/ },
  { name: 'a database key that is none', args: [], env: { GOYI_CHECKSUM_DATABASES: 'sum.example+00000000+AAAA' }, says: /sum\.example/ },
];

for (const { name, args, env = {}, says } of refusedStarts) {
  test(`not started: ${name}`, async () => {
    await using folder = await temporaryFolder();
    const result = await runGoyi(['serve', '--data-dir', join(folder.path, 'data'), ...args], env);
    assert.equal(result.code, 2, result.output);
    assert.match(result.output, says);
    assert.doesNotMatch(result.output, /\n\s+at /);
  });
}

test('with access.anonymous it may listen everywhere', async () => {
  await using world = await startWorld();
  await using hub = await world.hub({ args: ['--listen', '0.0.0.0:0'], env: { GOYI_ACCESS_ANONYMOUS: 'read' } });
  const { port } = new URL(hub.url);
  assert.equal((await ask({ url: `http://127.0.0.1:${port}` }, '-/healthz')).status, 200);
});

test('SIGTERM: a running download ends whole, new connections are refused, the exit code is 0 and nothing is left running', async () => {
  await using world = await startWorld();
  const module = world.publish('drain.example/m', 'v1.0.0', { fillBytes: 20_000_000 });
  await using hub = await world.hub({ workers: 2 });
  assertServes(await ask(hub, `${address(module)}zip`), module.zip);
  const workers = await childrenOf(hub.pid);
  const response = await fetch(`${hub.url}/${address(module)}zip`);
  const reader = response.body?.getReader();
  assert.ok(reader);
  const first = await reader.read();
  let sizeBytes = first.value?.length ?? 0;
  hub.signal('SIGTERM');
  await eventually(
    () =>
      fetch(`${hub.url}/-/healthz`, { signal: AbortSignal.timeout(300) }).then(
        () => false,
        () => true,
      ),
    (refused) => refused,
  );
  assert.ok(await isRunning(hub.pid), 'it waits for the download');
  for (let part = await reader.read(); !part.done; part = await reader.read()) sizeBytes += part.value.length;
  assert.equal(sizeBytes, module.zip.length);
  assert.equal(await hub.exited, 0);
  for (const pid of workers) assert.equal(await isRunning(pid), false);
});

test('SIGTERM with a reader that never reads and a fill that hangs: it ends all the same, in bounded time', async () => {
  await using world = await startWorld();
  const module = world.publish('bounded.example/m', 'v1.0.0', { fillBytes: 20_000_000 });
  const stuck = world.publish('hanging.example/m', 'v1.0.0');
  await using hub = await world.hub({ env: { GOYI_LIMITS_DRAIN_SECONDS: '1', GOYI_LIMITS_UPSTREAM_SECONDS: '60' } });
  assertServes(await ask(hub, `${address(module)}zip`), module.zip);
  world.upstream.on(`${address(stuck)}zip`, { hang: true });
  const unread = await fetch(`${hub.url}/${address(module)}zip`);
  const waiting = fetch(`${hub.url}/${address(stuck)}zip`).catch(() => undefined);
  await eventually(
    () => world.upstream.count(`${address(stuck)}zip`),
    (count) => count === 1,
  );
  const startedMs = performance.now();
  hub.signal('SIGTERM');
  assert.equal(await hub.exited, 0);
  assert.ok(performance.now() - startedMs < 6_000, 'drainSeconds and little more');
  const answer = await waiting;
  assert.ok(answer === undefined || answer.status === 503, 'never an absence');
  await unread.body?.cancel().catch(() => {});
});

test('SIGHUP and a changed file: a rule appears, what cannot change is named, a faulty file changes nothing', async () => {
  await using world = await startWorld();
  const module = world.publish('ruled.example/m', 'v1.0.0');
  const config = join(world.folder, 'config', 'goyi.yaml');
  await mkdir(join(world.folder, 'config'));
  const write = async (text: string): Promise<void> => {
    await writeFile(`${config}.next`, text);
    await rename(`${config}.next`, config);
  };
  const listSeconds = 'freshness: {listSeconds: 1}\n';
  await write(listSeconds);
  const port = await freePort();
  await using hub = await world.hub({ port, workers: 2, args: ['--config', config] });
  assertServes(await ask(hub, `${address(module)}zip`), module.zip);

  const rules = (reason: string): string =>
    `${listSeconds}policy:\n  rules:\n    - {match: "ruled.example/*", action: deny, reason: "${reason}"}\n`;
  const isDenied = ({ status }: { status: number }): boolean => status === 403;
  await write(rules('withdrawn by its author; use good.example/thing'));
  const denied = await eventually(() => ask(hub, `${address(module)}zip`), isDenied, 10_000);
  assert.equal(denied.status, 403, 'what is stored is denied as well');
  assert.match(denied.firstLine, /withdrawn by its author; use good\.example\/thing/);
  assert.equal((await ask(hub, `sumdb/${world.database.name}/lookup/ruled.example/m@v1.0.0`)).status, 403);

  const directory = join(world.folder, 'app');
  await mkdir(directory);
  await writeFile(join(directory, 'go.mod'), 'module app.example/app\n\ngo 1.21\n');
  const settings = { GOPROXY: `${hub.url},direct`, GOMODCACHE: join(world.folder, 'client', 'mod'), GOSUMDB: world.goSumDb };
  const got = await runGo(directory, ['get', 'ruled.example/m@v1.0.0'], settings, 60_000);
  assert.notEqual(got.code, 0);
  const line = got.stderr.split('\n').find((candidate) => candidate.includes('withdrawn'));
  assert.ok(line !== undefined && got.stderr.includes('403 Forbidden'), got.stderr);
  assert.match(
    got.stderr,
    /server response:\s+ruled\.example\/m@?\S* is blocked by policy: withdrawn/,
    'the reason is the first line of the answer',
  );

  const before = hub.output().length;
  await write('policy: {rules: [{match: "ruled.example/*"}]}\nnonsense: 1\n');
  await eventually(
    () => hub.output().slice(before),
    (output) => output.includes('is not used'),
    10_000,
  );
  assert.match(hub.output().slice(before), /faults.*nonsense/);
  assert.equal((await ask(hub, `${address(module)}zip`)).status, 403, 'a faulty file changes nothing');

  await write(`${listSeconds}dataDir: /elsewhere\nlisten: 127.0.0.1:1\n`);
  hub.signal('SIGHUP');
  await eventually(
    () => ask(hub, `${address(module)}zip`),
    ({ status }) => status === 200,
    10_000,
  );
  assertServes(await ask(hub, `${address(module)}zip`), module.zip, 'the rule is gone');
  assert.equal(
    await eventually(
      async () => (await childrenOf(hub.pid)).length,
      (count) => count === 2,
    ),
    2,
    'the former workers ended',
  );
});

test('a changed listen address is named as what needs a restart', async () => {
  await using world = await startWorld();
  const config = join(world.folder, 'goyi.yaml');
  const port = await freePort();
  // Without flags, so that the file decides.
  await writeFile(config, `listen: 127.0.0.1:${port}\n`);
  await using hub = await world.hub({
    bare: true,
    args: ['--config', config],
    env: { GOYI_DATA_DIR: join(world.folder, 'data'), GOYI_UPSTREAMS: world.upstream.url, GOYI_WORKERS: '1' },
  });
  await writeFile(config, 'listen: 127.0.0.1:1\nworkers: 1\n');
  hub.signal('SIGHUP');
  await eventually(
    () => hub.output(),
    (output) => output.includes('was reloaded'),
    10_000,
  );
  assert.match(hub.output(), /"key":"listen","msg":"a changed key takes effect only at the next start"/);
  assert.equal((await ask(hub, '-/healthz')).status, 200);
});

test('downloads go on while the configuration is reloaded', async () => {
  await using world = await startWorld();
  const module = world.publish('reload.example/m', 'v1.0.0', { fillBytes: 3_000_000 });
  await using hub = await world.hub({ port: await freePort() });
  assertServes(await ask(hub, `${address(module)}zip`), module.zip);
  let reloads = 0;
  let stop = false;
  const clients = Array.from({ length: 4 }, async () => {
    let served = 0;
    while (!stop) {
      // A kept connection may close while a request is on its way; then no byte of an answer has come, and any client asks again, as go does.
      const response = await fetch(`${hub.url}/${address(module)}zip`).catch(() => fetch(`${hub.url}/${address(module)}zip`));
      assert.equal(response.status, 200);
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(module.zip), 'an answer that began is whole');
      served += 1;
    }
    return served;
  });
  const ended = Promise.all(clients);
  ended.catch(() => {});
  try {
    for (; reloads < 2; reloads += 1) {
      const before = hub.output().length;
      hub.signal('SIGHUP');
      await eventually(
        () => hub.output().slice(before),
        (output) => output.includes('was reloaded'),
        10_000,
      );
    }
  } finally {
    stop = true;
  }
  for (const served of await ended) assert.ok(served > 0);
});

test('the pid file and the lock leave nothing behind that hinders the next start', async () => {
  await using world = await startWorld();
  const first = await world.hub();
  await first.kill();
  await using second = await world.hub();
  assert.equal((await ask(second, '-/readyz')).status, 200);
  await readFile(join(second.dataDir, 'hub.pid'), 'utf8');
});
