// Stuck upstreams, endless bodies, slow and unread connections, floods: neighbours are not slowed, and a worker's memory stays bounded. The figures are printed.
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, askUntilFound, assertServes, eventually, leftInStaging, storedFiles } from './support/hub-client.ts';
import type { HubProcess } from './support/hub-process.ts';
import { childrenOf, peakMegabytes, residentMegabytes } from './support/processes.ts';
import { startScriptedUpstream } from './support/scripted-upstream.ts';
import { address, makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { type SyntheticWorld, startWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let worker: number;
let small: SyntheticModule;
let large: SyntheticModule;

const megabytesMax = { attack: 500, downloads: 250, idle: 150, primary: 80 };

before(async () => {
  world = await startWorld();
  small = world.publish('small.example/m', 'v1.0.0');
  large = world.publish('large.example/m', 'v1.0.0', { fillBytes: 18_000_000 });
  hub = await world.hub({ env: { GOYI_LIMITS_HEADER_SECONDS: '4', GOYI_FRESHNESS_NEGATIVE_SECONDS: '60' } });
  await askUntilFound(hub, `${address(small)}zip`);
  await askUntilFound(hub, `${address(large)}zip`);
  worker = (await childrenOf(hub.pid))[0] ?? 0;
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

/** Runs an attack, prints the worker's peak and holds it against the limit; the hub must be as well as before afterwards. */
async function underAttack(t: TestContext, limit: number, attack: () => Promise<void>): Promise<void> {
  const before = await residentMegabytes(worker);
  const peak = await peakMegabytes([worker], attack);
  t.diagnostic(`worker: ${Math.round(before)} MB before, ${Math.round(peak)} MB at most`);
  assert.ok(peak <= limit, `${Math.round(peak)} MB, and ${limit} are allowed`);
  assertServes(await ask(hub, `${address(small)}zip`), small.zip);
  assert.deepEqual(await childrenOf(hub.pid), [worker], 'the worker lives');
}

/** The median and the 99th percentile of `count` requests one after the other, in milliseconds. */
async function latencies(target: HubProcess, path: string, count: number): Promise<{ median: number; p99: number }> {
  const times: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const startedMs = performance.now();
    assert.equal((await ask(target, path)).status, 200);
    times.push(performance.now() - startedMs);
  }
  times.sort((a, b) => a - b);
  return { median: times[Math.floor(count / 2)] ?? 0, p99: times[Math.floor(count * 0.99)] ?? 0 };
}

/** Reads an answer to its end without keeping it. */
/** How many bytes came; what else came is told by its text. */
function drain(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let sizeBytes = 0;
      response.on('data', (chunk: Buffer) => {
        sizeBytes += chunk.length;
        if (response.statusCode !== 200) reject(new Error(`${response.statusCode}: ${chunk.toString()}`));
      });
      response.on('end', () => resolve(sizeBytes));
      response.on('error', reject);
    }).on('error', reject);
  });
}

function openSockets(count: number, head: string): Socket[] {
  const { hostname, port } = new URL(hub.url);
  return Array.from({ length: count }, () => {
    const socket = connect({ host: hostname, port: Number(port) }, () => socket.write(head));
    socket.on('error', () => {});
    return socket;
  });
}

test('idle: a worker and its primary are small', async (t) => {
  await using fresh = await world.hub({ dataDir: `${world.folder}/idle` });
  assert.equal((await ask(fresh, '-/readyz')).status, 200);
  const [idleWorker = 0] = await childrenOf(fresh.pid);
  const [workerMegabytes, primaryMegabytes] = await Promise.all([residentMegabytes(idleWorker), residentMegabytes(fresh.pid)]);
  t.diagnostic(`worker ${Math.round(workerMegabytes)} MB, primary ${Math.round(primaryMegabytes)} MB`);
  assert.ok(workerMegabytes <= megabytesMax.idle);
  assert.ok(primaryMegabytes <= megabytesMax.primary);
});

