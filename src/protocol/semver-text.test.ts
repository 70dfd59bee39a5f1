import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalSemver, compareSemver, isPseudoText, matchesPathMajor, semverMajor } from './semver-text.ts';

const canonicals = [
  { text: 'v1.2.3', canonical: 'v1.2.3' },
  { text: 'v1', canonical: 'v1.0.0' },
  { text: 'v1.2', canonical: 'v1.2.0' },
  { text: 'v1.2.3+meta', canonical: 'v1.2.3' },
  { text: 'v2.0.0+incompatible', canonical: 'v2.0.0' },
  { text: 'v1.2.3-pre.1+meta', canonical: 'v1.2.3-pre.1' },
  { text: 'v01.2.3', canonical: undefined },
  { text: '1.2.3', canonical: undefined },
  { text: '', canonical: undefined },
  { text: 'main', canonical: undefined },
  { text: 'v1.2.3+', canonical: undefined },
] as const;
for (const { text, canonical } of canonicals) test(`canonicalSemver(${text})`, () => assert.equal(canonicalSemver(text), canonical));

const orders = [
  { a: 'v1.0.0', b: 'v1.0.0+meta', order: 0 },
  { a: 'v1', b: 'v1.0.0', order: 0 },
  { a: '', b: 'main', order: 0 },
  { a: '', b: 'v0.0.0-0', order: -1 },
  { a: 'v1.10.0', b: 'v1.9.0', order: 1 },
] as const;
for (const { a, b, order } of orders) {
  test(`compareSemver(${a}, ${b})`, () => {
    assert.equal(Math.sign(compareSemver(a, b)), order);
    assert.equal(Math.sign(compareSemver(b, a)) + order, 0);
  });
}

const majors = [
  { text: 'v1.0.0', pathMajor: '', matches: true },
  { text: 'v0.9.0', pathMajor: '', matches: true },
  { text: 'v2.0.0', pathMajor: '', matches: false },
  { text: 'v2.0.0+incompatible', pathMajor: '', matches: true },
  { text: 'v2.0.0', pathMajor: '/v2', matches: true },
  { text: 'v20.0.0', pathMajor: '/v2', matches: false },
  { text: 'v2.0.0', pathMajor: '.v2-unstable', matches: true },
  { text: 'v0.0.0-20200101000000-abcdefabcdef', pathMajor: '.v1', matches: true },
  { text: 'nonsense', pathMajor: '', matches: false },
] as const;
for (const { text, pathMajor, matches } of majors)
  test(`matchesPathMajor(${text}, ${pathMajor})`, () => assert.equal(matchesPathMajor(text, pathMajor), matches));

test('shapes of pseudo-versions and majors in any text', () => {
  assert.ok(isPseudoText('v0.0.0-20200101000000-abcdefabcdef'));
  assert.ok(isPseudoText('v1.2.4-0.20200101000000-abcdefabcdef+meta'));
  assert.ok(!isPseudoText('sub/v0.0.0-20200101000000-abcdefabcdef'));
  assert.ok(!isPseudoText('v1.2.4-20200101000000-abcdefabcdef'));
  assert.equal(semverMajor('v12.0.0-x'), 'v12');
  assert.equal(semverMajor('x'), '');
});
