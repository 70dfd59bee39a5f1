import { LRUCache } from 'lru-cache';
import type { BlobKey } from '../base/blob-key.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { messageOf } from '../base/errors.ts';
import type { Metadata } from '../meta/metadata.ts';

const flushEveryMs = 30_000;

/** A file that is used all the time is written so often: its row lies somewhere in a large table, and the days of a collection are not counted in seconds. */
const writeAgainMs = 60 * 60_000;

/** What the metadata says of the last use may be this much older than the truth, also after a process was killed. */
export const usesBehindMaxMs: number = writeAgainMs + flushEveryMs;

/** More files than this are written at once, and are not counted while the metadata is too slow to take them. */
const pendingMax = 20_000;

interface Use {
  count: number;
  lastUsedAtMs: number;
}

/** Counts uses in memory and writes them in batches, each file at once and then hourly, so that a hit touches no database. */
export class Usage implements AsyncDisposable {
  readonly #metadata: Metadata;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  readonly #pending = new Map<BlobKey, Use>();
  /** When a file's uses were last written, on the monotonic clock. */
  readonly #writtenMs = new LRUCache<BlobKey, number>({ max: pendingMax });
  #flushing: Promise<void> | undefined;

  constructor(options: { metadata: Metadata; clock: Clock; log: Log }) {
    this.#metadata = options.metadata;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#timer = setInterval(() => this.flush(), flushEveryMs).unref();
  }

  count(key: BlobKey): void {
    const use = this.#pending.get(key);
    if (use !== undefined) {
      use.count += 1;
      use.lastUsedAtMs = this.#clock.wallMs();
      return;
    }
    if (this.#pending.size >= pendingMax) this.#write([...this.#pending.keys()]);
    if (this.#pending.size < pendingMax) this.#pending.set(key, { count: 1, lastUsedAtMs: this.#clock.wallMs() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#flushing;
    this.#write([...this.#pending.keys()]);
    await this.#flushing;
  }

  /** Writes what has not been written for an hour; a timer calls it. */
  flush(): void {
    const dueMs = this.#clock.monotonicMs() - writeAgainMs;
    this.#write([...this.#pending.keys()].filter((key) => (this.#writtenMs.get(key) ?? Number.NEGATIVE_INFINITY) <= dueMs));
  }

  /** A lost batch costs accuracy of `last used` and nothing else, so a failure is said and forgotten. */
  #write(keys: readonly BlobKey[]): void {
    if (this.#flushing !== undefined || keys.length === 0) return;
    const nowMs = this.#clock.monotonicMs();
    const uses = keys.flatMap((key) => {
      const use = this.#pending.get(key);
      this.#pending.delete(key);
      this.#writtenMs.set(key, nowMs);
      return use === undefined ? [] : [{ key, ...use }];
    });
    this.#flushing = this.#metadata
      .recordUses(uses)
      .catch((error: unknown) => this.#log.warn('usage counts could not be written', { error: messageOf(error), files: uses.length }))
      .finally(() => {
        this.#flushing = undefined;
      });
  }
}
