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

/** Admits at most `slotsMax` at once, and lets at most `queueMax` wait; `waited-for` callers pass every `prefetch` one. */
export class Gate {
  readonly #slotsMax: number;
  readonly #queueMax: number;
  #taken = 0;
  readonly #queues: Record<Priority, Set<Waiter>> = { 'waited-for': new Set(), prefetch: new Set() };

  constructor(options: { slotsMax: number; queueMax: number }) {
    this.#slotsMax = options.slotsMax;
    this.#queueMax = options.queueMax;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#queues['waited-for'].size + this.#queues.prefetch.size;
  }

  /**
   * Resolves with the function that gives the slot back (to be called once).
   * @throws {HubError} overloaded when the queue is full; the signal's reason when it fires first.
   */
  enter(urgency: Urgency, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (this.#taken < this.#slotsMax) {
      this.#taken += 1;
      return Promise.resolve(() => this.#leave());
    }
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
    const queue = this.#queues['waited-for'].size > 0 ? this.#queues['waited-for'] : this.#queues.prefetch;
    const [next] = queue;
    if (next === undefined) {
      this.#taken -= 1;
      return;
    }
    next.enter();
  }
}
