import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Breaker } from './breaker.ts';

export interface ProbeResult {
  readonly name: string;
  readonly ok: boolean;
  /** To the answer's head; only when it is there. */
  readonly latencyMs?: number;
  /** Only when it is not. */
  readonly reason?: string;
}

/** An upstream, or the hub's own way to public repositories. */
export interface Probed {
  readonly name: string;
  readonly breaker: Breaker;
  /** @throws when it is not there */
  probe(signal: AbortSignal): Promise<{ latencyMs: number }>;
}

/** Asks upstreams whether they are there: all at start, and those whose breaker is open whenever its time is over. */
export class UpstreamProber implements AsyncDisposable {
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #timers = new Map<Probed, NodeJS.Timeout>();
  readonly #running = new Set<Promise<unknown>>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Never throws; an upstream that does not answer has its breaker opened at once, one that does has it closed. */
  async probe(upstream: Probed, signal: AbortSignal): Promise<ProbeResult> {
    const limited = AbortSignal.any([signal, this.#stop.signal]);
    try {
      const { latencyMs } = await upstream.probe(limited);
      upstream.breaker.reset();
      return { name: upstream.name, ok: true, latencyMs };
    } catch (error) {
      if (!limited.aborted) upstream.breaker.trip(messageOf(error));
      return { name: upstream.name, ok: false, reason: messageOf(error) };
    }
  }

  /** To be called whenever the upstream's breaker moved. */
  watch(upstream: Probed): void {
    clearTimeout(this.#timers.get(upstream));
    this.#timers.delete(upstream);
    if (this.#stop.signal.aborted || upstream.breaker.state !== 'open') return;
    const timer = setTimeout(() => this.#ask(upstream), upstream.breaker.openForMs + 1);
    // A dead upstream must not keep the process alive.
    timer.unref();
    this.#timers.set(upstream, timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the upstreams are being closed'));
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await Promise.allSettled(this.#running);
  }

  #ask(upstream: Probed): void {
    const run = this.#decide(upstream).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** The half-open breaker's one exchange. Somebody's own request may have taken it; then its outcome decides. */
  async #decide(upstream: Probed): Promise<void> {
    const admission = upstream.breaker.admit();
    if (admission === undefined) {
      // Timers may be a little early.
      this.watch(upstream);
      return;
    }
    try {
      await upstream.probe(this.#stop.signal);
      admission.succeeded();
      this.#log.info('upstream answers again', { upstream: upstream.name });
    } catch (error) {
      if (this.#stop.signal.aborted) admission.abandoned();
      else admission.faulted({ reason: messageOf(error), weight: 1, startedMs: Number.POSITIVE_INFINITY });
    }
  }
}
