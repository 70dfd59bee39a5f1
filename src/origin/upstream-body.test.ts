import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { createOutboundClient } from '../net/http-client.ts';
import { withoutProxy } from '../net/proxy-rules.ts';
import { startScriptedUpstream, type Behaviour, type Script, type ScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import type { OriginBody } from './module-origin.ts';
import { createUpstreamSet, type UpstreamSet } from './upstream-set.ts';

const never = new AbortController().signal;
const file = randomBytes(1_000_000);
const expected = createHash('sha256').update(file).digest('hex');
const request = { resource: 'z', sizeMaxBytes: 10_000_000, priority: 'waited-for' } as const;

async function withUpstream(script: Script, check: (set: UpstreamSet, upstream: ScriptedUpstream) => Promise<void>): Promise<void> {
  await using upstream = await startScriptedUpstream({ files: { z: file } });
  upstream.on('z', script);
  const url = new URL(upstream.url);
  await using client = createOutboundClient({ configuredOrigins: [url], proxy: withoutProxy, userAgent: 'x' });
  const limits = { upstreamMs: 1_000, idleMs: 100, bytesPerSecondMin: 0, fetchSlots: 4, retryPauseMs: 2, breakerOpenMs: 60_000 };
  await using set = createUpstreamSet({
    upstreams: [url],
    client,
    limits,
    clock: systemClock,
    events: silentEvents,
    log: silentLog,
    random: () => 0.5,
  });
  await check(set, upstream);
}

/** Counts how often it ran, so that a test sees whether the body was continued or began anew. */
class Reader {
  runs = 0;
  readonly hash = async (body: OriginBody): Promise<string> => {
    this.runs += 1;
    const hash = createHash('sha256');
    for await (const chunk of body) hash.update(chunk);
    return hash.digest('hex');
  };
}

const continued: readonly { name: string; script: Script; requests: number; runs: number }[] = [
  { name: 'a cut', script: [{ cutAfterBytes: 300_000 }], requests: 2, runs: 1 },
  { name: 'a cut before the first byte', script: [{ cutAfterBytes: 0 }], requests: 2, runs: 1 },
  { name: 'five cuts', script: Array.from({ length: 5 }, (): Behaviour => ({ cutAfterBytes: 150_000 })), requests: 6, runs: 1 },
  { name: 'a cut without ETag', script: [{ cutAfterBytes: 300_000, etag: false }, { etag: false }], requests: 2, runs: 1 },
  { name: 'a cut of a body without Content-Length', script: [{ cutAfterBytes: 300_000, noLength: true }], requests: 2, runs: 1 },
  { name: 'a cut and a 503 in between', script: [{ cutAfterBytes: 300_000 }, { status: 503 }], requests: 3, runs: 1 },
  {
    name: 'less than Content-Length',
    script: [{ body: file.subarray(0, 400_000), declaredBytes: 1_000_000, etag: false }, { etag: false }],
    requests: 2,
    runs: 1,
  },
  { name: 'an upstream that ignores Range', script: [{ cutAfterBytes: 300_000 }, { ignoreRange: true }], requests: 2, runs: 2 },
  { name: 'an upstream whose ETag changed', script: [{ cutAfterBytes: 300_000 }, { etag: '"new"' }], requests: 2, runs: 2 },
];
for (const { name, script, requests, runs } of continued) {
  test(`${name}: all bytes come, in ${requests} requests and ${runs === 1 ? 'one go' : `${runs} runs of consume`}`, () =>
    withUpstream(script, async (set, upstream) => {
      const reader = new Reader();
      const answer = await set.fetch(request, reader.hash, never);
      assert.deepEqual(answer, { kind: 'found', value: expected, origin: upstream.url });
      assert.deepEqual({ requests: upstream.count('z'), runs: reader.runs }, { requests, runs });
      assert.equal(set.states()[0]?.breaker, 'closed');
    }));
}

const hopeless: readonly { name: string; script: Script; code: string; requestsMax: number }[] = [
  {
    name: 'a part that begins elsewhere',
    script: [{ cutAfterBytes: 300_000 }, { rangeOffByBytes: 1 }],
    code: 'origin-unavailable',
    requestsMax: 2,
  },
  { name: 'cuts without any progress', script: () => ({ cutAfterBytes: 10 }), code: 'origin-unavailable', requestsMax: 4 },
  {
    name: 'cuts of an upstream that ignores Range',
    script: () => ({ cutAfterBytes: 300_000, ignoreRange: true }),
    code: 'origin-unavailable',
    requestsMax: 6,
  },
  { name: 'silence in the middle', script: () => ({ stallAfterBytes: 300_000 }), code: 'origin-timeout', requestsMax: 1 },
  { name: 'a 404 instead of the rest', script: [{ cutAfterBytes: 300_000 }, { status: 404 }], code: 'origin-unavailable', requestsMax: 2 },
  {
    name: 'a rest that is too long',
    script: [
      { cutAfterBytes: 300_000, noLength: true },
      { status: 206, body: Buffer.alloc(20_000_000), headers: { 'content-range': 'bytes 300000-20299999/20300000' } },
    ],
    code: 'upstream-invalid',
    requestsMax: 2,
  },
];
for (const { name, script, code, requestsMax } of hopeless) {
  test(`${name}: given up, and no wrong byte is passed on as a whole`, () =>
    withUpstream(script, async (set, upstream) => {
      const startMs = performance.now();
      await assert.rejects(set.fetch(request, new Reader().hash, never), { code });
      assert.ok(upstream.count('z') <= requestsMax, `${upstream.count('z')} requests`);
      assert.ok(performance.now() - startMs < 2_000);
    }));
}

test('the slot is given back whatever consume does', () =>
  withUpstream(
    () => undefined,
    async (set) => {
      // One slot in all: the quarter of four.
      for (const consume of [() => Promise.resolve('unread'), () => Promise.reject(new Error('consume failed')), new Reader().hash]) {
        await set.fetch(request, consume, never).catch(() => {});
      }
      assert.equal((await set.fetch(request, new Reader().hash, never)).kind, 'found');
    },
  ));

test('a caller who leaves in the middle of the body gives the slot back', () =>
  withUpstream([{ stallAfterBytes: 300_000 }], async (set) => {
    const leave = new AbortController();
    const reason = new Error('gone');
    setTimeout(() => leave.abort(reason), 40);
    await assert.rejects(set.fetch(request, new Reader().hash, leave.signal), (error) => error === reason);
    assert.equal((await set.fetch(request, new Reader().hash, never)).kind, 'found');
    assert.equal(set.states()[0]?.lastFault, undefined);
  }));

test('sizeBytes is what Content-Length says', () =>
  withUpstream([undefined, { noLength: true }], async (set) => {
    const sizes: (number | undefined)[] = [];
    const consume = (body: OriginBody): Promise<void> => {
      sizes.push(body.sizeBytes);
      return Promise.resolve();
    };
    await set.fetch(request, consume, never);
    await set.fetch(request, consume, never);
    assert.deepEqual(sizes, [1_000_000, undefined]);
  }));
