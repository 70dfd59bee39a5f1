/** Time, handed in so that tests can move it. Lifetimes are counted on `monotonicMs`, which a changed wall clock cannot move. */
export interface Clock {
  /** Milliseconds since the epoch. */
  wallMs(): number;
  /** Milliseconds since some fixed point, never going back. */
  monotonicMs(): number;
}

export const systemClock: Clock = { wallMs: () => Date.now(), monotonicMs: () => performance.now() };
