import type { Clock } from '../base/clock.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

/** One admitted exchange; exactly one of the three is called, once. */
export interface Admission {
  succeeded(): void;
  faulted(fault: BreakerFault): void;
  /** Nobody waits any more, so that nothing was learned. */
  abandoned(): void;
}

export interface BreakerFault {
  readonly reason: string;
  /** 1 is a fault of the upstream as a whole; less is one that may be the artefact's own, such as a 500. */
  readonly weight: number;
  /** When the attempt that failed began, monotonic. */
  readonly startedMs: number;
}

export interface BreakerOptions {
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  /** Faults in a row, by weight, that open it. */
  readonly faultsMax: number;
  /** The first time it is open; doubled with every failed probe. */
  readonly openMs: number;
  readonly openMaxMs: number;
  moved(state: BreakerState, reason: string): void;
}

/**
 * Keeps away from an upstream that is down. Closed: everything is admitted. Open: nothing, for a time that doubles up to a bound and is spread by jitter.
 * Then half-open: one exchange is admitted and decides. Times are counted on the monotonic clock.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  #state: BreakerState = 'closed';
  /** Weight of the faults since the last success. */
  #faults = 0;
  #countedAtMs = Number.NEGATIVE_INFINITY;
  /** How often in a row it was opened. */
  #openings = 0;
  #openUntilMs = 0;
  #probing: symbol | undefined;
  #lastFault: string | undefined;

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get state(): BreakerState {
    return this.#state;
  }

  get lastFault(): string | undefined {
    return this.#lastFault;
  }

  /** Until a probe may be tried; 0 when it may be now, or when nothing holds it back. */
  get openForMs(): number {
    return this.#state === 'open' ? Math.max(0, this.#openUntilMs - this.#options.clock.monotonicMs()) : 0;
  }

  /** Undefined while the upstream is to be left alone. */
  admit(): Admission | undefined {
    if (this.#state === 'closed') return this.#admission(undefined);
    if (this.#probing !== undefined || this.openForMs > 0) return undefined;
    const probe = Symbol('probe');
    this.#probing = probe;
    this.#move('half-open', 'asking whether it is back');
    return this.#admission(probe);
  }

  /** Opens at once: a probe at start found nobody. */
  trip(reason: string): void {
    this.#lastFault = reason;
    if (this.#state !== 'open') this.#open(reason);
  }

  /** Closes at once: somebody saw that it is there. */
  reset(): void {
    this.#succeeded();
  }

  /** A fault that showed after the exchange had ended well: what it delivered cannot be right. */
  blame(reason: string): void {
    this.#faulted({ reason, weight: 1, startedMs: this.#options.clock.monotonicMs() }, undefined);
  }

  #admission(probe: symbol | undefined): Admission {
    return {
      succeeded: () => this.#succeeded(),
      faulted: (fault) => this.#faulted(fault, probe),
      abandoned: () => this.#abandoned(probe),
    };
  }

  /** Whoever got an answer settled what a probe is still asking. */
  #succeeded(): void {
    this.#probing = undefined;
    this.#faults = 0;
    this.#openings = 0;
    if (this.#state !== 'closed') this.#move('closed', 'it answers again');
  }

  #faulted({ reason, weight, startedMs }: BreakerFault, probe: symbol | undefined): void {
    this.#lastFault = reason;
    if (probe !== undefined && this.#probing === probe) {
      this.#open(reason);
      return;
    }
    // One cut connection fails every stream on it: exchanges that ran when a fault was counted are casualties of the same event.
    if (this.#state !== 'closed' || startedMs < this.#countedAtMs) return;
    this.#countedAtMs = this.#options.clock.monotonicMs();
    this.#faults += weight;
    if (this.#faults >= this.#options.faultsMax) this.#open(reason);
  }

  #abandoned(probe: symbol | undefined): void {
    if (probe === undefined || this.#probing !== probe) return;
    this.#probing = undefined;
    this.#move('open', 'the probe was given up');
  }

  #open(reason: string): void {
    const { clock, openMs, openMaxMs, random } = this.#options;
    const longestMs = Math.min(openMaxMs, openMs * 2 ** Math.min(this.#openings, 30));
    this.#openUntilMs = clock.monotonicMs() + longestMs * (0.5 + random() / 2);
    this.#openings += 1;
    this.#faults = 0;
    this.#probing = undefined;
    this.#move('open', reason);
  }

  #move(state: BreakerState, reason: string): void {
    this.#state = state;
    this.#options.moved(state, reason);
  }
}
