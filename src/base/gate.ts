import { HubError } from './errors.ts';

/** What somebody waits for goes before what nobody waits for yet. */
export type Priority = 'waited-for' | 'prefetch';

/** How soon something is wanted, and word of when that changes. */
export interface Urgency {
  readonly priority: Priority;
  /** Fires when somebody comes to wait for what nobody waited for: from then on it counts as `waited-for`. */
  readonly raised?: AbortSignal | undefined;
}

/** The priority of this moment. */
export function priorityOf({ priority, raised }: Urgency): Priority {
  return raised?.aborted === true ? 'waited-for' : priority;
}

interface Waiter {
  enter(): void;
}

export interface GateOptions {
  readonly slotsMax: number;
  readonly queueMax: number;
  /** Of the slots, what `prefetch` may fill (always one at least): the rest is kept free for who is waited for. Default 1, all of them. */
  readonly prefetchShare?: number;
}

/** Admits at most `slotsMax` at once, and lets at most `queueMax` wait; `waited-for` callers pass every `prefetch` one. */
export class Gate {
  readonly #queueMax: number;
  readonly #prefetchShare: number;
  #slotsMax: number;
  #taken = 0;
  readonly #queues: Record<Priority, Set<Waiter>> = { 'waited-for': new Set(), prefetch: new Set() };

  constructor({ slotsMax, queueMax, prefetchShare = 1 }: GateOptions) {
    this.#slotsMax = slotsMax;
    this.#queueMax = queueMax;
    this.#prefetchShare = prefetchShare;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#queues['waited-for'].size + this.#queues.prefetch.size;
  }

  /** From now on. Who is in stays in: with fewer slots nobody enters until enough have left. */
  resize(slotsMax: number): void {
    this.#slotsMax = slotsMax;
    this.#admit();
  }

  /** The function that gives the slot back (to be called once), or undefined where the caller would have to wait. */
  tryEnter(urgency: Urgency): (() => void) | undefined {
    if (!this.#hasRoomFor(priorityOf(urgency))) return undefined;
    this.#taken += 1;
    return () => this.#leave();
  }

  /**
   * Resolves with the function that gives the slot back (to be called once).
   * @throws {HubError} overloaded when the queue is full; the signal's reason when it fires first.
   */
  enter(urgency: Urgency, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const leave = this.tryEnter(urgency);
    if (leave !== undefined) return Promise.resolve(leave);
    if (this.waiting >= this.#queueMax)
      return Promise.reject(new HubError('overloaded', `more than ${this.#queueMax} requests wait for a free slot`));
    return new Promise((resolve, reject) => {
      const { raised } = urgency;
      const leaveQueues = (): void => {
        for (const queue of Object.values(this.#queues)) queue.delete(waiter);
        signal.removeEventListener('abort', onAbort);
        raised?.removeEventListener('abort', onRaise);
      };
      const onAbort = (): void => {
        leaveQueues();
        reject(signal.reason as Error);
      };
      const onRaise = (): void => {
        this.#queues.prefetch.delete(waiter);
        this.#queues['waited-for'].add(waiter);
        this.#admit();
      };
      const waiter: Waiter = {
        enter: () => {
          leaveQueues();
          resolve(() => this.#leave());
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      raised?.addEventListener('abort', onRaise, { once: true });
      this.#queues[priorityOf(urgency)].add(waiter);
    });
  }

  #leave(): void {
    this.#taken -= 1;
    this.#admit();
  }

  #admit(): void {
    for (const priority of ['waited-for', 'prefetch'] as const) {
      for (const waiter of this.#queues[priority]) {
        if (!this.#hasRoomFor(priority)) break;
        this.#taken += 1;
        waiter.enter();
      }
    }
  }

  #hasRoomFor(priority: Priority): boolean {
    const slotsMax = priority === 'prefetch' ? Math.max(1, Math.floor(this.#slotsMax * this.#prefetchShare)) : this.#slotsMax;
    return this.#taken < slotsMax;
  }
}
