/**
 * The rest of a large body in pieces: each is asked for by its own Range over a connection of its own, and all are read in order. A stream fetches one piece
 * and gives its slot back, so that whoever is waited for gets in between; one slot, the body's own, is always there. What is ahead of the reader lies in memory: never
 * more than two pieces beyond the number of streams, the one being read included. No byte is asked for twice, unless a piece is not what it should be: then all pieces
 * end with the last good byte, and it is for the caller to go on from there with a single stream.
 */
import { HubError } from '../base/errors.ts';
import { faultOf } from '../net/outbound-error.ts';
import type { Attempt } from './attempt.ts';
import type { RangePlan } from './range-plan.ts';
import { checkPart, partHeaders, type ResumeState } from './range-resume.ts';

export interface RangePiecesOptions {
  readonly state: ResumeState & { readonly sizeBytes: number };
  /** Where the first piece begins. */
  readonly fromByte: number;
  readonly plan: RangePlan;
  /** Asks over another connection, with as much patience as for something that others may have first. @throws {HubError} */
  readonly ask: (headers: Readonly<Record<string, string>>, signal: AbortSignal) => Promise<Attempt>;
  /** A slot for one more stream, when one is free; to be given back by calling it. */
  readonly enter: () => (() => void) | undefined;
  /** Of each chunk, when it arrives. */
  readonly received: (sizeBytes: number) => void;
  readonly strained: (startedMs: number) => void;
  readonly signal: AbortSignal;
}

export const pieceBytes: number = 2 * 1024 * 1024;
/** Near the end they become smaller, so that all streams end at about the same time. */
const pieceMinBytes = 512 * 1024;
/** Beyond the number of streams, for those that are quicker than the one that is read. */
const piecesAheadMax = 2;
/** Of one piece, continuations after cuts included. */
const exchangesMax = 8;

export class RangePieces implements AsyncDisposable {
  readonly #options: RangePiecesOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  /** Handed out and not read to the end yet, in order. */
  readonly #pieces: Piece[] = [];
  readonly #running = new Set<Promise<void>>();
  #nextByte: number;
  /** The slot of the stream before the pieces; free for one of them once that stream has ended. */
  #ownSlot: 'elsewhere' | 'free' | 'taken' = 'elsewhere';
  #isOver = false;
  #unreadBytes = 0;

  constructor(options: RangePiecesOptions) {
    this.#options = options;
    this.#nextByte = options.fromByte;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
    this.#fill();
  }

