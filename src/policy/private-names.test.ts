import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { ModulePath } from '../protocol/module-path.ts';
import { createPrivateNames, type PrivateNames, type PrivateRule } from './private-names.ts';

function names(...rules: (string | PrivateRule)[]): PrivateNames {
  const result = createPrivateNames(rules.map((rule) => (typeof rule === 'string' ? { match: rule, public: false } : rule)));
  assert.ok(result.ok);
  return result.value;
}

const open = (match: string): PrivateRule => ({ match, public: true });

const cases: readonly (readonly [rules: readonly (string | PrivateRule)[], path: string, expected: string])[] = [
  [[], 'git.corp.example/team/lib', 'public'],
  [['git.corp.example/*'], 'git.corp.example/team/lib', 'private 0'],
  [['git.corp.example/*'], 'GIT.corp.example/Team/lib', 'private 0'],
  [['git.corp.example/*'], 'git.corp.example', 'parent 0'],
  [['git.corp.example'], 'git.corp.example', 'private 0'],
  [['git.corp.example'], 'git.corp.example.org/x', 'public'],
  [['*.corp.example/team/*'], 'git.corp.example', 'parent 0'],
  [['*.corp.example/team/*'], 'git.corp.example/team', 'parent 0'],
  [['*.corp.example/team/*'], 'git.corp.example/Team', 'parent 0'],
  [['*.corp.example/team/*'], 'git.corp.example/other', 'public'],
  [['*.corp.example/team/*'], 'git.corp.example/team/lib/v2', 'private 0'],
  [['github.com/corp/*'], 'github.com', 'parent 0'],
  [['github.com/corp/*'], 'github.com/corp', 'parent 0'],
  [['github.com/corp/*'], 'github.com/corporation/x', 'public'],
  [['github.com/corp/a,github.com/corp/b'], 'github.com/corp/b', 'private 0'],
  [['github.com/corp/*', 'gitlab.com/corp/*'], 'gitlab.com/corp/x', 'private 1'],
  // The first match decides.
  [[open('github.com/corp/open'), 'github.com/corp/*'], 'github.com/corp/open', 'public'],
  [[open('github.com/corp/open'), 'github.com/corp/*'], 'github.com/corp/open/sub', 'public'],
  [['github.com/corp/*', open('github.com/corp/open')], 'github.com/corp/open', 'private 0'],
  // A public module with a private folder.
  [['github.com/corp/open/internal/*', open('github.com/corp/open')], 'github.com/corp/open', 'public'],
  [['github.com/corp/open/internal/*', open('github.com/corp/open')], 'github.com/corp/open/internal/x', 'private 0'],
  [['github.com/corp/open/internal/*'], 'github.com/corp/open', 'parent 0'],
  [['example.com/[a-c]x/*'], 'example.com/Bx', 'parent 0'],
];
for (const [rules, path, expected] of cases) {
  test(`${path} with ${JSON.stringify(rules)}: ${expected}`, () => {
    const privacy = names(...rules).of(path as ModulePath);
    assert.equal(privacy.kind === 'public' ? 'public' : `${privacy.kind} ${privacy.rule}`, expected);
  });
}

test('every folder above what a pattern matches is private or a parent, in any spelling', () => {
  const element = fc.stringMatching(/^[a-c]{1,3}$/);
  fc.assert(
    fc.property(fc.array(element, { minLength: 2, maxLength: 5 }), fc.nat(), fc.boolean(), (elements, cut, upper) => {
      const compiled = names(elements.map((one, index) => (index % 2 === 1 ? '*' : one)).join('/'));
      const path = elements.slice(0, 1 + (cut % elements.length)).join('/');
      assert.notEqual(compiled.of((upper ? path.toUpperCase() : path) as ModulePath).kind, 'public');
    }),
  );
});

test('every faulty rule is named', () => {
  const rule = (match: string): PrivateRule => ({ match, public: false });
  const result = createPrivateNames([rule('a.example/['), rule('ok.example'), rule(' , '), rule('a.example/[/]b')]);
  assert.ok(!result.ok);
  assert.match(result.reason, /private rule 1: .*malformed.*; private rule 3: a rule has no pattern; private rule 4: .*slash in a class/);
});
