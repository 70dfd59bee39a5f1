import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { Gate, priorityOf, type Urgency } from '../base/gate.ts';
import { withoutCredentials } from '../base/log.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { OutboundClient, OutboundResponse } from '../net/outbound-client.ts';
import { faultOf, type OutboundFault } from '../net/outbound-error.ts';
import { Breaker, type Admission, type BreakerState } from './breaker.ts';
import { Latency } from './latency.ts';
import type { OriginRequest, UpstreamState } from './module-origin.ts';
import { UpstreamBody, type Attempt } from './upstream-body.ts';
import type { UpstreamLimits } from './upstream-limits.ts';
import { firstLineOf, meaningOf, retryAfterMs, type StatusMeaning } from './upstream-status.ts';

export interface UpstreamOptions {
  /** The address before `/M/@v/…`; may carry user and password. */
  readonly url: URL;
  readonly client: OutboundClient;
  readonly limits: UpstreamLimits;
  readonly clock: Clock;
  readonly events: Events;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  /** After the breaker moved. */
  moved?(state: BreakerState): void;
}

export type UpstreamAnswer =
  /** The body must be read to the end or disposed of: it holds a slot. */
  | { readonly kind: 'found'; readonly body: UpstreamBody }
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string };

interface Question {
  readonly request: OriginRequest;
  readonly headers: Readonly<Record<string, string>>;
  readonly admission: Admission;
  /** Of all attempts together, monotonic. */
  readonly deadlineMs: number;
}

type Outcome =
  | { readonly kind: 'answered'; readonly response: OutboundResponse }
  | {
      readonly kind: 'fault';
      readonly error: HubError;
      readonly retry: boolean;
      readonly weight: number;
      readonly pauseMs: number | undefined;
    };

const attemptsMax = 3;
/** In a row, by weight, that open the breaker: as many as there are attempts, so that who finds nobody has settled the matter. */
const faultsMax = 3;
/** For the question whether a silent upstream is silent to everybody; design: no fault holds longer than its limits and a second. */
const doubtMs = 800;
/** What waits for a slot of one upstream; more is refused. */
const waitingMax = 4_096;
const retryPauseMaxMs = 2_000;
/** Enough for the page around a 404; the caller's own bound is kept by {@link UpstreamBody}. */
const exchangeSizeMinBytes = 1024 * 1024;

/** One upstream: its slots, breaker, latencies, and the patience to ask it more than once. */
export class Upstream {
  /** Without credentials and final slash. */
  readonly name: string;
  readonly breaker: Breaker;
  readonly latency: Latency = new Latency();
  readonly #options: UpstreamOptions;
  readonly #base: string;
  readonly #gate: Gate;
  /** Questions whether it is there at all, shared by all who doubt it. */
  readonly #doubts = new SingleFlight<boolean>();
  #lastAnswerMs = Number.NEGATIVE_INFINITY;

  constructor(options: UpstreamOptions) {
    const { url, limits, clock, events } = options;
    this.name = withoutCredentials(url.href).replace(/\/+$/, '');
    this.#options = options;
    this.#base = `${url.href.replace(/[?#].*$/, '').replace(/\/+$/, '')}/`;
    this.#gate = new Gate({ slotsMax: Math.max(1, Math.floor(limits.fetchSlots / 4)), queueMax: waitingMax });
    this.breaker = new Breaker({
      clock,
      random: options.random,
      faultsMax,
      openMs: limits.breakerOpenMs ?? 500,
      openMaxMs: 15_000,
      moved: (state, reason) => {
        events.breakerMoved({ upstream: this.name, state, reason });
        options.moved?.(state);
      },
    });
  }

  get state(): UpstreamState {
    return { name: this.name, breaker: this.breaker.state, latencyMs: this.latency.medianMs, lastFault: this.breaker.lastFault };
  }

