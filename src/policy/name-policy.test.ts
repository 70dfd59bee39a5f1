import assert from 'node:assert/strict';
import test from 'node:test';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import { type NamePolicy, type NameRule, REASON_BYTES_MAX, createNamePolicy } from './name-policy.ts';

function policy(...rules: NameRule[]): NamePolicy {
  const result = createNamePolicy(rules);
  assert.ok(result.ok);
  return result.value;
}

function kind(of: NamePolicy, module: string, version?: string): 'allow' | 'deny' {
  return of.verdict(module as ModulePath, version as Version | undefined).kind;
}

test('what no rule matches may pass', () => {
  assert.equal(kind(policy(), 'rsc.io/quote'), 'allow');
  assert.equal(kind(policy({ match: 'a.b', action: 'deny', reason: 'no' }), 'rsc.io/quote'), 'allow');
});

test('a denial names the rule and its reason', () => {
  const denied = policy({ match: 'github.com/boltdb-go', action: 'deny', reason: 'a copy with a backdoor: use go.etcd.io/bbolt' }).verdict(
    'github.com/boltdb-go/bolt' as string as ModulePath,
  );
  assert.deepEqual(denied, { kind: 'deny', rule: 'github.com/boltdb-go', reason: 'a copy with a backdoor: use go.etcd.io/bbolt' });
});

test('the first rule that matches decides', () => {
  const rules = policy(
    { match: 'github.com/team/good', action: 'allow' },
    { match: 'github.com/team', action: 'deny', reason: 'only good' },
    { match: 'github.com/team/bad', action: 'allow' },
  );
  assert.equal(kind(rules, 'github.com/team/good/v2'), 'allow');
  assert.equal(kind(rules, 'github.com/team/bad'), 'deny');
  assert.equal(kind(rules, 'github.com/other'), 'allow');
});

test('an allow list is a rule that denies all the rest', () => {
  const rules = policy({ match: 'rsc.io,golang.org/x/*', action: 'allow' }, { match: '*', action: 'deny', reason: 'not approved' });
  assert.equal(kind(rules, 'rsc.io/quote'), 'allow');
  assert.equal(kind(rules, 'golang.org/x/text'), 'allow');
  assert.equal(kind(rules, 'golang.org/toolchain'), 'deny');
});

test('deny rules ignore case and allow rules do not', () => {
  const rules = policy({ match: 'github.com/Team', action: 'allow' }, { match: 'github.com/team', action: 'deny', reason: 'no' });
  assert.equal(kind(rules, 'github.com/Team/x'), 'allow');
  assert.equal(kind(rules, 'github.com/TEAM/x'), 'deny');
  assert.equal(kind(rules, 'github.com/team/x'), 'deny');
});

test('a rule may name single versions', () => {
  const rules = policy({ match: 'example.com/m@v1.3.1, example.com/*@v2.0.0+incompatible', action: 'deny', reason: 'broken' });
  assert.equal(kind(rules, 'example.com/m', 'v1.3.1'), 'deny');
  assert.equal(kind(rules, 'example.com/M', 'v1.3.1'), 'deny');
  assert.equal(kind(rules, 'example.com/m', 'v1.3.2'), 'allow');
  assert.equal(kind(rules, 'example.com/m'), 'allow');
  assert.equal(kind(rules, 'example.com/other', 'v2.0.0+incompatible'), 'deny');
});

const faulty: readonly { readonly rule: NameRule; readonly says: RegExp }[] = [
  { rule: { match: 'a.b', action: 'deny' }, says: /needs a reason/ },
  { rule: { match: 'a.b', action: 'deny', reason: 'two\nlines' }, says: /control character/ },
  { rule: { match: 'a.b', action: 'deny', reason: '\u001b[31mred' }, says: /control character/ },
  { rule: { match: 'a.b', action: 'deny', reason: 'turned \u202e round' }, says: /control character/ },
  { rule: { match: 'a.b', action: 'deny', reason: 'half \ud800' }, says: /control character/ },
  { rule: { match: 'a.b', action: 'deny', reason: ' spaced' }, says: /white space/ },
  { rule: { match: 'a.b', action: 'deny', reason: '字'.repeat(REASON_BYTES_MAX / 3 + 1) }, says: /longer/ },
  { rule: { match: ' ,', action: 'allow' }, says: /no pattern/ },
  { rule: { match: 'a.b[', action: 'allow' }, says: /malformed/ },
  { rule: { match: 'a.b@v1', action: 'allow' }, says: /canonical/ },
  { rule: { match: '@v1.0.0', action: 'allow' }, says: /without a module/ },
];
for (const { rule, says } of faulty) {
  test(`refused: ${JSON.stringify(rule)}`, () => {
    const result = createNamePolicy([{ match: 'x.y', action: 'allow' }, rule]);
    assert.ok(!result.ok && says.test(result.reason) && result.reason.startsWith('policy rule 2: '));
  });
}

test('all faults are named at once', () => {
  const result = createNamePolicy([
    { match: '[', action: 'allow' },
    { match: 'a.b', action: 'deny' },
  ]);
  assert.ok(!result.ok && /rule 1.*; .*rule 2/.test(result.reason));
});

test('a reason may be Chinese', () =>
  assert.equal(createNamePolicy([{ match: 'a.b', action: 'deny', reason: '该模块含有后门，请改用 go.etcd.io/bbolt' }]).ok, true));
