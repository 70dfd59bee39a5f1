import { LRUCache } from 'lru-cache';

/** How long a stretch that was read counts as still being in the system's memory. */
const recentMs = 60_000;
const filesMax = 256;
/** A read on the calling thread that takes longer met the disk, or another process had the core meanwhile. */
const slowMs = 4;
/** A slow read counts twice as much as a quick one: when most are slow it is the disk, and the file is read on other threads again. */
const slowDebt = 2;
const debtMax = 8;

interface Recent {
  /** The bytes before it have all been read. */
  endBytes: number;
  atMs: number;
  debt: number;
}

/**
 * Which files were read a moment ago, by fingerprint. Their bytes lie in the system's page cache, and copying them from there on the calling thread
 * costs half of what handing the read to another thread does. Node cannot ask the system whether it has them, so the time that a read takes must
 * tell: a file that turns out to be slow has to be read on other threads from its beginning before it is believed again.
 */
export class RecentReads {
  readonly #files = new LRUCache<string, Recent>({ max: filesMax });
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Whether the bytes up to `endBytes` were read lately. */
  has(fingerprint: string, endBytes: number): boolean {
    const recent = this.#files.get(fingerprint);
    return recent !== undefined && endBytes <= recent.endBytes && this.#nowMs() - recent.atMs <= recentMs;
  }

  /** Takes note of a read on another thread. A gap before it is not known to be in memory. */
  note(fingerprint: string, startBytes: number, endBytes: number): void {
    const recent = this.#files.get(fingerprint);
    const atMs = this.#nowMs();
    if (recent === undefined || atMs - recent.atMs > recentMs) {
      if (startBytes === 0) this.#files.set(fingerprint, { endBytes, atMs, debt: 0 });
      return;
    }
    if (startBytes > recent.endBytes) return;
    recent.endBytes = Math.max(recent.endBytes, endBytes);
    recent.atMs = atMs;
  }

  /** Takes note of how long a read on the calling thread took. */
  timed(fingerprint: string, tookMs: number): void {
    const recent = this.#files.get(fingerprint);
    if (recent === undefined) return;
    recent.atMs = this.#nowMs();
    recent.debt = tookMs > slowMs ? recent.debt + slowDebt : Math.max(0, recent.debt - 1);
    if (recent.debt >= debtMax) this.#files.delete(fingerprint);
  }
}
