import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ModulePath } from '../protocol/module-path.ts';
import { may, NO_RIGHTS, parseGrants, type Rights, type Wish } from './access.ts';
import type { Privacy } from './private-names.ts';

function rights(...grants: string[]): Rights {
  const read = parseGrants(grants);
  assert.ok(read.ok, read.ok ? '' : read.reason);
  return read.value;
}

const lib = 'git.corp.example/team/lib';

const reads: readonly (readonly [grants: readonly string[], module: string, privacy: Privacy['kind'], expected: boolean])[] = [
  [[], 'rsc.io/quote', 'public', false],
  [['read'], 'rsc.io/quote', 'public', true],
  [['read'], lib, 'private', false],
  [['read'], 'git.corp.example', 'parent', false],
  [['read:*'], lib, 'private', true],
  [['read:*'], 'rsc.io/quote', 'public', true],
  [['read:git.corp.example/team/*'], lib, 'private', true],
  [['read:git.corp.example/team/*'], 'GIT.corp.example/Team/Lib', 'private', true],
  [['read:GIT.corp.example/Team/*'], lib, 'private', true],
  [['read:git.corp.example/team/*'], `${lib}/v2`, 'private', true],
  [['read:git.corp.example/team/*'], 'git.corp.example/other/lib', 'private', false],
  [['read:git.corp.example/team/*'], 'git.corp.example/teams/lib', 'private', false],
  [['read:git.corp.example/team/*'], 'git.corp.example', 'parent', true],
  [['read:git.corp.example/team/*'], 'git.other.example', 'parent', false],
  [['read:git.corp.example/team/*'], 'rsc.io/quote', 'public', false],
  [['publish:*'], lib, 'private', false],
  [['audit'], lib, 'private', false],
  [['admin'], lib, 'private', true],
];

for (const [grants, module, privacy, expected] of reads)
  test(`[${grants.join(', ')}] ${expected ? 'reads' : 'does not read'} ${privacy} ${module}`, () =>
    assert.equal(may(rights(...grants), { kind: 'read', module: module as ModulePath, privacy }), expected));

const others: readonly (readonly [grants: readonly string[], wish: Wish, expected: boolean])[] = [
  [['read'], { kind: 'read-any' }, true],
  [[`read:${lib}`], { kind: 'read-any' }, true],
  [['publish:*'], { kind: 'read-any' }, false],
  [['read:*'], { kind: 'publish', module: lib as ModulePath }, false],
  [['publish:git.corp.example/team/*'], { kind: 'publish', module: lib as ModulePath }, true],
  [['publish:git.corp.example/team'], { kind: 'publish', module: 'git.corp.example/teams' as ModulePath }, false],
  [['publish:*'], { kind: 'admin' }, false],
  [['read:*', 'publish:*', 'audit'], { kind: 'admin' }, false],
  [['read:*'], { kind: 'audit' }, false],
  [['audit'], { kind: 'audit' }, true],
  [['admin'], { kind: 'audit' }, true],
  [['admin'], { kind: 'publish', module: lib as ModulePath }, true],
  [['admin'], { kind: 'admin' }, true],
];

for (const [grants, wish, expected] of others)
  test(`[${grants.join(', ')}] ${expected ? 'may' : 'may not'} ${wish.kind}`, () => assert.equal(may(rights(...grants), wish), expected));

test('what is no grant is refused, all faults at once', () => {
  for (const text of ['', 'Read', 'read:', 'publish', 'publish:', 'write', 'admin:x', 'read:[', ' read', 'read:a[/]b', 'read:,'])
    assert.equal(parseGrants([text]).ok, false, text);
  const read = parseGrants(['write', 'read', 'publish']);
  assert.ok(!read.ok && /"write".*"publish"/.test(read.reason));
});

test('who has nothing may nothing, and no grant takes a right away', () => {
  const grant = fc.constantFrom(
    'read',
    'read:*',
    'read:a.example/*',
    'read:b.example/x',
    'publish:*',
    'publish:a.example',
    'audit',
    'admin',
  );
  const module = fc.constantFrom('a.example/x', 'b.example/x', 'b.example/y', 'rsc.io/quote').map((path) => path as ModulePath);
  const wish: fc.Arbitrary<Wish> = fc.oneof(
    fc.record({ kind: fc.constant('read' as const), module, privacy: fc.constantFrom('public', 'parent', 'private') }),
    fc.record({ kind: fc.constant('publish' as const), module }),
    fc.constantFrom<Wish>({ kind: 'read-any' }, { kind: 'audit' }, { kind: 'admin' }),
  );
  fc.assert(
    fc.property(fc.array(grant, { maxLength: 5 }), grant, wish, (grants, more, asked) => {
      assert.equal(may(NO_RIGHTS, asked), false);
      if (may(rights(...grants), asked)) assert.ok(may(rights(...grants, more), asked));
    }),
  );
});
