import assert from 'node:assert/strict';
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
