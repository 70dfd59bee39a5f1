import type { Urgency } from '../base/gate.ts';

/** The body of a 200, to be read once and to the end. Iterating throws {HubError} origin-unavailable or origin-timeout after retries and Range continuations are spent, upstream-invalid when it is too large. */
export interface OriginBody extends AsyncIterable<Uint8Array> {
  /** From Content-Length, when the upstream said so. */
  readonly sizeBytes: number | undefined;
}

export interface OriginRequest extends Urgency {
  /** What stands after the upstream's base address, escaped, without a leading slash: `rsc.io/quote/@v/v1.5.2.zip`. */
  readonly resource: string;
  /** More than this is refused while reading. */
  readonly sizeMaxBytes: number;
  /** Of a module that is made from source code: the commit that its `.info` named. What is made now is made of this one, wherever its tag has moved. */
  readonly commit?: string | undefined;
  /** Of the `.info` of a canonical version that is made from source code: as it is at this very moment. */
  readonly current?: boolean | undefined;
}

export type OriginAnswer<T> =
  | { readonly kind: 'found'; readonly value: T; readonly origin: string }
  /** At least one upstream that is up said 404 or 410, and no other that is up faulted or refused. `reason` is its first line. */
  | { readonly kind: 'absent'; readonly reason: string };

/** Where public modules come from: the ordered upstreams behind one face. */
export interface ModuleOrigin {
  /**
   * Asks the upstreams in order (hedged after a learned delay) and hands the first 200's body to `consume`, which reads, checks and keeps it.
   * When `consume` throws {HubError} checksum-mismatch, zip-invalid or upstream-invalid, the next upstream is tried; the first such error is thrown when none is left.
   * `origin` is the upstream's name without credentials. `consume` may run more than once, never twice at a time.
   * @throws {HubError} upstream-refused, origin-unavailable, origin-timeout, upstream-invalid, overloaded, or what `consume` threw
   */
  fetch<T>(
    request: OriginRequest,
    consume: (body: OriginBody, origin: string, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<OriginAnswer<T>>;
  /** Each configured upstream with its state, for readyz and metrics. */
  states(): readonly UpstreamState[];
}

export interface UpstreamState {
  readonly name: string;
  readonly breaker: 'closed' | 'open' | 'half-open';
  /** Median of the last times to the first byte. */
  readonly latencyMs: number | undefined;
  /** Exchanges that it may have at once, as learned. */
  readonly concurrencyLimit: number;
  readonly lastFault: string | undefined;
}
