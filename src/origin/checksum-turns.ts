import { untilAborted } from '../base/single-flight.ts';

interface Waiter {
  readonly size: number;
  start(): void;
}

/**
 * One at a time, the largest first: of many signed trees that wait to become the head the newest goes ahead, and the others then find
 * themselves on its line without another request.
 */
export class LargestFirst {
  #busy = false;
  readonly #waiting = new Set<Waiter>();

  /** Runs `work` when its turn comes. @throws what `work` throws, or the signal's reason when it fires while waiting */
  async take(size: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    if (this.#busy) await this.#turn(size, signal);
    this.#busy = true;
    try {
      await work();
    } finally {
      this.#next();
    }
  }

  async #turn(size: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter: Waiter = { size, start: resolve };
    this.#waiting.add(waiter);
    try {
      await untilAborted(promise, signal);
    } catch (error) {
      // A turn that was given at the same moment is handed on.
      if (!this.#waiting.delete(waiter)) this.#next();
      throw error;
    }
  }

  #next(): void {
    let largest: Waiter | undefined;
    for (const waiter of this.#waiting) if (largest === undefined || waiter.size > largest.size) largest = waiter;
    this.#busy = largest !== undefined;
    if (largest === undefined) return;
    this.#waiting.delete(largest);
    largest.start();
  }
}
