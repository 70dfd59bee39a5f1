import { Worker } from 'node:worker_threads';
import { threadUrl } from '../base/program-parts.ts';
import { HubError, messageOf } from '../base/errors.ts';
import type { WriteCall } from './sqlite-writes.ts';
import type { SqliteWriter, WriteOutcome } from './sqlite-writer.ts';

export interface ThreadStart {
  readonly file: string;
  readonly owner: string;
}

export type ThreadMessage = 'close' | readonly { readonly id: number; readonly call: WriteCall }[];
export type ThreadReply = readonly { readonly id: number; readonly outcome: WriteOutcome }[];

/** Where writes are handed in. Calls made together share a transaction. */
export interface WriterHost extends AsyncDisposable {
  submit(call: WriteCall): Promise<WriteOutcome>;
}

const waitingMax = 100_000;
const closeMs = 15_000;
/** A disk that hangs must not hang its callers. Longer than SQLite waits for another process's lock. */
const patienceMs = 60_000;
const lookEveryMs = 5_000;

/** Writes on the calling thread, for a database in memory, which only its own connection can see. */
export class InlineWriterHost implements WriterHost {
  readonly #writer: SqliteWriter;

  constructor(writer: SqliteWriter) {
    this.#writer = writer;
  }

  async submit(call: WriteCall): Promise<WriteOutcome> {
    const [outcome] = this.#writer.run([call]);
    if (outcome === undefined) throw new HubError('storage-fault', 'the writer gave no outcome');
    return outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

interface Waiting {
  readonly sinceMs: number;
  resolve(outcome: WriteOutcome): void;
  reject(error: HubError): void;
}

/**
 * Hands writes to a thread of its own. What comes while the thread has a group goes together in the next one: to wake a thread costs as much as a dozen writes, and
 * the larger the group, the fewer syncs of the disk. Starts another thread when one dies; what that one had not answered fails, because nobody knows how far it came. */
export class ThreadWriterHost implements WriterHost {
  readonly #start: ThreadStart;
  #worker: Worker | undefined;
  readonly #waiting = new Map<number, Waiting>();
  #group: { id: number; call: WriteCall }[] = [];
  #serial = 0;
  /** The thread has a group that it has not answered. */
  #isBusy = false;
  #closed = false;
  #watch: NodeJS.Timeout | undefined;

  constructor(start: ThreadStart) {
    this.#start = start;
    this.#worker = this.#spawn();
  }

  submit(call: WriteCall): Promise<WriteOutcome> {
    if (this.#closed) return Promise.reject(new HubError('storage-fault', 'the metadata is closed'));
    if (this.#waiting.size >= waitingMax)
      return Promise.reject(new HubError('overloaded', `more than ${waitingMax} writes wait for the metadata`));
    const id = (this.#serial += 1);
    if (this.#group.length === 0 && !this.#isBusy) this.#sendSoon();
    this.#group.push({ id, call });
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, sinceMs: performance.now() }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#send();
    const worker = this.#worker;
    if (worker === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    worker.once('exit', () => resolve());
    worker.ref();
    worker.postMessage('close' satisfies ThreadMessage);
    const timer = setTimeout(() => void worker.terminate(), closeMs);
    await promise;
    clearTimeout(timer);
    clearInterval(this.#watch);
  }

  #send(): void {
    if (this.#group.length === 0) return;
    this.#worker ??= this.#spawn();
    this.#worker.ref();
    this.#watch ??= setInterval(() => this.#giveUpOld(), lookEveryMs).unref();
    const group = this.#group;
    this.#group = [];
    this.#isBusy = true;
    this.#worker.postMessage(group satisfies ThreadMessage);
  }

  /** After all that can still be handed in at this moment. */
  #sendSoon(): void {
    setImmediate(() => {
      if (!this.#isBusy) this.#send();
    });
  }

  #spawn(): Worker {
    const worker = new Worker(threadUrl('sqlite-writer-thread', import.meta.url), {
      workerData: this.#start,
      resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 },
    });
    worker.unref();
    worker.on('message', (reply: ThreadReply) => this.#receive(worker, reply));
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => this.#lost(worker, cause));
    return worker;
  }

  #receive(worker: Worker, reply: ThreadReply): void {
    for (const { id, outcome } of reply) {
      this.#waiting.get(id)?.resolve(outcome);
      this.#waiting.delete(id);
    }
    this.#isBusy = false;
    this.#sendSoon();
    if (this.#waiting.size > 0) return;
    // An idle writer must not keep a finished program from ending.
    worker.unref();
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #giveUpOld(): void {
    for (const [id, waiting] of this.#waiting) {
      if (performance.now() - waiting.sinceMs < patienceMs) return; // The map is in the order of arrival.
      this.#waiting.delete(id);
      waiting.reject(new HubError('storage-fault', `the metadata does not take a write within ${patienceMs / 1000} seconds`));
    }
  }

  #lost(worker: Worker, cause: unknown): void {
    if (this.#worker === worker) {
      this.#worker = undefined;
      this.#isBusy = false;
    }
    const unsent = new Set(this.#group.map(({ id }) => id));
    for (const [id, waiting] of this.#waiting) {
      if (unsent.has(id)) continue;
      this.#waiting.delete(id);
      waiting.reject(
        new HubError('storage-fault', `the thread that writes the metadata ended: ${messageOf(cause ?? 'closed')}`, { cause }),
      );
    }
    this.#send();
  }
}