  /** Arrived and never passed on. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  /** Whether the first piece comes, once that is known. */
  async isComing(): Promise<boolean> {
    return (await this.#pieces[0]?.isComing) ?? false;
  }

  /** To be called when the stream before the pieces has ended: its slot is theirs. */
  takeOwnSlot(): void {
    this.#ownSlot = 'free';
  }

  /** All bytes from `fromByte` on, in order; ends early where a piece cannot be had or the plan has come back to one stream. @throws what is no {HubError} */
  async *read(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      this.#fill();
      const [piece] = this.#pieces;
      if (piece === undefined) return;
      yield* piece.read();
      if (piece.failure !== undefined) {
        this.#isOver = true;
        if (piece.failure instanceof HubError) return;
        throw piece.failure;
      }
      this.#pieces.shift();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    this.#stop.abort(new HubError('canceled', 'the pieces are not wanted any more'));
    await Promise.all(this.#running);
    for (const piece of this.#pieces) this.#unreadBytes += piece.discard();
  }

  /** Starts as many streams as the plan, the slots, the memory and what is left of the body allow. */
  #fill(): void {
    const { plan, state } = this.#options;
    const streams = plan.streams - (this.#ownSlot === 'elsewhere' ? 1 : 0);
    if (plan.streams === 1) this.#isOver = true;
    while (!this.#isOver && this.#running.size < streams && this.#pieces.length < streams + piecesAheadMax) {
      if (this.#nextByte >= state.sizeBytes) return;
      const leave = this.#enter();
      if (leave === undefined) return;
      const restBytes = state.sizeBytes - this.#nextByte;
      const sizeBytes = Math.min(restBytes, pieceBytes, Math.max(pieceMinBytes, Math.ceil(restBytes / (2 * plan.streams))));
      const piece = new Piece(this.#nextByte, this.#nextByte + sizeBytes);
      this.#nextByte = piece.endByte;
      this.#pieces.push(piece);
      const run: Promise<void> = this.#fetch(piece).finally(() => {
        this.#running.delete(run);
        leave();
        this.#fill();
      });
      this.#running.add(run);
    }
  }

  #enter(): (() => void) | undefined {
    if (this.#ownSlot !== 'free') return this.#options.enter();
    this.#ownSlot = 'taken';
    return () => {
      this.#ownSlot = 'free';
    };
  }

  /** Never rejects: the reader finds the failure in the piece. */
  async #fetch(piece: Piece): Promise<void> {
    try {
      for (let exchanges = 1; !piece.isWhole; exchanges += 1) {
        const failure = await this.#exchange(piece);
        if (failure === undefined) continue;
        if (faultOf(failure) !== 'cut' || exchanges === exchangesMax) throw failure;
      }
      piece.end(undefined);
    } catch (error) {
      piece.end(error instanceof Error ? error : new Error(String(error)));
      if (this.#signal.aborted) return;
      // Who cannot give one piece is not asked for more.
      this.#isOver = true;
      this.#options.plan.giveUp();
    }
  }

  /** Receives what one answer brings of the piece; returns what cut it short. @throws {HubError} when there is nothing right to be had */
  async #exchange(piece: Piece): Promise<HubError | undefined> {
    const { ask, received, state, strained } = this.#options;
    const part = { firstByte: piece.nextByte, endByte: piece.endByte };
    const { response, startedMs } = await ask(partHeaders(state, part), this.#signal);
    await using answer = response;
    if (answer.status !== 206) throw new HubError('origin-unavailable', `a piece was asked for and ${answer.status} is the answer`);
    const fit = checkPart(state, part, answer.headers);
    if (!fit.ok) throw new HubError('origin-unavailable', `a piece does not fit: ${fit.reason}`);
    piece.begin();
    try {
      for await (const chunk of answer.body) {
        received(chunk.length);
        if (!piece.push(chunk)) throw new HubError('upstream-invalid', 'a piece is longer than its range');
        // The plan may have come to more streams by this chunk.
        this.#fill();
      }
    } catch (error) {
      const fault = faultOf(error);
      if (fault === 'cut' || fault === 'stalled') strained(startedMs);
      if (fault === 'cut') return error as HubError;
      throw error;
    }
    return piece.isWhole ? undefined : new HubError('origin-unavailable', 'a piece is shorter than its range');
  }
}

/** One piece on its way through memory. */
class Piece {
  readonly endByte: number;
  nextByte: number;
  readonly #chunks: Buffer[] = [];
  readonly #coming = Promise.withResolvers<boolean>();
  #changed = Promise.withResolvers<void>();
  #hasEnded = false;
  #failure: Error | undefined;

  constructor(firstByte: number, endByte: number) {
    this.nextByte = firstByte;
    this.endByte = endByte;
  }

  /** Resolves with true at the first right answer, with false when there is none. */
  get isComing(): Promise<boolean> {
    return this.#coming.promise;
  }

  get isWhole(): boolean {
    return this.nextByte === this.endByte;
  }

  /** Why it has ended early. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  begin(): void {
    this.#coming.resolve(true);
  }

  /** False where that is more than the piece has. */
  push(chunk: Buffer): boolean {
    if (this.nextByte + chunk.length > this.endByte) return false;
    this.nextByte += chunk.length;
    this.#chunks.push(chunk);
    this.#changed.resolve();
    return true;
  }

  end(failure: Error | undefined): void {
    this.#failure = failure;
    this.#hasEnded = true;
    this.#coming.resolve(failure === undefined);
    this.#changed.resolve();
  }

  /** What has arrived, as it arrives, to the end or the failure. */
  async *read(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      this.#changed = Promise.withResolvers();
      for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) yield chunk;
      if (this.#hasEnded && this.#chunks.length === 0) return;
      await this.#changed.promise;
    }
  }

  /** How many bytes nobody has read. */
  discard(): number {
    return this.#chunks.splice(0).reduce((sum, chunk) => sum + chunk.length, 0);
  }
}
