import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readVectors } from '../../test/oracle/read-vectors.ts';
import { formatPseudoVersion, isPseudoVersion, parsePseudoVersion } from './pseudo-version.ts';
import { type Version, majorOf } from './version.ts';

test('isPseudoVersion and parsePseudoVersion answer as Go does, and formatPseudoVersion inverts', () => {
  let accepted = 0;
  for (const [version, shaped, answer] of readVectors<[Version, boolean, [string, number, string] | null]>('pseudo_version')) {
    assert.equal(isPseudoVersion(version), shaped, version);
    const result = parsePseudoVersion(version);
    assert.equal(result.ok, answer !== null, version);
    if (!result.ok || answer === null) continue;
    accepted += 1;
    const [base, seconds, revision] = answer;
    assert.deepEqual(result.value, { major: majorOf(version), base: base === '' ? undefined : base, timeMs: seconds * 1000, revision });
    assert.deepEqual(formatPseudoVersion(result.value), { ok: true, value: version });
  }
  assert.ok(accepted > 150, `only ${accepted} pseudo-versions`);
});

type Made = [major: string, older: Version | '', seconds: number, revision: string, version: Version];
const made = readVectors<Made>('made_pseudo_version').map(([major, older, seconds, revision, version]) => ({
  pseudo: { major, base: older === '' ? undefined : older, timeMs: seconds * 1000, revision },
  version,
}));

test('formatPseudoVersion makes what Go makes, and parsePseudoVersion inverts', () => {
  for (const { pseudo, version } of made) {
    assert.deepEqual(formatPseudoVersion(pseudo), { ok: true, value: version });
    assert.deepEqual(parsePseudoVersion(version), { ok: true, value: pseudo });
  }
});

test('parse inverts format for any time and revision', () => {
  const pseudo = fc.record({
    source: fc.constantFrom(...made),
    seconds: fc.integer({ min: -62167219200, max: 253402300799 }),
    revision: fc.stringMatching(/^[0-9A-Za-z]{1,40}$/),
  });
  fc.assert(
    fc.property(pseudo, ({ source, seconds, revision }) => {
      const value = { ...source.pseudo, timeMs: seconds * 1000, revision };
      const formatted = formatPseudoVersion(value);
      if (formatted.ok) assert.deepEqual(parsePseudoVersion(formatted.value), { ok: true, value });
    }),
  );
});

test('what cannot stand in a pseudo-version is refused', () => {
  const value = { major: 'v1', base: undefined, timeMs: 0, revision: 'abcdefabcdef' };
  assert.deepEqual(formatPseudoVersion(value), { ok: true, value: 'v1.0.0-19700101000000-abcdefabcdef' });
  const wrong = [
    { revision: '' },
    { revision: 'a-b' },
    { timeMs: 1 },
    { timeMs: Number.NaN },
    { timeMs: 8.65e15 },
    { timeMs: -1e15 },
    { timeMs: 1e15 },
    { major: 'x' },
  ];
  for (const part of wrong) assert.equal(formatPseudoVersion({ ...value, ...part }).ok, false, JSON.stringify(part));
  assert.equal(formatPseudoVersion({ ...value, base: 'v2.0.0' as Version }).ok, false);
});
