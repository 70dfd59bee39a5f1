import { HubError } from '../base/errors.ts';
import type { Breaker } from './breaker.ts';
import type { OriginRequest } from './module-origin.ts';
import type { Upstream, UpstreamAnswer } from './upstream.ts';
import type { UpstreamBody } from './upstream-body.ts';

/** What came of asking one upstream, other than a body. */
export type Finding =
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'fault'; readonly error: HubError }
  /** It delivered what cannot be right. */
  | { readonly kind: 'invalid'; readonly error: HubError }
  /** Its breaker is open: it was not asked. With a reason: what would have to be asked cannot be reached. */
  | { readonly kind: 'down'; readonly reason?: string };

/** What findings are about: an upstream, or the hub's own way to public repositories. */
export interface Asked {
  readonly name: string;
  readonly breaker: Pick<Breaker, 'state' | 'lastFault'>;
}

interface Runner {
  readonly upstream: Upstream;
  readonly leave: AbortController;
  readonly answer: Promise<UpstreamAnswer>;
}

type Step =
  | { readonly kind: 'answered'; readonly runner: Runner; readonly answer: UpstreamAnswer }
  | { readonly kind: 'failed'; readonly runner: Runner; readonly error: unknown }
  | { readonly kind: 'hedge' };

/**
 * Asks, in order, the upstreams that have no finding yet. The next one is asked when one has said that it cannot deliver, or as well when the last one asked is slower
 * than it usually is; each is asked at most once. The first body wins and the other exchanges are ended, without a finding. Undefined: every upstream has a finding.
 * @throws the signal's reason; errors that are no HubError
 */
export async function raceUpstreams(
  { upstreams, findings, request }: { upstreams: readonly Upstream[]; findings: Map<Asked, Finding>; request: OriginRequest },
  signal: AbortSignal,
): Promise<{ upstream: Upstream; body: UpstreamBody } | undefined> {
  const waiting = upstreams.filter((upstream) => !findings.has(upstream));
  const running = new Set<Runner>();
  const startNext = (): void => {
    for (let upstream = waiting.shift(); upstream !== undefined; upstream = waiting.shift()) {
      const runner = start(upstream, request, signal);
      if (runner !== undefined) {
        running.add(runner);
        return;
      }
      findings.set(upstream, { kind: 'down' });
    }
  };
  startNext();
  try {
    while (running.size > 0) {
      const step = await nextStep(running, waiting.length > 0);
      if (step.kind === 'hedge') {
        startNext();
        continue;
      }
      running.delete(step.runner);
      if (signal.aborted) {
        if (step.kind === 'answered') await discard(step.answer);
        throw signal.reason;
      }
      const { upstream } = step.runner;
      if (step.kind === 'answered' && step.answer.kind === 'found') return { upstream, body: step.answer.body };
      findings.set(upstream, step.kind === 'failed' ? faultFinding(step.error) : (step.answer as Finding));
      startNext();
    }
    return undefined;
  } finally {
    for (const runner of running) end(runner);
  }
}

function start(upstream: Upstream, request: OriginRequest, signal: AbortSignal): Runner | undefined {
  const admission = upstream.breaker.admit();
  if (admission === undefined) return undefined;
  const leave = new AbortController();
  return { upstream, leave, answer: upstream.open(request, admission, AbortSignal.any([signal, leave.signal])) };
}

/** The first runner to settle, or word that the last one started has taken longer than it usually does. */
async function nextStep(running: ReadonlySet<Runner>, canHedge: boolean): Promise<Step> {
  let timer: NodeJS.Timeout | undefined;
  const steps: Promise<Step>[] = [...running].map((runner) =>
    runner.answer.then(
      (answer): Step => ({ kind: 'answered', runner, answer }),
      (error: unknown): Step => ({ kind: 'failed', runner, error }),
    ),
  );
  const last = [...running].at(-1);
  if (canHedge && last !== undefined) {
    const { promise, resolve } = Promise.withResolvers<Step>();
    timer = setTimeout(() => resolve({ kind: 'hedge' }), last.upstream.latency.hedgeAfterMs);
    steps.push(promise);
  }
  try {
    return await Promise.race(steps);
  } finally {
    clearTimeout(timer);
  }
}

/** Somebody else was first: what may still come is thrown away. */
function end({ leave, answer }: Runner): void {
  leave.abort(new HubError('canceled', 'another upstream was first'));
  answer.then(discard).catch(() => {});
}

async function discard(answer: UpstreamAnswer): Promise<void> {
  if (answer.kind === 'found') await answer.body[Symbol.asyncDispose]();
}

function faultFinding(error: unknown): Finding {
  if (!(error instanceof HubError)) throw error;
  return { kind: 'fault', error };
}
