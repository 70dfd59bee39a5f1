/** What is measured of a running hub on a {@link ScaleStore}: each test asks the same of every size. */
import { silentLog } from '../src/base/log.ts';
import { openSqliteMetadata } from '../src/meta/sqlite-metadata.ts';
import { formatTimestampUs } from '../src/server/index-feed.ts';
import type { HubProcess } from '../test/support/hub-process.ts';
import type { SyntheticWorld } from '../test/support/synthetic-world.ts';
import { usageOf } from './process-tree.ts';
import { type Replay, replay } from './replay.ts';
import { keyOf, longLists, many, pathsOf, type ScaleStore, type VersionName, versionsOfMany } from './scale-store.ts';
import { spreadOf } from './statistics.ts';

export interface Subject {
  readonly world: SyntheticWorld;
  readonly store: ScaleStore;
  readonly hub: HubProcess;
  /** Of all sizes: what is filled must have been filled by nobody before. */
  readonly round: number;
  readonly quick: boolean;
  add(test: string, figures: Readonly<Record<string, number>>, note?: string): void;
}

const timeoutMs = 60_000;
const fillBytes = 20_000;
const pageRows = 200;
const usesAtOnce = 1_000;
const indexLimit = 500;
const pages = 30;

export async function measureAll(subject: Subject): Promise<void> {
  await measureHits(subject);
  await measureLists(subject);
  await measureFills(subject);
  await measureIndex(subject);
  await measureMetadata(subject);
}

/** Artefacts from all over the store that this process has never had in memory. */
async function measureHits(subject: Subject): Promise<void> {
  const run = await ask(subject, 'hit, not in memory', subject.store.sample.flatMap(pathsOf));
  subject.add('hit, not in memory', { 'p99, ms': run.p99Ms });
}

async function measureLists(subject: Subject): Promise<void> {
  const { store, quick } = subject;
  const times = quick ? 100 : 300;
  const short = store.spread(times, 0.25).map(({ module }) => listOf(module));
  await ask(subject, 'list of 10, not in memory', [...new Set(short)]);
  await ask(subject, 'list of 10, in memory', repeated(short[0] ?? '', times));
  await ask(subject, 'list of 10 000, not in memory', longLists.map(listOf));
  await ask(subject, 'list of 10 000, in memory', repeated(listOf(longLists[0] ?? ''), times));
}

/** Modules that nobody has, then further versions of one that has few and of one that has ten thousand; after each of them a list. */
async function measureFills(subject: Subject): Promise<void> {
  const { store, round, quick } = subject;
  const count = quick ? 15 : 40;
  const serials = Array.from({ length: count }, (_, at) => `${store.versions}r${round}n${at}`);
  await fill(
    subject,
    'fill, a new module',
    serials.map((serial) => ({ module: `example.com/new/m${serial}`, version: 'v1.0.0' })),
  );
  const few = store.spread(count, 0.75).filter(({ module }) => module !== many);
  const ofFew = few.map(({ module }, at) => ({ module, version: `v1.${100 + round * count + at}.0` }));
  await fill(subject, 'fill, one more of 10', ofFew);
  if (store.ofMany === 0) return;
  const ofMany = few.map((_, at) => ({ module: many, version: `v1.${versionsOfMany + round * count + at}.0` }));
  await fill(subject, 'fill, one more of 10 000', ofMany);
}

async function fill(subject: Subject, test: string, names: readonly VersionName[]): Promise<void> {
  const { world, hub } = subject;
  for (const { module, version } of names) world.publish(module, version, { fillBytes });
  const modulesMs: number[] = [];
  const listsMs: number[] = [];
  const failures: string[] = [];
  const before = usageOf(hub.pid);
  for (const name of names) {
    // On one connection, so that the list is asked of the process that has just stored a version.
    const run = await replay(hub.url, [...pathsOf(name), `/cached-only${listOf(name.module)}`], { inFlight: 1, timeoutMs });
    const [info = 0, mod = 0, zip = 0, list = 0] = run.latenciesMs;
    modulesMs.push(info + mod + zip);
    listsMs.push(list);
    failures.push(...run.failures);
  }
  const cpuSeconds = usageOf(hub.pid).cpuSeconds - before.cpuSeconds;
  const figures = {
    'ms a module': spreadOf(modulesMs).median,
    'CPU ms a module': (1000 * cpuSeconds) / names.length,
    'then its list, ms': spreadOf(listsMs).median,
  };
  subject.add(test, figures, failures[0]);
}

