import type { Urgency } from '../../base/gate.ts';
import { SingleFlight } from '../../base/single-flight.ts';

/** Shares work as {@link SingleFlight} does; what was begun ahead of need is urgent as soon as anybody who is waited for joins it. */
export class UrgentFlight<T> {
  readonly #flights = new SingleFlight<T>();
  /** Of each run under way. */
  readonly #raises = new Map<string, AbortController>();

  do(key: string, urgency: Urgency, work: (urgency: Urgency, signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const running = this.#raises.get(key);
    if (running !== undefined) follow(urgency, running);
    return this.#flights.do(key, (own) => this.#run({ key, urgency, work }, own), signal);
  }

  /** For runs that wait for one another: those under way stand in the way of something as urgent as this. */
  hurry(urgency: Urgency): void {
    for (const running of this.#raises.values()) follow(urgency, running);
  }

  abortAll(reason: Error): void {
    this.#flights.abortAll(reason);
  }

  async #run({ key, urgency, work }: Run<T>, signal: AbortSignal): Promise<T> {
    const raise = new AbortController();
    this.#raises.set(key, raise);
    follow(urgency, raise);
    try {
      return await work({ priority: 'prefetch', raised: raise.signal }, signal);
    } finally {
      this.#raises.delete(key);
    }
  }
}

interface Run<T> {
  readonly key: string;
  readonly urgency: Urgency;
  readonly work: (urgency: Urgency, signal: AbortSignal) => Promise<T>;
}

function follow({ priority, raised }: Urgency, raise: AbortController): void {
  if (priority === 'waited-for' || raised?.aborted === true) raise.abort();
  else raised?.addEventListener('abort', () => raise.abort(), { once: true, signal: raise.signal });
}
