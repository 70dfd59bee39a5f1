import type { BlobKey } from '../base/blob-key.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { messageOf } from '../base/errors.ts';
import type { Metadata } from '../meta/metadata.ts';

const flushEveryMs = 30_000;

/** More files than this are flushed at once, and are not counted while the metadata is too slow to take them. */
const pendingMax = 20_000;

/** Counts uses in memory and writes them in batches, so that a hit touches no database. */
export class Usage implements AsyncDisposable {
  readonly #metadata: Metadata;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #pending = new Map<BlobKey, { count: number; lastUsedAtMs: number }>();
  #flushing: Promise<void> | undefined;

  constructor(options: { metadata: Metadata; clock: Clock; log: Log }) {
    this.#metadata = options.metadata;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#timer = setInterval(() => this.#flush(), flushEveryMs).unref();
  }

  count(key: BlobKey): void {
    const use = this.#pending.get(key);
    if (use !== undefined) {
      use.count += 1;
      use.lastUsedAtMs = this.#clock.wallMs();
      return;
    }
    if (this.#pending.size >= pendingMax) this.#flush();
    if (this.#pending.size < pendingMax) this.#pending.set(key, { count: 1, lastUsedAtMs: this.#clock.wallMs() });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#flushing;
    this.#flush();
    await this.#flushing;
  }

  /** A lost batch costs accuracy of `last used` and nothing else, so a failure is said and forgotten. */
  #flush(): void {
    if (this.#flushing !== undefined || this.#pending.size === 0) return;
    const uses = [...this.#pending].map(([key, use]) => ({ key, ...use }));
    this.#pending = new Map();
    this.#flushing = this.#metadata
      .recordUses(uses)
      .catch((error: unknown) => this.#log.warn('usage counts could not be written', { error: messageOf(error), files: uses.length }))
      .finally(() => {
        this.#flushing = undefined;
      });
  }
}
