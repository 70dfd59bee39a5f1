import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../base/clock.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { createOutboundClient } from '../net/http-client.ts';
import { withoutProxy } from '../net/proxy-rules.ts';
import {
  startScriptedUpstream,
  type Behaviour,
  type Script,
  type ScriptedUpstream,
  type ScriptedUpstreamOptions,
  type SeenRequest,
} from '../../test/support/scripted-upstream.ts';
import type { OriginBody } from './module-origin.ts';
import { RangeSpreads } from './range-spread.ts';
import type { UpstreamLimits } from './upstream-limits.ts';
import { createUpstreamSet, type UpstreamSet } from './upstream-set.ts';

const never = new AbortController().signal;
const mebibyte = 1024 * 1024;
const file = randomBytes(12 * mebibyte + 12_345);
const expected = digestOf(file);
const certificates = new URL('../../testdata/tls/', import.meta.url);
const tls = { key: readFileSync(new URL('server.key', certificates)), cert: readFileSync(new URL('server.pem', certificates)) };
/** What one stream gets, whatever the others get: slow enough for several windows of measurement before the first pieces are reached. */
const throttled: Behaviour = { drip: { sizeBytes: 128 * 1024, everyMs: 2 } };
/** On its way to a stream that is ended, at most. */
const slackBytes = mebibyte;

interface Rig {
  readonly set: UpstreamSet;
  readonly upstream: ScriptedUpstream;
  /** What came of bodies that were split. */
  readonly outcomes: string[];
}

async function withUpstream(
  own: { script?: Script; limits?: Partial<UpstreamLimits>; upstream?: ScriptedUpstreamOptions },
  check: (rig: Rig) => Promise<void>,
): Promise<void> {
  await using upstream = await startScriptedUpstream({ files: { z: file, small: file.subarray(0, 3 * mebibyte) }, ...own.upstream });
  upstream.on('z', own.script ?? throttled);
  const url = new URL(upstream.url);
  const caPem = readFileSync(new URL('ca.pem', certificates), 'utf8');
  await using client = createOutboundClient({ configuredOrigins: [url], proxy: withoutProxy, userAgent: 'x', caPem });
  const limits: UpstreamLimits = {
    upstreamMs: 5_000,
    idleMs: 5_000,
    bytesPerSecondMin: 0,
    fetchSlots: 64,
    retryPauseMs: 2,
    breakerOpenMs: 60_000,
    rangeStreams: 4,
    rangeWindowMs: 10,
    ...own.limits,
  };
  const outcomes: string[] = [];
  await using set = createUpstreamSet({
    upstreams: [url],
    client,
    limits,
    clock: systemClock,
    events: { ...silentEvents, bodySplit: ({ outcome }) => outcomes.push(outcome) },
    log: silentLog,
    random: () => 0.5,
  });
  await check({ set, upstream, outcomes });
}

/** The digest of what came, and how often the body was begun. */
async function fetchWhole(set: UpstreamSet, resource = 'z'): Promise<{ digest: string; runs: number }> {
  let runs = 0;
  const consume = async (body: OriginBody): Promise<string> => {
    runs += 1;
    const hash = createHash('sha256');
    for await (const chunk of body) hash.update(chunk);
    return hash.digest('hex');
  };
  const answer = await set.fetch({ resource, sizeMaxBytes: 100 * mebibyte, priority: 'waited-for' }, consume, never);
  assert.ok(answer.kind === 'found');
  return { digest: answer.value, runs };
}

interface Asked {
  readonly first: number;
  /** Of what was sent, exclusive. */
  readonly end: number;
}

/** The parts that were asked for by Range, in the order of the file, as far as they were sent. */
function partsOf(requests: readonly SeenRequest[]): readonly Asked[] {
  return requests
    .flatMap(({ headers, sentBytes }) => {
      const range = /^bytes=([0-9]+)-/.exec(headers['range'] ?? '');
      return range === null ? [] : [{ first: Number(range[1]), end: Number(range[1]) + sentBytes }];
    })
    .toSorted((a, b) => a.first - b.first);
}

/** Each byte was sent once, but for what was on its way when a stream was ended. */
function assertOnce({ requests }: ScriptedUpstream): void {
  const [whole, ...others] = requests.filter(({ headers }) => headers['range'] === undefined);
  assert.deepEqual(others, [], 'one request for all of it');
  const parts = partsOf(requests);
  assert.ok((whole?.sentBytes ?? 0) >= (parts[0]?.first ?? file.length), 'the first stream comes to where the parts begin');
  let at = parts[0]?.first ?? file.length;
  for (const { first, end } of parts) {
    assert.ok(first === at || (first < at && at - first <= slackBytes), `a part begins at ${first} where ${at} is next`);
    at = end;
  }
  assert.equal(at, file.length);
  const sentBytes = requests.reduce((sum, request) => sum + request.sentBytes, 0);
  assert.ok(sentBytes <= file.length + slackBytes, `${sentBytes - file.length} bytes were sent twice`);
}

