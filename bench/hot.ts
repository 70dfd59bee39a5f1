/** Requests for what is stored already: how many a second, how quickly, and for how much CPU and memory. */
import type { RunningServer } from './contenders.ts';
import type { Lab } from './lab.ts';
import { forgetPeaks, usageOf } from './process-tree.ts';
import type { HotKind } from './recording.ts';
import { replay } from './replay.ts';
import { runWrk } from './wrk.ts';

const everything = {
  kinds: ['info', 'mod', 'zip-small', 'zip-large', 'list', 'latest', 'lookup', 'tile'],
  connections: [1, 16, 64],
  seconds: 2,
} as const;
const quickly = { kinds: ['info', 'zip-small', 'list'], connections: [64], seconds: 1 } as const;

interface Warm {
  readonly name: string;
  readonly server: RunningServer;
}

/** `only`: those of the tests, when not all are wanted. */
export async function runHot(lab: Lab, only: readonly string[] | undefined): Promise<void> {
  const { contenders, rounds, quick, report, recording } = lab.options;
  const { connections, seconds, ...tests } = quick ? quickly : everything;
  const kinds = only === undefined ? tests.kinds : everything.kinds.filter((kind) => only.includes(kind));
  await using stack = new AsyncDisposableStack();
  const origin = stack.use(await lab.origin());
  const warm: Warm[] = [];
  for (const contender of contenders) {
    const server = stack.use(await lab.start(contender, origin.url, { verify: contender.name === 'goyi' }));
    warm.push({ name: contender.name, server });
    report.add({ suite: 'hot', test: 'idle', contender: contender.name }, { 'RSS of all its processes, MiB': usageOf(server.pid).rssMiB });
  }
  for (const kind of kinds) {
    const able = await warmUp(lab, { kind, warm, seconds });
    for (const count of connections) {
      for (let round = 0; round < rounds; round += 1) {
        for (const { name, server } of lab.rotated(able, round)) {
          report.progress(`hot: ${kind}, ${count} connections, round ${round + 1} of ${rounds}: ${name}`);
          await measure(lab, { kind, name, server, url: `${server.url}${recording.hot[kind]}`, connections: count, seconds });
        }
      }
    }
  }
}

interface WarmUp {
  readonly kind: HotKind;
  readonly warm: readonly Warm[];
  readonly seconds: number;
}

/** Asks until it is in the memory of all processes of a server and the code that answers is compiled. Answers who has it at all. */
async function warmUp(lab: Lab, { kind, warm, seconds }: WarmUp): Promise<readonly Warm[]> {
  const { recording, report } = lab.options;
  const path = recording.hot[kind];
  const able: Warm[] = [];
  for (const one of warm) {
    report.progress(`hot: ${kind}, warming up: ${one.name}`);
    const first = await replay(one.server.url, [path], { inFlight: 1, timeoutMs: 60_000 });
    if (first.failures.length === 0) {
      await runWrk(`${one.server.url}${path}`, { connections: 16, seconds });
      able.push(one);
    } else report.add({ suite: 'hot', test: kind, contender: one.name }, {}, `left out: ${first.failures[0] ?? ''}`);
  }
  return able;
}

interface Measured extends Warm {
  readonly kind: HotKind;
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
}

async function measure(lab: Lab, { kind, name, server, url, connections, seconds }: Measured): Promise<void> {
  forgetPeaks(server.pid);
  const before = usageOf(server.pid);
  const load = await runWrk(url, { connections, seconds });
  const after = usageOf(server.pid);
  const cpuSeconds = after.cpuSeconds - before.cpuSeconds;
  const isLarge = kind === 'zip-large';
  const figures = {
    ...(isLarge ? { 'MB/s': load.megabytesPerSecond } : { 'requests/s': load.requestsPerSecond }),
    'p99, ms': load.p99Ms,
    ...(isLarge
      ? { 'CPU ms for 18 MB': (18 * 1000 * cpuSeconds) / load.megabytes }
      : { 'CPU s a 1000 requests': (1000 * cpuSeconds) / load.requests }),
    'peak of a process, MiB': after.peakMiB,
  };
  const note = load.failures > 0 ? `${load.failures} requests failed` : undefined;
  lab.options.report.add({ suite: 'hot', test: `${kind}, ${connections} connections`, contender: name }, figures, note);
}
