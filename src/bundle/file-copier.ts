import { Worker } from 'node:worker_threads';
import { Gate } from '../base/gate.ts';
import { type ErrorCode, HubError } from '../base/errors.ts';
import { threadUrl } from '../base/program-parts.ts';

/** A file that is to be copied to places in other files, which are there already. */
export interface CopyJob {
  readonly from: string;
  /** Of the file; those of `to` together. */
  readonly sizeBytes: number;
  /** In their order. */
  readonly to: readonly { readonly path: string; readonly position: number; readonly sizeBytes: number }[];
  readonly algorithms: readonly ('sha256' | 'sm3')[];
}

export interface CopiedFile {
  /** 64 lower-case hex digits for each of the algorithms, of the bytes as they were copied. */
  readonly digests: readonly string[];
}

/** What a copier's thread says. Errors lose their class and code on the way between threads. */
export type CopyAnswer =
  | { readonly kind: 'copied'; readonly copied: CopiedFile }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

// A thread has one buffer of a mebibyte, which is not of its heap.
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 } as const;

/** Copies and hashes files in threads, each file read once, so that neither the event loop nor one processor is what a large copy waits for. */
export class FileCopier implements AsyncDisposable {
  readonly #gate: Gate;
  readonly #idle: CopyThread[] = [];
  readonly #threads = new Set<CopyThread>();

  /** `queueMax`: copies that may wait for a thread. */
  constructor({ threadsMax, queueMax }: { readonly threadsMax: number; readonly queueMax: number }) {
    this.#gate = new Gate({ slotsMax: threadsMax, queueMax });
  }

  /** A copy that is stopped by the signal, or fails, leaves what it had written. @throws {HubError} storage-full, storage-fault, or the signal's reason */
  async copy(job: CopyJob, signal: AbortSignal): Promise<CopiedFile> {
    const leave = await this.#gate.enter({ priority: 'waited-for' }, signal);
    try {
      signal.throwIfAborted();
      const thread = this.#idle.pop() ?? this.#start();
      const answer = await thread.run(job, signal);
      this.#idle.push(thread);
      if (answer.kind === 'copied') return answer.copied;
      throw new HubError(answer.code, answer.message);
    } finally {
      leave();
    }
  }

  #start(): CopyThread {
    const thread = new CopyThread();
    this.#threads.add(thread);
    return thread;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.end()));
  }
}

class CopyThread {
  readonly #worker = new Worker(threadUrl('copy-thread', import.meta.url), {
    name: 'copier',
    execArgv: [],
    resourceLimits: RESOURCE_LIMITS,
  });
  #job: PromiseWithResolvers<CopyAnswer> | undefined;

  constructor() {
    this.#worker.on('message', (answer: CopyAnswer) => this.#job?.resolve(answer));
    this.#worker.on('error', (error) => this.#job?.reject(error));
    this.#worker.on('exit', () => this.#job?.reject(new HubError('overloaded', 'a thread that copies files ended by itself')));
  }

  /** Who leaves does not get the thread back: it is ended with its copy. */
  async run(job: CopyJob, signal: AbortSignal): Promise<CopyAnswer> {
    const running = Promise.withResolvers<CopyAnswer>();
    this.#job = running;
    const onAbort = (): void => running.reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      this.#worker.postMessage(job);
      return await running.promise;
    } catch (error) {
      await this.end();
      throw error;
    } finally {
      this.#job = undefined;
      signal.removeEventListener('abort', onAbort);
    }
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