test('a stream that is throttled by itself is continued in parts over several, each byte asked for once', () =>
  withUpstream({}, async ({ set, upstream, outcomes }) => {
    assert.deepEqual(await fetchWhole(set), { digest: expected, runs: 1 });
    assertOnce(upstream);
    assert.ok(partsOf(upstream.requests).length >= 2);
    // The upstream may not have noticed yet that the first one was ended.
    assert.ok(upstream.activeMax >= 2 && upstream.activeMax <= 4 + 1, `${upstream.activeMax} streams`);
    assert.equal(outcomes.length, 1);
    assert.equal(set.states()[0]?.breaker, 'closed');
  }));

const single: readonly { name: string; script?: Script; limits?: Partial<UpstreamLimits>; resource?: string }[] = [
  { name: 'nothing says that more streams may be used', limits: { rangeStreams: 1 } },
  { name: 'the upstream has but one slot', limits: { fetchSlots: 4 } },
  { name: 'the only slot left is kept for who is waited for', limits: { fetchSlots: 8 } },
  { name: 'the body is not large', resource: 'small' },
  { name: 'its size is not told', script: { ...throttled, noLength: true } },
  { name: 'it has no name', script: { ...throttled, etag: false } },
  { name: 'its name is weak', script: { ...throttled, etag: 'W/"a"' } },
  { name: 'the upstream gives no ranges', script: { ...throttled, headers: { 'accept-ranges': 'none' } } },
];
for (const { name, script, limits, resource = 'z' } of single) {
  test(`one stream as ever where ${name}`, () =>
    withUpstream(
      { ...(script !== undefined && { script }), ...(limits !== undefined && { limits }) },
      async ({ set, upstream, outcomes }) => {
        const digest = resource === 'z' ? expected : digestOf(file.subarray(0, 3 * mebibyte));
        upstream.on('small', throttled);
        assert.deepEqual(await fetchWhole(set, resource), { digest, runs: 1 });
        assert.equal(upstream.activeMax, 1);
        assert.deepEqual(outcomes, limits?.fetchSlots === undefined ? [] : ['gave-up']);
        assert.equal(upstream.count(), 1);
      },
    ));
}

const misfits: readonly { name: string; behaviour: Behaviour }[] = [
  { name: 'everything instead of a part', behaviour: { ignoreRange: true } },
  { name: 'a part that begins elsewhere', behaviour: { rangeOffByBytes: 1 } },
  { name: 'another ETag', behaviour: { etag: '"new"' } },
  { name: 'a part of another thing', behaviour: { status: 206, body: 'x', headers: { 'content-range': 'bytes 0-0/1' } } },
  { name: 'no such thing', behaviour: { status: 404 } },
  { name: 'too many requests', behaviour: { status: 429 } },
  { name: 'trouble', behaviour: { status: 500 } },
];
for (const { name, behaviour } of misfits) {
  test(`an upstream that answers the first part with ${name}: the first stream goes on, and it is not asked again`, () =>
    withUpstream({ script: (_, nth) => (nth === 1 ? throttled : behaviour) }, async ({ set, upstream, outcomes }) => {
      assert.deepEqual(await fetchWhole(set), { digest: expected, runs: 1 });
      assert.equal(upstream.requests[0]?.sentBytes, file.length);
      const asked = upstream.count();
      // All of it, and three parts that were on their way together, each tried twice at most.
      assert.ok(asked <= 1 + 3 * 2, `${asked} requests`);
      assert.deepEqual(outcomes, ['gave-up']);
      upstream.on('z', throttled);
      assert.deepEqual(await fetchWhole(set), { digest: expected, runs: 1 });
      assert.equal(upstream.count(), asked + 1);
      assert.equal(set.states()[0]?.breaker, 'closed');
    }));
}

test('parts that are cut are continued by Range, and nothing comes twice', () => {
  const cut = new Set<string>();
  const script = ({ headers }: SeenRequest): Behaviour => {
    const range = /^bytes=([0-9]+)-([0-9]+)$/.exec(headers['range'] ?? '');
    if (range?.[2] === undefined || cut.has(range[2])) return throttled;
    cut.add(range[2]);
    return { ...throttled, cutAfterBytes: 300_000 };
  };
  return withUpstream({ script }, async ({ set, upstream }) => {
    assert.deepEqual(await fetchWhole(set), { digest: expected, runs: 1 });
    assertOnce(upstream);
    assert.ok(cut.size >= 1);
  });
});

