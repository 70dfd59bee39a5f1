import type { Clock } from '../base/clock.ts';

/** The least or the greatest of the samples of the last while, which is between one and two `keepMs` long. */
export class RecentExtreme {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #pick: (a: number, b: number) => number;
  #sinceMs: number;
  #before: number | undefined;
  #now: number | undefined;

  constructor({ clock, keepMs, pick }: { clock: Clock; keepMs: number; pick: (a: number, b: number) => number }) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
    this.#keepMs = keepMs;
    this.#pick = pick;
  }

  add(sample: number): void {
    this.#turn();
    this.#now = this.#now === undefined ? sample : this.#pick(this.#now, sample);
  }

  /** Undefined while there is no sample that young. */
  get value(): number | undefined {
    this.#turn();
    if (this.#before === undefined || this.#now === undefined) return this.#now ?? this.#before;
    return this.#pick(this.#before, this.#now);
  }

  #turn(): void {
    const turns = Math.floor((this.#clock.monotonicMs() - this.#sinceMs) / this.#keepMs);
    if (turns === 0) return;
    this.#before = turns === 1 ? this.#now : undefined;
    this.#now = undefined;
    this.#sinceMs += turns * this.#keepMs;
  }
}
