import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainProxy } from '../net/proxy-explain.ts';
import { curlGoesDirect, npmGoesDirect } from '../net/proxy-others.ts';
import { dockerClientConfig, planProxy, type ProxyPlan, proxyVariables } from './proxy-plan.ts';

function mustPlan(inner: string, http = 'http://p.test:3128'): ProxyPlan {
  const plan = planProxy({ http, https: http, inner });
  assert.ok(plan.ok, JSON.stringify(plan));
  return plan.value;
}

const entries: readonly (readonly [given: string, to: string, kind: string | undefined])[] = [
  ['corp.example', 'corp.example', undefined],
  ['Corp.Example.', 'corp.example', undefined],
  ['.corp.example', 'corp.example', 'below'],
  ['*.corp.example', 'corp.example', 'below'],
  ['corp.example:8443', 'corp.example', 'port'],
  ['https://git.corp.example/', 'git.corp.example', 'url'],
  ['http://git.corp.example:8080', 'git.corp.example', 'url'],
  ['10.*', '10.0.0.0/8', 'wildcard'],
  ['192.168.*.*', '192.168.0.0/16', 'wildcard'],
  ['10.1.', '10.1.0.0/16', 'wildcard'],
  ['10.0.0.0/8', '10.0.0.0/8', 'range'],
  ['fd00::/8', 'fd00::/8', 'range'],
  ['10.1.2.3', '10.1.2.3', undefined],
  ['10.1.2.3:8080', '10.1.2.3', 'port'],
  ['[fd00::1]', 'fd00::1', undefined],
  ['host-1', 'host-1', undefined],
];
for (const [given, to, kind] of entries) {
  test(`${given} is written ${to}`, () => {
    const { noProxy, notes } = mustPlan(given);
    assert.deepEqual(noProxy, ['localhost', '127.0.0.1', '::1', to]);
    assert.deepEqual(
      notes.map((note) => note.kind),
      kind === undefined ? [] : [kind],
    );
  });
}

for (const given of [
  '*',
  String.raw`192\.168\..*`,
  '^corp',
  'a|b',
  '999.*',
  'a_b/c',
  '10.0.0.0/33',
  '0.0.0.0/0',
  '中文.example',
  '-x.example',
  'http://x/y',
])
  test(`${given} is refused`, () => assert.equal(planProxy({ http: 'p.test', https: 'p.test', inner: given }).ok, false));

test('a proxy that is none is refused without its password', () => {
  for (const http of ['ftp://u:s3cret@p.test', 'http://u:s3cret@p.test:99999', '']) {
    const plan = planProxy({ http, https: 'p.test', inner: '' });
    assert.equal(plan.ok, false, http);
    assert.doesNotMatch(plan.ok ? '' : plan.reason, /s3cret/);
  }
});

test('Go, curl and npm do the same with a plan of names and addresses', () => {
  const noProxy = mustPlan('*.corp.example, .lab.example git.other.example:443 10.1.2.3').noProxy.join(',');
  const hosts = [
    'corp.example',
    'a.corp.example',
    'b.a.corp.example',
    'xcorp.example',
    'lab.example',
    'git.other.example',
    'other.example',
    '10.1.2.3',
    '10.1.2.4',
    'localhost',
    '127.0.0.1',
  ];
  const direct = hosts.filter((host) => {
    const url = new URL(`http://${host}:8080/`);
    const byGo = explainProxy({ HTTP_PROXY: 'p.test', NO_PROXY: noProxy }, url).kind === 'direct';
    assert.deepEqual([curlGoesDirect(noProxy, url), npmGoesDirect(noProxy, url)], [byGo, byGo], host);
    return byGo;
  });
  assert.deepEqual(direct, [
    'corp.example',
    'a.corp.example',
    'b.a.corp.example',
    'lab.example',
    'git.other.example',
    '10.1.2.3',
    'localhost',
    '127.0.0.1',
  ]);
});

test('both spellings where names have a case, once where they have none, and what Docker takes', () => {
  const plan = mustPlan('corp.example', 'p.test:3128');
  const names = (target: 'bash' | 'setx'): string[] => proxyVariables(plan, target).map(({ name }) => name);
  assert.deepEqual(names('bash'), ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy']);
  assert.deepEqual(names('setx'), ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']);
  assert.equal(proxyVariables(plan, 'bash')[0]?.value, 'http://p.test:3128');
  assert.deepEqual(JSON.parse(dockerClientConfig(plan)), {
    proxies: {
      default: { httpProxy: 'http://p.test:3128', httpsProxy: 'http://p.test:3128', noProxy: 'localhost,127.0.0.1,::1,corp.example' },
    },
  });
});
