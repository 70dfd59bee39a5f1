import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { ModulePath } from './module-path.ts';
import { isPseudoVersion } from './pseudo-version.ts';
import { LIST_VERSIONS_MAX, decidingVersion, formatVersionList, latestOf, parseVersionList } from './version-list.ts';
import { type Version, compareVersions } from './version.ts';

const quote = 'rsc.io/quote' as string as ModulePath;
const early = 'v0.0.0-20180101000000-aaaaaaaaaaaa';
const late = 'v0.0.0-20190101000000-bbbbbbbbbbbb';
const lateOnOldBase = 'v0.0.0-20200101000000-cccccccccccc';

function versions(...texts: string[]): Version[] {
  return texts as Version[];
}

test('parseVersionList keeps what is a canonical version of the module, once, in order', () => {
  const body = `v1.5.2\r\nv1.0.0\t2018-01-01T00:00:00Z\n\n v1.0.0 \nv2.0.0\nv2.0.0+incompatible\nv1.2\nv1.0.0+meta\nmain\n<html>\nv1.5.2\n${early}\nv01.0.0\nv1.0.0-é\nv1.5.3`;
  assert.deepEqual(parseVersionList(body, quote), ['v1.5.2', 'v1.0.0', 'v2.0.0+incompatible', early, 'v1.5.3']);
  assert.deepEqual(parseVersionList(body, 'rsc.io/quote/v2' as string as ModulePath), ['v2.0.0', 'v2.0.0+incompatible']);
  assert.deepEqual(parseVersionList('', quote), []);
});

test('formatVersionList sorts, and leaves pseudo-versions out', () => {
  assert.equal(formatVersionList(versions('v1.10.0', early, 'v1.9.0', 'v1.9.0', 'v1.9.0-rc1')), 'v1.9.0-rc1\nv1.9.0\nv1.10.0\n');
  assert.equal(formatVersionList(versions(early)), '');
  assert.equal(formatVersionList([]), '');
});

const anyVersion = fc.constantFrom(
  ...versions(
    'v0.1.0',
    'v1.0.0',
    'v1.0.0-rc1',
    'v1.5.2',
    'v1.5.10',
    'v2.0.0+incompatible',
    'v10.0.0+incompatible',
    'v3.0.0-beta+incompatible',
    early,
    late,
  ),
);

test('what formatVersionList writes, parseVersionList reads back: sorted, tagged, each once', () =>
  fc.assert(
    fc.property(fc.array(anyVersion), (list) => {
      const expected = [...new Set(list)].filter((version) => !isPseudoVersion(version)).toSorted(compareVersions);
      assert.deepEqual(parseVersionList(formatVersionList(list), quote), expected);
    }),
  ));

const choices = [
  { name: 'the highest release', list: ['v1.9.0', 'v1.10.0', 'v1.11.0-rc1', late], latest: 'v1.10.0' },
  { name: 'the highest prerelease without a release', list: ['v1.0.0-rc1', 'v1.0.0-rc2', late], latest: 'v1.0.0-rc2' },
  {
    name: 'the pseudo-version of the latest commit without a tag',
    list: [lateOnOldBase, 'v0.3.0-0.20180601000000-dddddddddddd', early],
    latest: lateOnOldBase,
  },
  { name: 'nothing', list: [], latest: undefined },
  { name: 'a pseudo-version only if its time is one', list: ['v0.0.0-20189901000000-aaaaaaaaaaaa'], latest: undefined },
  { name: 'a compatible version before an incompatible one', list: ['v1.0.0', 'v2.0.0+incompatible'], latest: 'v1.0.0' },
  { name: 'a compatible prerelease before an incompatible release', list: ['v1.0.0-rc1', 'v2.0.0+incompatible'], latest: 'v1.0.0-rc1' },
  {
    name: 'an incompatible release without compatible tags',
    list: ['v2.0.0+incompatible', 'v3.0.0-rc1+incompatible', late],
    latest: 'v2.0.0+incompatible',
  },
] as const;
for (const { name, list, latest } of choices) test(`latestOf chooses ${name}`, () => assert.equal(latestOf(versions(...list)), latest));

test('latestOf chooses an incompatible version when the deciding one has no go.mod', () => {
  const list = versions('v1.0.0', 'v2.0.0+incompatible', 'v1.1.0-rc1', early);
  assert.equal(decidingVersion(list), 'v1.1.0-rc1');
  assert.equal(latestOf(list, { decidingHasGoMod: false }), 'v2.0.0+incompatible');
  assert.equal(decidingVersion(versions('v1.0.0', late)), undefined);
  assert.equal(decidingVersion(versions('v2.0.0+incompatible')), undefined);
});

test('latestOf does not depend on the order of the list', () =>
  fc.assert(
    fc.property(fc.array(anyVersion, { maxLength: 8 }), fc.boolean(), (list, decidingHasGoMod) => {
      assert.equal(latestOf(list, { decidingHasGoMod }), latestOf(list.toReversed(), { decidingHasGoMod }));
    }),
  ));

test('a list without end is read up to the limit, in linear time', () => {
  const body = Array.from({ length: LIST_VERSIONS_MAX + 10 }, (_, i) => `v1.0.${i}\n`).join('');
  assert.equal(parseVersionList(body, quote).length, LIST_VERSIONS_MAX);
  const started = performance.now();
  for (const hostile of ['\n'.repeat(2e6), ' '.repeat(2e6), 'v1.0.0-'.repeat(3e5), `${' '.repeat(290)}\n`.repeat(5000)])
    assert.deepEqual(parseVersionList(hostile, quote), []);
  assert.ok(performance.now() - started < 3000);
});
