import assert from 'node:assert/strict';
import { hostname, networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { upstreamsIn } from './default-upstreams.ts';

const listen = { host: '127.0.0.1', port: 8080, loopback: true };

const cases = [
  { goProxy: 'https://mirror.example,direct', want: ['https://mirror.example'] },
  { goProxy: 'http://127.0.0.1:8080', want: [] },
  { goProxy: 'http://localhost:8080/,https://mirror.example/go/|direct', want: ['https://mirror.example/go'] },
  { goProxy: 'http://127.0.0.1:8081', want: ['http://127.0.0.1:8081'] },
  { goProxy: 'mirror.example', want: ['https://mirror.example'] },
  { goProxy: 'https://hub.corp.example,off', want: [] },
  { goProxy: 'file:///srv/modules,off', want: [] },
  { goProxy: '', want: [] },
] as const;

for (const { goProxy, want } of cases) {
  test(`upstreamsIn(${JSON.stringify(goProxy)})`, () => assert.deepEqual(upstreamsIn(goProxy, listen, 'https://hub.corp.example'), want));
}

test('a hub that listens on every address does not take itself for an upstream under any of this machine’s names', () => {
  const addresses = Object.values(networkInterfaces()).flatMap((some) => some?.map(({ address }) => address) ?? []);
  assert.ok(addresses.length > 0);
  for (const host of [hostname(), ...addresses]) {
    const goProxy = `http://${host.includes(':') ? `[${host}]` : host}:8080`;
    for (const any of ['0.0.0.0', '::']) assert.deepEqual(upstreamsIn(goProxy, { host: any, port: 8080, loopback: false }, undefined), []);
  }
  const other = upstreamsIn('http://192.0.2.1:8080', { host: '0.0.0.0', port: 8080, loopback: false }, undefined);
  assert.deepEqual(other, ['http://192.0.2.1:8080']);
});
