import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPinnedRoutes } from './pinned-routes.ts';
import { parseProxyRules, withoutProxy } from './proxy-rules.ts';

const never = new AbortController().signal;
const answers: Readonly<Record<string, readonly string[]>> = {
  'public.example': ['203.0.113.7', '2001:db8::7'],
  'inward.example': ['10.1.2.3'],
  'mixed.example': ['203.0.113.7', '127.0.0.1'],
  'mapped.example': ['::ffff:192.168.1.1'],
};

function routes(asked: string[] = []): ReturnType<typeof createPinnedRoutes> {
  return createPinnedRoutes({
    configuredOrigins: [],
    proxy: withoutProxy,
    resolver: async (host) => {
      asked.push(host);
      return (answers[host] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    },
  });
}

for (const url of [
  'https://inward.example/x',
  'https://mixed.example/x',
  'https://mapped.example/x',
  'https://localhost/x',
  'https://127.0.0.1/x',
  'https://2130706433/x',
  'https://0x7f.1/x',
  'https://0177.0.0.1/x',
  'https://0.0.0.0/x',
  'https://[::1]/x',
  'https://[::ffff:7f00:1]/x',
  'https://[::ffff:10.0.0.1]/x',
  'https://169.254.169.254/latest',
  'https://router.lan/x',
  'https://intranet/x',
]) {
  test(`no route to ${url}`, async () => assert.rejects(routes().of(new URL(url), never), { fault: 'forbidden' }));
}

test('a public host is pinned to the addresses of the one answer that was checked', async () => {
  const asked: string[] = [];
  const route = await routes(asked).of(new URL('https://public.example/x'), never);
  assert.deepEqual(route, {
    kind: 'addresses',
    addresses: [
      { address: '203.0.113.7', family: 4 },
      { address: '2001:db8::7', family: 6 },
    ],
  });
  assert.deepEqual(asked, ['public.example']);
});

test('behind a proxy the name alone is checked, and nothing is resolved', async () => {
  const proxy = parseProxyRules({ httpsProxy: 'http://user:secret@proxy.corp:3128' });
  assert.ok(proxy.ok);
  const behind = createPinnedRoutes({ configuredOrigins: [], proxy: proxy.value, resolver: () => assert.fail('nobody resolves') });
  const route = await behind.of(new URL('https://public.example/x'), never);
  assert.equal(route.kind === 'proxy' && route.proxy.host, 'proxy.corp:3128');
  await assert.rejects(behind.of(new URL('https://10.0.0.1/x'), never), { fault: 'forbidden' });
  await assert.rejects(behind.of(new URL('https://router.lan/x'), never), { fault: 'forbidden' });
});
