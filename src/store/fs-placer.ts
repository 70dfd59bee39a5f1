import { Worker } from 'node:worker_threads';
import { threadUrl } from '../base/program-parts.ts';
import { HubError, messageOf } from '../base/errors.ts';
import type { PlaceJob, PlaceOutcome } from './fs-place.ts';
import { storageError } from './fs-operations.ts';

type Job = ({ readonly kind: 'place' } & PlaceJob) | { readonly kind: 'settle'; readonly root: string; readonly keys: readonly string[] };

export interface PlacerMessage {
  readonly id: number;
  readonly job: Job;
}

export type PlacerOutcome = PlaceOutcome | { readonly kind: 'settled' };
export type PlacerReply = readonly { readonly id: number; readonly outcome: PlacerOutcome }[];

const waitingMax = 20_000;
/** An idle hub has no thread. */
const idleMs = 10_000;

/** Hands small files to a thread that writes them; what is handed in together goes in one message. Started when there is work, ended when there was none for a while. */
export class FsPlacer implements AsyncDisposable {
  #worker: Worker | undefined;
  #closed = false;
  #serial = 0;
  /** The thread has a group that it has not answered. */
  #isBusy = false;
  #group: PlacerMessage[] = [];
  readonly #waiting = new Map<number, PromiseWithResolvers<PlacerOutcome>>();
  #idleTimer: NodeJS.Timeout | undefined;

  /** Answers the fingerprint, or undefined when the careful way has to be taken. @throws {HubError} storage-full, storage-fault, overloaded */
  async place(job: PlaceJob): Promise<string | undefined> {
    const outcome = await this.#submit({ kind: 'place', ...job });
    if (outcome.kind === 'failed') throw failureOf(`store ${job.path}`, outcome);
    return outcome.kind === 'placed' ? outcome.fingerprint : undefined;
  }

  /** @throws {HubError} storage-full, storage-fault, overloaded */
  async settle(root: string, keys: readonly string[]): Promise<void> {
    const outcome = await this.#submit({ kind: 'settle', root, keys });
    if (outcome.kind === 'failed') throw failureOf(`put ${keys.length} files on the disk`, outcome);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.allSettled([...this.#waiting.values()].map(({ promise }) => promise));
    clearTimeout(this.#idleTimer);
    await this.#worker?.terminate();
  }

  #submit(job: Job): Promise<PlacerOutcome> {
    if (this.#closed) return Promise.reject(new HubError('storage-fault', 'the store is closed'));
    if (this.#waiting.size >= waitingMax)
      return Promise.reject(new HubError('overloaded', `more than ${waitingMax} files wait to be stored`));
    const id = (this.#serial += 1);
    // What comes while the thread has a group goes together in the next one: to wake a thread costs as much as to place a file.
    if (this.#group.length === 0 && !this.#isBusy) this.#sendSoon();
    this.#group.push({ id, job });
    const waiting = Promise.withResolvers<PlacerOutcome>();
    this.#waiting.set(id, waiting);
    return waiting.promise;
  }

  #send(): void {
    if (this.#group.length === 0) return;
    clearTimeout(this.#idleTimer);
    this.#worker ??= this.#spawn();
    this.#worker.ref();
    const group = this.#group;
    this.#group = [];
    this.#isBusy = true;
    this.#worker.postMessage(
      group,
      group.flatMap(({ job }) => (job.kind === 'place' ? [job.bytes.buffer as ArrayBuffer] : [])),
    );
  }

  /** After all that can still be handed in at this moment. */
  #sendSoon(): void {
    setImmediate(() => {
      if (!this.#isBusy) this.#send();
    });
  }

  #spawn(): Worker {
    const worker = new Worker(threadUrl('fs-place-thread', import.meta.url), {
      name: 'placer',
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 },
    });
    worker.on('message', (reply: PlacerReply) => this.#receive(worker, reply));
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => this.#lost(worker, cause));
    return worker;
  }

  #receive(worker: Worker, reply: PlacerReply): void {
    for (const { id, outcome } of reply) {
      this.#waiting.get(id)?.resolve(outcome);
      this.#waiting.delete(id);
    }
    this.#isBusy = false;
    this.#sendSoon();
    if (this.#waiting.size > 0) return;
    worker.unref();
    this.#idleTimer = setTimeout(() => {
      // What is handed in from here on gets another thread.
      this.#worker = undefined;
      void worker.terminate();
    }, idleMs).unref();
  }

  /** What the thread had not answered fails: nobody knows how far it came, and the same bytes may be placed again. */
  #lost(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#isBusy = false;
    const unsent = new Set(this.#group.map(({ id }) => id));
    for (const [id, waiting] of this.#waiting) {
      if (unsent.has(id)) continue;
      this.#waiting.delete(id);
      waiting.reject(new HubError('storage-fault', `the thread that stores files ended: ${messageOf(cause ?? 'closed')}`, { cause }));
    }
    this.#send();
  }
}

function failureOf(doing: string, { errno, message }: { readonly errno: string | undefined; readonly message: string }): HubError {
  return storageError(doing, Object.assign(new Error(message), { code: errno }));
}
