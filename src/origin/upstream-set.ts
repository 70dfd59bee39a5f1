import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import type { ChecksumTransport } from './checksum-transport.ts';
import { DirectUpstream, type DirectUpstreamOptions } from './direct-upstream.ts';
import type { ModuleOrigin, OriginAnswer, OriginBody, OriginRequest, UpstreamState } from './module-origin.ts';
import { raceUpstreams, type Asked, type Finding } from './upstream-race.ts';
import { Upstream } from './upstream.ts';
import type { UpstreamBody } from './upstream-body.ts';
import type { UpstreamLimits } from './upstream-limits.ts';
import { UpstreamProber, type ProbeResult } from './upstream-prober.ts';
import { createUpstreamTransport } from './upstream-transport.ts';

export interface UpstreamSetOptions {
  /** In the order to be asked; the same address twice counts once. `off`: nothing is fetched, everything is absent. */
  readonly upstreams: readonly URL[] | 'off';
  readonly client: OutboundClient;
  readonly limits: UpstreamLimits;
  readonly clock: Clock;
  readonly events: Events;
  readonly log: Log;
  /** In [0, 1), for jitter. */
  readonly random: () => number;
  /** The hub's own way to public repositories, when it is among the upstreams: the last one. */
  readonly direct?: Pick<DirectUpstreamOptions, 'origin' | 'reach' | 'returned'> | undefined;
}

export interface UpstreamSet extends ModuleOrigin, AsyncDisposable {
  /** Asks every upstream at once whether it is there; one that is not is left alone at once and asked again in the background. Never throws. */
  probe(signal: AbortSignal): Promise<readonly ProbeResult[]>;
  /** The ways to a checksum database through the upstreams (`/sumdb/NAME`), in their order. */
  transportsFor(databaseName: string): ChecksumTransport[];
}

export function createUpstreamSet(options: UpstreamSetOptions): UpstreamSet {
  return new OrderedUpstreams(options);
}

/** How often one upstream may start one body anew. */
const restartsMax = 2;

class OrderedUpstreams implements UpstreamSet {
  readonly #options: UpstreamSetOptions;
  readonly #upstreams: readonly Upstream[];
  readonly #direct: DirectUpstream | undefined;
  readonly #prober: UpstreamProber;

