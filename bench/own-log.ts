/** A checksum database of our own: how fast it grows, how fast and in how much memory it is served at any size, and what it costs a cold client. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runGo } from '../test/support/go-command.ts';
import { startHub } from '../test/support/hub-process.ts';
import { startWorld } from '../test/support/synthetic-world.ts';
import { removeFolder } from './lab.ts';
import { LOG_NAME } from './own-log-records.ts';
import { forgetPeaks, usageOf } from './process-tree.ts';
import type { Report } from './report.ts';
import { runWrk } from './wrk.ts';

export interface OwnLogOptions {
  readonly report: Report;
  readonly rounds: number;
  readonly quick: boolean;
}

const suite = 'log';
const worker = fileURLToPath(new URL('own-log-worker.ts', import.meta.url));
const script = fileURLToPath(new URL('own-log.lua', import.meta.url));

export async function runOwnLog(options: OwnLogOptions): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'goyi-bench-log-'));
  try {
    await grow(options, folder);
    await serve(options, folder);
    await download(options);
  } finally {
    await removeFolder(folder);
  }
}

/** Records a second by so many processes on one log, each with 64 look-ups of unknown versions, or fills, at once. */
async function grow({ report, rounds, quick }: OwnLogOptions, folder: string): Promise<void> {
  const seconds = quick ? 3 : 10;
  for (const kind of ['look-ups', 'fills'] as const) {
    for (const processes of [1, 2, 4]) {
      for (let round = 0; round < rounds; round += 1) {
        report.progress(`log: ${kind} by ${processes} processes, round ${round + 1} of ${rounds}`);
        const dataDir = join(folder, `grow-${kind}-${processes}-${round}`);
        const outcomes = await appendFor(dataDir, { processes, seconds, kind });
        const records = outcomes.reduce((sum, outcome) => sum + outcome.records, 0);
        const longest = Math.max(...outcomes.map((outcome) => outcome.seconds));
        report.add(
          { suite, test: `new records, ${kind}`, contender: `${processes} processes × 64` },
          {
            'records/s': records / longest,
            'p50, ms': Math.max(...outcomes.map(({ p50Ms }) => p50Ms)),
            'p99, ms': Math.max(...outcomes.map(({ p99Ms }) => p99Ms)),
          },
        );
        await removeFolder(dataDir);
        await removeFolder(`${dataDir}-keys`);
      }
    }
  }
}

