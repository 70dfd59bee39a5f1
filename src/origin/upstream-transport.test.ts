import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { createOutboundClient } from '../net/http-client.ts';
import { withoutProxy } from '../net/proxy-rules.ts';
import { startScriptedUpstream, type ScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import type { ChecksumTransport } from './checksum-transport.ts';
import { createUpstreamSet } from './upstream-set.ts';
import { createUrlTransport } from './upstream-transport.ts';

const never = new AbortController().signal;
const limits = { upstreamMs: 500, idleMs: 100, bytesPerSecondMin: 0, fetchSlots: 8, retryPauseMs: 2, breakerOpenMs: 60_000 };
const ask = (transport: ChecksumTransport | undefined, resource: string, sizeMaxBytes = 1_000): ReturnType<ChecksumTransport['get']> => {
  assert.ok(transport !== undefined);
  return transport.get({ resource, sizeMaxBytes, priority: 'waited-for' }, never);
};

async function withUpstream(
  check: (upstream: ScriptedUpstream, through: ChecksumTransport | undefined, own: ChecksumTransport) => Promise<void>,
): Promise<void> {
  const files = { 'sumdb/db.example/latest': 'the head', 'sumdb/db.example/supported': '', latest: 'own head' };
  await using upstream = await startScriptedUpstream({ files });
  const url = new URL(upstream.url);
  await using client = createOutboundClient({ configuredOrigins: [url], proxy: withoutProxy, userAgent: 'x' });
  const common = { client, limits, clock: systemClock, events: silentEvents, random: (): number => 0.5 };
  await using set = createUpstreamSet({ ...common, upstreams: [url], log: silentLog });
  const [through] = set.transportsFor('db.example');
  await check(upstream, through, createUrlTransport({ ...common, url }));
}

test('through an upstream: asked once whether it carries the database', () =>
  withUpstream(async (upstream, through) => {
    assert.equal(through?.origin, upstream.url);
    for (let i = 0; i < 3; i += 1) {
      const answer = await ask(through, 'latest');
      assert.equal(answer.kind === 'found' && answer.body.toString(), 'the head');
    }
    assert.equal(upstream.count('sumdb/db.example/supported'), 1);
    assert.deepEqual(await ask(through, 'lookup/rsc.io/nope@v1.0.0'), { kind: 'absent', reason: 'not found: no such file' });
  }));

test('an upstream without the database is unavailable, and its 404s are never an absence', () =>
  withUpstream(async (upstream, through) => {
    upstream.files.delete('sumdb/db.example/supported');
    for (let i = 0; i < 3; i += 1)
      await assert.rejects(ask(through, 'lookup/rsc.io/quote@v1.5.2'), {
        code: 'origin-unavailable',
        message: /does not carry db\.example/,
      });
    assert.equal(upstream.count(), 1);
  }));

test("at the database's own address a 404 is its word, and nothing else is asked", () =>
  withUpstream(async (upstream, _through, own) => {
    const answer = await ask(own, 'latest');
    assert.equal(answer.kind === 'found' && answer.body.toString(), 'own head');
    assert.equal((await ask(own, 'lookup/rsc.io/nope@v1.0.0')).kind, 'absent');
    assert.equal(upstream.count(), 2);
  }));

const faults = [
  { behaviour: { hang: true }, code: 'origin-timeout' },
  { behaviour: { status: 500 }, code: 'origin-unavailable' },
  { behaviour: { status: 403, body: 'no\n' }, code: 'upstream-refused' },
  { behaviour: { stallAfterBytes: 3 }, code: 'origin-timeout' },
  { behaviour: { endless: true }, code: 'upstream-invalid' },
  { behaviour: { body: 'x'.repeat(2_000) }, code: 'upstream-invalid' },
] as const;
for (const { behaviour, code } of faults) {
  test(`${JSON.stringify(behaviour).slice(0, 60)}: ${code}`, () =>
    withUpstream(async (upstream, _through, own) => {
      upstream.on('latest', behaviour);
      await assert.rejects(ask(own, 'latest'), { code });
    }));
}

test('a cut tile is fetched whole, even from a server without ranges', () =>
  withUpstream(async (upstream, _through, own) => {
    upstream.on('latest', [{ cutAfterBytes: 3 }, { ignoreRange: true }]);
    const answer = await ask(own, 'latest');
    assert.equal(answer.kind === 'found' && answer.body.toString(), 'own head');
  }));

test('an open breaker answers at once', () =>
  withUpstream(async (upstream, _through, own) => {
    await upstream.down();
    await assert.rejects(ask(own, 'latest'), { code: 'origin-unavailable' });
    await assert.rejects(ask(own, 'latest'), { code: 'origin-unavailable', message: /is down/ });
  }));