test('300 requests stuck on an upstream slow neither warm hits nor another upstream', { timeout: 60_000 }, async (t) => {
  await using stuck = await startScriptedUpstream();
  await using other = await startScriptedUpstream();
  const cold = world.publish('neighbour.example/m', 'v1.0.0');
  for (const file of ['info', 'mod', 'zip'])
    other.files.set(address(cold) + file, world.upstream.files.get(address(cold) + file) ?? Buffer.alloc(0));
  for (const file of ['info', 'mod', 'zip'])
    other.files.set(address(small) + file, world.upstream.files.get(address(small) + file) ?? Buffer.alloc(0));
  // The first upstream answers probes and nothing else; only the second has anything.
  stuck.on(/@v\//, { hang: true });
  await using crowded = await world.hub({
    dataDir: `${world.folder}/crowded`,
    upstreams: [stuck.url, other.url],
    env: { GOYI_LIMITS_UPSTREAM_SECONDS: '25' },
  });
  await askUntilFound(crowded, `${address(small)}zip`, 20_000);
  const calm = await latencies(crowded, `${address(small)}zip`, 200);
  other.on(/^stuck\d+\./, { hang: true });
  const leave = new AbortController();
  const waiting = Array.from({ length: 300 }, (_, i) =>
    ask(crowded, `stuck${i}.example/m/@v/v1.0.0.zip`, { signal: leave.signal }).catch(() => undefined),
  );
  await eventually(
    () => stuck.active + other.active,
    (active) => active >= 64,
  );
  const crowd = await latencies(crowded, `${address(small)}zip`, 200);
  t.diagnostic(
    `warm hit, median/p99: ${calm.median.toFixed(1)}/${calm.p99.toFixed(1)} ms alone, ${crowd.median.toFixed(1)}/${crowd.p99.toFixed(1)} ms with 300 stuck`,
  );
  assert.ok(crowd.median <= 5 * Math.max(calm.median, 1), 'warm hits are not slowed');
  assert.ok(
    stuck.activeMax <= 64 && other.activeMax <= 64,
    `at most a quarter of the 256 slots each: ${stuck.activeMax}, ${other.activeMax}`,
  );
  const health = await ask(crowded, '-/readyz');
  assert.equal(health.status, 200);
  leave.abort();
  await Promise.all(waiting);
  other.behave();
  const answer = await askUntilFound(crowded, `${address(cold)}zip`, 30_000);
  assertServes(answer, cold.zip);
});

test('memory: endless bodies', { timeout: 60_000 }, (t) =>
  underAttack(t, megabytesMax.attack, async () => {
    world.upstream.on(/^endless\d+\./, { body: '', endless: true });
    const paths = [
      ...Array.from({ length: 24 }, (_, i) => `endless${i}.example/m/@v/v1.0.0.${i % 2 === 0 ? 'mod' : 'info'}`),
      'endless99.example/m/@v/v1.0.0.zip',
      'endless98.example/m/@v/list',
    ];
    for (const answer of await Promise.all(paths.map((path) => ask(hub, path)))) {
      assert.ok(answer.status === 502 || answer.status === 504, `${answer.status} ${answer.firstLine}`);
    }
    world.upstream.behave();
    assert.deepEqual(await leftInStaging(hub.dataDir), []);
  }),
);

test('memory: 500 clients that never finish their requests', { timeout: 60_000 }, (t) =>
  underAttack(t, megabytesMax.attack, async () => {
    const calm = await latencies(hub, `${address(small)}zip`, 100);
    const sockets = openSockets(500, 'GET /small.example/m/@v/v1.0.0.zip HTTP/1.1\r\nHost: h\r\nX-Slow: ');
    const drip = setInterval(() => sockets.forEach((socket) => socket.writable && socket.write('a')), 100);
    try {
      const slow = await latencies(hub, `${address(small)}zip`, 100);
      t.diagnostic(`warm hit, median: ${calm.median.toFixed(1)} ms alone, ${slow.median.toFixed(1)} ms with 500 slow clients`);
      assert.ok(slow.median <= 6 * Math.max(calm.median, 1));
      const open = (): number =>
        sockets.filter((socket) => !socket.destroyed && !socket.readableEnded && socket.readyState !== 'closed').length;
      for (const socket of sockets) socket.resume();
      assert.equal(await eventually(open, (count) => count === 0, 10_000), 0, 'all of them are cut by the deadline for heads');
    } finally {
      clearInterval(drip);
      for (const socket of sockets) socket.destroy();
    }
  }),
);

test('memory: 150 clients that never read their 18 MB', { timeout: 60_000 }, (t) =>
  underAttack(t, megabytesMax.attack, async () => {
    const sockets = openSockets(150, 'GET /large.example/m/@v/v1.0.0.zip HTTP/1.1\r\nHost: h\r\n\r\n');
    for (const socket of sockets) socket.pause();
    try {
      await pause(700);
      const slow = await latencies(hub, `${address(small)}zip`, 100);
      t.diagnostic(`warm hit, median/p99: ${slow.median.toFixed(1)}/${slow.p99.toFixed(1)} ms`);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  }),
);

test('memory: 64 downloads of 18 MB at once', { timeout: 60_000 }, (t) =>
  underAttack(t, megabytesMax.downloads, async () => {
    const agent = new Agent({ maxSockets: 64 });
    const startedMs = performance.now();
    const sizes = await Promise.all(Array.from({ length: 64 }, () => drain(`${hub.url}/${address(large)}zip`, agent)));
    agent.destroy();
    for (const sizeBytes of sizes) assert.equal(sizeBytes, large.zip.length);
    const megabytes = (64 * large.zip.length) / 1e6;
    t.diagnostic(`${Math.round(megabytes / ((performance.now() - startedMs) / 1000))} MB/s`);
  }),
);

test('memory: zips of tens of thousands of entries, proved at once', { timeout: 60_000 }, (t) =>
  underAttack(t, megabytesMax.attack, async () => {
    const many = Array.from({ length: 3 }, (_, i) => {
      const path = `entries${i}.example/m`;
      return world.publish(path, 'v1.0.0', {
        entries: Array.from({ length: 20_000 }, (_entry, n) => ({
          name: `${path}@v1.0.0/dir${n % 100}/file${n}.go`,
          content: 'package m\n',
        })),
      });
    });
    const answers = Promise.all(many.map((module) => ask(hub, `${address(module)}zip`)));
    const neighbour = await latencies(hub, `${address(small)}zip`, 50);
    t.diagnostic(`warm hit meanwhile, median/p99: ${neighbour.median.toFixed(1)}/${neighbour.p99.toFixed(1)} ms`);
    for (const [i, answer] of (await answers).entries()) assertServes(answer, many[i]?.zip ?? '');
  }),
);

test('memory: ten thousand distinct misses leave a few megabytes and nothing on disk', { timeout: 120_000 }, async (t) => {
  // Little room for garbage, so that what is seen is what is kept.
  await using flooded = await world.hub({
    dataDir: `${world.folder}/flooded`,
    env: { GOYI_FRESHNESS_NEGATIVE_SECONDS: '3600', NODE_OPTIONS: '--max-old-space-size=64 --max-semi-space-size=4' },
  });
  const [floodedWorker = 0] = await childrenOf(flooded.pid);
  const agent = new Agent({ keepAlive: true, maxSockets: 48 });
  const flood = async (from: number, count: number): Promise<Map<number, number>> => {
    let next = from;
    const statuses = new Map<number, number>();
    const client = async (): Promise<void> => {
      for (let i = next++; i < from + count; i = next++) {
        const status = await statusOf(`${flooded.url}/miss${i}.example/m/@v/v1.0.0.${i % 2 === 0 ? 'info' : 'zip'}`, agent);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 48 }, client));
    return statuses;
  };
  await flood(0, 500);
  const before = await residentMegabytes(floodedWorker);
  const startedMs = performance.now();
  assert.deepEqual([...(await flood(500, 10_000))], [[404, 10_000]]);
  const seconds = (performance.now() - startedMs) / 1000;
  const grown = (await residentMegabytes(floodedWorker)) - before;
  t.diagnostic(`${Math.round(10_000 / seconds)} misses a second; grown by ${Math.round(grown)} MB`);
  assert.ok(grown < 60, `grown by ${Math.round(grown)} MB`);
  agent.destroy();
  assert.deepEqual(await storedFiles(flooded.dataDir), []);
  assert.deepEqual(await leftInStaging(flooded.dataDir), []);
  const { size } = await stat(join(flooded.dataDir, 'goyi.db'));
  assert.ok(size < 1_000_000, `the database has ${size} bytes`);
});

function statusOf(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    }).on('error', reject);
  });
}

test('after all of it: no crash, no bug, and a module of the same name as a miss can be had later', async () => {
  assert.doesNotMatch(hub.output(), /met a bug|ended unasked|"code":"internal"/);
  const late = makeModule('late.example/m', 'v1.0.0');
  world.database.add(late.path, late.version, late);
  for (const [file, bytes] of Object.entries({ info: late.info, mod: late.goMod, zip: late.zip }))
    world.upstream.files.set(address(late) + file, Buffer.from(bytes));
  assertServes(await ask(hub, `${address(late)}zip`), late.zip);
});
