import { test } from 'node:test';
import { Agent, get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { ask, askUntilFound, metric } from './support/hub-client.ts';
import { childrenOf, residentMegabytes } from './support/processes.ts';
import { address } from './support/synthetic-module.ts';
import { startWorld } from './support/synthetic-world.ts';
import { readFile } from 'node:fs/promises';
test('mem', async () => {
  await using world = await startWorld();
  const small = world.publish('small.example/m', 'v1.0.0');
  const large = world.publish('large.example/m', 'v1.0.0', { fillBytes: 18_000_000 });
  await using hub = await world.hub({ env: { GOYI_FRESHNESS_NEGATIVE_SECONDS: '60' } });
  await pause(1000);
  const [worker = 0] = await childrenOf(hub.pid);
  const show = async (what: string) => {
    const st = await readFile(`/proc/${worker}/status`, 'utf8');
    console.log(what, 'worker', (await residentMegabytes(worker)).toFixed(0), /RssAnon.*/.exec(st)?.[0], /RssFile.*/.exec(st)?.[0], 'primary', (await residentMegabytes(hub.pid)).toFixed(0), 'heap', ((await metric(hub, 'nodejs_heap_size_used_bytes')) / 1e6).toFixed(0), 'ext', ((await metric(hub, 'nodejs_external_memory_bytes')) / 1e6).toFixed(0));
  };
  await show('idle');
  await askUntilFound(hub, `${address(small)}zip`);
  await show('small');
  await askUntilFound(hub, `${address(large)}zip`);
  await show('large');
  await pause(3000);
  await show('large+3s');
  const agent = new Agent({ keepAlive: true, maxSockets: 48 });
  let n = 0;
  for (let round = 0; round < 1; round += 1) {
    const end = n + 10_000;
    await Promise.all(Array.from({ length: 48 }, async () => {
      while (n < end) { const i = n++; await new Promise<void>((resolve, reject) => { get(`${hub.url}/miss${i}.example/m/@v/v1.0.0.${i % 2 === 0 ? 'info' : 'zip'}`, { agent }, (r) => { r.resume(); r.on('end', resolve); }).on('error', reject); }); }
    }));
    await show(`misses ${n}`);
  }
  await pause(100);
  await show('later');
  agent.destroy();
  await ask(hub, '-/healthz');
});
