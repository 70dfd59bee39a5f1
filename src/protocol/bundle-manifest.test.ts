import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bundleItem, formatManifest, latestVersionName, type ManifestEntry, parseManifest } from './bundle-manifest.ts';
import { parseModulePath } from './module-path.ts';

const entries: fc.Arbitrary<ManifestEntry[]> = fc
  .uniqueArray(
    fc.record({
      name: fc.stringMatching(/^[a-z!.@/0-9-]{1,60}$/),
      sizeBytes: fc.nat(),
      sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
      carried: fc.boolean(),
    }),
    { selector: ({ name }) => name },
  )
  .map((all) => all.map((entry) => ({ ...entry })).toSorted((a, b) => (a.name < b.name ? -1 : 1)));

test('parseManifest inverts formatManifest', () =>
  fc.assert(fc.property(entries, (all) => assert.deepEqual(parseManifest(formatManifest(all)), { ok: true, value: all }))));

const line = (name: string): string => `+ ${'0'.repeat(64)} 5 ${name}\n`;
for (const [what, text] of [
  ['out of order', line('b') + line('a')],
  ['a name twice', line('a') + line('a')],
  ['cut', line('a').slice(0, -1)],
  ['a sign that nobody knows', line('a').replace('+', '-')],
  ['a size with a leading zero', line('a').replace(' 5 ', ' 05 ')],
] as const)
  test(`a manifest is refused: ${what}`, () => assert.equal(parseManifest(text).ok, false));

const databases = ['sum.golang.org', 'hub.corp.example/sumdb'];
for (const [name, kind] of [
  ['modules/rsc.io/quote/@v/v1.5.2.zip', 'file'],
  ['modules/github.com/!azure/sdk/@v/v1.0.0-!r!c1.info', 'file'],
  ['modules/rsc.io/quote/@v/list', 'list'],
  ['modules/rsc.io/quote/@latest', 'latest-version'],
  ['modules/sumdb/sum.golang.org/latest', 'head'],
  ['modules/sumdb/sum.golang.org/lookup/rsc.io/quote@v1.5.2', 'lookup'],
  ['modules/sumdb/sum.golang.org/tile/8/0/x123/456.p/7', 'tile'],
  ['modules/sumdb/hub.corp.example/sumdb/latest', 'head'],
  ['modules/sumdb/hub.corp.example/sumdb/lookup/git.corp.example/lib@v1.0.0', 'lookup'],
  ['vulndb/ID/GO-2024-2887.json', 'vulnerability'],
  ['vulndb/index/db.json', 'vulnerability-index'],
] as const)
  test(`${name} is a ${kind}`, () => {
    const item = bundleItem(databases, { name, sizeBytes: 10 });
    assert.ok(item.ok, item.ok ? '' : item.reason);
    assert.equal(item.value.kind, kind);
  });

for (const name of [
  'modules/rsc.io/quote/@v/v1.5.2.ziphash',
  'modules/rsc.io/quote/@v/v1.5.zip',
  'modules/rsc.io/Quote/@v/v1.5.2.zip',
  'modules/rsc.io/../@v/v1.5.2.zip',
  'modules/sumdb/other.example/latest',
  'modules/sumdb/hub.corp.example/latest',
  'vulndb/ID/GO-2024-2887.json.gz',
  'vulndb/index/../../goyi.db',
  'modules/sumdb/sum.golang.org/tile/8/data/000',
  'goyi.db',
  'staging/x',
  'sdk/go1.26.8.linux-amd64.tar.gz',
])
  test(`${name} cannot be carried`, () => assert.equal(bundleItem(databases, { name, sizeBytes: 0 }).ok, false));

test('no file is larger than its kind may be', () => {
  assert.equal(bundleItem(databases, { name: 'modules/rsc.io/quote/@v/v1.5.2.info', sizeBytes: 64 * 1024 + 1 }).ok, false);
  assert.equal(bundleItem(databases, { name: 'modules/rsc.io/quote/@v/v1.5.2.zip', sizeBytes: 500 * 1024 * 1024 + 1 }).ok, false);
});

test('the name of a latest version reads back', () => {
  const module = parseModulePath('github.com/Azure/sdk');
  assert.ok(module.ok);
  const item = bundleItem(databases, { name: latestVersionName(module.value), sizeBytes: 5 });
  assert.deepEqual(item, { ok: true, value: { kind: 'latest-version', module: module.value } });
});
