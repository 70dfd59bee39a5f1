import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { CacheOutcome } from '../base/events.ts';
import { SingleFlight, untilAborted } from '../base/single-flight.ts';
import type { AnswerRow, Metadata } from '../meta/metadata.ts';
import { KnownAbsence } from './known-absence.ts';

/** A list, an `@latest` or a query's result, and how old it is. */
export interface Changing {
  readonly body: string;
  readonly ageSeconds: number;
  readonly stale: boolean;
  readonly outcome: CacheOutcome;
}

/** What an upstream said just now, or what was derived from something that is older. `absent` carries its reason. */
export type Asked =
  | {
      readonly kind: 'found';
      readonly body: string;
      readonly origin: string;
      readonly derivedFrom?: Pick<Changing, 'ageSeconds' | 'stale'>;
    }
  | { readonly kind: 'absent'; readonly reason: string };

interface Remembered {
  readonly asked: Asked;
  /** Derived from what no upstream confirms now: answered, never kept. */
  readonly stale: boolean;
  /** When an upstream confirmed it, on the monotonic clock, which a changed wall clock cannot move. */
  readonly confirmedMs: number;
}

/**
 * Within this many times its freshness an answer is served at once while one refresh runs.
 * Older ones wait for the refresh: the first question in a week must not be answered with last week's list.
 */
const revalidateFactor = 5;

/** With something old to serve, nobody waits longer for a refresh than this. */
const patienceMs = 4_000;

/** After somebody waited in vain, everything old is served at once for so long: a build asks about hundreds of modules, one after another. */
const impatienceMs = 10_000;

/**
 * Answers that change, kept for a short time, then served stale while one refresh runs, and for ever when no upstream answers.
 * What exists is in metadata and so shared by all processes; what does not exist is remembered only here, in bounded memory.
 */
export class ChangingAnswers {
  readonly #metadata: Metadata;
  readonly #clock: Clock;
  readonly #freshness: { readonly listMs: number; readonly negativeMs: number };
  readonly #memory: LRUCache<string, Remembered>;
  readonly #flights = new SingleFlight<Remembered>();
  #impatientUntilMs = 0;

  constructor(options: { metadata: Metadata; clock: Clock; freshness: { listMs: number; negativeMs: number } }) {
    this.#metadata = options.metadata;
    this.#clock = options.clock;
    this.#freshness = options.freshness;
    this.#memory = new LRUCache({
      max: 20_000,
      maxSize: 24 * 1024 * 1024,
      sizeCalculation: ({ asked }, name) => name.length + 200 + (asked.kind === 'found' ? asked.body.length : asked.reason.length),
    });
  }

  /**
   * The answer called `name`, by `ask` when it is not fresh.
   * @throws {HubError} not-found; what `ask` throws when nothing older is kept; the signal's reason
   */
  async get(name: string, ask: (signal: AbortSignal) => Promise<Asked>, signal: AbortSignal): Promise<Changing> {
    const kept = await this.#recall(name);
    if (kept === undefined) return this.#answer(await this.#refresh(name, ask, signal), 'miss', false);
    const ageMs = this.#clock.monotonicMs() - kept.confirmedMs;
    if (kept.asked.kind === 'absent') {
      if (ageMs < this.#freshness.negativeMs) throw new KnownAbsence(kept.asked.reason);
      return this.#answer(await this.#refresh(name, ask, signal), 'miss', false);
    }
    if (ageMs < this.#freshness.listMs) return this.#answer(kept, 'hit', false);
    const refresh = this.#refresh(name, ask, signal);
    const isOld = ageMs >= this.#freshness.listMs * revalidateFactor;
    if (!isOld || this.#clock.monotonicMs() < this.#impatientUntilMs) {
      refresh.catch(() => {}); // The next one to ask hears of it.
      return this.#answer(kept, 'stale', isOld);
    }
    const patience = AbortSignal.timeout(patienceMs);
    try {
      return this.#answer(await untilAborted(refresh, patience), 'miss', false);
    } catch (error) {
      if (signal.aborted || codeOf(error) === 'not-found') throw error;
      if (patience.aborted) this.#impatientUntilMs = this.#clock.monotonicMs() + impatienceMs;
      return this.#answer(kept, 'stale', true);
    }
  }

  /** What is kept, however old; nobody is asked. */
  async kept(name: string): Promise<Changing | undefined> {
    const kept = await this.#recall(name);
    return kept === undefined || kept.asked.kind === 'absent' ? undefined : this.#answer(kept, 'hit', false);
  }

  stop(): void {
    this.#flights.abortAll(new HubError('canceled', 'the hub is stopping'));
  }

  async #recall(name: string): Promise<Remembered | undefined> {
    const inMemory = this.#memory.get(name);
    if (inMemory !== undefined && this.#clock.monotonicMs() - inMemory.confirmedMs < this.#freshness.listMs) return inMemory;
    const row = await this.#readRow(name);
    if (row === undefined) return inMemory;
    const shared = this.#fromRow(row);
    if (inMemory !== undefined && inMemory.confirmedMs >= shared.confirmedMs) return inMemory;
    this.#memory.set(name, shared);
    return shared;
  }

  /** A metadata that cannot be read costs what it keeps, not what is in memory or what an upstream can answer. */
  async #readRow(name: string): Promise<AnswerRow | undefined> {
    try {
      return await this.#metadata.answer(name);
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
      return undefined;
    }
  }

  /** A time stamp from the future is a wall clock that was set back: such an answer counts as old, not as fresh for ever. */
  #fromRow(row: AnswerRow): Remembered {
    const ageMs = this.#clock.wallMs() - row.fetchedAtMs;
    const age = ageMs >= 0 ? ageMs : this.#freshness.listMs * revalidateFactor;
    return { asked: { kind: 'found', body: row.body, origin: row.origin }, stale: false, confirmedMs: this.#clock.monotonicMs() - age };
  }

  #refresh(name: string, ask: (signal: AbortSignal) => Promise<Asked>, signal: AbortSignal): Promise<Remembered> {
    return this.#flights.do(
      name,
      async (own) => {
        const asked = await ask(own).catch(absenceOf);
        const { ageSeconds, stale } = (asked.kind === 'found' ? asked.derivedFrom : undefined) ?? { ageSeconds: 0, stale: false };
        const remembered = { asked, stale, confirmedMs: this.#clock.monotonicMs() - ageSeconds * 1000 };
        if (stale) return remembered;
        this.#impatientUntilMs = 0;
        this.#memory.set(name, remembered);
        if (asked.kind === 'found')
          await this.#share({
            name,
            body: asked.body,
            origin: asked.origin,
            fetchedAtMs: this.#clock.wallMs() - ageSeconds * 1000,
          });
        return remembered;
      },
      signal,
    );
  }

  /** A full or broken disk costs the other processes this answer, not the caller. */
  async #share(row: AnswerRow): Promise<void> {
    try {
      await this.#metadata.recordAnswer(row);
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
    }
  }

  #answer(kept: Remembered, outcome: CacheOutcome, stale: boolean): Changing {
    if (kept.asked.kind === 'absent') throw new HubError('not-found', kept.asked.reason);
    const ageSeconds = Math.max(0, Math.floor((this.#clock.monotonicMs() - kept.confirmedMs) / 1000));
    return { body: kept.asked.body, ageSeconds, stale: stale || kept.stale, outcome };
  }
}

/** A part of the question that does not exist, such as the file of a version that a list names, is an absence like an upstream's own. */
function absenceOf(error: unknown): Asked {
  if (codeOf(error) !== 'not-found') throw error;
  return { kind: 'absent', reason: messageOf(error) };
}
