/**
 * `direct` among the upstreams: the last one, asked when all others have said that they do not have it or are down.
 *
 * It is up when one of a few well-known code hosts can be reached, and down at once where there is no route or name server. A host that cannot be
 * reached while others can is no fault of `direct` as a whole and says nothing about the module: the answer is then what the other upstreams make of it.
 */
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { Gate } from '../base/gate.ts';
import { SingleFlight } from '../base/single-flight.ts';
import { OutboundError } from '../net/outbound-error.ts';
import { Breaker, type BreakerState } from './breaker.ts';
import { isUnreached } from './git/discovery-locator.ts';
import type { ModuleOrigin, OriginBody, OriginRequest, UpstreamState } from './module-origin.ts';
import type { Finding } from './upstream-race.ts';

export interface DirectUpstreamOptions {
  readonly origin: ModuleOrigin;
  /** Asks whether the outer world can be reached at all. @throws when it cannot */
  readonly reach: (signal: AbortSignal) => Promise<void>;
  /** After the outer world was reached again. */
  readonly returned: () => void;
  readonly clock: Clock;
  readonly events: Events;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  readonly moved: (state: BreakerState) => void;
}

type DirectAnswer<T> = { readonly kind: 'found'; readonly value: T; readonly origin: string } | Finding;

export const DIRECT_NAME = 'direct';
/** Who has reached the outer world this short a time ago does not ask again. */
const THERE_MS = 10_000;
/** Questions at once: each may lead to another host, which somebody else has named. */
const SLOTS_MAX = 32;
const WAITING_MAX = 512;
/** What may be said of a place of source code; anything else that is thrown is somebody else's fault, such as a full disk. */
const FAULTS: ReadonlySet<string | undefined> = new Set(['origin-unavailable', 'origin-timeout', 'overloaded']);
const INVALID: ReadonlySet<string | undefined> = new Set(['checksum-mismatch', 'zip-invalid', 'upstream-invalid']);

export class DirectUpstream {
  readonly name: string = DIRECT_NAME;
  readonly breaker: Breaker;
  readonly #options: DirectUpstreamOptions;
  readonly #reaching = new SingleFlight<number>();
  readonly #gate = new Gate({ slotsMax: SLOTS_MAX, queueMax: WAITING_MAX, prefetchShare: 0.5 });
  #hasBegun = true;
  #latencyMs: number | undefined;
  #thereMs = Number.NEGATIVE_INFINITY;

  constructor(options: DirectUpstreamOptions) {
    this.#options = options;
    const { clock, events, random } = options;
    this.breaker = new Breaker({
      clock,
      random,
      faultsMax: 1,
      openMs: 500,
      openMaxMs: 15_000,
      moved: (state, reason) => {
        if (this.#hasBegun) events.breakerMoved({ upstream: this.name, state, reason });
        if (state === 'closed') options.returned();
        options.moved(state);
      },
    });
  }

  get state(): UpstreamState {
    const { state, lastFault } = this.breaker;
    return { name: this.name, breaker: state, latencyMs: this.#latencyMs, concurrencyLimit: SLOTS_MAX, lastFault };
  }

  /** Down until it was reached once; that is no event. */
  beginDown(): void {
    this.#hasBegun = false;
    this.breaker.trip('it has not been reached yet');
    this.#hasBegun = true;
  }

  /** @throws {HubError} origin-unavailable; the signal's reason */
  async probe(signal: AbortSignal): Promise<{ latencyMs: number }> {
    const latencyMs = await this.#reaching.do('', (flight) => this.#reach(flight), signal);
    return { latencyMs };
  }

  /** @throws the signal's reason; what `consume` threw and is not this upstream's fault */
  async fetch<T>(
    request: OriginRequest,
    consume: (body: OriginBody, origin: string, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<DirectAnswer<T>> {
    const admission = this.breaker.admit();
    if (admission === undefined) return { kind: 'down' };
    const watch = watchConsumer(consume);
    let leave: (() => void) | undefined;
    try {
      leave = await this.#gate.enter(request, signal);
      const answer = await this.#options.origin.fetch(request, watch.consume, signal);
      admission.succeeded();
      return answer;
    } catch (error) {
      if (signal.aborted || watch.isItsOwn(error) || !(error instanceof HubError) || !isOurs(error)) {
        admission.abandoned();
        throw error;
      }
      if (error instanceof OutboundError && isUnreached(error)) return this.#unreached(error, admission, signal);
      admission.succeeded();
      return findingOf(error);
    } finally {
      leave?.();
    }
  }

  async #unreached(error: OutboundError, admission: { succeeded(): void; abandoned(): void }, signal: AbortSignal): Promise<Finding> {
    if (await this.#isThere(signal)) {
      admission.succeeded();
      // A name server that answers others has said that there is no such name.
      if (isUnknownName(error)) return { kind: 'absent', reason: messageOf(error) };
      return { kind: 'down', reason: messageOf(error) };
    }
    admission.abandoned();
    this.breaker.trip(messageOf(error));
    return { kind: 'down' };
  }

  async #isThere(signal: AbortSignal): Promise<boolean> {
    if (this.#options.clock.monotonicMs() - this.#thereMs < THERE_MS) return true;
    try {
      await this.probe(signal);
      return true;
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }

  async #reach(signal: AbortSignal): Promise<number> {
    const { clock, reach } = this.#options;
    const startedMs = clock.monotonicMs();
    try {
      await reach(signal);
    } catch (error) {
      this.#thereMs = Number.NEGATIVE_INFINITY;
      throw error;
    }
    this.#thereMs = clock.monotonicMs();
    this.#latencyMs = this.#thereMs - startedMs;
    return this.#latencyMs;
  }
}

function isOurs({ code }: HubError): boolean {
  return FAULTS.has(code) || INVALID.has(code) || code === 'not-found';
}

type Consume<T> = (body: OriginBody, origin: string, signal: AbortSignal) => Promise<T>;

/** Tells what the reader of a body came to by itself, such as a checksum database that does not answer, from what the body did to it. */
function watchConsumer<T>(consume: Consume<T>): { readonly consume: Consume<T>; isItsOwn(error: unknown): boolean } {
  let ofBody: unknown;
  let own: unknown;
  const watched = async function* (body: OriginBody): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* body;
    } catch (error) {
      ofBody = error;
      throw error;
    }
  };
  return {
    async consume(body, origin, signal) {
      try {
        return await consume({ sizeBytes: body.sizeBytes, [Symbol.asyncIterator]: () => watched(body) }, origin, signal);
      } catch (error) {
        if (error !== ofBody && !INVALID.has(codeOf(error))) own = error;
        throw error;
      }
    },
    isItsOwn: (error) => own !== undefined && error === own,
  };
}

function findingOf(error: HubError): Finding {
  const code = codeOf(error);
  if (INVALID.has(code)) return { kind: 'invalid', error };
  // Where it leads is not for the hub to go: no fault, and for the client as good as not there.
  const isForbidden = error instanceof OutboundError && error.fault === 'forbidden';
  return code === 'not-found' || isForbidden ? { kind: 'absent', reason: messageOf(error) } : { kind: 'fault', error };
}

function isUnknownName(error: OutboundError): boolean {
  return error.cause instanceof Error && 'code' in error.cause && error.cause.code === 'ENOTFOUND';
}
