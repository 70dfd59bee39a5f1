import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { explainProxy, isProxyAddress, proxyAddress } from './proxy-explain.ts';

function vectors<T>(name: string): readonly T[] {
  const text = readFileSync(new URL(`../../testdata/proxy-rules/${name}.jsonl`, import.meta.url), 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

interface Reason {
  readonly noProxy: string;
  readonly url: string;
  readonly direct: boolean;
  readonly loopback: boolean;
  readonly entries: readonly string[];
}

test('the entry that is named is the first one by which alone Go goes direct', () => {
  const reasons = vectors<Reason>('reasons');
  assert.ok(reasons.length > 2_000);
  const wrong: string[] = [];
  for (const { noProxy, url, direct, loopback, entries } of reasons) {
    const decision = explainProxy({ HTTP_PROXY: 'http://p.test:1', HTTPS_PROXY: 'http://p.test:1', NO_PROXY: noProxy }, new URL(url));
    const said =
      decision.kind !== 'direct'
        ? decision.kind
        : decision.because.kind === 'entry'
          ? `entry ${decision.because.entry}`
          : decision.because.kind;
    const expected = loopback ? 'loopback' : direct ? `entry ${entries[0]}` : 'proxy';
    if (said !== expected) wrong.push(`${url} with NO_PROXY=${noProxy}: ${said}, Go says ${expected}`);
  }
  assert.deepEqual(wrong, []);
});

interface Environment {
  readonly env: Readonly<Record<string, string>>;
  readonly url: string;
  readonly proxy: string;
  readonly refused: boolean;
}

test('a whole environment means what it means to Go', () => {
  const cases = vectors<Environment>('environments');
  assert.ok(cases.length > 200);
  const unreadable = new Set<string>();
  for (const { env, url, proxy, refused } of cases) {
    const decision = explainProxy(env, new URL(url));
    if (decision.kind === 'unreadable') unreadable.add(decision.proxy.value);
    else {
      const chosen = decision.kind === 'proxy' ? proxyAddress(decision.proxy.value) : '';
      assert.deepEqual([chosen, decision.kind === 'refused'], [proxy, refused], `${JSON.stringify(env)} ${url}`);
    }
  }
  // Of these Go makes an address that nobody meant, or none.
  assert.deepEqual([...unreadable].sort(), ['::1:3128', 'http://p .test:1', 'http://p.test:99999x', 'http://u:p%zz@p.test:1']);
});

test('the variable is named as it is spelled where it was found', () => {
  const decision = explainProxy({ HTTPS_PROXY: '', https_proxy: 'p.test:1', no_proxy: 'Foo.test' }, new URL('https://foo.test/'));
  assert.deepEqual(decision, {
    kind: 'direct',
    because: { kind: 'entry', entry: 'Foo.test', matches: 'domain' },
    proxy: { name: 'https_proxy', value: 'p.test:1' },
    noProxy: { name: 'no_proxy', value: 'Foo.test' },
  });
});

const addresses = [
  ['p.test:3128', true],
  ['http://u:p@p.test:3128/', true],
  ['socks5://p.test', true],
  ['[::1]:3128', true],
  ['ftp://p.test', false],
  ['http://', false],
  ['http://p.test:99999', false],
  ['p test', false],
  ['', false],
] as const;
for (const [address, is] of addresses)
  test(`${JSON.stringify(address)} ${is ? 'is' : 'is not'} the address of a proxy`, () => assert.equal(isProxyAddress(address), is));
