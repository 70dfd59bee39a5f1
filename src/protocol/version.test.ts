import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readVectors } from '../../test/oracle/read-vectors.ts';
import { parseModulePath } from './module-path.ts';
import {
  VERSION_BYTES_MAX,
  type Version,
  canonicalOf,
  checkPathVersion,
  comparePrecedence,
  compareVersions,
  escapeVersion,
  isPrerelease,
  majorOf,
  parseVersion,
  unescapeVersion,
} from './version.ts';

test('parseVersion and canonicalOf answer as Go does', () => {
  for (const [text, canonical] of readVectors<[string, string]>('version')) {
    const result = canonicalOf(text);
    assert.equal(result.ok ? result.value : '', canonical, JSON.stringify(text));
    assert.equal(parseVersion(text).ok, canonical !== '' && canonical === text, JSON.stringify(text));
  }
});

test('unescapeVersion answers as Go does', () => {
  for (const [escaped, version] of readVectors<[string, string | null]>('escaped_version')) {
    const result = unescapeVersion(escaped);
    assert.equal(result.ok ? result.value : null, version, JSON.stringify(escaped));
    if (result.ok) assert.equal(escapeVersion(result.value), escaped);
  }
});

test('checkPathVersion answers as Go does', () => {
  let accepted = 0;
  for (const [pathText, version, agrees] of readVectors<[string, string, boolean]>('path_version')) {
    const path = parseModulePath(pathText);
    assert.equal(path.ok && checkPathVersion(path.value, version).ok, agrees, `${pathText}@${version}`);
    accepted += agrees ? 1 : 0;
  }
  assert.ok(accepted > 200);
});

const sorted = readVectors<[Version]>('version_order').map(([version]) => version);

test('compareVersions sorts as semver.Sort does', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(sorted, { minLength: sorted.length }), (shuffled) =>
      assert.deepEqual(shuffled.toSorted(compareVersions), sorted),
    ),
    { numRuns: 5 },
  );
});

test('comparePrecedence compares as semver.Compare does', () => {
  for (const [a, b, sign] of readVectors<[Version, Version, number]>('version_compare')) {
    assert.equal(Math.sign(comparePrecedence(a, b)), sign, `${a} ${b}`);
  }
});

test('compareVersions is an order: antisymmetric, transitive, 0 only for the same version', () => {
  const any = fc.constantFrom(...sorted);
  fc.assert(
    fc.property(any, any, any, (a, b, c) => {
      assert.equal(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a)), 0);
      assert.equal(compareVersions(a, b) === 0, a === b);
      const [x, y, z] = [a, b, c].toSorted(compareVersions) as [Version, Version, Version];
      assert.ok(compareVersions(x, y) <= 0 && compareVersions(y, z) <= 0 && compareVersions(x, z) <= 0);
    }),
  );
});

test('numbers of any length compare as numbers', () => {
  const [less, more] = ['v1.0.0-9007199254740992', 'v1.0.0-9007199254740993'].map((text) => parseVersion(text)) as [never, never];
  assert.ok(compareVersions((less as { value: Version }).value, (more as { value: Version }).value) < 0);
  fc.assert(
    fc.property(fc.bigInt(0n, 10n ** 60n), fc.bigInt(0n, 10n ** 60n), (a, b) => {
      const order = compareVersions(`v1.${a}.0` as Version, `v1.${b}.0` as Version);
      assert.equal(Math.sign(order), a < b ? -1 : a > b ? 1 : 0);
    }),
  );
});

test('majorOf and isPrerelease', () => {
  assert.equal(majorOf('v10.2.3-pre' as Version), 'v10');
  assert.equal(isPrerelease('v10.2.3-pre' as Version), true);
  assert.equal(isPrerelease('v10.2.3+incompatible' as Version), false);
});

test('a version that makes too long a file name is refused', () => {
  const text = `v1.0.0-${'a'.repeat(VERSION_BYTES_MAX - 7)}`;
  assert.equal(parseVersion(text).ok, true);
  assert.equal(parseVersion(`${text}a`).ok, false);
  assert.equal(parseVersion(`v1.0.0-${'A'.repeat(VERSION_BYTES_MAX / 2)}`).ok, false);
  assert.equal(unescapeVersion('x'.repeat(VERSION_BYTES_MAX + 1)).ok, false);
  const path = parseModulePath(`a.b/${'c'.repeat(100)}`);
  assert.ok(path.ok);
  assert.equal(checkPathVersion(path.value, `v1.0.0-${'a'.repeat(147)}`).ok, true);
  assert.equal(checkPathVersion(path.value, `v1.0.0-${'a'.repeat(148)}`).ok, false);
});

test('hostile lengths cost linear time', () => {
  const started = performance.now();
  for (const text of [`v${'1'.repeat(1e6)}`, `v1.0.0-${'a.'.repeat(1e6)}`, `v1.0.0-${'0'.repeat(1e6)}`, '!'.repeat(1e6)]) {
    assert.equal(parseVersion(text).ok || canonicalOf(text).ok || unescapeVersion(text).ok, false);
  }
  assert.ok(performance.now() - started < 500);
});
