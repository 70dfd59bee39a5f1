/**
 * What everything costs as a store grows: real hubs on stores of 10^3 to 10^6 versions, all running at once and asked one after another, so that
 * a round compares the sizes on the same machine in the same minutes.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { HubProcess } from '../test/support/hub-process.ts';
import { type SyntheticWorld, startWorld } from '../test/support/synthetic-world.ts';
import { removeFolder } from './lab.ts';
import { residentOf } from './process-tree.ts';
import type { Report } from './report.ts';
import { measureAll, measureProbes } from './scale-measures.ts';
import { ScaleStore } from './scale-store.ts';
import { spreadOf } from './statistics.ts';

export interface ScaleSettings {
  readonly report: Report;
  readonly rounds: number;
  readonly workers: number;
  /** To ten thousand versions, and less of everything. */
  readonly quick: boolean;
  readonly nodeOptions: string | undefined;
}

/** A worker looks every ten seconds whether it has become idle, and then gives back what it does not need. Meanwhile probes are asked, as a monitor would. */
const restMs = 25_000;
const probeEveryMs = 5_000;
const dayInSeconds = '86400';

interface Running {
  readonly store: ScaleStore;
  readonly hub: HubProcess;
  readonly add: (test: string, figures: Readonly<Record<string, number>>, note?: string) => void;
}

export async function runScale(settings: ScaleSettings): Promise<void> {
  const { report, rounds, quick } = settings;
  const folder = await mkdtemp(join(tmpdir(), 'goyi-bench-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => removeFolder(folder));
  const world = stack.use(await startWorld());
  const stores: ScaleStore[] = [];
  for (const exponent of quick ? [3, 4] : [3, 4, 5, 6]) {
    const store = new ScaleStore(join(folder, String(exponent)), 10 ** exponent);
    await store.write((line) => report.progress(line));
    stores.push(store);
  }
  for (let round = 0; round < rounds; round += 1) await runRound(settings, { world, stores, round });
}

async function runRound(
  settings: ScaleSettings,
  { world, stores, round }: { readonly world: SyntheticWorld; readonly stores: readonly ScaleStore[]; readonly round: number },
): Promise<void> {
  const { report, rounds, quick } = settings;
  await using stack = new AsyncDisposableStack();
  const running: Running[] = [];
  for (const store of stores) {
    report.progress(`scale: round ${round + 1} of ${rounds}: start on ${store.versions} versions`);
    const one = await start(settings, { world, store });
    stack.use(one.hub);
    running.push(one);
  }
  if (round === 0) await rest(running, { report, test: 'memory, idle after the start' });
  // In the other order every other round: what comes last finds the machine as the others left it.
  for (const { store, hub, add } of round % 2 === 0 ? running : running.toReversed()) {
    report.progress(`scale: round ${round + 1} of ${rounds}: ${store.versions} versions`);
    await measureAll({ world, store, hub, round, quick, add });
  }
  await rest(running, { report, test: 'memory, idle after all of this' });
}

async function start(
  { report, workers, nodeOptions }: ScaleSettings,
  { world, store }: { readonly world: SyntheticWorld; readonly store: ScaleStore },
): Promise<Running> {
  const contender = `10^${Math.log10(store.versions)}`;
  const add: Running['add'] = (test, figures, note) => report.add({ suite: 'scale', test, contender }, figures, note);
  const startedMs = performance.now();
  const hub = await world.hub({
    dataDir: store.dataDir,
    workers,
    env: { GOYI_FRESHNESS_LIST_SECONDS: dayInSeconds, ...(nodeOptions !== undefined && { NODE_OPTIONS: nodeOptions }) },
  });
  const ready = await fetch(`${hub.url}/-/readyz`);
  await ready.arrayBuffer();
  if (ready.status !== 200) throw new Error(`the hub on ${store.versions} versions is not ready: ${ready.status}`);
  add('start', { 'ms to ready': performance.now() - startedMs });
  return { store, hub, add };
}

async function rest(running: readonly Running[], { report, test }: { readonly report: Report; readonly test: string }): Promise<void> {
  report.progress(`scale: ${test}`);
  const metricsMs = running.map((): number[] => []);
  const readyMs = running.map((): number[] => []);
  for (let passedMs = 0; passedMs < restMs; passedMs += probeEveryMs) {
    await wait(probeEveryMs);
    for (const [at, { hub }] of running.entries()) {
      const probes = await measureProbes(hub.url);
      metricsMs[at]?.push(probes.metricsMs);
      readyMs[at]?.push(probes.readyMs);
    }
  }
  for (const [at, { hub, add }] of running.entries()) {
    add('/-/metrics, made anew', { 'p50, ms': spreadOf(metricsMs[at] ?? []).median });
    add('/-/readyz, made anew', { 'p50, ms': spreadOf(readyMs[at] ?? []).median });
    const [primary = 0, ...workers] = residentOf(hub.pid);
    add(test, { 'primary, MiB': primary, 'largest worker, MiB': Math.max(...workers) });
  }
}
