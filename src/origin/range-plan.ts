/**
 * Over how many streams the rest of a large body is worth fetching. Links across borders and some mirrors hold back each connection by itself: what one stream brings is
 * then a fraction of what the link can do. Two things show it. Either the upstream's streams together have brought at least twice as much not long ago as they do now:
 * then as many more are added as fill that gap. Or, as long as this stream is alone and nothing of the kind is known, one more is tried, and where that is of use as many
 * as are allowed. Of use means that they bring half as much again. Where they do not, the link is full or the upstream is slow as a whole: the body goes on as a single
 * stream, and nothing is tried for ten minutes. All times are handed in by a clock; a rate is measured over a whole window, and the first window of everything
 * is not counted, since connections begin slowly.
 */
import type { Clock } from '../base/clock.ts';
import { RecentExtreme } from './recent-extreme.ts';

export interface LinkPaceOptions {
  readonly clock: Clock;
  /** Over which a rate is measured. */
  readonly windowMs: number;
}

/** How fast one upstream's streams are together. */
export class LinkPace {
  readonly clock: Clock;
  readonly windowMs: number;
  readonly #best: RecentExtreme;
  #startMs = Number.NEGATIVE_INFINITY;
  #bytes = 0;
  #last: { readonly bytesPerSecond: number; readonly endMs: number } | undefined;
  #restUntilMs = Number.NEGATIVE_INFINITY;

  constructor({ clock, windowMs }: LinkPaceOptions) {
    this.clock = clock;
    this.windowMs = windowMs;
    this.#best = new RecentExtreme({ clock, keepMs: restMs, pick: Math.max });
  }

  received(sizeBytes: number): void {
    const now = this.clock.monotonicMs();
    const elapsedMs = now - this.#startMs;
    if (elapsedMs >= this.windowMs) {
      // After a pause a window would be an average over nothing.
      if (elapsedMs < 2 * this.windowMs) {
        const bytesPerSecond = (1000 * this.#bytes) / elapsedMs;
        this.#last = { bytesPerSecond, endMs: now };
        this.#best.add(bytesPerSecond);
      }
      this.#startMs = now;
      this.#bytes = 0;
    }
    this.#bytes += sizeBytes;
  }

  /** In the last window, if there was one just now. */
  get presentBytesPerSecond(): number {
    const last = this.#last;
    return last !== undefined && this.clock.monotonicMs() - last.endMs < 2 * this.windowMs ? last.bytesPerSecond : 0;
  }

  /** In the best window of the last ten minutes. */
  get bestBytesPerSecond(): number {
    return this.#best.value ?? 0;
  }

  /** More streams were of no use. */
  rest(): void {
    this.#restUntilMs = this.clock.monotonicMs() + restMs;
  }

  get isResting(): boolean {
    return this.clock.monotonicMs() < this.#restUntilMs;
  }
}

const restMs = 600_000;
/** So much more must have been seen. */
const roomFactor = 2;
/** So much more must come. One that merely takes a share from a stranger's stream stays below. */
const gainFactor = 1.5;
/** What the link brings beyond one stream before that stream counts as alone no more. */
const aloneFactor = 1.25;

/** What is measured now: a window of one stream, or one of several. */
interface Window {
  /** How many windows went before this one under the same conditions. */
  readonly nth: number;
  readonly startMs: number;
  bytes: number;
  /** Spent waiting for bytes, in which alone a stream can show its speed. */
  waitedMs: number;
}

export class RangePlan {
  readonly #pace: LinkPace;
  readonly #streamsMax: number;
  #streams = 1;
  #window: Window;
  /** What the one stream has brought. */
  #beforeBytesPerSecond = 0;
  /** How many there are to be if the try is of use. */
  #streamsIfGain = 1;
  #isSettled = false;

  constructor(pace: LinkPace, streamsMax: number) {
    this.#pace = pace;
    this.#streamsMax = streamsMax;
    this.#window = this.#nextWindow(0);
  }

  /** At least 1. Once it has gone up and come back to 1 it stays there. */
  get streams(): number {
    return this.#streams;
  }

  /** The body's own bytes, of whichever stream, and how long its reader waited for them; the pace is told by the caller. */
  received(sizeBytes: number, waitedMs: number): void {
    if (this.#isSettled) return;
    const window = this.#window;
    window.bytes += sizeBytes;
    window.waitedMs += waitedMs;
    const spentMs = this.#streams === 1 ? window.waitedMs : this.#pace.clock.monotonicMs() - window.startMs;
    if (spentMs < this.#pace.windowMs) return;
    this.#window = this.#nextWindow(window.nth + 1);
    if (window.nth === 0) return;
    const bytesPerSecond = (1000 * window.bytes) / spentMs;
    if (this.#streams === 1) this.#judgeOne(bytesPerSecond);
    else this.#judgeSeveral(bytesPerSecond);
  }

  /** Not to be tried any further: pieces could not be had. */
  giveUp(): void {
    this.#pace.rest();
    this.#settle(1);
  }

  #judgeOne(bytesPerSecond: number): void {
    const pace = this.#pace;
    if (pace.isResting || bytesPerSecond <= 0) return;
    const present = Math.max(pace.presentBytesPerSecond, bytesPerSecond);
    const best = pace.bestBytesPerSecond;
    if (best >= roomFactor * present) {
      const streams = Math.min(this.#streamsMax, 1 + Math.ceil((best - present) / bytesPerSecond));
      this.#try({ streams, streamsIfGain: streams, bytesPerSecond });
    } else if (present <= aloneFactor * bytesPerSecond) {
      this.#try({ streams: 2, streamsIfGain: this.#streamsMax, bytesPerSecond });
    }
  }

  #judgeSeveral(bytesPerSecond: number): void {
    if (bytesPerSecond >= gainFactor * this.#beforeBytesPerSecond) this.#settle(this.#streamsIfGain);
    else this.giveUp();
  }

  #try({ streams, streamsIfGain, bytesPerSecond }: { streams: number; streamsIfGain: number; bytesPerSecond: number }): void {
    this.#beforeBytesPerSecond = bytesPerSecond;
    this.#streamsIfGain = streamsIfGain;
    this.#streams = streams;
    this.#window = this.#nextWindow(0);
  }

  #settle(streams: number): void {
    this.#streams = streams;
    this.#isSettled = true;
  }

  #nextWindow(nth: number): Window {
    return { nth, startMs: this.#pace.clock.monotonicMs(), bytes: 0, waitedMs: 0 };
  }
}
