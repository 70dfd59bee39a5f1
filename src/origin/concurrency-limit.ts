/**
 * How many exchanges one upstream may have at once, learned from how it takes them: additive increase, multiplicative decrease. Down go only what an upstream does when
 * it has too much: it says so (429, 503) or takes no more connections, which halves the limit at once; or so many exchanges end in silence or a cut connection that
 * it cannot be chance, which takes a quarter. What fails together counts once, as one event of one round. Up it goes by one for each limit's worth of good answers to
 * exchanges that began after that, not faster than ten a second, and only while the limit is what holds the hub back. The time to the first byte never lowers it: on a
 * link that is full it grows with every stream and says nothing about the upstream, more streams than the link needs cost nothing there, and fewer would leave a
 * distant link idle between small files. It only holds back: beyond what it starts with, a limit grows on answers as quick as the quickest ones alone.
 * See docs/decisions/0005-learned-concurrency-limit.md.
 */
import type { Clock } from '../base/clock.ts';
import { RecentExtreme } from './recent-extreme.ts';

/** What an answer or a fault says about the number of exchanges. */
export type Load =
  /** The upstream does not want as many. */
  | 'pressed'
  /** Perhaps it cannot take as many; perhaps the link or this one thing was to blame. */
  | 'strained'
  /** Nothing. */
  | 'none';

export interface ConcurrencyLimitOptions {
  readonly clock: Clock;
  /** The most it may ever be, at least 1. */
  readonly max: number;
  /** After it has changed. */
  moved(limit: number, cause: 'pressed' | 'strained' | 'answered'): void;
}

export interface AnsweredExchange {
  /** When it began, monotonic. */
  readonly startedMs: number;
  /** To its first byte. */
  readonly headMs: number;
  /** Whether as many were under way as the limit allows. */
  readonly full: boolean;
}

/** Enough for what small files take on a link of 150 ms and 40 Mbit/s. */
const start = 64;
/** With this few an upstream can still be used by several at once. */
const floor = 4;
const growEveryMs = 100;
/** Of the last exchanges; more of them strained than this is no chance. A link that cuts every tenth body stays far below. */
const strainedShareMax = 0.25;
const strainWindow = 32;
/** Times the quickest answer: slower ones wait for something. */
const slowFactor = 2;
/** For how long the quickest answer is remembered at least; routes change. */
const quickestMs = 300_000;

export class ConcurrencyLimit {
  readonly #options: ConcurrencyLimitOptions;
  #limit: number;
  /** Good answers since it changed. */
  #answers = 0;
  #loweredAtMs = Number.NEGATIVE_INFINITY;
  #changedAtMs = Number.NEGATIVE_INFINITY;
  /** Of the last exchanges, about {@link strainWindow} of them. */
  #strainedShare = 0;
  /** Of the times to the first byte. */
  readonly #quickest: RecentExtreme;

  constructor(options: ConcurrencyLimitOptions) {
    this.#options = options;
    this.#limit = Math.min(start, options.max);
    this.#quickest = new RecentExtreme({ clock: options.clock, keepMs: quickestMs, pick: Math.min });
  }

  /** Between 1 and `max`. */
  get value(): number {
    return this.#limit;
  }

  answered({ startedMs, headMs, full }: AnsweredExchange): void {
    const { clock, max } = this.#options;
    this.#strainedShare -= this.#strainedShare / strainWindow;
    this.#quickest.add(headMs);
    const isQuick = headMs <= slowFactor * (this.#quickest.value ?? headMs);
    if (!full || this.#limit >= max || startedMs <= this.#loweredAtMs || (this.#limit >= start && !isQuick)) return;
    this.#answers += 1;
    if (this.#answers < this.#limit || clock.monotonicMs() < this.#changedAtMs + growEveryMs) return;
    this.#move(this.#limit + 1, 'answered');
  }

  /** An exchange that began at `startedMs` has failed in a way that says something about their number. */
  failed(load: Exclude<Load, 'none'>, startedMs: number): void {
    // What ran when the limit was lowered is a casualty of the same event.
    if (startedMs <= this.#loweredAtMs) return;
    if (load === 'pressed') {
      this.#lower(1 / 2, 'pressed');
      return;
    }
    this.#strainedShare += (1 - this.#strainedShare) / strainWindow;
    if (this.#strainedShare > strainedShareMax) this.#lower(3 / 4, 'strained');
  }

  #lower(factor: number, cause: 'pressed' | 'strained'): void {
    this.#loweredAtMs = this.#options.clock.monotonicMs();
    this.#strainedShare = 0;
    this.#move(Math.max(Math.min(floor, this.#options.max), Math.floor(this.#limit * factor)), cause);
  }

  #move(limit: number, cause: 'pressed' | 'strained' | 'answered'): void {
    this.#answers = 0;
    this.#changedAtMs = this.#options.clock.monotonicMs();
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.#options.moved(limit, cause);
  }
}
