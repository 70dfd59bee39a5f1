import { HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { OutboundResponse } from '../net/outbound-client.ts';
import { faultOf, OutboundError } from '../net/outbound-error.ts';
import type { Attempt } from './attempt.ts';
import type { Admission } from './breaker.ts';
import type { OriginBody, OriginRequest } from './module-origin.ts';
import { checkRest, resumeHeaders } from './range-resume.ts';
import type { RangeSpread, RangeSpreadOptions, RangeSpreads } from './range-spread.ts';

export interface UpstreamBodyOptions {
  /** Of the upstream, without credentials. */
  readonly name: string;
  readonly request: OriginRequest;
  readonly admission: Admission;
  readonly attempt: Attempt;
  /** Asks the same upstream for the same thing again, with these headers. @throws {HubError} */
  readonly ask: (headers: Readonly<Record<string, string>>) => Promise<Attempt>;
  /** An exchange that began then was cut or fell silent in its body. */
  readonly strained: (startedMs: number) => void;
  /** Gives the slot back. */
  readonly leave: () => void;
  /** For large bodies, where they may come over several streams. */
  readonly beside?: { readonly spreads: RangeSpreads } & Pick<RangeSpreadOptions, 'ask' | 'enter'>;
  readonly events: Events;
  readonly signal: AbortSignal;
}

/** A part this large is progress: after it another continuation is worth it. */
const progressBytes = 64 * 1024;
/** After this much even a silent connection is given a second chance. */
const longBytes = 1024 * 1024;
const continuationsMax = 32;
/** Continuations in a row that may bring next to nothing. */
const barrenMax = 2;

/** The body of a 200, continued by Range after cuts. Iterated once; disposing of it gives its slot back at any time. */
export class UpstreamBody implements OriginBody, AsyncDisposable {
  readonly sizeBytes: number | undefined;
  readonly #options: UpstreamBodyOptions;
  readonly #first: OutboundResponse;
  readonly #spread: RangeSpread | undefined;
  #attempt: Attempt;
  #readBytes = 0;
  /** The slot and the open response are ours to give back. */
  #holding = true;
  #fault: HubError | undefined;
  #restart: UpstreamBody | undefined;

  constructor(options: UpstreamBodyOptions) {
    this.#options = options;
    this.#first = options.attempt.response;
    this.#attempt = options.attempt;
    const length = this.#first.headers.get('content-length');
    this.sizeBytes = length !== undefined && /^[0-9]{1,15}$/.test(length) ? Number(length) : undefined;
    const { beside, request, signal, strained } = options;
    const state = { sizeBytes: this.sizeBytes, headers: this.#first.headers };
    this.#spread = beside?.spreads.for({ ...beside, state, sizeMaxBytes: request.sizeMaxBytes, strained, signal });
  }

  /** Why the upstream failed to deliver, once it has. */
  get fault(): HubError | undefined {
    return this.#fault;
  }

  /** The whole body anew, when the upstream could not continue and offered that instead; taken by the first who asks. */
  takeRestart(): UpstreamBody | undefined {
    const restart = this.#restart;
    this.#restart = undefined;
    return restart;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    const { request, admission, signal } = this.#options;
    let [continuations, barren] = [0, 0];
    for (;;) {
      const fromBytes = this.#readBytes;
      const failure = yield* this.#part(request.sizeMaxBytes);
      if (failure === undefined && !this.#isOpen) {
        admission.succeeded();
        return;
      }
      if (signal.aborted) throw signal.reason;
      const partBytes = this.#readBytes - fromBytes;
      barren = partBytes < progressBytes ? barren + 1 : 0;
      continuations += 1;
      const fault = faultOf(failure);
      if (fault === 'cut' || fault === 'stalled') this.#options.strained(this.#attempt.startedMs);
      const worthwhile = failure === undefined || fault === 'cut' || (fault === 'stalled' && partBytes >= longBytes);
      const error = failure ?? new HubError('origin-unavailable', `${this.#options.name} does not send all of ${request.resource}`);
      if (barren > 0) admission.faulted({ reason: messageOf(error), weight: 1, startedMs: this.#attempt.startedMs });
      if (!worthwhile || continuations > continuationsMax || barren > barrenMax || this.#first.headers.get('accept-ranges') === 'none') {
        throw this.#failed(error);
      }
      await this.#continue();
    }
  }

  /** Whether a body over several streams has ended early, to be continued over one. */
  get #isOpen(): boolean {
    return this.#spread !== undefined && this.sizeBytes !== undefined && this.#readBytes < this.sizeBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#restart?.[Symbol.asyncDispose]();
    await this.#spread?.[Symbol.asyncDispose]();
    if (!this.#holding) return;
    this.#holding = false;
    const { admission, events, leave, name } = this.#options;
    events.upstreamBytes({ upstream: name, sizeBytes: this.#readBytes + (this.#spread?.unreadBytes ?? 0) });
    const outcome = this.#spread?.outcome;
    if (outcome !== undefined) events.bodySplit({ upstream: name, outcome });
    // Says nothing where the end or a fault was already told.
    admission.abandoned();
    await this.#attempt.response[Symbol.asyncDispose]();
    leave();
  }

  /** Passes on one response's bytes; returns what ended it early. */
  async *#part(sizeMaxBytes: number): AsyncGenerator<Buffer, HubError | undefined, undefined> {
    const { name, request, beside } = this.#options;
    const { body } = this.#attempt.response;
    try {
      for await (const chunk of this.#spread?.through(body, this.#readBytes) ?? body) {
        if (this.#spread === undefined) beside?.spreads.pace.received(chunk.length);
        this.#readBytes += chunk.length;
        if (this.#readBytes > sizeMaxBytes)
          return new OutboundError('too-large', `${name} sends more than ${sizeMaxBytes} bytes as ${request.resource}`);
        yield chunk;
      }
    } catch (error) {
      if (error instanceof HubError) return error;
      throw error;
    }
    return undefined;
  }

  /** Opens the rest from the byte after the last. @throws {HubError} when there is none to be had */
  async #continue(): Promise<void> {
    const { ask, name, request, signal } = this.#options;
    await this.#attempt.response[Symbol.asyncDispose]();
    const state = { sizeBytes: this.sizeBytes, headers: this.#first.headers };
    this.#attempt = await ask(resumeHeaders(state, this.#readBytes)).catch((error: unknown) => {
      throw signal.aborted || !(error instanceof HubError) ? error : this.#failed(error);
    });
    const { status, headers } = this.#attempt.response;
    if (status === 200 && this.#readBytes === 0 && headers.get('content-length') === this.#first.headers.get('content-length')) return;
    const rest = status === 206 ? checkRest(state, this.#readBytes, headers) : undefined;
    if (rest?.ok === true) return;
    if (status === 200) {
      this.#restart = new UpstreamBody({ ...this.#options, attempt: this.#attempt });
      this.#holding = false;
    }
    const reason = rest === undefined ? `broke off and cannot continue (${status})` : `broke off, and ${rest.reason}`;
    throw this.#failed(new HubError('origin-unavailable', `${name} ${reason}: ${request.resource}`));
  }

  #failed(error: HubError): HubError {
    this.#fault = error;
    return error;
  }
}