interface Outcome {
  readonly records: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function appendFor(dataDir: string, run: { processes: number; seconds: number; kind: string }): Promise<readonly Outcome[]> {
  const children = Array.from({ length: run.processes }, (_, i) => {
    const args = [worker, 'append', dataDir, '64', String(i * 100_000_000), run.kind];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() };
  });
  const each = (word: string): void => {
    for (const { child } of children) child.stdin.write(word);
  };
  for (const { lines } of children) if ((await lines.next()).value !== 'ready') throw new Error('a process did not start');
  each('go\n');
  await new Promise((resolve) => setTimeout(resolve, run.seconds * 1000));
  each('stop\n');
  const outcomes: Outcome[] = [];
  for (const { lines } of children) outcomes.push(JSON.parse(String((await lines.next()).value)) as Outcome);
  await Promise.all(children.map(({ child }) => ended(child)));
  return outcomes;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** A whole hub of two workers over logs of growing size: random records and tiles at 64 connections, and its memory. */
async function serve({ report, rounds, quick }: OwnLogOptions, folder: string): Promise<void> {
  const dataDir = join(folder, 'served');
  for (const size of quick ? [1_000, 10_000] : [1_000, 10_000, 100_000, 1_000_000]) {
    report.progress(`log: filling it to ${size} records`);
    const seeding = spawn(process.execPath, [worker, 'seed', dataDir, String(size)], { stdio: 'inherit' });
    await ended(seeding);
    if (seeding.exitCode !== 0) throw new Error('the log could not be filled');
    const startedMs = performance.now();
    await using hub = await startHub({
      dataDir,
      upstreams: ['off'],
      workers: 2,
      env: { GOYI_OWN_DATABASE_NAME: LOG_NAME, GOYI_LOG_ACCESS: 'off' },
    });
    report.add({ suite, test: 'start', contender: `${size} records` }, { seconds: (performance.now() - startedMs) / 1000 });
    const prefix = `/sumdb/${LOG_NAME}`;
    for (const kind of ['record', 'tile', 'data', 'latest'] as const) {
      const url = `${hub.url}${kind === 'latest' ? `${prefix}/latest` : prefix}`;
      const load = (seconds: number): ReturnType<typeof runWrk> =>
        runWrk(url, {
          connections: 64,
          seconds,
          ...(kind !== 'latest' && { script: { file: script, args: [kind, prefix, String(size)] } }),
        });
      await load(1);
      for (let round = 0; round < rounds; round += 1) {
        report.progress(`log: ${kind} of ${size} records, round ${round + 1} of ${rounds}`);
        forgetPeaks(hub.pid);
        const before = usageOf(hub.pid);
        const { requests, requestsPerSecond, p50Ms, p99Ms, failures } = await load(quick ? 1 : 4);
        const after = usageOf(hub.pid);
        const figures = {
          'requests/s': requestsPerSecond,
          'CPU s a 1000 requests': (1000 * (after.cpuSeconds - before.cpuSeconds)) / requests,
          'p50, ms': p50Ms,
          'p99, ms': p99Ms,
          'peak of a process, MiB': after.peakMiB,
        };
        const of = { suite, test: `stored ${kind}, 64 connections`, contender: `${size} records` };
        report.add(of, figures, failures > 0 ? `${failures} requests failed` : undefined);
      }
    }
    // By now what answers is compiled.
    for (let round = 0; round < rounds; round += 1) {
      const { failures, ...figures } = await pace(hub.url, prefix, size, quick ? 2 : 5);
      const of = { suite, test: `stored record, 64 connections, ${pacedRate} requests a second`, contender: `${size} records` };
      report.add(of, figures, failures > 0 ? `${failures} requests failed` : undefined);
    }
  }
}

/** Requests a second that leave the machine time for other things. */
const pacedRate = 1500;
const paced = fileURLToPath(new URL('paced-client.ts', import.meta.url));

async function pace(
  origin: string,
  prefix: string,
  size: number,
  seconds: number,
): Promise<{ 'p50, ms': number; 'p99, ms': number; failures: number }> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    paced,
    origin,
    prefix,
    String(size),
    '64',
    String(pacedRate),
    String(seconds),
  ]);
  const { p50Ms, p99Ms, failures } = JSON.parse(stdout) as { p50Ms: number; p99Ms: number; failures: number };
  return { 'p50, ms': p50Ms, 'p99, ms': p99Ms, failures };
}

/** `go mod download` of 400 modules through an empty hub on a local upstream: checked against the public database, and against our own. */
async function download({ report, rounds, quick }: OwnLogOptions): Promise<void> {
  await using world = await startWorld();
  const modules = Array.from({ length: quick ? 60 : 400 }, (_, i) => world.publish(`m${i}.example/m`, 'v1.0.0', { fillBytes: 20_000 }));
  const memory = await statfs('/dev/shm').then(
    () => '/dev/shm',
    () => tmpdir(),
  );
  for (let round = 0; round < rounds; round += 1) {
    for (const [contender, env] of round % 2 === 0 ? variants : variants.toReversed()) {
      report.progress(`log: go mod download, ${contender}, round ${round + 1} of ${rounds}`);
      const dataDir = join(world.folder, `download-${round}-${contender.replaceAll(' ', '-')}`);
      await using hub = await world.hub({ dataDir, workers: 2, env });
      const key =
        env['GOYI_OWN_DATABASE_NAME'] === undefined
          ? world.goSumDb
          : ((await (await fetch(`${hub.url}/api/v1/checksum-database`)).json()) as { verifierKey: string }).verifierKey;
      const cache = await mkdtemp(join(memory, 'goyi-bench-log-'));
      const settings = { GOPROXY: hub.url, GOSUMDB: key, GOMODCACHE: join(cache, 'mod') };
      const startedMs = performance.now();
      const result = await runGo(cache, ['mod', 'download', ...modules.map(({ path, version }) => `${path}@${version}`)], settings);
      const seconds = (performance.now() - startedMs) / 1000;
      await removeFolder(cache);
      if (result.code !== 0) throw new Error(result.stderr);
      report.add({ suite, test: `go mod download of ${modules.length} modules, cold`, contender }, { seconds });
    }
  }
}

const variants: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['public database', {}],
  ['own database', { GOYI_OWN_DATABASE_NAME: LOG_NAME }],
];
