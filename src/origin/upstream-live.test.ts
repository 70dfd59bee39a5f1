import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { createOutboundClient } from '../net/http-client.ts';
import { withoutProxy } from '../net/proxy-rules.ts';
import type { OriginBody } from './module-origin.ts';
import { createUpstreamSet } from './upstream-set.ts';

/** The module proxy that this machine's own Go uses. */
function firstUpstream(): URL {
  const entry = execFileSync('go', ['env', 'GOPROXY'], { encoding: 'utf8' }).trim().split(/[,|]/)[0] ?? '';
  assert.match(entry, /^https?:\/\//, 'this test needs a module proxy: set GOPROXY to one');
  return new URL(entry);
}

async function collect(body: OriginBody): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test("this machine's own upstream is there, and delivers in parallel", async () => {
  const url = firstUpstream();
  await using client = createOutboundClient({ configuredOrigins: [url], proxy: withoutProxy, userAgent: 'goyi-test' });
  const limits = { upstreamMs: 20_000, idleMs: 10_000, bytesPerSecondMin: 0, fetchSlots: 256 };
  await using set = createUpstreamSet({
    upstreams: [url],
    client,
    limits,
    clock: systemClock,
    events: silentEvents,
    log: silentLog,
    random: Math.random,
  });
  const signal = AbortSignal.timeout(50_000);
  const [probed] = await set.probe(signal);
  assert.equal(probed?.ok, true, probed?.reason ?? 'no upstream');
  const resource = 'rsc.io/quote/@v/v1.5.2';
  const info = await set.fetch({ resource: `${resource}.info`, sizeMaxBytes: 10_000, priority: 'waited-for' }, collect, signal);
  assert.equal(info.kind === 'found' && (JSON.parse(info.value.toString()) as { Version: string }).Version, 'v1.5.2');
  const zips = await Promise.all(
    Array.from({ length: 30 }, () =>
      set.fetch({ resource: `${resource}.zip`, sizeMaxBytes: 1_000_000, priority: 'waited-for' }, collect, signal),
    ),
  );
  const [first] = zips;
  assert.ok(first?.kind === 'found' && first.value.subarray(0, 2).toString() === 'PK');
  assert.equal(
    zips.every((zip) => zip.kind === 'found' && zip.value.equals(first.value)),
    true,
  );
});
