import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { HubError } from '../src/base/errors.ts';
import { silentEvents } from '../src/base/events.ts';
import { silentLog } from '../src/base/log.ts';
import { createChecksumDatabase } from '../src/origin/checksum-client.ts';
import type { ChecksumTransport } from '../src/origin/checksum-transport.ts';
import { parseChecksumDatabaseEntry } from '../src/protocol/checksum-database-entry.ts';
import { createMemoryStore } from '../src/store/memory-store.ts';
import { MemoryHeads } from './support/checksum-bench.ts';

/** Module versions of many ages, so that their records lie all over the log; the toolchain is one of them. */
const modules = [
  ['rsc.io/quote', 'v1.5.2'],
  ['rsc.io/sampler', 'v1.3.0'],
  ['golang.org/x/text', 'v0.3.0'],
  ['golang.org/x/text', 'v0.14.0'],
  ['golang.org/x/mod', 'v0.20.0'],
  ['golang.org/x/net', 'v0.30.0'],
  ['golang.org/x/tools', 'v0.1.12'],
  ['golang.org/x/crypto', 'v0.17.0'],
  ['github.com/pkg/errors', 'v0.9.1'],
  ['github.com/google/uuid', 'v1.6.0'],
  ['github.com/BurntSushi/toml', 'v1.3.2'],
  ['github.com/Azure/go-autorest', 'v14.2.0+incompatible'],
  ['github.com/spf13/cobra', 'v1.8.0'],
  ['github.com/stretchr/testify', 'v1.9.0'],
  ['github.com/davecgh/go-spew', 'v1.1.1'],
  ['gopkg.in/yaml.v3', 'v3.0.1'],
  ['gopkg.in/check.v1', 'v0.0.0-20161208181325-20d25e280405'],
  ['k8s.io/api', 'v0.30.0'],
  ['google.golang.org/grpc', 'v1.60.0'],
  ['golang.org/toolchain', 'v0.0.1-go1.22.0.linux-amd64'],
] as const;

test('20 real modules are proved in the real log through this machine’s GOPROXY, and again without it', async () => {
  const { stdout } = await promisify(execFile)('go', ['env', 'GOPROXY']);
  const upstream = stdout.trim().split(/[,|]/)[0] ?? '';
  assert.match(upstream, /^https?:/, `GOPROXY must begin with an address for this test, it is ${stdout}`);
  const entry = parseChecksumDatabaseEntry('sum.golang.org');
  assert.ok(entry.ok);
  const { name, key } = entry.value;
  let isDown = false;
  const transport: ChecksumTransport = {
    origin: upstream,
    get: async ({ resource }, signal) => {
      if (isDown) throw new HubError('origin-unavailable', 'cut off');
      const response = await fetch(`${upstream.replace(/\/$/, '')}/sumdb/${name}/${resource}`, { signal });
      const body = Buffer.from(await response.arrayBuffer());
      if (response.status === 200) return { kind: 'found', body };
      if (response.status === 404 || response.status === 410) return { kind: 'absent', reason: body.toString() };
      throw new HubError('origin-unavailable', `${resource}: status ${response.status}`);
    },
  };
  const heads = new MemoryHeads();
  await using store = createMemoryStore();
  const client = (): ReturnType<typeof createChecksumDatabase> =>
    createChecksumDatabase({
      name,
      key,
      transports: () => [transport],
      store,
      metadata: heads,
      events: silentEvents,
      log: silentLog,
      clock: systemClock,
      freshnessMs: 60_000,
    });
  const signal = AbortSignal.timeout(120_000);
  const lookUpAll = (): Promise<unknown[]> => {
    const database = client();
    return Promise.all(modules.map(([module, version]) => database.lookup(module, version, { priority: 'waited-for' }, signal)));
  };
  const records = await lookUpAll();
  for (const [i, record] of records.entries()) assert.ok(record, modules[i]!.join('@'));
  const [quote] = records as { zipHash: string; modHash: string; recordId: number }[];
  assert.equal(quote?.recordId, 942);
  assert.equal(quote?.zipHash, 'h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=');
  assert.equal(quote?.modHash, 'h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=');
  isDown = true;
  assert.deepEqual(await lookUpAll(), records);
});
