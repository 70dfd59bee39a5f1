import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseProxyRules, type ProxyRules, type ProxySettings } from './proxy-rules.ts';

interface Vector {
  readonly httpProxy: string;
  readonly httpsProxy: string;
  readonly noProxy: string;
  readonly url: string;
  readonly proxy: string;
}

function mustParse(settings: ProxySettings): ProxyRules {
  const rules = parseProxyRules(settings);
  assert.ok(rules.ok, JSON.stringify(rules));
  return rules.value;
}

/** Go prints the address as it was given; here it is a URL, with the slash at its end. */
function sameProxy(expected: string, actual: URL | undefined): boolean {
  return expected === '' ? actual === undefined : actual !== undefined && new URL(expected).href === actual.href;
}

const vectors = readFileSync(new URL('../../testdata/proxy-rules/vectors.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector);

test(`the proxy of ${vectors.length} vectors is the one that Go chooses`, () => {
  assert.ok(vectors.length > 2_000);
  const wrong: string[] = [];
  for (const vector of vectors) {
    const actual = mustParse(vector).proxyFor(new URL(vector.url));
    if (!sameProxy(vector.proxy, actual))
      wrong.push(
        `${vector.url} with noProxy=${JSON.stringify(vector.noProxy)}: ${actual?.href ?? 'direct'}, Go says ${vector.proxy || 'direct'}`,
      );
  }
  assert.deepEqual(wrong, []);
});

test('a proxy that cannot be used is refused with a reason that holds no password', () => {
  for (const httpsProxy of ['socks5://user:s3cret@p.test:1080', 'http://', 'http://user:s3cret@:99999', 'ftp://user:s3cret@p.test']) {
    const rules = parseProxyRules({ httpsProxy });
    assert.equal(rules.ok, false, httpsProxy);
    assert.doesNotMatch(rules.ok ? '' : rules.reason, /s3cret/);
  }
});

test('without values everything goes direct', () => {
  assert.equal(mustParse({}).proxyFor(new URL('https://foo.test/')), undefined);
  assert.deepEqual(mustParse({ httpProxy: '', httpsProxy: '' }).proxies, []);
});
