import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { clientSettings } from './client-settings.ts';
import { setupScript, shellQuote } from './setup-sh.ts';

const key = 'goyi.example/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6';
const patterns = ['*.corp.example', "o'dd"];

test('a database of the hub that has every module leaves nothing unchecked; otherwise private modules are left out', () => {
  const values = (...args: Parameters<typeof clientSettings>): Record<string, string> =>
    Object.fromEntries(clientSettings(...args).map(({ name, value }) => [name, value]));
  const address = 'https://goyi.example';
  const common = { GOPROXY: address, GONOPROXY: 'none' };
  assert.deepEqual(values({ address, ownDatabase: { verifierKey: key, sign: 'all' }, privatePatterns: patterns }), {
    ...common,
    GOSUMDB: key,
    GONOSUMDB: 'none',
  });
  for (const ownDatabase of [undefined, { verifierKey: key, sign: 'private' } as const])
    assert.deepEqual(values({ address, ownDatabase, privatePatterns: patterns }), {
      ...common,
      GOSUMDB: 'sum.golang.org',
      GONOSUMDB: "*.corp.example,o'dd",
    });
  assert.equal(values({ address, ownDatabase: undefined, privatePatterns: [] })['GONOSUMDB'], 'none');
});

test('the script holds what it was given, quoted, and no mark is left', () => {
  const script = setupScript({ address: 'https://goyi.example/a$b', ownDatabase: undefined, privatePatterns: patterns });
  assert.match(script, /^#!\/bin\/sh\n/);
  assert.ok(script.includes("hub='https://goyi.example/a$b'"));
  assert.ok(script.includes(`set_one GONOSUMDB '*.corp.example,o'\\''dd'`));
  assert.doesNotMatch(script, /@\{|@[A-Z]+@/);
  assert.ok(script.trimEnd().endsWith('{ goyi_setup "$@"; }'));
});

test('a quoted word is one word without any meaning to the shell', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const quoted = shellQuote(text);
      assert.ok(quoted.startsWith("'") && quoted.endsWith("'"));
      assert.equal(quoted.slice(1, -1).replaceAll(`'\\''`, "'"), text);
      assert.doesNotMatch(quoted.slice(1, -1).replaceAll(`'\\''`, ''), /'/);
    }),
  );
});
