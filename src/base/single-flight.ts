/**
 * Shares one run of some work between all who ask for the same key while it runs.
 * The work runs under a signal of its own: a caller that leaves harms nobody, and `abortAll` (on stop) ends everything.
 */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();
  readonly #stop = new AbortController();

  /** Starts `work`, or joins the run already under way; rejects with the caller's reason as soon as `signal` fires. */
  do(key: string, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    let run = this.#running.get(key);
    if (run === undefined) {
      run = work(this.#stop.signal).finally(() => this.#running.delete(key));
      // Every caller may have left by the time it fails; the failure was theirs to see.
      run.catch(() => {});
      this.#running.set(key, run);
    }
    return untilAborted(run, signal);
  }

  get size(): number {
    return this.#running.size;
  }

  has(key: string): boolean {
    return this.#running.has(key);
  }

  abortAll(reason: Error): void {
    this.#stop.abort(reason);
  }
}

/** `promise`, or a rejection with the signal's reason if that comes first. The work behind `promise` goes on. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason as Error);
  const { promise: left, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  return Promise.race([promise, left]).finally(() => signal.removeEventListener('abort', onAbort));
}
