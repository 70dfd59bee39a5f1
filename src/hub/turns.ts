import { HubError } from '../base/errors.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { Log } from '../base/log.ts';
import { LeaseReturns } from './lease-returns.ts';
import { pause } from './pause.ts';

const pollMs = { first: 15, max: 250 };

/**
 * Work of which no two pieces of one key run at the same time, in this process or in any other of the hub: in turns in the process, by a lease among
 * processes. A dead process's lease is void at once.
 */
export class Turns implements AsyncDisposable {
  readonly #leases: LeaseReturns;
  readonly #last = new Map<string, Promise<unknown>>();

  constructor(parts: { readonly metadata: Metadata; readonly log: Log }) {
    this.#leases = new LeaseReturns(parts);
  }

  /** @throws what the work throws, or the signal's reason while it waits */
  async run<T>(key: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const turn = before.then(() => this.#underLease(key, work, signal));
    const ended = turn.then(
      () => {},
      () => {},
    );
    this.#last.set(key, ended);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === ended) this.#last.delete(key);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#leases[Symbol.asyncDispose]();
  }

  async #underLease<T>(key: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let waitMs = pollMs.first; ; waitMs = Math.min(waitMs * 2, pollMs.max)) {
      signal.throwIfAborted();
      const attempt = await this.#leases.acquire(key);
      if (attempt.kind === 'failed') throw new HubError(attempt.failure.code, attempt.failure.message);
      // One that is ours already is one whose return was lost: in this process the turn is ours.
      if (attempt.kind === 'acquired' || attempt.ours) break;
      await pause(waitMs, signal);
    }
    try {
      return await work(signal);
    } finally {
      await this.#leases.giveBack(key);
    }
  }
}
