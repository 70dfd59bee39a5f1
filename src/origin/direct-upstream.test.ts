import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { createOutboundClient } from '../net/http-client.ts';
import { OutboundError } from '../net/outbound-error.ts';
import { withoutProxy } from '../net/proxy-rules.ts';
import { type Behaviour, startScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import type { ModuleOrigin, OriginBody } from './module-origin.ts';
import { createUpstreamSet } from './upstream-set.ts';

const never = new AbortController().signal;
const limits = { upstreamMs: 10_000, idleMs: 5_000, bytesPerSecondMin: 0, fetchSlots: 64, retryPauseMs: 5, breakerOpenMs: 60_000 };
const request = { resource: 'a', sizeMaxBytes: 1_000_000, priority: 'waited-for' } as const;

type Direct = 'found' | 'absent' | HubError;

function originOf(direct: Direct, asked: string[]): ModuleOrigin {
  return {
    async fetch({ resource }, consume, signal) {
      asked.push(resource);
      if (direct instanceof HubError) throw direct;
      if (direct === 'absent') return { kind: 'absent', reason: 'there is no such repository' };
      const body: OriginBody = {
        sizeBytes: undefined,
        async *[Symbol.asyncIterator]() {
          yield Buffer.from('from git');
        },
      };
      return { kind: 'found', value: await consume(body, 'direct', signal), origin: 'direct' };
    },
    states: () => [],
  };
}

async function text(body: OriginBody): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const gone: Behaviour = { status: 404, body: 'not found\n' };
const unreached = new OutboundError('unreachable', 'a.example: connection refused');
const unknown = new OutboundError('unreachable', 'a.example: no such host', {
  cause: Object.assign(new Error('x'), { code: 'ENOTFOUND' }),
});
const inward = new OutboundError('forbidden', 'a.example leads to 10.0.0.1');
const fault = new HubError('origin-unavailable', 'the Git server answers 500');

const table: readonly {
  readonly name: string;
  readonly upstream?: Behaviour | 'down';
  readonly direct: Direct;
  readonly isOut?: boolean;
  readonly outcome: string;
  readonly isAsked?: boolean;
}[] = [
  { name: 'an upstream has it', upstream: {}, direct: 'absent', outcome: 'found: from upstream', isAsked: false },
  { name: 'an upstream does not have it', upstream: gone, direct: 'found', outcome: 'found: from git' },
  { name: 'nobody has it', upstream: gone, direct: 'absent', outcome: 'absent' },
  { name: 'an upstream is down', upstream: 'down', direct: 'found', outcome: 'found: from git' },
  { name: 'an upstream is down and there is no such repository', upstream: 'down', direct: 'absent', outcome: 'absent' },
  { name: 'an upstream refuses', upstream: { status: 403 }, direct: 'found', outcome: 'upstream-refused', isAsked: false },
  { name: 'an upstream fails', upstream: { status: 500 }, direct: 'found', outcome: 'origin-unavailable', isAsked: false },
  { name: 'the Git server fails', upstream: gone, direct: fault, outcome: 'origin-unavailable' },
  { name: 'its answers make no sense', upstream: gone, direct: new HubError('upstream-invalid', 'x'), outcome: 'upstream-invalid' },
  { name: 'its host cannot be reached, others can', upstream: gone, direct: unreached, outcome: 'absent' },
  { name: 'its host cannot be reached, and nobody else was there', upstream: 'down', direct: unreached, outcome: 'origin-unavailable' },
  { name: 'there is no such host', upstream: 'down', direct: unknown, outcome: 'absent' },
  { name: 'there is no name server', upstream: 'down', direct: unknown, isOut: false, outcome: 'origin-unavailable' },
  { name: 'it leads inward', upstream: 'down', direct: inward, outcome: 'absent' },
  { name: 'there is no way out', upstream: gone, direct: unreached, isOut: false, outcome: 'absent' },
  { name: 'alone, found', direct: 'found', outcome: 'found: from git' },
  { name: 'alone, absent', direct: 'absent', outcome: 'absent' },
  { name: 'alone, a fault', direct: fault, outcome: 'origin-unavailable' },
  { name: 'alone, without a way out', direct: unknown, isOut: false, outcome: 'origin-unavailable' },
];

for (const { name, upstream: behaviour, direct, isOut = true, outcome, isAsked = true } of table) {
  test(`direct, when ${name}: ${outcome}`, async () => {
    await using upstream = await startScriptedUpstream({ files: { a: 'from upstream' } });
    if (behaviour === 'down') await upstream.down();
    else if (behaviour !== undefined) upstream.on('a', behaviour);
    const urls = behaviour === undefined ? [] : [new URL(upstream.url)];
    await using client = createOutboundClient({ configuredOrigins: urls, proxy: withoutProxy, userAgent: 'goyi-test', connectMs: 1_000 });
    const asked: string[] = [];
    let reachable = true;
    const reach = async (): Promise<void> => {
      if (!reachable) throw new HubError('origin-unavailable', 'no way out');
    };
    // Its breaker's clock runs on, but what was reached at the start is long ago.
    let skippedMs = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs };
    await using set = createUpstreamSet({
      upstreams: urls,
      direct: { origin: originOf(direct, asked), reach, returned() {} },
      client,
      limits,
      clock,
      events: silentEvents,
      log: silentLog,
      random: () => 0.5,
    });
    await set.probe(never);
    skippedMs = 11_000;
    reachable = isOut;
    const seen = await set.fetch(request, text, never).then(
      (answer) => (answer.kind === 'found' ? `found: ${answer.value}` : 'absent'),
      (error: unknown) => (error instanceof HubError ? error.code : String(error)),
    );
    assert.equal(seen, outcome);
    assert.equal(asked.length, isAsked ? 1 : 0);
    assert.equal(set.states().at(-1)?.breaker, isOut || !(direct instanceof OutboundError) ? 'closed' : 'open');
  });
}

test('beside other upstreams it is down until it was reached; a full disk is nobody else’s fault', async () => {
  await using upstream = await startScriptedUpstream({ files: {} });
  const urls = [new URL(upstream.url)];
  await using client = createOutboundClient({ configuredOrigins: urls, proxy: withoutProxy, userAgent: 'goyi-test' });
  const asked: string[] = [];
  let reachable = false;
  const reach = async (): Promise<void> => {
    if (!reachable) throw new HubError('origin-unavailable', 'no way out');
  };
  await using set = createUpstreamSet({
    upstreams: urls,
    direct: { origin: originOf('found', asked), reach, returned() {} },
    client,
    limits,
    clock: systemClock,
    events: silentEvents,
    log: silentLog,
    random: () => 0.5,
  });
  assert.equal((await set.fetch(request, text, never)).kind, 'absent');
  assert.equal(asked.length, 0);
  reachable = true;
  await set.probe(never);
  const full = new HubError('storage-full', 'no room');
  await assert.rejects(
    set.fetch(request, () => Promise.reject(full), never),
    (error) => error === full,
  );
  assert.equal(set.states().at(-1)?.breaker, 'closed');
});
