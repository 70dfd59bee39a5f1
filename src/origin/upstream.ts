import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { Gate, priorityOf, type Urgency } from '../base/gate.ts';
import { withoutCredentials } from '../base/log.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { OutboundClient, OutboundResponse } from '../net/outbound-client.ts';
import { faultOf, type OutboundFault } from '../net/outbound-error.ts';
import type { Attempt } from './attempt.ts';
import { Breaker, type Admission, type BreakerState } from './breaker.ts';
import { ConcurrencyLimit, type Load } from './concurrency-limit.ts';
import { Latency } from './latency.ts';
import type { OriginRequest, UpstreamState } from './module-origin.ts';
import { UpstreamBody } from './upstream-body.ts';
import { RangeSpreads } from './range-spread.ts';
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
  /** Given back while the upstream wants to be left alone; without one the asker keeps its own. */
  readonly slot?: Slot;
  /** Asked beside another exchange for the same thing: over a connection of its own, and given up when the upstream wants no more. */
  readonly isBeside?: boolean;
}

type Outcome =
  | { readonly kind: 'answered'; readonly response: OutboundResponse }
  | {
      readonly kind: 'fault';
      readonly error: HubError;
      readonly retry: boolean;
      readonly weight: number;
      readonly load: Load;
      readonly pauseMs: number | undefined;
    };

const attemptsMax = 3;
/** Of who is told that there are too many at once: while the limit is being learned, others take up what there is. */
const attemptsPressedMax = 8;
/** In a row, by weight, that open the breaker: as many as there are attempts, so that who finds nobody has settled the matter. */
const faultsMax = 3;
/** For the question whether a silent upstream is silent to everybody; design: no fault holds longer than its limits and a second. */
const doubtMs = 800;
/** What waits for a slot of one upstream; more is refused. */
const waitingMax = 4_096;
/** Who has answered well this short a time ago and now says "too many" is busy, not down. */
const busyMs = 2_000;
/** With few slots, one long download that nobody waits for must not hold all of them. */
const prefetchShare = 0.75;
const retryPauseMaxMs = 2_000;
/** Enough for the page around a 404; the caller's own bound is kept by {@link UpstreamBody}. */
const exchangeSizeMinBytes = 1024 * 1024;

/** One upstream: its slots and how many they may be, breaker, latencies, and the patience to ask it more than once. */
export class Upstream {
  /** Without credentials and final slash. */
  readonly name: string;
  readonly breaker: Breaker;
  readonly latency: Latency = new Latency();
  readonly #options: UpstreamOptions;
  readonly #base: string;
  readonly #gate: Gate;
  readonly #limit: ConcurrencyLimit;
  readonly #spreads: RangeSpreads | undefined;
  /** Questions whether it is there at all, shared by all who doubt it. */
  readonly #doubts = new SingleFlight<boolean>();
  #lastAnswerMs = Number.NEGATIVE_INFINITY;
  #lastGoodAnswerMs = Number.NEGATIVE_INFINITY;