  constructor(options: UpstreamSetOptions) {
    this.#options = options;
    this.#prober = new UpstreamProber(options.log);
    const urls = options.upstreams === 'off' ? [] : options.upstreams;
    const distinct = new Map(urls.map((url) => [url.href.replace(/\/+$/, ''), url]));
    this.#upstreams = [...distinct.values()].map((url) => {
      const { client, limits, clock, events } = options;
      const upstream: Upstream = new Upstream({
        url,
        client,
        limits,
        clock,
        events,
        random: options.random,
        moved: () => this.#prober.watch(upstream),
      });
      return upstream;
    });
    this.#direct = this.#openDirect();
  }

  #openDirect(): DirectUpstream | undefined {
    const { direct, clock, events, random } = this.#options;
    if (direct === undefined || this.#options.upstreams === 'off') return undefined;
    const upstream: DirectUpstream = new DirectUpstream({
      ...direct,
      clock,
      events,
      random,
      moved: () => this.#prober.watch(upstream),
    });
    // Nobody waits for a way out that may not be there while there is another to ask.
    if (this.#upstreams.length > 0) upstream.beginDown();
    return upstream;
  }

  get #all(): readonly (Upstream | DirectUpstream)[] {
    return this.#direct === undefined ? this.#upstreams : [...this.#upstreams, this.#direct];
  }

  states(): readonly UpstreamState[] {
    return this.#all.map((upstream) => upstream.state);
  }

  probe(signal: AbortSignal): Promise<readonly ProbeResult[]> {
    return Promise.all(this.#all.map((upstream) => this.#prober.probe(upstream, signal)));
  }

  transportsFor(databaseName: string): ChecksumTransport[] {
    return this.#upstreams.map((upstream) => createUpstreamTransport(upstream, databaseName, this.#options.clock));
  }

  async fetch<T>(
    request: OriginRequest,
    consume: (body: OriginBody, origin: string, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<OriginAnswer<T>> {
    if (this.#options.upstreams === 'off')
      return {
        kind: 'absent',
        reason:
          'not stored here, and this hub is offline: what was asked for is on the list that goyi bundle wishes writes, to have it carried in',
      };
    if (this.#all.length === 0) throw new HubError('origin-unavailable', 'no upstream is configured that this hub can ask');
    const findings = new Map<Asked, Finding>();
    for (;;) {
      const won = await raceUpstreams({ upstreams: this.#upstreams, findings, request }, signal);
      if (won === undefined) {
        if (this.#direct === undefined || ![...findings].every(leavesItToOthers)) return verdictOn(request, findings);
        const answer = await this.#direct.fetch(request, consume, signal);
        if (answer.kind === 'found') return answer;
        findings.set(this.#direct, answer);
        return verdictOn(request, findings);
      }
      const { upstream, body } = won;
      const failure = await consumeWith(body, (whole) => consume(whole, upstream.name, signal));
      if (failure.ok) return { kind: 'found', value: failure.value, origin: upstream.name };
      if (signal.aborted) throw signal.reason;
      findings.set(upstream, findingOf(failure, upstream));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#prober[Symbol.asyncDispose]();
  }
}

type Consumed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown; readonly bodyFault: HubError | undefined };

/** Runs `consume` on the body, and again where the upstream could only start anew. */
async function consumeWith<T>(first: UpstreamBody, consume: (body: UpstreamBody) => Promise<T>): Promise<Consumed<T>> {
  let body = first;
  for (let restarts = 0; ; restarts += 1) {
    await using current = body;
    try {
      return { ok: true, value: await consume(current) };
    } catch (error) {
      const next = restarts < restartsMax ? current.takeRestart() : undefined;
      if (next === undefined) return { ok: false, error, bodyFault: current.fault };
      body = next;
    }
  }
}

/** What the upstream is to be blamed for. @throws what is not its fault, such as a full disk */
function findingOf({ error, bodyFault }: { error: unknown; bodyFault: HubError | undefined }, upstream: Upstream): Finding {
  if (bodyFault !== undefined)
    return bodyFault.code === 'upstream-invalid' ? { kind: 'invalid', error: bodyFault } : { kind: 'fault', error: bodyFault };
  const code = codeOf(error);
  if (!(error instanceof HubError) || (code !== 'checksum-mismatch' && code !== 'zip-invalid' && code !== 'upstream-invalid')) throw error;
  upstream.breaker.blame(messageOf(error));
  return { kind: 'invalid', error };
}

/** Whether it has said that it does not have it, or is down. Who refuses has its reasons, and who is up and fails may have it. */
function leavesItToOthers([upstream, { kind }]: readonly [Asked, Finding]): boolean {
  return kind === 'absent' || kind === 'down' || (kind === 'fault' && upstream.breaker.state !== 'closed');
}

/** What all of them together say, when none delivered. A fault never looks like an absence; an upstream that is down does not count. */
function verdictOn(request: OriginRequest, findings: ReadonlyMap<Asked, Finding>): { kind: 'absent'; reason: string } {
  const all = [...findings];
  const invalid = all.map(([, finding]) => finding).find((finding) => finding.kind === 'invalid');
  if (invalid !== undefined) throw invalid.error;
  const absent = all.map(([, finding]) => finding).find((finding) => finding.kind === 'absent');
  const refused = all.map(([, finding]) => finding).find((finding) => finding.kind === 'refused');
  const faultUp = all.some(([upstream, finding]) => finding.kind === 'fault' && upstream.breaker.state === 'closed');
  if (!faultUp && refused !== undefined) throw new HubError('upstream-refused', refused.reason);
  if (!faultUp && absent !== undefined) return absent;
  const faults = all.map(([, finding]) => (finding.kind === 'fault' ? finding.error : undefined)).filter((error) => error !== undefined);
  const [first] = faults;
  if (first !== undefined && all.length === 1) throw first;
  const reasons = all.map(([upstream, finding]) => reasonOf(upstream, finding)).join('; ');
  const code = first === undefined || codeOf(first) !== 'origin-timeout' ? 'origin-unavailable' : 'origin-timeout';
  throw new HubError(code, `no upstream could answer for ${request.resource}: ${reasons}`, { cause: first });
}

function reasonOf(upstream: Asked, finding: Finding): string {
  switch (finding.kind) {
    case 'down':
      return `${upstream.name} is down (${finding.reason ?? upstream.breaker.lastFault ?? 'it is being asked whether it is back'})`;
    case 'absent':
    case 'refused':
      return `${upstream.name}: ${finding.reason}`;
    case 'fault':
    case 'invalid':
      return messageOf(finding.error);
  }
}
