import type { Readable } from 'node:stream';
import type { ExchangeLimits } from './outbound-client.ts';
import { OutboundError, translateExchangeError } from './outbound-error.ts';

export interface WatchOptions {
  readonly limits: ExchangeLimits;
  /** Over which the least rate is averaged. */
  readonly rateWindowMs: number;
  /** From Content-Length; less is a cut. */
  readonly expectedBytes: number | undefined;
  /** Spent until the head was there; a small answer has `firstByteMs` as a whole. */
  readonly headMs: number;
  /** For messages, without credentials. */
  readonly doing: string;
  /** See `RawAnswer.brokenOff`. */
  readonly brokenOff: () => boolean;
  /** Of the exchange; its reason is what a body that it ended throws. */
  readonly signal: AbortSignal;
}

/** What a slow answer must have brought within `firstByteMs` to count as large, so that only its rate matters from there on. */
const smallAnswerBytes = 64 * 1024;

/**
 * The chunks of `source` while it makes progress. Time counts only while somebody waits for the next chunk: a slow reader is no fault of the sender.
 * Leaving early destroys the source.
 * @throws {OutboundError} stalled, too-slow, too-large, cut, garbled; the signal's reason
 */
export async function* watchProgress(source: Readable, options: WatchOptions): AsyncGenerator<Buffer, void, undefined> {
  const watch = new Watch(source, options);
  try {
    for (const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>; ; ) {
      const next = await watch.waitFor(() => chunks.next());
      if (next.done === true) break;
      watch.received(next.value.length);
      yield next.value;
    }
    if (options.brokenOff() || watch.isShort()) throw watch.cut();
  } catch (error) {
    throw options.signal.aborted ? options.signal.reason : translateExchangeError(error, options.doing);
  } finally {
    watch.stop();
    source.destroy();
  }
}

class Watch {
  readonly #source: Readable;
  readonly #options: WatchOptions;
  readonly #timer: NodeJS.Timeout;
  #waiting = false;
  #receivedBytes = 0;
  /** Spent waiting for chunks, all told. */
  #waitedMs: number;
  #windowStartMs = 0;
  #windowBytes = 0;

  constructor(source: Readable, options: WatchOptions) {
    this.#source = source;
    this.#options = options;
    this.#waitedMs = options.headMs;
    this.#windowStartMs = options.headMs;
    const { idleMs } = options.limits;
    this.#timer = setTimeout(() => {
      if (this.#waiting) this.#fail('stalled', `silent for ${idleMs} ms after ${this.#receivedBytes} bytes`);
    }, idleMs);
  }

  async waitFor<T>(next: () => Promise<T>): Promise<T> {
    this.#waiting = true;
    this.#timer.refresh();
    const startMs = performance.now();
    try {
      return await next();
    } finally {
      this.#waiting = false;
      this.#waitedMs += performance.now() - startMs;
    }
  }

  /** Counts a chunk; fails the source when it is too much or comes too slowly. */
  received(sizeBytes: number): void {
    const { limits, rateWindowMs } = this.#options;
    this.#receivedBytes += sizeBytes;
    this.#windowBytes += sizeBytes;
    if (this.#receivedBytes > limits.sizeMaxBytes) throw tooLarge(this.#options.doing, limits.sizeMaxBytes);
    if (this.#waitedMs > limits.firstByteMs && this.#receivedBytes < smallAnswerBytes && !this.#isWhole()) {
      throw this.#error('too-slow', `only ${this.#receivedBytes} bytes in ${limits.firstByteMs} ms`);
    }
    const windowMs = this.#waitedMs - this.#windowStartMs;
    if (windowMs < rateWindowMs) return;
    if (this.#windowBytes * 1000 < limits.bytesPerSecondMin * windowMs) {
      throw this.#error('too-slow', `less than ${limits.bytesPerSecondMin} bytes a second`);
    }
    this.#windowStartMs = this.#waitedMs;
    this.#windowBytes = 0;
  }

  isShort(): boolean {
    const { expectedBytes } = this.#options;
    return expectedBytes !== undefined && this.#receivedBytes < expectedBytes;
  }

  cut(): OutboundError {
    const { expectedBytes } = this.#options;
    return this.#error(
      'cut',
      `the answer ended after ${this.#receivedBytes}${expectedBytes === undefined ? '' : ` of ${expectedBytes}`} bytes`,
    );
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #isWhole(): boolean {
    return this.#options.expectedBytes === this.#receivedBytes;
  }

  #fail(fault: 'stalled', reason: string): void {
    this.#source.destroy(this.#error(fault, reason));
  }

  #error(fault: 'stalled' | 'too-slow' | 'cut', reason: string): OutboundError {
    return new OutboundError(fault, `${this.#options.doing}: ${reason}`);
  }
}

export function tooLarge(doing: string, sizeMaxBytes: number): OutboundError {
  return new OutboundError('too-large', `${doing}: the answer is larger than ${sizeMaxBytes} bytes`);
}
