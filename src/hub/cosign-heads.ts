import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { CosignatureOutcome, CosignatureWish, WitnessAddress } from '../origin/witness-client.ts';
import { findCosignature } from '../protocol/cosignature.ts';
import { parseNote } from '../protocol/note.ts';
import { consistencyRanges, hashRanges } from '../protocol/tree-proof.ts';
import { LeaseReturns } from './lease-returns.ts';
import type { OwnDatabase } from './own-database.ts';
import type { ShownHead } from './own-heads.ts';

const lookEveryMs = 3_000;
/** One witness, with all that it wants to know first. */
const askMs = 15_000;
/** Of a witness that faults, and of one that sees another log. */
const restMaxMs = 10 * 60_000;
const detailLengthMax = 500;

export interface CosignHeadsParts {
  readonly database: Pick<OwnDatabase, 'name' | 'newestHead' | 'attachCosignatures' | 'tile' | 'state'>;
  /** At most eight, each key once. */
  readonly witnesses: readonly WitnessAddress[];
  /** Answers only what it has verified. @throws {HubError} log-forked when the witness has seen another log */
  readonly ask: (wish: CosignatureWish, signal: AbortSignal) => Promise<CosignatureOutcome>;
  readonly metadata: Metadata;
  readonly events: Pick<Events, 'verificationFailed'>;
  readonly log: Log;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly lookEveryMs?: number;
}

/**
 * Has the newest head of a log of ours cosigned by witnesses that others run, and shows it with their signatures. Every process looks whether
 * there are any for its head, which are kept in metadata; one process of all, which holds a lease as long as it lives, asks for those that lack,
 * so that a witness hears of a growing log once in a few seconds at most. Nobody waits for a witness: a head is shown without it too.
 */
export class CosignHeads implements AsyncDisposable {
  readonly #parts: CosignHeadsParts;
  readonly #leaseName: string;
  readonly #settingName: string;
  readonly #stop = new AbortController();
  readonly #leases: LeaseReturns;
  readonly #timer: NodeJS.Timeout;
  /** By the key of a witness that failed. */
  readonly #rests = new Map<string, { readonly faults: number; readonly untilMs: number }>();
  #leads = false;
  #running: Promise<void> | undefined;
  #alarms: readonly string[] = [];
  /** What was told last about a look that failed. */
  #told = '';

  constructor(parts: CosignHeadsParts) {
    this.#parts = parts;
    this.#leaseName = `cosign ${parts.database.name}`;
    this.#settingName = `cosigned ${parts.database.name}`;
    this.#leases = new LeaseReturns(parts);
    this.#timer = setInterval(() => void this.look(), parts.lookEveryMs ?? lookEveryMs).unref();
  }

  /** A sentence for each witness that has seen another log than ours, which an operator must look into. */
  get alarms(): readonly string[] {
    return this.#alarms;
  }

