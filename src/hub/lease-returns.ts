import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { FillFailure, LeaseAttempt, Metadata } from '../meta/metadata.ts';

const tryAgainMs = 5_000;

/** More keys than this are not remembered; the leases of a dead process are void anyway. */
const keysMax = 10_000;

/**
 * Takes and gives back leases so that a metadata that fails for a while (a full disk) leaves none behind: a lease of a living process is never void,
 * so one that was not given back would keep every other process from that key until this one ends.
 */
export class LeaseReturns implements AsyncDisposable {
  readonly #metadata: Metadata;
  readonly #log: Log;
  /** Keys whose lease may still be ours. */
  readonly #owed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #returning: Promise<void> = Promise.resolve();

  constructor({ metadata, log }: { metadata: Metadata; log: Log }) {
    this.#metadata = metadata;
    this.#log = log;
  }

  /** As {@link Metadata.acquireLease}. An attempt that fails may have succeeded without our hearing of it. */
  async acquire(key: string): Promise<LeaseAttempt> {
    try {
      const attempt = await this.#metadata.acquireLease(key);
      this.#owed.delete(key);
      return attempt;
    } catch (error) {
      this.#owe(key);
      throw error;
    }
  }

  /** Never rejects: what was done under the lease is done. */
  async giveBack(key: string, failure?: FillFailure & { readonly failureTtlMs: number }): Promise<void> {
    try {
      await this.#metadata.releaseLease(key, failure);
    } catch (error) {
      this.#log.warn('a lease could not be given back and will be later', { error: messageOf(error) });
      this.#owe(key);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#returning;
  }

  #owe(key: string): void {
    if (this.#owed.size < keysMax) this.#owed.add(key);
    this.#timer ??= setInterval(() => this.#returnOwed(), tryAgainMs).unref();
  }

  #returnOwed(): void {
    this.#returning = this.#returning.then(async () => {
      for (const key of this.#owed) {
        try {
          await this.#metadata.releaseLease(key);
        } catch {
          return; // The rest would fail as well.
        }
        this.#owed.delete(key);
      }
      clearInterval(this.#timer);
      this.#timer = undefined;
    });
  }
}