async function measureIndex(subject: Subject): Promise<void> {
  const { store } = subject;
  const last = store.storedAtMs(store.versions - indexLimit);
  const since = encodeURIComponent(formatTimestampUs(last * 1000));
  await ask(subject, '/index, first page', repeated(`/index?limit=${indexLimit}`, pages));
  await ask(subject, '/index, last page', repeated(`/index?limit=${indexLimit}&since=${since}`, pages));
}

/** What is kept for a second is made anew when it was not asked for that long. */
export async function measureProbes(url: string): Promise<{ readonly metricsMs: number; readonly readyMs: number }> {
  const [metrics, ready] = [
    await replay(url, ['/-/metrics'], { inFlight: 1, timeoutMs }),
    await replay(url, ['/-/readyz'], { inFlight: 1, timeoutMs }),
  ];
  const failure = metrics.failures[0] ?? ready.failures[0];
  if (failure !== undefined) throw new Error(`a probe failed: ${failure}`);
  return { metricsMs: metrics.p50Ms, readyMs: ready.p50Ms };
}

/** What the scrubber, the collection of garbage and the flush of usage do, beside the running hub. */
async function measureMetadata(subject: Subject): Promise<void> {
  const { store, round } = subject;
  await using metadata = await openSqliteMetadata({ file: store.databaseFile, log: silentLog });
  const places = store.spread(20, 0.1 + round / 7);
  await time(subject, `scrub, page of ${pageRows}`, places, async (name) => {
    await metadata.filesAfter(keyOf(name, 'info'), pageRows);
  });
  const cutoffMs = Date.now();
  await time(subject, `garbage, page of ${pageRows}`, places, async (name, at) => {
    await metadata.filesUnusedSince(cutoffMs, pageRows, {
      key: keyOf(name, 'info'),
      lastUsedAtMs: store.storedAtMs((at / 20) * store.versions),
    });
  });
  const used = [0, 1, 2, 3].map((at) => store.spread(usesAtOnce, (round * 4 + at) / 37).map((name) => keyOf(name, 'zip')));
  await time(subject, `uses of ${usesAtOnce} files`, used, async (keys) => {
    await metadata.recordUses(keys.map((key) => ({ key, count: 1, lastUsedAtMs: Date.now() })));
  });
}

async function time<T>(subject: Subject, test: string, items: readonly T[], work: (item: T, at: number) => Promise<void>): Promise<void> {
  const elapsedMs: number[] = [];
  for (const [at, item] of items.entries()) {
    const startedMs = performance.now();
    await work(item, at);
    elapsedMs.push(performance.now() - startedMs);
  }
  subject.add(test, { 'p50, ms': spreadOf(elapsedMs).median });
}

async function ask(subject: Subject, test: string, paths: readonly string[]): Promise<Replay> {
  const { hub } = subject;
  const before = usageOf(hub.pid);
  const run = await replay(hub.url, paths, { inFlight: 1, timeoutMs });
  const cpuMs = 1000 * (usageOf(hub.pid).cpuSeconds - before.cpuSeconds);
  // CPU time comes in hundredths of a second: of a few requests it says nothing.
  const figures = { 'p50, ms': run.p50Ms, ...(paths.length >= 50 && { 'CPU, ms': cpuMs / paths.length }) };
  subject.add(test, figures, run.failures[0]);
  return run;
}

function listOf(module: string): string {
  return `/${module}/@v/list`;
}

function repeated(path: string, times: number): readonly string[] {
  return Array.from({ length: times }, () => path);
}
