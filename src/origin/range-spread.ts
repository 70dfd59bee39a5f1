/**
 * One large body over several streams, as long as that brings more. It begins as any other, with one request for all of it. When the plan says so, what lies at least one
 * piece ahead is asked for in pieces beside it; the first stream goes on up to there, so that nothing is lost where pieces cannot be had, and is ended then. What its
 * sender had already put on the way is the only waste: about a round trip's worth of one stream.
 */
import type { Clock } from '../base/clock.ts';
import type { Attempt } from './attempt.ts';
import { LinkPace, RangePlan } from './range-plan.ts';
import { pieceBytes, RangePieces } from './range-pieces.ts';
import { isDivisible, type ResumeState } from './range-resume.ts';

/** What is worth the trouble. */
const sizeMinBytes = 8 * 1024 * 1024;
/** At a time of one upstream, which bounds the memory of pieces: each has up to two more than streams. */
const bodiesMax = 2;

/** What all bodies of one upstream share. */
export class RangeSpreads {
  readonly pace: LinkPace;
  readonly #streamsMax: number;
  #spreading = 0;

  constructor(options: { clock: Clock; windowMs: number; streamsMax: number }) {
    this.pace = new LinkPace(options);
    this.#streamsMax = options.streamsMax;
  }

  /** Undefined where the body is to come in one stream whatever happens. */
  for(options: RangeSpreadOptions): RangeSpread | undefined {
    const { state } = options;
    if (!isDivisible(state) || state.sizeBytes < sizeMinBytes || state.sizeBytes > options.sizeMaxBytes) return undefined;
    return new RangeSpread(this, new RangePlan(this.pace, this.#streamsMax), { ...options, state });
  }

  /** Whether one more body may go on in pieces; `leave` says that it has ended. */
  enter(): boolean {
    if (this.#spreading >= bodiesMax) return false;
    this.#spreading += 1;
    return true;
  }

  leave(): void {
    this.#spreading -= 1;
  }
}

export interface RangeSpreadOptions {
  readonly state: ResumeState;
  /** What the caller takes. */
  readonly sizeMaxBytes: number;
  /** See {@link RangePieces}. */
  readonly ask: (headers: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<Attempt>;
  readonly enter: () => (() => void) | undefined;
  readonly strained: (startedMs: number) => void;
  readonly signal: AbortSignal;
}

export class RangeSpread implements AsyncDisposable {
  readonly #spreads: RangeSpreads;
  readonly #plan: RangePlan;
  readonly #options: RangeSpreadOptions & { readonly state: { readonly sizeBytes: number } };
  #pieces: { readonly all: RangePieces; readonly fromByte: number } | undefined;
  /** Pieces were tried and are over: the rest comes in one stream. */
  #isSpent = false;
  #isWhole = false;
  #unreadBytes = 0;

  constructor(spreads: RangeSpreads, plan: RangePlan, options: RangeSpreadOptions & { readonly state: { readonly sizeBytes: number } }) {
    this.#spreads = spreads;
    this.#plan = plan;
    this.#options = options;
  }

  /** Arrived and never passed on. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  /** What came of it; undefined where the body came in one stream all along. */
  get outcome(): 'split' | 'gave-up' | undefined {
    if (this.#pieces === undefined && !this.#isSpent) return undefined;
    return this.#plan.streams > 1 && this.#isWhole ? 'split' : 'gave-up';
  }

  /**
   * The body from `atByte` on: of `stream` as long as it is alone, then of the pieces. It may end before the body does; then a single stream is to be opened from the
   * byte after the last. @throws what `stream` throws
   */
  async *through(stream: AsyncIterable<Buffer>, atByte: number): AsyncGenerator<Buffer, void, undefined> {
    let [nextByte, isHandedOver] = [atByte, false];
    const { clock } = this.#spreads.pace;
    let askedMs = clock.monotonicMs();
    for await (const chunk of stream) {
      this.#received(chunk.length, clock.monotonicMs() - askedMs);
      this.#begin(nextByte + chunk.length);
      const pieces = this.#pieces;
      if (pieces !== undefined && nextByte + chunk.length >= pieces.fromByte) {
        isHandedOver = await pieces.all.isComing();
        if (isHandedOver) {
          this.#unreadBytes += nextByte + chunk.length - pieces.fromByte;
          yield chunk.subarray(0, pieces.fromByte - nextByte);
          break;
        }
        await this.#end();
      }
      nextByte += chunk.length;
      yield chunk;
      askedMs = clock.monotonicMs();
    }
    if (!isHandedOver || this.#pieces === undefined) return;
    // The stream was ended by the `break`: its slot is free.
    this.#pieces.all.takeOwnSlot();
    nextByte = this.#pieces.fromByte;
    for await (const chunk of this.#pieces.all.read()) {
      nextByte += chunk.length;
      yield chunk;
    }
    this.#isWhole = nextByte === this.#options.state.sizeBytes;
    await this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  #received(sizeBytes: number, waitedMs: number): void {
    this.#spreads.pace.received(sizeBytes);
    this.#plan.received(sizeBytes, waitedMs);
  }

  /** Asks for the first pieces, if now is the time. */
  #begin(nextByte: number): void {
    const { ask, enter, signal, state, strained } = this.#options;
    const fromByte = nextByte + pieceBytes;
    if (this.#plan.streams === 1 || this.#pieces !== undefined || this.#isSpent || fromByte >= state.sizeBytes) return;
    if (!this.#spreads.enter()) return;
    const received = (sizeBytes: number): void => this.#received(sizeBytes, 0);
    this.#pieces = { fromByte, all: new RangePieces({ state, fromByte, plan: this.#plan, ask, enter, received, strained, signal }) };
  }

  async #end(): Promise<void> {
    const pieces = this.#pieces;
    if (pieces === undefined) return;
    this.#pieces = undefined;
    this.#isSpent = true;
    this.#spreads.leave();
    await pieces.all[Symbol.asyncDispose]();
    this.#unreadBytes += pieces.all.unreadBytes;
  }
}
