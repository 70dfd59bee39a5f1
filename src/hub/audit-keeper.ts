import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { AuditEntry, AuditTrail } from '../meta/audit-trail.ts';

/** Something that was granted, refused or administered. */
export interface Act {
  /** One of a few fixed words. */
  readonly act: AuditAct;
  readonly actor: string;
  readonly subject: string;
  readonly detail?: string;
}

export type AuditAct =
  | 'read' // of a private module, granted
  | 'refused' // something that a caller may not
  | 'log-in.failed'
  | 'publish'
  | 'warm'
  | 'token.new'
  | 'token.revoke'
  | 'policy.override'
  | 'webhook'
  | 'audit.cut';

export interface AuditKeeperParts {
  readonly trail: AuditTrail;
  readonly clock: Clock;
  readonly log: Log;
}

/** Acts that differ in more than their number wait in memory for at most this long. */
const GATHER_MS = 60_000;
const GATHERED_MAX = 1_000;

/** Of entries; the oldest go, and one that says so comes. A million take some 300 MB of disk. */
export const AUDIT_ENTRIES_MAX = 1_000_000;
const CUT_EVERY = 1_000;

/** Writes to the audit trail: at once what changes something, gathered over a minute what comes by the thousand. One for a process. */
export class AuditKeeper implements AsyncDisposable {
  readonly #parts: AuditKeeperParts;
  #gathered = new Map<string, Act & { count: number }>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isWriting = false;
  #uncut = 0;

  constructor(parts: AuditKeeperParts) {
    this.#parts = parts;
  }

  /** Resolves when it is durable. @throws {HubError} storage-… : what cannot be told must not be done */
  async audit(act: Act): Promise<void> {
    await this.#append([this.#entry(act, 1)]);
  }

  /**
   * Counts an act of which there may be thousands: one entry for all of a minute that are alike. Never throws, never waits; a kill loses at most that minute.
   * When more differ at once than are kept apart, the rest are told as one entry a word.
   */
  tally(act: Act): void {
    const key = [act.act, act.actor, act.subject, act.detail].join('\n');
    const known = this.#gathered.get(key);
    if (known !== undefined) {
      known.count += 1;
      return;
    }
    if (this.#gathered.size >= GATHERED_MAX && act.subject !== SEVERAL) {
      if (this.#isWriting) return this.tally({ act: act.act, actor: SEVERAL, subject: SEVERAL });
      void this.flush();
    }
    this.#gathered.set(key, { ...act, count: 1 });
    this.#timer ??= setTimeout(() => void this.flush(), GATHER_MS).unref();
  }

  /** Writes what was gathered. What cannot be written is said in the log. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const entries = [...this.#gathered.values()].map((act) => this.#entry(act, act.count));
    this.#gathered = new Map();
    if (entries.length > 0) {
      this.#isWriting = true;
      this.#writing = this.#writing
        .then(() => this.#append(entries))
        .catch((error: unknown) =>
          this.#parts.log.error('entries of the audit trail are lost', { count: entries.length, reason: messageOf(error) }),
        )
        .finally(() => {
          this.#isWriting = false;
        });
    }
    return this.#writing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
  }

  async #append(entries: readonly AuditEntry[]): Promise<void> {
    const { trail, clock } = this.#parts;
    await trail.appendAudit(entries);
    this.#uncut += entries.length;
    if (this.#uncut < CUT_EVERY) return;
    this.#uncut = 0;
    await trail.cutAudit(AUDIT_ENTRIES_MAX, clock.wallMs());
  }

  #entry({ act, actor, subject, detail }: Act, count: number): AuditEntry {
    return { atMs: this.#parts.clock.wallMs(), act, actor, subject, detail: detail ?? '', count };
  }
}

const SEVERAL = 'several';
