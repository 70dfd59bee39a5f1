import { HubError } from '../base/errors.ts';
import type { OwnEntry, OwnLogs, OwnRecord } from '../meta/own-log.ts';

/** Appended in one write. */
const batchMax = 1_000;
/** Writes under way at once. The metadata commits those together that come together; each costs the root of the tree. */
const writesMax = 3;
/** Versions that wait for a batch to end; a client waits behind each. */
const waitingMax = 20_000;

interface Waiting {
  readonly entry: OwnEntry;
  readonly record: Promise<OwnRecord>;
  resolve(record: OwnRecord): void;
  reject(error: unknown): void;
}

/**
 * Appends in batches: while few writes are under way an entry goes at once, and whatever comes while they are goes together in the next. So nobody waits
 * for a clock, and the more there is to do, the more of it shares a write.
 */
export class OwnAppender {
  readonly #name: string;
  readonly #metadata: Pick<OwnLogs, 'appendOwn'>;
  readonly #sizeMin: () => number;
  readonly #onAppended: () => void;
  /** By `module@version`, in the order of arrival. */
  readonly #waiting = new Map<string, Waiting>();
  readonly #writes = new Set<Promise<void>>();

  constructor(options: { name: string; metadata: Pick<OwnLogs, 'appendOwn'>; sizeMin: () => number; onAppended: () => void }) {
    this.#name = options.name;
    this.#metadata = options.metadata;
    this.#sizeMin = options.sizeMin;
    this.#onAppended = options.onAppended;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * The version's record once it is durable: this entry, or what the log had before. Unless others wait, the write is handed in before this returns.
   * @throws {HubError} overloaded, log-forked, storage-full, storage-fault
   */
  append(entry: OwnEntry): Promise<OwnRecord> {
    const key = `${entry.module}@${entry.version}`;
    const already = this.#waiting.get(key);
    if (already !== undefined) return already.record;
    if (this.#waiting.size >= waitingMax)
      return Promise.reject(new HubError('overloaded', `more than ${waitingMax} records wait to be appended to ${this.#name}`));
    const { promise: record, resolve, reject } = Promise.withResolvers<OwnRecord>();
    this.#waiting.set(key, { entry, record, resolve, reject });
    this.#startWrite();
    return record;
  }

  /** Resolves when nothing waits any more. */
  async settled(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  #startWrite(): void {
    if (this.#waiting.size === 0 || this.#writes.size >= writesMax) return;
    const batch = [...this.#waiting.entries()].slice(0, batchMax);
    for (const [key] of batch) this.#waiting.delete(key);
    const write = this.#write(batch.map(([, waiting]) => waiting)).finally(() => {
      this.#writes.delete(write);
      this.#startWrite();
    });
    this.#writes.add(write);
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    try {
      const { records } = await this.#metadata.appendOwn(
        this.#name,
        batch.map(({ entry }) => entry),
        this.#sizeMin(),
      );
      for (const [i, waiting] of batch.entries()) waiting.resolve(records[i]!);
      this.#onAppended();
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    }
  }
}
