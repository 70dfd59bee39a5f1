import cluster, { type Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import { processEntry } from '../base/program-parts.ts';
import { HubError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { MetricsSnapshot } from '../server/telemetry.ts';
import type { FromWorker, ProbeResult, ToWorker, WorkerStart } from './worker-messages.ts';

const startMs = 30_000;
const snapshotMs = 2_000;
const stopMarginMs = 2_000;
const restartMs = { first: 200, max: 10_000 };
/** A worker that lived this long did not fail at starting; its successor starts without delay. */
const settledMs = 60_000;

/** A small young generation, because a burst of requests lets it grow to a hundred megabytes; and what {@link collectWhenIdle} needs. */
const workerFlags = ['--max-semi-space-size=8', '--expose-gc'] as const;

/**
 * How glibc's allocator is told to behave (mallopt(3)); others ignore it. Left to itself it keeps what a burst needed for as long as the worker lives,
 * because a little of what is still used lies between all that is free: two pools instead of one a thread, and what is larger than 32 kB by itself, so
 * that it goes back to the system when it is freed. A variable that is set already stays as it is.
 */
const allocatorSettings = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '32768', MALLOC_TRIM_THRESHOLD_: '131072' } as const;

type Start = Omit<WorkerStart, 'first'>;

/** N equal workers on one listening address. Replaces those that die, and all of them, one generation by the next, when the configuration changes. */
export class WorkerFleet {
  readonly #log: Log;
  readonly #onProbed: (results: readonly ProbeResult[]) => void;
  readonly #env: NodeJS.ProcessEnv;
  readonly #collections = new Map<number, { readonly snapshots: MetricsSnapshot[]; wanted: number; done(): void }>();
  #collection = 0;
  #generation: Set<Worker> = new Set();
  #start: Start | undefined;
  #stopping = false;
  #failures = 0;

  constructor(options: { log: Log; env: NodeJS.ProcessEnv; onProbed: (results: readonly ProbeResult[]) => void }) {
    this.#log = options.log;
    this.#onProbed = options.onProbed;
    this.#env = options.env;
    const entry = processEntry('hub-worker', import.meta.url);
    cluster.setupPrimary({
      exec: entry.kind === 'file' ? fileURLToPath(entry.url) : entry.argument,
      args: [],
      execArgv: [...workerFlags],
      serialization: 'advanced',
    });
  }

  /** Starts a generation; when it listens, the former one is drained and ended. Answers the port. @throws {HubError} listen-failed and what else kept a worker from starting */
  async begin(start: Start): Promise<number> {
    const former = this.#generation;
    const formerStart = this.#start;
    const next = new Set<Worker>();
    this.#generation = next;
    this.#start = start;
    try {
      const ports = await Promise.all(Array.from({ length: start.config.workers }, (_, index) => this.#fork(next, start, index === 0)));
      void end([...former], formerStart?.config.limits.drainMs ?? 0);
      return ports[0] ?? 0;
    } catch (error) {
      this.#generation = former;
      this.#start = formerStart;
      for (const worker of next) worker.kill('SIGKILL');
      throw error;
    }
  }

  /** Lets every worker finish what it is sending, then ends those that take longer than `drainMs`. */
  async stop(drainMs: number): Promise<void> {
    this.#stopping = true;
    await end(
      Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined),
      drainMs,
    );
  }

  /** Resolves with the port when the worker listens; from then on its death makes a successor. */
  #fork(generation: Set<Worker>, start: Start, first: boolean): Promise<number> {
    const worker = cluster.fork({ ...allocatorSettings, ...this.#env });
    const forkedMs = performance.now();
    generation.add(worker);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const timer = setTimeout(() => reject(new HubError('listen-failed', `a worker did not listen within ${startMs / 1000} s`)), startMs);
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'listening') resolve(message.port);
      else if (message.kind === 'failed') reject(new HubError(message.code, message.message));
      else this.#onMessage(worker, message);
    });
    worker.once('exit', (code, signal) => {
      reject(new HubError('listen-failed', `a worker ended (${signal ?? code}) before it listened`));
      generation.delete(worker);
      void promise.then(
        () => this.#replace(generation, { ...start, code: signal ?? String(code), livedMs: performance.now() - forkedMs }),
        () => {},
      );
    });
    send(worker, { kind: 'start', start: { ...start, first } });
    return promise.finally(() => clearTimeout(timer));
  }

  #replace(generation: Set<Worker>, ended: { code: string; livedMs: number }): void {
    if (this.#stopping || generation !== this.#generation || this.#start === undefined) return;
    this.#failures = ended.livedMs > settledMs ? 0 : this.#failures + 1;
    const delayMs = Math.min(restartMs.max, restartMs.first * 2 ** this.#failures);
    this.#log.error('a worker ended unasked and is replaced', { code: ended.code, delayMs });
    const start = this.#start;
    setTimeout(() => {
      if (this.#stopping || generation !== this.#generation) return;
      this.#fork(generation, start, false).catch((error: Error) => {
        this.#log.error('a worker could not be replaced', { error: error.message });
        this.#replace(generation, { code: 'start', livedMs: 0 });
      });
    }, delayMs).unref();
  }

  #onMessage(worker: Worker, message: Exclude<FromWorker, { kind: 'listening' | 'failed' }>): void {
    switch (message.kind) {
      case 'probed':
        this.#onProbed(message.results);
        return;
      case 'want-snapshots':
        void this.#collect().then((snapshots) => send(worker, { kind: 'snapshots', id: message.id, snapshots }));
        return;
      case 'snapshot': {
        const collection = this.#collections.get(message.id);
        if (collection === undefined) return;
        collection.snapshots.push(message.snapshot);
        if (collection.snapshots.length >= collection.wanted) collection.done();
      }
    }
  }

  /** The figures of every living worker; one that does not answer in time is left out. */
  async #collect(): Promise<readonly MetricsSnapshot[]> {
    const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected() === true);
    this.#collection += 1;
    const id = this.#collection;
    const { promise, resolve } = Promise.withResolvers<void>();
    const collection = { snapshots: [], wanted: workers.length, done: resolve };
    this.#collections.set(id, collection);
    for (const worker of workers) if (worker !== undefined) send(worker, { kind: 'take-snapshot', id });
    const timer = setTimeout(resolve, snapshotMs);
    await promise;
    clearTimeout(timer);
    this.#collections.delete(id);
    return collection.snapshots;
  }
}

/** Tells workers to stop, and ends those that take longer than `drainMs` and a moment. */
async function end(workers: readonly Worker[], drainMs: number): Promise<void> {
  const ended = workers.filter((worker) => !worker.isDead()).map((worker) => new Promise((resolve) => worker.once('exit', resolve)));
  for (const worker of workers) send(worker, { kind: 'stop' });
  const timer = setTimeout(() => {
    for (const worker of workers) if (!worker.isDead()) worker.kill('SIGKILL');
  }, drainMs + stopMarginMs);
  await Promise.all(ended);
  clearTimeout(timer);
}

/** A worker that is just ending loses the message, which is what ending means. */
function send(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {});
}
