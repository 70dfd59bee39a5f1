import type { Clock } from '../base/clock.ts';
import { HubError, codeOf, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Urgency } from '../base/gate.ts';
import { untilAborted } from '../base/single-flight.ts';
import type { ChecksumTransport } from './checksum-transport.ts';

/** How hard to try for an answer. */
export interface Effort extends Urgency {
  /** False: only what is in memory or stored. */
  readonly online: boolean;
  /** Asked last: rather not let the mirror that served the bytes prove them too. */
  readonly avoidOrigin?: string;
}

/** One transport, with the effort and the signal of the race it runs in. */
export interface Runner {
  readonly origin: string;
  /** The body, or undefined for a 404 or 410. @throws {HubError} origin-unavailable, origin-timeout, upstream-refused */
  get(resource: string, sizeMaxBytes: number): Promise<Buffer | undefined>;
  readonly signal: AbortSignal;
}

export interface RaceOptions {
  readonly database: string;
  readonly transports: () => readonly ChecksumTransport[];
  readonly clock: Clock;
  readonly events: Events;
  /** After so long without an answer the next transport is asked as well. */
  readonly hedgeMs: number;
  /** Whatever happens, a race is over after so long. */
  readonly raceMs: number;
  /** A transport that faulted or lied is asked after the others for so long. */
  readonly demotedMs: number;
}

/** What an attempt throws when its transport is not to blame and no other would do better. */
const fatalCodes: ReadonlySet<string | undefined> = new Set([
  'log-forked',
  'storage-full',
  'storage-fault',
  'not-cached',
  'canceled',
  undefined,
]);

/**
 * Asks untrusted transports for one thing until one of them gives an answer that verifies. They go in order, the next one as soon as the
 * one before faults, lies or takes long. A 404 counts only when every transport says so and none faulted: a liar must not make a module
 * vanish, nor a fault look like an absence.
 */
export class TransportRace {
  readonly #options: RaceOptions;
  readonly #demotedUntilMs = new Map<string, number>();
  readonly #stopped = new AbortController();

  constructor(options: RaceOptions) {
    this.#options = options;
  }

  /**
   * The first result of `attempt`, which checks what it got and throws {HubError} log-invalid when it does not verify; it answers
   * undefined for an absence. Undefined when all transports agree that there is no such thing.
   * @throws {HubError} not-cached without `online`; database-unavailable, origin-timeout; log-invalid when a lie was all there was; what
   * `attempt` threw when that is nobody's fault
   */
  async run<T>(
    what: string,
    effort: Effort,
    attempt: (runner: Runner) => Promise<T | undefined>,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const { database, hedgeMs, raceMs } = this.#options;
    if (!effort.online) throw new HubError('not-cached', `${what} of ${database} is not stored here`);
    const order = this.#order(effort);
    const stop = new AbortController();
    const outer = AbortSignal.any([signal, this.#stopped.signal]);
    const inner = AbortSignal.any([outer, stop.signal]);
    const failures: unknown[] = [];
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    let running = 0;
    let hedge: NodeJS.Timeout | undefined;
    const startNext = (): void => {
      clearTimeout(hedge);
      if (inner.aborted) return;
      const transport = order.shift();
      if (transport === undefined) {
        if (running === 0) settle();
        return;
      }
      running += 1;
      if (order.length > 0) hedge = setTimeout(startNext, hedgeMs);
      void this.#try(transport, effort, attempt, inner).then((outcome) => {
        if (inner.aborted) return;
        running -= 1;
        if (outcome.kind === 'found') return resolve(outcome.value);
        if (outcome.kind === 'fatal') return reject(outcome.error);
        if (outcome.kind === 'failed') failures.push(outcome.error);
        startNext();
      });
    };
    const settle = (): void => (failures.length === 0 && asked > 0 ? resolve(undefined) : reject(this.#summary(what, failures)));
    const asked = order.length;
    const deadline = setTimeout(
      () => reject(new HubError('origin-timeout', `${what} of ${database} did not arrive within ${raceMs} ms`)),
      raceMs,
    );
    startNext();
    try {
      return await untilAborted(promise, outer);
    } finally {
      clearTimeout(hedge);
      clearTimeout(deadline);
      stop.abort(new HubError('canceled', 'the race is over'));
    }
  }

  /** Ends every race under way and all that begin later. */
  stop(reason: Error): void {
    this.#stopped.abort(reason);
  }

  async #try<T>(
    transport: ChecksumTransport,
    effort: Effort,
    attempt: (runner: Runner) => Promise<T | undefined>,
    signal: AbortSignal,
  ): Promise<Outcome<T>> {
    const { origin } = transport;
    const get = async (resource: string, sizeMaxBytes: number): Promise<Buffer | undefined> => {
      const answer = await transport.get({ resource, sizeMaxBytes, priority: effort.priority, raised: effort.raised }, signal);
      if (answer.kind === 'absent') return undefined;
      if (answer.body.length > sizeMaxBytes) throw new HubError('log-invalid', `${resource} is longer than ${sizeMaxBytes} bytes`);
      return answer.body;
    };
    try {
      const value = await attempt({ origin, get, signal });
      if (value === undefined) return { kind: 'absent' };
      this.#demotedUntilMs.delete(origin);
      return { kind: 'found', value };
    } catch (error) {
      const code = codeOf(error);
      if (signal.aborted || fatalCodes.has(code)) return { kind: 'fatal', error };
      // A proof that failed elsewhere says nothing about this transport.
      if (code !== 'database-unavailable') this.#demotedUntilMs.set(origin, this.#options.clock.monotonicMs() + this.#options.demotedMs);
      if (code === 'log-invalid') {
        this.#options.events.verificationFailed({
          reason: code,
          subject: this.#options.database,
          detail: `${origin}: ${messageOf(error)}`,
        });
      }
      return { kind: 'failed', error };
    }
  }

  #order({ avoidOrigin }: Effort): ChecksumTransport[] {
    const now = this.#options.clock.monotonicMs();
    const rank = ({ origin }: ChecksumTransport): number =>
      ((this.#demotedUntilMs.get(origin) ?? 0) > now ? 2 : 0) + (origin === avoidOrigin ? 1 : 0);
    return this.#options.transports().toSorted((a, b) => rank(a) - rank(b));
  }

  #summary(what: string, failures: readonly unknown[]): HubError {
    const { database } = this.#options;
    const lie = failures.find((error) => codeOf(error) === 'log-invalid');
    if (lie !== undefined) return new HubError('log-invalid', `${what} of ${database} does not verify: ${messageOf(lie)}`, { cause: lie });
    const code =
      failures.length > 0 && failures.every((error) => codeOf(error) === 'origin-timeout') ? 'origin-timeout' : 'database-unavailable';
    const why = failures.length === 0 ? 'no way to it is configured' : failures.map(messageOf).join('; ');
    return new HubError(code, `${what} of ${database} could not be fetched: ${why}`, { cause: failures[0] });
  }
}

type Outcome<T> =
  | { readonly kind: 'found'; readonly value: T }
  | { readonly kind: 'absent' }
  /** The next transport may do better. */
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'fatal'; readonly error: unknown };
