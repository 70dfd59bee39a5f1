import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readVectors } from '../../test/oracle/read-vectors.ts';
import { PATTERN_LENGTH_MAX, matchesPattern, parseModulePatterns } from './module-pattern.ts';

function matches(text: string, path: string, ignoreCase = false): boolean {
  const patterns = parseModulePatterns(text, { ignoreCase });
  assert.ok(patterns.ok, text);
  return matchesPattern(patterns.value, path);
}

test('patterns match what Go matches, and what we refuse never matches there', () => {
  const counts = { matched: 0, malformed: 0 };
  for (const [globs, path, expected] of readVectors<[string, string, boolean]>('pattern')) {
    // Go passes over a malformed pattern in a list; the others in it still count.
    const single = globs.split(',').map((glob) => parseModulePatterns(glob));
    const found = single.some((patterns) => patterns.ok && matchesPattern(patterns.value, path));
    assert.equal(found, expected, `${globs} on ${path}`);
    counts.matched += expected ? 1 : 0;
    counts.malformed += single.some((patterns) => !patterns.ok) ? 1 : 0;
    assert.equal(
      parseModulePatterns(globs).ok,
      single.every((patterns) => patterns.ok),
    );
  }
  assert.ok(counts.matched > 300 && counts.malformed > 300, JSON.stringify(counts));
});

const cases = [
  { patterns: 'git.corp.example/*', path: 'git.corp.example/team/x/v2', expected: true },
  { patterns: 'git.corp.example/*', path: 'git.corp.example', expected: false },
  { patterns: '*.corp.example', path: 'git.corp.example/team', expected: true },
  { patterns: '*.corp.example', path: 'corp.example/team', expected: false },
  { patterns: 'rsc.io', path: 'rsc.iox/quote', expected: false },
  { patterns: ' a.b/c , d.e/ ,', path: 'd.e/f', expected: true },
  { patterns: '*', path: 'any.where/at/all', expected: true },
  { patterns: '', path: 'a.b', expected: false },
] as const;
for (const { patterns, path, expected } of cases) {
  test(`${JSON.stringify(patterns)} ${expected ? 'matches' : 'does not match'} ${path}`, () =>
    assert.equal(matches(patterns, path), expected));
}

test('without regard to case, both sides may have capitals', () => {
  assert.equal(matches('GitHub.com/Azure/*', 'github.com/azure/sdk', true), true);
  assert.equal(matches('github.com/azure', 'github.com/AZURE/sdk', true), true);
  assert.equal(matches('github.com/[A-Z]*', 'github.com/azure', true), true);
  assert.equal(matches('github.com/[^A-Z]*', 'github.com/azure', true), false);
  assert.equal(matches('github.com/[a-z]zure', 'github.com/AZURE', true), true);
  assert.equal(matches('github.com/Azure', 'github.com/azure'), false);
});

test('ignoring case only ever adds matches when no class is negated', () =>
  fc.assert(
    fc.property(
      fc.stringMatching(/^[aAbB*?.]{1,6}(\/[aAbB*?]{1,4})?$/),
      fc.stringMatching(/^[aAbB.]{1,6}(\/[aAbB]{1,4})?$/),
      (text, path) => {
        assert.equal(matches(text, path, true), matches(text.toLowerCase(), path.toLowerCase()));
        if (matches(text, path)) assert.equal(matches(text, path, true), true);
      },
    ),
  ));

test('a hostile pattern on a hostile path costs at most pattern times path', () => {
  const pattern = `${'*a'.repeat(PATTERN_LENGTH_MAX / 2 - 1)}*b`;
  const started = performance.now();
  for (let i = 0; i < 20; i++) assert.equal(matches(pattern, 'a'.repeat(1024)), false);
  assert.ok(performance.now() - started < 1000);
});

test('too long and too many patterns are refused', () => {
  assert.equal(parseModulePatterns('a'.repeat(PATTERN_LENGTH_MAX + 1)).ok, false);
  assert.equal(parseModulePatterns(','.repeat(20_000)).ok, false);
});
