/**
 * Threads that prove zips: started when there is work, ended when there has been none for a while, so that an idle hub has no thread.
 * A thread has one job at a time. When it crashes, hangs or is no longer wanted, it is ended with its job, and the next job gets another.
 */
import { Worker } from 'node:worker_threads';
import { HubError } from '../base/errors.ts';
import { threadUrl } from '../base/program-parts.ts';
import { Gate } from '../base/gate.ts';
import type { ZipAnswer, ZipJob } from './zip-prove.ts';
import type { ProvedZip, ZipProver } from './zip-prover.ts';

export interface ZipProverOptions {
  /** Threads, and so zips proved at the same time; 2 by default. A thread needs some 50 MB, and 170 for the worst zip that is allowed. */
  readonly threadsMax?: number;
  /** Zips that may wait for a thread; more are refused as overloaded. 1024 by default. */
  readonly queueMax?: number;
  /** A thread without work for so long is ended; 10 s by default. */
  readonly idleMs?: number;
  /** A job that takes longer in its thread is ended with it; 120 s by default. The largest zips that are allowed take a few seconds. */
  readonly jobMs?: number;
  /** Another thread than the real one, for tests. */
  readonly threadUrl?: URL;
}

const DEFAULTS = { threadsMax: 2, queueMax: 1024, idleMs: 10_000, jobMs: 120_000 } as const;

// The heap holds names and digests only: the largest directory that is allowed needs less.
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 4 } as const;

/**
 * The prover owns its threads and ends them when it is disposed of; what is still being proved then fails as canceled.
 * Beyond what {@link ZipProver} says, `prove` throws {HubError} overloaded when too many wait, or when a thread gave no answer in its time and memory.
 */
export function createZipProver(options: ZipProverOptions = {}): ZipProver {
  return new ThreadPool({ ...DEFAULTS, threadUrl: threadUrl('zip-prove-thread', import.meta.url), ...options });
}

class ThreadPool implements ZipProver {
  readonly #options: Required<ZipProverOptions>;
  readonly #gate: Gate;
  readonly #stop = new AbortController();
  readonly #threads = new Set<ProverThread>();
  /** Those without a job; the one used last is used next, so that the others come to their end. */
  readonly #idle: ProverThread[] = [];

  constructor(options: Required<ZipProverOptions>) {
    this.#options = options;
    this.#gate = new Gate({ slotsMax: options.threadsMax, queueMax: options.queueMax });
  }

  async prove(zip: ZipJob, signal: AbortSignal): Promise<ProvedZip> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    const leave = await this.#gate.enter({ priority: 'waited-for' }, either);
    let thread: ProverThread | undefined;
    try {
      thread = this.#idle.pop() ?? this.#start();
      const answer = await thread.run(zip, either);
      this.#idle.push(thread);
      if (answer.kind === 'proved') return answer.zip;
      throw new HubError(answer.code, answer.message);
    } finally {
      // Threads that are being ended count until they are gone.
      if (thread?.ending === undefined) leave();
      else void thread.ending.then(leave);
    }
  }

  #start(): ProverThread {
    const thread = new ProverThread(this.#options, (ending) => {
      const at = this.#idle.indexOf(thread);
      if (at >= 0) this.#idle.splice(at, 1);
      void ending.then(() => this.#threads.delete(thread));
    });
    this.#threads.add(thread);
    return thread;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new HubError('canceled', 'checking zips was stopped'));
    await Promise.all([...this.#threads].map((thread) => thread.end()));
  }
}

/** One thread, from its start until it crashes, is ended, or was idle for long enough. */
class ProverThread {
  readonly #options: Required<ZipProverOptions>;
  readonly #worker: Worker;
  readonly #onEnding: (ending: Promise<void>) => void;
  #job: PromiseWithResolvers<ZipAnswer> | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  /** Set once the thread takes no more jobs; fulfilled when it is gone. */
  ending: Promise<void> | undefined;

  constructor(options: Required<ZipProverOptions>, onEnding: (ending: Promise<void>) => void) {
    this.#options = options;
    this.#onEnding = onEnding;
    // The process's variables are left to it for one of them: with the cache of compiled code a thread is there in a third of the time and half the memory.
    this.#worker = new Worker(options.threadUrl, { name: 'zip-prover', execArgv: [], resourceLimits: RESOURCE_LIMITS });
    this.#worker.on('message', (answer: ZipAnswer) => this.#job?.resolve(answer));
    this.#worker.on('error', (error) => this.#fail(crashOf(error)));
    this.#worker.on('exit', () => this.#fail(new HubError('overloaded', 'a thread that checks zips ended by itself')));
  }

  /** @throws {HubError} overloaded when no answer comes in time; the signal's reason; whatever the thread crashed with */
  async run(job: ZipJob, signal: AbortSignal): Promise<ZipAnswer> {
    const { jobMs, idleMs } = this.#options;
    const running = Promise.withResolvers<ZipAnswer>();
    this.#job = running;
    clearTimeout(this.#idleTimer);
    this.#worker.ref();
    const onAbort = (): void => this.#fail(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = setTimeout(
      () => this.#fail(new HubError('overloaded', `checking the zip of ${job.module}@${job.version} took more than ${jobMs} ms`)),
      jobMs,
    );
    try {
      this.#worker.postMessage(job);
      return await running.promise;
    } finally {
      this.#job = undefined;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (this.ending === undefined) {
        this.#worker.unref();
        this.#idleTimer = setTimeout(() => void this.end(), idleMs).unref();
      }
    }
  }

  end(): Promise<void> {
    if (this.ending === undefined) {
      clearTimeout(this.#idleTimer);
      this.ending = this.#worker.terminate().then(() => {});
      this.#onEnding(this.ending);
    }
    return this.ending;
  }

  #fail(error: Error): void {
    void this.end();
    this.#job?.reject(error);
  }
}

/** Running out of memory says that the zip asks for too much; anything else is a bug and stays what it is. */
function crashOf(error: unknown): Error {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new HubError('overloaded', 'checking a zip needed more memory than a thread may use', { cause: error });
  }
  return error instanceof Error ? error : new Error(String(error));
}
