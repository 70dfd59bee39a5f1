// Many clients, one upstream request: in one worker, across two, and when the first client leaves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, assertServes, askUntilFound, eventually, storedFiles } from './support/hub-client.ts';
import { address } from './support/synthetic-module.ts';
import { startWorld } from './support/synthetic-world.ts';

for (const workers of [1, 2]) {
  test(`200 cold clients of one zip on ${workers} worker(s): one upstream request`, async () => {
    await using world = await startWorld();
    const module = world.publish('herd.example/m', 'v1.0.0', { fillBytes: 400_000 });
    await using hub = await world.hub({ workers });
    // Slow enough that all of them come while it runs.
    world.upstream.on(`${address(module)}zip`, { drip: { sizeBytes: 40_000, everyMs: 30 } });
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(hub, `${address(module)}zip`)));
    for (const answer of answers) assertServes(answer, module.zip);
    assert.equal(world.upstream.count(`${address(module)}zip`), 1);
    assert.equal(world.databaseServer.asked.filter((resource) => resource.startsWith('lookup/')).length, 1, 'one look-up');
  });
}

test('the first of many clients leaves: nobody notices, and still one request', async () => {
  await using world = await startWorld();
  const module = world.publish('left.example/m', 'v1.0.0', { fillBytes: 300_000 });
  await using hub = await world.hub();
  world.upstream.on(`${address(module)}zip`, { drip: { sizeBytes: 30_000, everyMs: 40 } });
  const leave = new AbortController();
  const first = ask(hub, `${address(module)}zip`, { signal: leave.signal });
  await eventually(
    () => world.upstream.count(`${address(module)}zip`),
    (count) => count === 1,
  );
  const others = Promise.all(Array.from({ length: 30 }, () => ask(hub, `${address(module)}zip`)));
  leave.abort();
  await assert.rejects(first);
  for (const answer of await others) assertServes(answer, module.zip);
  assert.equal(world.upstream.count(`${address(module)}zip`), 1);
});

test('all clients leave: the fetch goes on and is there for the next', async () => {
  await using world = await startWorld();
  const module = world.publish('alone.example/m', 'v1.0.0', { fillBytes: 300_000 });
  await using hub = await world.hub();
  world.upstream.on(`${address(module)}zip`, { drip: { sizeBytes: 60_000, everyMs: 40 } });
  const leave = new AbortController();
  const only = ask(hub, `${address(module)}zip`, { signal: leave.signal });
  await eventually(
    () => world.upstream.count(`${address(module)}zip`),
    (count) => count === 1,
  );
  leave.abort();
  await assert.rejects(only);
  const stored = await eventually(
    () => storedFiles(hub.dataDir),
    (files) => files.some((file) => file.endsWith('.zip')),
  );
  assert.ok(
    stored.some((file) => file.endsWith('.zip')),
    'the fetch outlived its client',
  );
  assertServes(await ask(hub, `${address(module)}zip`), module.zip);
  assert.equal(world.upstream.count(`${address(module)}zip`), 1);
});

test('a failing herd fails together: few requests, then one for the truth', async () => {
  await using world = await startWorld();
  const module = world.publish('failing.example/m', 'v1.0.0');
  await using hub = await world.hub({ workers: 2 });
  world.upstream.on(`${address(module)}zip`, { body: 'no zip', delayHeadMs: 100 });
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask(hub, `${address(module)}zip`)));
  for (const answer of answers) assert.equal(answer.status, 502, answer.firstLine);
  assert.ok(world.upstream.count(`${address(module)}zip`) <= 3, `${world.upstream.count(`${address(module)}zip`)} requests`);
  world.upstream.behave();
  await askUntilFound(hub, `${address(module)}zip`);
});

test('a cut download is continued by Range: every byte comes once', async () => {
  await using world = await startWorld();
  const module = world.publish('resumed.example/m', 'v1.0.0', { fillBytes: 500_000 });
  await using hub = await world.hub();
  world.upstream.on(`${address(module)}zip`, [{ cutAfterBytes: 200_000 }, { cutAfterBytes: 200_000 }]);
  assertServes(await ask(hub, `${address(module)}zip`), module.zip);
  const ranges = world.upstream.requests.filter(({ url }) => url.endsWith('.zip')).map(({ headers }) => headers['range']);
  assert.equal(ranges.length, 3);
  assert.equal(ranges[0], undefined);
  assert.match(ranges[1] ?? '', /^bytes=\d+-$/);
  assert.match(ranges[2] ?? '', /^bytes=\d+-$/);
});