  /** Looks now, as it does by itself every few seconds; joins a look that is under way. Never rejects. */
  look(): Promise<void> {
    this.#running ??= this.#look()
      .then(
        () => {
          this.#told = '';
        },
        (error: unknown) => this.#tellOnce(messageOf(error)),
      )
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort(new HubError('canceled', 'the hub is stopping'));
    await this.#running;
    if (this.#leads) await this.#leases.giveBack(this.#leaseName);
    await this.#leases[Symbol.asyncDispose]();
  }

  async #look(): Promise<void> {
    const { database, witnesses, metadata } = this.#parts;
    const head = await database.newestHead();
    const kept = readKept(await metadata.setting(this.#settingName));
    const cosigned = new Cosigned(head, kept, witnesses);
    this.#show(cosigned);
    const lacking = witnesses.filter(({ key }) => !cosigned.lines.has(key.cosigner.text));
    if (head.size === 0 || lacking.length === 0 || this.#stop.signal.aborted || !(await this.#isLeader())) return;
    const nowMs = this.#parts.clock.monotonicMs();
    const due = lacking.filter(({ key }) => (this.#rests.get(key.cosigner.text)?.untilMs ?? nowMs) <= nowMs);
    await Promise.all(due.map((witness) => this.#askOne(witness, cosigned, kept)));
  }

  async #isLeader(): Promise<boolean> {
    if (this.#leads) return true;
    const attempt = await this.#leases.acquire(this.#leaseName);
    this.#leads = attempt.kind === 'acquired' || (attempt.kind === 'held' && attempt.ours);
    return this.#leads;
  }

  async #askOne(witness: WitnessAddress, cosigned: Cosigned, kept: Kept | undefined): Promise<void> {
    const { name, text } = witness.key.cosigner;
    const { head } = cosigned;
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(askMs)]);
    const wish: CosignatureWish = {
      witness,
      note: head.note,
      olderSize: kept?.lines.some(([key]) => key === text) === true ? kept.treeSize : 0,
      prove: (olderSize, inner) => this.#prove(olderSize, head.size, inner),
    };
    try {
      const outcome = await this.#parts.ask(wish, signal);
      if (outcome.kind === 'cosigned') cosigned.lines.set(text, outcome.line.trimEnd());
      // Otherwise the log has grown in the meantime, and the next look asks with what it is by then.
      else if (outcome.size > (await this.#parts.database.newestHead()).size)
        throw new HubError('log-forked', `it has cosigned a tree of ${outcome.size} records, more than this hub has`);
      this.#rests.delete(text);
      if (outcome.kind !== 'cosigned') return;
      cosigned.alarms.delete(text);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      // A log that was frozen in the meantime has the same code, and says nothing about the witness.
      const isFrozen = (await this.#parts.database.state()).frozen !== undefined;
      if (codeOf(error) !== 'log-forked' || isFrozen) return this.#rest(witness, error);
      this.#alarm(witness, messageOf(error));
      cosigned.alarms.set(text, messageOf(error).slice(0, detailLengthMax));
    }
    // Each by itself: one that is slow must not keep the lines of the others from being shown.
    this.#show(cosigned);
    await this.#parts.metadata.recordSetting(this.#settingName, cosigned.format()).catch((error: unknown) => {
      this.#parts.log.warn('what a witness answered could not be kept', { witness: name, error: messageOf(error) });
    });
  }

  async #prove(olderSize: number, size: number, signal: AbortSignal): Promise<readonly Buffer[]> {
    const { database } = this.#parts;
    return hashRanges(consistencyRanges(olderSize, size), size, async (tile) => {
      const bytes = await database.tile(tile, { cachedOnly: false }, signal);
      if (bytes === undefined) throw new HubError('storage-fault', `the log ${database.name} lacks a tile of its tree of ${size} records`);
      return bytes;
    });
  }

  #rest({ key }: WitnessAddress, error: unknown): void {
    const { text, name } = key.cosigner;
    const faults = (this.#rests.get(text)?.faults ?? 0) + 1;
    const restMs = Math.min(restMaxMs, (this.#parts.lookEveryMs ?? lookEveryMs) * 2 ** Math.min(faults, 20));
    this.#rests.set(text, { faults, untilMs: this.#parts.clock.monotonicMs() + restMs });
    this.#parts.log.warn('a witness has not cosigned and will be asked again', {
      database: this.#parts.database.name,
      witness: name,
      restMs,
      error: messageOf(error),
    });
  }

  #alarm({ key }: WitnessAddress, detail: string): void {
    const { text, name } = key.cosigner;
    this.#rests.set(text, { faults: 1, untilMs: this.#parts.clock.monotonicMs() + restMaxMs });
    this.#parts.events.verificationFailed({
      reason: 'log-forked',
      subject: `${this.#parts.database.name} as the witness ${name} sees it`,
      detail,
    });
  }

  #show({ head, lines, alarms }: Cosigned): void {
    const { database, witnesses } = this.#parts;
    if (lines.size > 0) database.attachCosignatures(head.size, [...lines.values()]);
    this.#alarms = witnesses.flatMap(({ key }) => {
      const detail = alarms.get(key.cosigner.text);
      return detail === undefined
        ? []
        : [`the witness ${key.cosigner.name} has seen another log than the checksum database ${database.name} of this hub: ${detail}`];
    });
  }

  #tellOnce(message: string): void {
    if (message !== this.#told && !this.#stop.signal.aborted)
      this.#parts.log.warn('heads are not cosigned just now', { database: this.#parts.database.name, error: message });
    this.#told = message;
  }
}

/** What the setting holds: of the newest head that any witness was asked about. */
interface Kept {
  readonly treeSize: number;
  readonly root: string;
  /** Keys of witnesses, each with its signature line without newline. */
  readonly lines: readonly (readonly [key: string, line: string])[];
  /** Keys of witnesses, each with why it does not cosign this log. */
  readonly alarms: readonly (readonly [key: string, detail: string])[];
}

/** What is known of a head: whatever was kept counts only for this very head, from these witnesses, and when it holds. */
class Cosigned {
  readonly head: ShownHead;
  readonly lines = new Map<string, string>();
  readonly alarms = new Map<string, string>();

  constructor(head: ShownHead, kept: Kept | undefined, witnesses: readonly WitnessAddress[]) {
    this.head = head;
    if (kept === undefined) return;
    const isSame = kept.treeSize === head.size && kept.root === head.root;
    const lines = new Map(isSame ? kept.lines : []);
    const alarms = new Map(kept.alarms);
    for (const { key } of witnesses) {
      const { text } = key.cosigner;
      const line = lines.get(text);
      if (line !== undefined && isCosignature(head.note, line, key)) this.lines.set(text, line);
      const detail = alarms.get(text);
      if (detail !== undefined) this.alarms.set(text, detail);
    }
  }

  format(): string {
    const { head, lines, alarms } = this;
    return JSON.stringify({ treeSize: head.size, root: head.root, lines: [...lines], alarms: [...alarms] } satisfies Kept);
  }
}

function isCosignature(note: string, line: string, key: WitnessAddress['key']): boolean {
  const parsed = parseNote(note);
  const alone = parsed.ok ? parseNote(`${parsed.value.text}\n${line}\n`) : parsed;
  return parsed.ok && alone.ok && alone.value.text === parsed.value.text && findCosignature(alone.value, key).ok;
}

/** Undefined for what this program has not written: it is asked for again. */
function readKept(text: string | undefined): Kept | undefined {
  if (text === undefined) return undefined;
  try {
    const { treeSize, root, lines, alarms } = JSON.parse(text) as Partial<Record<keyof Kept, unknown>>;
    return typeof treeSize === 'number' && typeof root === 'string' && isPairs(lines) && isPairs(alarms)
      ? { treeSize, root, lines, alarms }
      : undefined;
  } catch {
    return undefined;
  }
}

function isPairs(value: unknown): value is readonly (readonly [string, string])[] {
  return (
    Array.isArray(value) &&
    value.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string'))
  );
}
