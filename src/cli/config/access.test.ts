import assert from 'node:assert/strict';
import { test } from 'node:test';
import { en } from '../messages/en.ts';
import { zh } from '../messages/zh.ts';
import { effectiveTree } from './effective.ts';
import { type ConfigOutcome, loadConfig } from './load.ts';

function load(text: string): ConfigOutcome {
  const file = { path: '/etc/goyi/goyi.yaml', shown: 'goyi.yaml', text };
  return loadConfig({ file, env: {}, flags: {}, folder: '/home/ops', cores: 2 });
}

/** An issuer that has nothing wrong with it, but for what is changed. */
function issuerOf(change: string): string {
  const keys = {
    issuer: "issuer: 'https://ci.example'",
    audience: 'audience: goyi',
    jwksFile: 'jwksFile: keys.json',
    rules: "rules: [{claims: {sub: 'repo:team/*'}, grants: [read]}]",
  };
  const name = change.split(':')[0] ?? '';
  return `{${Object.values({ ...keys, [name]: change }).join(', ')}}`;
}

const single: readonly { readonly text: string; readonly fault: RegExp }[] = [
  { text: 'access: {anonymous: ["read:["]}', fault: /malformed/ },
  { text: 'access: {anonymous: [audit]}', fault: /can only read/ },
  { text: 'access: {anonymous: ["publish:*"]}', fault: /can only read/ },
  { text: 'access: {groups: [{name: "a b", grants: [read]}]}', fault: /must be a name/ },
  { text: 'access: {groups: [{name: a, grants: [write]}]}', fault: /no grant/ },
  { text: 'access: {groups: [{name: a, grants: []}, {name: a, grants: []}]}', fault: /twice/ },
  { text: `access: {oidc: [${issuerOf("issuer: 'http://ci.example'")}]}`, fault: /begins with https/ },
  { text: `access: {oidc: [${issuerOf("audience: ''")}]}`, fault: /printable ASCII/ },
  { text: `access: {oidc: [${issuerOf('jwksUrl: "https://ci.example/keys"')}]}`, fault: /exactly one place/ },
  { text: `access: {oidc: [${issuerOf('rules: []')}]}`, fault: /at least one/ },
  { text: `access: {oidc: [${issuerOf('rules: [{claims: {}, grants: [read]}]')}]}`, fault: /at least one claim/ },
  { text: `access: {oidc: [${issuerOf('rules: [{claims: {sub: "*"}, grants: [read]}]')}]}`, fault: /at least one claim/ },
  { text: `access: {oidc: [${issuerOf('rules: [{claims: {sub: a}}]')}]}`, fault: /grants or groups/ },
  { text: `access: {oidc: [${issuerOf('rules: [{claims: {sub: a}, groups: [none]}]')}]}`, fault: /no group none/ },
];

for (const { text, fault } of single)
  test(`one fault: ${JSON.stringify(text.slice(0, 120))}`, () => {
    const outcome = load(text);
    assert.ok(!outcome.ok, 'no fault');
    assert.equal(outcome.faults.length, 1);
    assert.match(outcome.faults[0]?.say(en) ?? '', fault);
    assert.match(outcome.faults[0]?.say(zh) ?? '', /\p{Script=Han}/u);
  });

test('what is written is what is in effect, with absolute paths', () => {
  const outcome = load(`access:
  anonymous: [read, "read:open.corp.example/*"]
  groups: [{name: team, grants: ["read:git.corp.example/team/*"]}]
  oidc:
    - ${issuerOf('rules: [{claims: {sub: "repo:team/*", ref: refs/heads/main}, groups: [team], grants: [read]}]')}
    - {issuer: https://other.example, audience: goyi, jwksUrl: https://other.example/keys, rules: [{claims: {sub: a}, grants: [audit]}]}
`);
  assert.ok(outcome.ok);
  const { access } = outcome.config;
  assert.deepEqual(access.anonymous, ['read', 'read:open.corp.example/*']);
  assert.deepEqual(access.groups, [{ name: 'team', grants: ['read:git.corp.example/team/*'] }]);
  assert.deepEqual(
    access.oidc.map(({ jwks }) => jwks),
    [
      { kind: 'file', file: '/etc/goyi/keys.json' },
      { kind: 'url', url: 'https://other.example/keys' },
    ],
  );
  assert.deepEqual(access.oidc[0]?.rules, [{ claims: { sub: 'repo:team/*', ref: 'refs/heads/main' }, grants: ['read'], groups: ['team'] }]);
  const shown = effectiveTree(outcome.config)['access'] as Record<string, unknown>;
  const again = load(JSON.stringify({ access: shown }));
  assert.ok(again.ok);
  assert.deepEqual(again.config.access, access);
});
