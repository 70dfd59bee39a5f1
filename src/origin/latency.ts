/** The last times to the first byte of one upstream, and what follows from them. Milliseconds. */
export class Latency {
  readonly #samples: number[] = [];
  #next = 0;

  add(ms: number): void {
    this.#samples[this.#next] = ms;
    this.#next = (this.#next + 1) % samplesMax;
  }

  get medianMs(): number | undefined {
    return this.#quantile(0.5);
  }

  /** After this long another upstream is asked as well: nearly all answers came sooner. Bounded both ways; a plain guess while little is known. */
  get hedgeAfterMs(): number {
    const usualMs = this.#samples.length < samplesMin ? hedgeUnknownMs : (this.#quantile(0.95) ?? hedgeUnknownMs);
    return Math.min(hedgeMaxMs, Math.max(hedgeMinMs, usualMs * 1.25));
  }

  #quantile(q: number): number | undefined {
    const sorted = this.#samples.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
  }
}

const samplesMax = 64;
const samplesMin = 8;
const hedgeUnknownMs = 800;
const hedgeMinMs = 100;
const hedgeMaxMs = 2_000;