test('a first stream that is cut before it comes to the parts is continued up to them', () => {
  const script = (_: SeenRequest, nth: number): Behaviour => (nth === 1 ? { ...throttled, cutAfterBytes: 2.5 * mebibyte } : throttled);
  return withUpstream({ script }, async ({ set, upstream }) => {
    assert.deepEqual(await fetchWhole(set), { digest: expected, runs: 1 });
    const sentBytes = upstream.requests.reduce((sum, request) => sum + request.sentBytes, 0);
    assert.ok(sentBytes <= file.length + 2 * slackBytes, `${sentBytes - file.length} bytes were sent twice`);
  });
});

test('a part that does not fit after others did: what was good is kept, and one stream brings the rest', () => {
  let parts = 0;
  const script = ({ headers }: SeenRequest): Behaviour => {
    const isPart = /^bytes=[0-9]+-[0-9]+$/.test(headers['range'] ?? '');
    if (isPart) parts += 1;
    return isPart && parts === 2 ? { rangeOffByBytes: 1 } : throttled;
  };
  return withUpstream({ script }, async ({ set, upstream, outcomes }) => {
    assert.deepEqual(await fetchWhole(set), { digest: expected, runs: 1 });
    assert.ok(upstream.requests.some(({ headers }) => /^bytes=[0-9]+-$/.test(headers['range'] ?? '')));
    assert.deepEqual(outcomes, ['gave-up']);
  });
});

test('more streams never take more than their slots', () =>
  withUpstream({ limits: { fetchSlots: 16, rangeStreams: 8 } }, async ({ set, upstream }) => {
    assert.deepEqual(await fetchWhole(set), { digest: expected, runs: 1 });
    assertOnce(upstream);
    // Three slots are for that; the upstream may not have noticed yet that some were ended.
    assert.ok(upstream.activeMax <= 3 + 3, `${upstream.activeMax} where three slots are for that`);
  }));

test('a reader that stops reading stops the streams: what waits in memory is bounded', () =>
  withUpstream({}, async ({ set, upstream }) => {
    let readBytes = 0;
    const consume = async (body: OriginBody): Promise<number> => {
      let hasStopped = false;
      for await (const chunk of body) {
        readBytes += chunk.length;
        if (hasStopped || partsOf(upstream.requests).length < 2) continue;
        hasStopped = true;
        // At most the stream that is being read, which the connection holds back.
        while (upstream.active > 1) await pause(2);
        const sentBytes = upstream.requests.reduce((sum, request) => sum + request.sentBytes, 0);
        assert.ok(sentBytes - readBytes <= (4 + 2) * 2 * mebibyte + 8 * mebibyte, `${sentBytes - readBytes} bytes ahead`);
      }
      return readBytes;
    };
    await set.fetch({ resource: 'z', sizeMaxBytes: 100 * mebibyte, priority: 'waited-for' }, consume, never);
    assert.equal(readBytes, file.length);
  }));

test('who leaves in the middle ends all streams and gives all slots back', () =>
  withUpstream({ limits: { fetchSlots: 16 } }, async ({ set, upstream }) => {
    const leave = new AbortController();
    const reason = new Error('gone');
    const consume = async (body: OriginBody): Promise<void> => {
      for await (const _ of body) if (upstream.count() >= 3) leave.abort(reason);
    };
    const request = { resource: 'z', sizeMaxBytes: 100 * mebibyte, priority: 'waited-for' } as const;
    await assert.rejects(set.fetch(request, consume, leave.signal), (error) => error === reason);
    while (upstream.active > 0) await pause(2);
    upstream.on('z', {});
    // Four at once are four slots.
    const digests = await Promise.all(Array.from({ length: 4 }, () => fetchWhole(set)));
    assert.ok(digests.every(({ digest }) => digest === expected));
    assert.equal(set.states()[0]?.lastFault, undefined);
  }));

test('parts come over connections of their own, though the upstream speaks HTTP/2', () =>
  withUpstream({ upstream: { tls } }, async ({ set, upstream }) => {
    assert.deepEqual(await fetchWhole(set), { digest: expected, runs: 1 });
    assertOnce(upstream);
    const versions = upstream.requests.map(
      ({ headers, httpVersion }) => `${/-[0-9]+$/.test(headers['range'] ?? '') ? 'part' : 'rest'} ${httpVersion}`,
    );
    assert.deepEqual(new Set(versions.filter((text) => text.startsWith('part'))), new Set(['part 1.1']));
    assert.equal(versions[0], 'rest 2.0');
  }));

test('of one upstream two bodies at a time are split', () => {
  const spreads = new RangeSpreads({ clock: systemClock, windowMs: 10, streamsMax: 4 });
  assert.deepEqual([spreads.enter(), spreads.enter(), spreads.enter()], [true, true, false]);
  spreads.leave();
  assert.equal(spreads.enter(), true);
});

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
