import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import { silentEvents, type Events } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { createOutboundClient } from '../net/http-client.ts';
import { withoutProxy } from '../net/proxy-rules.ts';
import { startScriptedUpstream, type Behaviour, type ScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import type { OriginBody } from './module-origin.ts';
import { createUpstreamSet, type UpstreamSet } from './upstream-set.ts';
import type { UpstreamLimits } from './upstream-limits.ts';

const never = new AbortController().signal;
const quick: UpstreamLimits = {
  upstreamMs: 1_000,
  idleMs: 200,
  bytesPerSecondMin: 0,
  fetchSlots: 256,
  retryPauseMs: 5,
  breakerOpenMs: 60_000,
};

interface Rig extends AsyncDisposable {
  readonly set: UpstreamSet;
  readonly upstreams: readonly ScriptedUpstream[];
  /** The upstream's number and what it answered, in order. */
  readonly answers: string[];
}

async function rig(count: number, limits: Partial<UpstreamLimits> = {}): Promise<Rig> {
  const upstreams = await Promise.all(Array.from({ length: count }, (_, i) => startScriptedUpstream({ files: { a: `from ${i}` } })));
  const urls = upstreams.map(({ url }) => new URL(url));
  const client = createOutboundClient({ configuredOrigins: urls, proxy: withoutProxy, userAgent: 'goyi-test', connectMs: 1_000 });
  const answers: string[] = [];
  const events: Events = {
    ...silentEvents,
    upstreamAnswered: ({ upstream, outcome }) => answers.push(`${upstreams.findIndex(({ url }) => url === upstream)} ${outcome}`),
  };
  const set = createUpstreamSet({
    upstreams: urls,
    client,
    limits: { ...quick, ...limits },
    clock: systemClock,
    events,
    log: silentLog,
    random: () => 0.5,
  });
  return {
    set,
    upstreams,
    answers,
    async [Symbol.asyncDispose]() {
      await set[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
      for (const upstream of upstreams) await upstream[Symbol.asyncDispose]();
    },
  };
}

async function text(body: OriginBody): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const request = { resource: 'a', sizeMaxBytes: 1_000_000, priority: 'waited-for' } as const;

/** `found: …`, `absent: …` or the code of the error. */
async function outcomeOf(set: UpstreamSet): Promise<string> {
  try {
    const answer = await set.fetch(request, text, never);
    return answer.kind === 'found' ? `found: ${answer.value}` : 'absent';
  } catch (error) {
    assert.ok(error instanceof HubError, String(error));
    return error.code;
  }
}

const gone: Behaviour = { status: 404, body: 'not found: no such module\n' };
const table: readonly { behaviours: readonly (Behaviour | 'down' | 'dead' | 'silent' | undefined)[]; outcome: string }[] = [
  { behaviours: [undefined], outcome: 'found: from 0' },
  { behaviours: [gone], outcome: 'absent' },
  { behaviours: [{ status: 410 }], outcome: 'absent' },
  { behaviours: [{ status: 403, body: 'blocked by rule 7\n' }], outcome: 'upstream-refused' },
  { behaviours: [{ status: 500 }], outcome: 'origin-unavailable' },
  { behaviours: [{ status: 204 }], outcome: 'origin-unavailable' },
  { behaviours: [{ status: 206 }], outcome: 'origin-unavailable' },
  { behaviours: [{ status: 301 }], outcome: 'origin-unavailable' },
  { behaviours: [{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }], outcome: 'origin-unavailable' },
  { behaviours: [{ hang: true }], outcome: 'origin-timeout' },
  { behaviours: [{ stallAfterBytes: 2 }], outcome: 'origin-timeout' },
  { behaviours: [{ endless: true }], outcome: 'upstream-invalid' },
  { behaviours: [{ headers: { 'content-encoding': 'gzip' } }], outcome: 'upstream-invalid' },
  { behaviours: ['down'], outcome: 'origin-unavailable' },
  { behaviours: ['dead'], outcome: 'origin-unavailable' },
  { behaviours: [gone, undefined], outcome: 'found: from 1' },
  { behaviours: [{ status: 403 }, undefined], outcome: 'found: from 1' },
  { behaviours: [{ status: 500 }, undefined], outcome: 'found: from 1' },
  { behaviours: [{ refuse: true }, undefined], outcome: 'found: from 1' },
  { behaviours: [{ endless: true }, undefined], outcome: 'found: from 1' },
  { behaviours: [{ cutAfterBytes: 3, ignoreRange: true }, undefined], outcome: 'found: from 1' },
  { behaviours: [{ hang: true }, undefined], outcome: 'found: from 1' },
  { behaviours: ['down', undefined], outcome: 'found: from 1' },
  { behaviours: [gone, gone], outcome: 'absent' },
  { behaviours: [gone, { status: 403 }], outcome: 'upstream-refused' },
  { behaviours: [{ status: 403 }, gone], outcome: 'upstream-refused' },
  { behaviours: [gone, { status: 500 }], outcome: 'origin-unavailable' },
  { behaviours: [{ status: 500 }, gone], outcome: 'origin-unavailable' },
  { behaviours: [{ status: 403 }, { status: 500 }], outcome: 'origin-unavailable' },
  { behaviours: [gone, { hang: true }], outcome: 'origin-timeout' },
  { behaviours: [gone, 'down'], outcome: 'absent' },
  { behaviours: ['down', gone], outcome: 'absent' },
  // Silent to everything it is asked: down. Silent about one thing only (above): a fault.
  { behaviours: [gone, 'silent'], outcome: 'absent' },
  { behaviours: ['silent', gone], outcome: 'absent' },
  { behaviours: ['silent'], outcome: 'origin-timeout' },
  // Dying in the middle: nobody listens any more, three attempts open its breaker, and then it does not count.
  { behaviours: ['dead', gone], outcome: 'absent' },
  { behaviours: [gone, 'dead'], outcome: 'absent' },
  { behaviours: [{ status: 503 }, gone], outcome: 'absent' },
  { behaviours: ['down', { status: 403 }], outcome: 'upstream-refused' },
  { behaviours: ['down', 'down'], outcome: 'origin-unavailable' },
  { behaviours: ['down', { status: 500 }], outcome: 'origin-unavailable' },
];
for (const { behaviours, outcome } of table) {
  test(`${JSON.stringify(behaviours.map((behaviour) => behaviour ?? 'has it'))}: ${outcome}`, async () => {
    await using own = await rig(behaviours.length, { upstreamMs: 300 });
    for (const [i, behaviour] of behaviours.entries()) {
      if (behaviour === 'down' || behaviour === 'dead') await own.upstreams[i]?.down();
      else if (behaviour === 'silent') own.upstreams[i]?.on(/.*/, { hang: true });
      else if (behaviour !== undefined) own.upstreams[i]?.on('a', behaviour);
    }
    if (behaviours.includes('down')) await own.set.probe(never);
    const startMs = performance.now();
    assert.equal(await outcomeOf(own.set), outcome);
    assert.ok(performance.now() - startMs < 1_500, 'answered within its limits and a second');
    for (const upstream of own.upstreams) while (upstream.active > 0) await pause(2);
  });
}

test('redirects to where nobody may go are refused, and do not take the rest of that upstream along', async () => {
  await using own = await rig(1);
  const canary = await startScriptedUpstream({ files: { secret: 'secret' } });
  await using _canary = canary;
  own.upstreams[0]?.on('b', { status: 302, headers: { location: `${canary.url}/secret` } });
  for (let i = 0; i < 5; i += 1)
    await assert.rejects(own.set.fetch({ ...request, resource: 'b' }, text, never), { code: 'origin-unavailable' });
  assert.equal(await outcomeOf(own.set), 'found: from 0');
  assert.equal(own.set.states()[0]?.breaker, 'closed');
  assert.equal(canary.requests.length, 0);
});

test('the reasons are the first lines of the upstreams', async () => {
  await using own = await rig(2);
  own.upstreams[0]?.on('a', { status: 404, body: 'not found: first\nsecond line' });
  own.upstreams[1]?.on('a', gone);
  assert.deepEqual(await own.set.fetch(request, text, never), { kind: 'absent', reason: 'not found: first' });
  own.upstreams[1]?.on('a', { status: 451, body: 'by law\n' });
  await assert.rejects(own.set.fetch(request, text, never), {
    code: 'upstream-refused',
    message: /^by law \(http:\/\/127\.0\.0\.1:\d+ says 451\)$/,
  });
});

test('off: everything is absent; nothing to ask: never absent', async () => {
  const client = createOutboundClient({ configuredOrigins: [], proxy: withoutProxy, userAgent: 'x' });
  const common = { client, limits: quick, clock: systemClock, events: silentEvents, log: silentLog, random: () => 0.5 };
  assert.equal((await createUpstreamSet({ ...common, upstreams: 'off' }).fetch(request, text, never)).kind, 'absent');
  await assert.rejects(createUpstreamSet({ ...common, upstreams: [] }).fetch(request, text, never), { code: 'origin-unavailable' });
});

test('one upstream is asked once for one artefact, however slow it is; the same address twice is one upstream', async () => {
  await using own = await rig(1);
  const [upstream] = own.upstreams;
  upstream?.on('a', { delayHeadMs: 900 });
  const url = new URL(upstream?.url ?? '');
  await using client = createOutboundClient({ configuredOrigins: [url], proxy: withoutProxy, userAgent: 'x' });
  await using set = createUpstreamSet({
    upstreams: [url, new URL(`${url.href}`)],
    client,
    limits: { ...quick, upstreamMs: 5_000 },
    clock: systemClock,
    events: silentEvents,
    log: silentLog,
    random: () => 0.5,
  });
  assert.equal(await outcomeOf(set), 'found: from 0');
  assert.equal(upstream?.count('a'), 1);
});

test('a slow upstream is hedged by another, never by itself; the loser is ended', async () => {
  await using own = await rig(2);
  own.upstreams[0]?.on('a', { delayHeadMs: 5_000 });
  // Learn that it usually answers at once.
  for (let i = 0; i < 10; i += 1) await own.set.fetch({ ...request, resource: 'warm' }, text, never);
  const startMs = performance.now();
  assert.equal(await outcomeOf(own.set), 'found: from 1');
  assert.ok(performance.now() - startMs < 500);
  assert.equal(own.upstreams[0]?.count('a'), 1);
  assert.equal(own.upstreams[1]?.count('a'), 1);
  while ((own.upstreams[0]?.active ?? 0) > 0) await pause(2);
  assert.ok(own.answers.includes('0 canceled'));
  assert.equal(own.set.states()[0]?.breaker, 'closed');
});

test('the first one wins when it answers before the hedge does', async () => {
  await using own = await rig(2);
  own.upstreams[0]?.on('a', { delayHeadMs: 150 });
  own.upstreams[1]?.on('a', { delayHeadMs: 800 });
  for (let i = 0; i < 10; i += 1) await own.set.fetch({ ...request, resource: 'warm' }, text, never);
  assert.equal(await outcomeOf(own.set), 'found: from 0');
  while ((own.upstreams[1]?.active ?? 0) > 0) await pause(2);
});

for (const code of ['checksum-mismatch', 'zip-invalid', 'upstream-invalid'] as const) {
  test(`${code} from consume: the next upstream; when none is left the first such error`, async () => {
    await using own = await rig(2);
    const consume = async (body: OriginBody): Promise<string> => {
      const got = await text(body);
      if (got === 'from 0') throw new HubError(code, `bad: ${got}`);
      return got;
    };
    const answer = await own.set.fetch(request, consume, never);
    assert.deepEqual(answer, { kind: 'found', value: 'from 1', origin: own.upstreams[1]?.url });
    own.upstreams[1]?.on('a', gone);
    await assert.rejects(own.set.fetch(request, consume, never), { code, message: 'bad: from 0' });
    assert.equal(own.set.states()[0]?.lastFault, 'bad: from 0');
  });
}

test("what is not the upstream's fault ends the fetch, and the upstream is not blamed", async () => {
  await using own = await rig(2);
  const full = new HubError('storage-full', 'no space');
  await assert.rejects(
    own.set.fetch(request, () => Promise.reject(full), never),
    (error) => error === full,
  );
  assert.equal(own.upstreams[1]?.count('a'), 0);
  assert.equal(own.set.states()[0]?.lastFault, undefined);
});

test('a liar whose every answer is wrong is left alone after a while', async () => {
  await using own = await rig(2);
  const consume = async (body: OriginBody, origin: string): Promise<string> => {
    await text(body);
    if (origin === own.upstreams[0]?.url) throw new HubError('checksum-mismatch', 'bad');
    return origin;
  };
  for (let i = 0; i < 40; i += 1) await own.set.fetch(request, consume, never);
  assert.equal(own.set.states()[1]?.breaker, 'closed');
  assert.equal(own.set.states()[0]?.lastFault, 'bad');
});

test('passing faults are tried again, within the time; 404 and 403 never are', async () => {
  await using own = await rig(1);
  const [upstream] = own.upstreams;
  upstream?.on('a', [{ status: 503 }, { refuse: true }]);
  assert.equal(await outcomeOf(own.set), 'found: from 0');
  assert.equal(upstream?.count('a'), 3);
  for (const status of [400, 403, 404, 410]) {
    upstream?.on('a', { status });
    const before: number = upstream?.count('a') ?? 0;
    await outcomeOf(own.set);
    assert.equal(upstream?.count('a'), before + 1);
  }
});

test('Retry-After is kept where it fits into the time, and not waited for where it does not', async () => {
  await using own = await rig(1, { upstreamMs: 1_500 });
  const [upstream] = own.upstreams;
  upstream?.on('a', [{ status: 429, retryAfter: '1' }]);
  let startMs = performance.now();
  assert.equal(await outcomeOf(own.set), 'found: from 0');
  assert.ok(performance.now() - startMs >= 990);
  upstream?.on('a', { status: 503, retryAfter: '3600' });
  startMs = performance.now();
  assert.equal(await outcomeOf(own.set), 'origin-unavailable');
  assert.ok(performance.now() - startMs < 500);
});

test('an upstream that is down at start costs nothing, and is used again once it is back', async () => {
  await using own = await rig(2, { breakerOpenMs: 30 });
  await own.upstreams[0]?.down();
  const results = await own.set.probe(never);
  assert.deepEqual(
    results.map(({ ok }) => ok),
    [false, true],
  );
  assert.match(results[0]?.reason ?? '', /connection refused/);
  assert.ok((results[1]?.latencyMs ?? -1) >= 0);
  assert.equal(own.set.states()[0]?.breaker, 'open');
  assert.equal(await outcomeOf(own.set), 'found: from 1');
  await own.upstreams[0]?.up();
  for (const stopMs = performance.now() + 3_000; own.set.states()[0]?.breaker !== 'closed'; ) {
    assert.ok(performance.now() < stopMs, 'the background probe did not find it');
    await pause(5);
  }
  assert.equal(await outcomeOf(own.set), 'found: from 0');
});

test('a login portal in front of an upstream is not taken for it', async () => {
  await using own = await rig(1);
  own.upstreams[0]?.on(/.*/, { status: 200, body: '<html>login</html>', headers: { 'content-type': 'text/html' } });
  const [result] = await own.set.probe(never);
  assert.equal(result?.ok, false);
  assert.match(result?.reason ?? '', /web page/);
});

test('one upstream uses a quarter of the slots at most, and 200 requests are all answered', async () => {
  await using own = await rig(1, { fetchSlots: 32, upstreamMs: 10_000 });
  own.upstreams[0]?.on('a', { delayHeadMs: 5 });
  const outcomes = await Promise.all(Array.from({ length: 200 }, () => outcomeOf(own.set)));
  assert.equal(
    outcomes.every((outcome) => outcome === 'found: from 0'),
    true,
  );
  assert.ok((own.upstreams[0]?.activeMax ?? 99) <= 8);
});

test('an upstream that takes only eight at once teaches the hub so: all are answered, and it stays in use', async () => {
  await using own = await rig(1, { upstreamMs: 20_000 });
  const [upstream] = own.upstreams;
  await own.set.probe(never);
  upstream?.on('a', () => (upstream.active > 8 ? { status: 429 } : { delayHeadMs: 5 }));
  assert.equal(own.set.states()[0]?.concurrencyLimit, 64);
  const outcomes = await Promise.all(Array.from({ length: 200 }, () => outcomeOf(own.set)));
  assert.deepEqual(new Set(outcomes), new Set(['found: from 0']));
  const [state] = own.set.states();
  assert.equal(state?.breaker, 'closed');
  assert.ok((state?.concurrencyLimit ?? 99) <= 32, `${state?.concurrencyLimit} at once`);
});

test('an upstream that is down does not count as one that was asked too much, once its breaker is open', async () => {
  await using own = await rig(1, { breakerOpenMs: 1 });
  await own.upstreams[0]?.down();
  for (let i = 0; i < 20; i += 1) assert.equal(await outcomeOf(own.set), 'origin-unavailable');
  assert.ok((own.set.states()[0]?.concurrencyLimit ?? 0) >= 8);
});

test('a stuck upstream does not hold up one that works', async () => {
  await using own = await rig(2, { fetchSlots: 8, upstreamMs: 5_000 });
  own.upstreams[0]?.on('a', { hang: true });
  const leave = new AbortController();
  const stuck = Array.from({ length: 10 }, () => own.set.fetch(request, text, leave.signal));
  const startMs = performance.now();
  const answers = await Promise.all(stuck);
  assert.equal(
    answers.every((answer) => answer.kind === 'found' && answer.value === 'from 1'),
    true,
  );
  assert.ok(performance.now() - startMs < 2_000);
});

test('a caller who leaves gets its own reason and the upstream is not blamed', async () => {
  await using own = await rig(2);
  for (const upstream of own.upstreams) upstream.on('a', { hang: true });
  const leave = new AbortController();
  const answer = own.set.fetch(request, text, leave.signal);
  const reason = new Error('gone');
  setTimeout(() => leave.abort(reason), 30);
  await assert.rejects(answer, (error) => error === reason);
  for (const upstream of own.upstreams) while (upstream.active > 0) await pause(2);
  assert.deepEqual(
    own.set.states().map(({ breaker, lastFault }) => `${breaker} ${lastFault ?? '-'}`),
    ['closed -', 'closed -'],
  );
});

test('passwords of upstream addresses are sent and never shown', async () => {
  await using upstream = await startScriptedUpstream({ files: { a: 'x' } });
  const url = new URL(`${upstream.url.replace('//', '//bot:s3cret@')}/`);
  await using client = createOutboundClient({ configuredOrigins: [url], proxy: withoutProxy, userAgent: 'x' });
  await using set = createUpstreamSet({
    upstreams: [url],
    client,
    limits: quick,
    clock: systemClock,
    events: silentEvents,
    log: silentLog,
    random: () => 0.5,
  });
  assert.deepEqual(await set.fetch(request, text, never), { kind: 'found', value: 'x', origin: upstream.url });
  assert.equal(upstream.requests[0]?.headers['authorization'], `Basic ${Buffer.from('bot:s3cret').toString('base64')}`);
  await upstream.down();
  await assert.rejects(set.fetch(request, text, never), (error: Error) => !error.message.includes('s3cret'));
  assert.doesNotMatch(JSON.stringify(set.states()), /s3cret/);
});
