import type { Clock } from '../base/clock.ts';

/** Shares one answer among all who ask while it is made and for `freshMs` after it was begun, however many ask. A failure is shared, too. */
export class Briefly<T> {
  readonly #make: () => Promise<T>;
  readonly #clock: Clock;
  readonly #freshMs: number;
  #last: { readonly made: Promise<T>; readonly begunMs: number; isDone: boolean } | undefined;

  constructor(options: { make: () => Promise<T>; clock: Clock; freshMs: number }) {
    this.#make = options.make;
    this.#clock = options.clock;
    this.#freshMs = options.freshMs;
  }

  get(): Promise<T> {
    const now = this.#clock.monotonicMs();
    let last = this.#last;
    if (last === undefined || (last.isDone && now - last.begunMs >= this.#freshMs)) {
      const run = { made: this.#make(), begunMs: now, isDone: false };
      const onDone = (): void => {
        run.isDone = true;
      };
      run.made.then(onDone, onDone);
      last = run;
      this.#last = run;
    }
    return last.made;
  }
}