  constructor(options: UpstreamOptions) {
    const { url, limits, clock, events } = options;
    this.name = withoutCredentials(url.href).replace(/\/+$/, '');
    this.#options = options;
    this.#base = `${url.href.replace(/[?#].*$/, '').replace(/\/+$/, '')}/`;
    this.#limit = new ConcurrencyLimit({
      clock,
      max: Math.max(1, Math.floor(limits.fetchSlots / 4)),
      moved: (limit, cause) => {
        this.#gate.resize(limit);
        events.limitMoved({ upstream: this.name, limit, cause });
      },
    });
    this.#gate = new Gate({ slotsMax: this.#limit.value, queueMax: waitingMax, prefetchShare });
    events.limitMoved({ upstream: this.name, limit: this.#limit.value, cause: 'start' });
    const { rangeStreams = 1, rangeWindowMs = 1_500 } = limits;
    this.#spreads = rangeStreams > 1 ? new RangeSpreads({ clock, windowMs: rangeWindowMs, streamsMax: rangeStreams }) : undefined;
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
    const { state, lastFault } = this.breaker;
    return { name: this.name, breaker: state, latencyMs: this.latency.medianMs, concurrencyLimit: this.#limit.value, lastFault };
  }

  /**
   * Asks until there is an answer: faults that may pass are tried again, all within `upstreamMs`. Settles `admission`; a found body does so when it ends.
   * @throws {HubError} origin-unavailable, origin-timeout, upstream-invalid, overloaded; the signal's reason
   */
  async open(request: OriginRequest, admission: Admission, signal: AbortSignal): Promise<UpstreamAnswer> {
    const { clock, limits } = this.#options;
    const slot = new Slot(() => this.#enter(request, signal));
    try {
      const arrivedMs = clock.monotonicMs();
      await slot.take();
      const deadlineMs = (priorityOf(request) === 'prefetch' ? clock.monotonicMs() : arrivedMs) + limits.upstreamMs;
      const attempt = await this.#ask({ request, headers: {}, admission, deadlineMs, slot }, signal);
      const meaning = meaningOf(attempt.response.status);
      if (meaning.kind === 'found') {
        // A long body must not keep a half-open breaker from everybody else.
        if (this.breaker.state !== 'closed') admission.succeeded();
        return { kind: 'found', body: this.#bodyOf({ request, admission, attempt, leave: slot.handOver() }, signal) };
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
      slot.give();
    }
  }

  #bodyOf(found: { request: OriginRequest; admission: Admission; attempt: Attempt; leave: () => void }, signal: AbortSignal): UpstreamBody {
    const { clock, events, limits } = this.#options;
    const { request, admission } = found;
    const question = (headers: Readonly<Record<string, string>>): Question => ({
      request,
      headers,
      admission,
      deadlineMs: clock.monotonicMs() + limits.upstreamMs,
    });
    const spreads = this.#spreads;
    return new UpstreamBody({
      ...found,
      name: this.name,
      ask: (headers) => this.#ask(question(headers), signal),
      strained: (startedMs) => this.#limit.failed('strained', startedMs),
      ...(spreads !== undefined && {
        beside: {
          spreads,
          ask: (headers, stop) => this.#ask({ ...question(headers), isBeside: true }, stop),
          // Never before what anybody waits for: who has one stream already can do without another.
          enter: () => this.#gate.tryEnter({ priority: 'prefetch' }),
        },
      }),
      events,
      signal,
    });
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
      const { error, retry, weight, load } = outcome;
      // Who asks a broken upstream whether it is back asks alone: that says nothing about many.
      if (load !== 'none' && this.breaker.state === 'closed') this.#limit.failed(load, startedMs);
      question.admission.faulted({ reason: messageOf(error), weight, startedMs });
      const pauseMs = outcome.pauseMs ?? this.#pauseMs(attempt);
      // An upstream whose breaker has opened is left alone, by us as well.
      const isOver = (): boolean => clock.monotonicMs() >= question.deadlineMs || this.breaker.state !== 'closed';
      const tooLate = clock.monotonicMs() + pauseMs >= question.deadlineMs;
      const pressedMax = question.isBeside === true ? 1 : attemptsPressedMax;
      if (!retry || tooLate || isOver() || attempt >= (load === 'pressed' ? pressedMax : attemptsMax)) throw error;
      const slot = load === 'pressed' ? question.slot : undefined;
      slot?.give();
      await pause(pauseMs, undefined, { signal }).catch(() => {
        throw signal.reason;
      });
      await slot?.take();
      if (isOver()) throw error;
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
    this.#lastGoodAnswerMs = clock.monotonicMs();
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

  async #once({ request, headers, deadlineMs, isBeside }: Question, startedMs: number, signal: AbortSignal): Promise<Outcome> {
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
          ...(isBeside === true && { ownConnection: true }),
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
        load: loadOf(fault),
        pauseMs: undefined,
      };
    }
    this.#lastAnswerMs = clock.monotonicMs();
    const meaning: StatusMeaning = response.status === 206 && 'range' in headers ? { kind: 'found' } : meaningOf(response.status);
    const compressed = meaning.kind === 'found' && (response.headers.get('content-encoding') ?? 'identity').toLowerCase() !== 'identity';
    if (meaning.kind !== 'fault' && !compressed) {
      this.#lastGoodAnswerMs = clock.monotonicMs();
      const headMs = this.#lastGoodAnswerMs - startedMs;
      this.latency.add(headMs);
      this.#limit.answered({ startedMs, headMs, full: this.#gate.taken >= this.#limit.value });
      answered(meaning.kind, String(response.status));
      return { kind: 'answered', response };
    }
    answered('fault', String(response.status));
    await response[Symbol.asyncDispose]();
    if (meaning.kind !== 'fault') {
      const error = new HubError('upstream-invalid', `${this.name} sends ${request.resource} compressed, though it was asked not to`);
      return { kind: 'fault', error, retry: false, weight: 1, load: 'none', pauseMs: undefined };
    }
    const error = new HubError('origin-unavailable', `${this.name} answers with status ${response.status}`);
    const isBusy = meaning.load === 'pressed' && clock.monotonicMs() < this.#lastGoodAnswerMs + busyMs;
    const weight = isBusy ? 0.1 : meaning.weight;
    return { ...meaning, weight, error, pauseMs: retryAfterMs(response.headers, clock.wallMs()) };
  }

  #pauseMs(attempt: number): number {
    const { limits, random } = this.#options;
    return Math.min(retryPauseMaxMs, (limits.retryPauseMs ?? 100) * 2 ** (attempt - 1)) * (0.5 + random());
  }
}

/** One place among an upstream's exchanges, which its holder may give back for a while. */
class Slot {
  readonly #enter: () => Promise<() => void>;
  #leave: (() => void) | undefined;

  constructor(enter: () => Promise<() => void>) {
    this.#enter = enter;
  }

  /** @throws as `enter` */
  async take(): Promise<void> {
    this.#leave = await this.#enter();
  }

  give(): void {
    this.handOver()();
  }

  /** From here on whoever calls this function gives the slot back. */
  handOver(): () => void {
    const leave = this.#leave;
    this.#leave = undefined;
    return leave ?? ((): void => {});
  }
}

/** What a fault says about the number of exchanges. */
function loadOf(fault: OutboundFault | undefined): Load {
  switch (fault) {
    case 'unreachable':
    case 'connect-timeout':
      return 'pressed';
    case 'head-timeout':
    case 'stalled':
    case 'cut':
      return 'strained';
    default:
      return 'none';
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
