/** A worker whose loop worked for a larger part of an interval than this was busy. */
const busyShare = 0.02;
const lookEveryMs = 10_000;
/** Looks in a row that found a worker idle before it gives back what would make its next answers quicker. */
const looksOfRest = 4;

export interface IdleCollectionOptions {
  /** Lets go of what is cheap to have again: called once a busy worker has become idle. */
  readonly onIdle: () => void;
  /** Lets go of all that can be had again: called when it has been idle for the better part of a minute. */
  readonly onRest: () => void;
}

/**
 * Collects garbage once a busy worker has become idle, and again when it has rested for a while. V8 collects when something is allocated, so that
 * otherwise a worker keeps for hours what a burst of requests left behind. Does nothing unless the process was started with `--expose-gc`.
 */
export function collectWhenIdle({ onIdle, onRest }: IdleCollectionOptions): void {
  const collect = globalThis.gc;
  if (collect === undefined) return;
  const pulse = new Pulse();
  let last = performance.eventLoopUtilization();
  setInterval(() => {
    const now = performance.eventLoopUtilization();
    const turn = pulse.look(performance.eventLoopUtilization(now, last).utilization);
    last = now;
    if (turn === undefined) return;
    if (turn === 'idle') onIdle();
    else onRest();
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }, lookEveryMs).unref();
}

/** What looking at a worker now and then tells: each turn once, until it is busy again. What it did while it started was work. */
export class Pulse {
  #idleLooks = 0;

  /** `busy`: the share of the time since the last look in which it worked. */
  look(busy: number): 'idle' | 'rest' | undefined {
    this.#idleLooks = busy > busyShare ? 0 : Math.min(this.#idleLooks + 1, looksOfRest + 1);
    return this.#idleLooks === 1 ? 'idle' : this.#idleLooks === looksOfRest ? 'rest' : undefined;
  }
}