  /**
   * Asks until there is an answer: faults that may pass are tried again, all within `upstreamMs`. Settles `admission`; a found body does so when it ends.
   * @throws {HubError} origin-unavailable, origin-timeout, upstream-invalid, overloaded; the signal's reason
   */
  async open(request: OriginRequest, admission: Admission, signal: AbortSignal): Promise<UpstreamAnswer> {
    const { clock, events, limits } = this.#options;
    let leave: (() => void) | undefined;
    try {
      const arrivedMs = clock.monotonicMs();
      leave = await this.#enter(request, signal);
      const deadlineMs = (priorityOf(request) === 'prefetch' ? clock.monotonicMs() : arrivedMs) + limits.upstreamMs;
      const attempt = await this.#ask({ request, headers: {}, admission, deadlineMs }, signal);
      const meaning = meaningOf(attempt.response.status);
      if (meaning.kind === 'found') {
        // A long body must not keep a half-open breaker from everybody else.
        if (this.breaker.state !== 'closed') admission.succeeded();
        const ask = (headers: Readonly<Record<string, string>>): Promise<Attempt> =>
          this.#ask({ request, headers, admission, deadlineMs: clock.monotonicMs() + limits.upstreamMs }, signal);
        const body = new UpstreamBody({ name: this.name, request, admission, attempt, ask, leave, events, signal });
        leave = undefined;
        return { kind: 'found', body };
      }
      admission.succeeded();
      const line = await firstLineOf(attempt.response);
      if (meaning.kind === 'absent') return { kind: 'absent', reason: line === '' ? `${this.name} does not have it` : line };
      const status = attempt.response.status;
      return { kind: 'refused', reason: line === '' ? `${this.name} refuses it (${status})` : `${line} (${this.name} says ${status})` };
    } catch (error) {
      // Says nothing where a fault was already told.
      admission.abandoned();
      throw error;
    } finally {
      leave?.();
    }
  }

  /**
   * One answer that means something (found, absent or refused; 206 where a range was asked), after as many attempts as are worth it.
   * Every failed attempt is told to the breaker; a success is left to the caller.
   */
  async #ask(question: Question, signal: AbortSignal): Promise<Attempt> {
    const { clock } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      const startedMs = clock.monotonicMs();
      const outcome = await this.#once(question, startedMs, signal);
      if (outcome.kind === 'answered') return { response: outcome.response, startedMs };
      const { error, retry, weight } = outcome;
      question.admission.faulted({ reason: messageOf(error), weight, startedMs });
      const pauseMs = outcome.pauseMs ?? this.#pauseMs(attempt);
      const tooLate = clock.monotonicMs() + pauseMs >= question.deadlineMs;
      // An upstream whose breaker has opened is left alone, by us as well.
      if (!retry || tooLate || attempt >= attemptsMax || this.breaker.state !== 'closed') throw error;
      await pause(pauseMs, undefined, { signal }).catch(() => {
        throw signal.reason;
      });
    }
  }

  /** Asks for something every module proxy answers at once, to see whether it is there. @throws {HubError} as `open` */
  async probe(signal: AbortSignal): Promise<{ latencyMs: number }> {
    const { client, clock, limits } = this.#options;
    const startedMs = clock.monotonicMs();
    await using response = await client.send(
      {
        url: new URL(`${this.#base}sumdb/sum.golang.org/supported`),
        limits: {
          firstByteMs: Math.min(limits.upstreamMs, 5_000),
          idleMs: limits.idleMs,
          bytesPerSecondMin: 0,
          sizeMaxBytes: exchangeSizeMinBytes,
        },
        followRedirects: true,
      },
      signal,
    );
    const latencyMs = clock.monotonicMs() - startedMs;
    await firstLineOf(response);
    const meaning = meaningOf(response.status);
    if (meaning.kind === 'fault') throw new HubError('origin-unavailable', `${this.name} answers with status ${response.status}`);
    const type = response.headers.get('content-type') ?? '';
    if (meaning.kind === 'found' && /^text\/html\b/i.test(type))
      throw new HubError('origin-unavailable', `${this.name} answers with a web page: perhaps a portal that wants a login`);
    this.latency.add(latencyMs);
    return { latencyMs };
  }

  /** One silent answer may be about one artefact. Asks for something else before the upstream as a whole is given up. */
  #isThere(signal: AbortSignal): Promise<boolean> {
    const ask = (stop: AbortSignal): Promise<boolean> =>
      this.probe(AbortSignal.any([stop, AbortSignal.timeout(doubtMs)])).then(
        () => true,
        () => false,
      );
    return this.#doubts.do('', ask, signal);
  }

  async #enter(urgency: Urgency, signal: AbortSignal): Promise<() => void> {
    // Whoever is waited for keeps a quarter of the time for the answer itself.
    const waitMs = this.#options.limits.upstreamMs * (priorityOf(urgency) === 'prefetch' ? 10 : 0.75);
    const patience = new AbortController();
    const timer = setTimeout(
      () => patience.abort(new HubError('origin-timeout', `${this.name}: no slot became free in ${waitMs} ms`)),
      waitMs,
    );
    try {
      return await this.#gate.enter(urgency, AbortSignal.any([signal, patience.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  async #once({ request, headers, deadlineMs }: Question, startedMs: number, signal: AbortSignal): Promise<Outcome> {
    const { client, clock, limits, events } = this.#options;
    const answered = (outcome: 'found' | 'absent' | 'refused' | 'fault' | 'canceled', detail: string): void =>
      events.upstreamAnswered({ upstream: this.name, outcome, seconds: (clock.monotonicMs() - startedMs) / 1000, detail });
    let response: OutboundResponse;
    try {
      const firstByteMs = Math.max(1, Math.ceil(deadlineMs - startedMs));
      const { idleMs, bytesPerSecondMin } = limits;
      const sizeMaxBytes = Math.max(request.sizeMaxBytes, exchangeSizeMinBytes);
      response = await client.send(
        {
          url: new URL(this.#base + request.resource),
          headers,
          limits: { firstByteMs, idleMs, bytesPerSecondMin, sizeMaxBytes },
          followRedirects: true,
        },
        signal,
      );
    } catch (error) {
      answered(signal.aborted ? 'canceled' : 'fault', messageOf(error));
      if (signal.aborted || !(error instanceof HubError)) throw error;
      const fault = faultOf(error);
      const dead = fault === 'head-timeout' && this.#lastAnswerMs < startedMs && !(await this.#isThere(signal));
      return {
        kind: 'fault',
        error,
        retry: fault === 'unreachable' || fault === 'cut',
        weight: dead ? faultsMax : weightOf(fault),
        pauseMs: undefined,
      };
    }
    this.#lastAnswerMs = clock.monotonicMs();
    const meaning: StatusMeaning = response.status === 206 && 'range' in headers ? { kind: 'found' } : meaningOf(response.status);
    const compressed = meaning.kind === 'found' && (response.headers.get('content-encoding') ?? 'identity').toLowerCase() !== 'identity';
    if (meaning.kind !== 'fault' && !compressed) {
      this.latency.add(clock.monotonicMs() - startedMs);
      answered(meaning.kind, String(response.status));
      return { kind: 'answered', response };
    }
    answered('fault', String(response.status));
    await response[Symbol.asyncDispose]();
    if (meaning.kind !== 'fault') {
      const error = new HubError('upstream-invalid', `${this.name} sends ${request.resource} compressed, though it was asked not to`);
      return { kind: 'fault', error, retry: false, weight: 1, pauseMs: undefined };
    }
    const error = new HubError('origin-unavailable', `${this.name} answers with status ${response.status}`);
    return { kind: 'fault', error, retry: meaning.retry, weight: meaning.weight, pauseMs: retryAfterMs(response.headers, clock.wallMs()) };
  }

  #pauseMs(attempt: number): number {
    const { limits, random } = this.#options;
    return Math.min(retryPauseMaxMs, (limits.retryPauseMs ?? 100) * 2 ** (attempt - 1)) * (0.5 + random());
  }
}

/** How much a fault says about the upstream as a whole. Three in a row, or one that leaves no doubt, open its breaker. */
function weightOf(fault: OutboundFault | undefined): number {
  switch (fault) {
    case 'connect-timeout':
    case 'untrusted':
      return faultsMax;
    case 'too-slow':
    case 'too-large':
      return 0.5;
    // Where one redirect leads is about one thing.
    case 'forbidden':
      return 0.1;
    default:
      return 1;
  }
}
