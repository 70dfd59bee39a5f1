import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readVectors } from '../../test/oracle/read-vectors.ts';
import { InvariantError } from '../base/invariant.ts';
import {
  isDatabaseName,
  latestKey,
  listKey,
  lookupKey,
  moduleFileKey,
  parseLookupKey,
  parseModuleFileKey,
  parseTileKey,
  supportedKey,
  tileKey,
} from './layout.ts';
import type { ModulePath } from './module-path.ts';
import type { Version } from './version.ts';

const azure = 'github.com/Azure/sdk' as string as ModulePath;
const candidate = 'v1.0.0-RC1' as string as Version;

test('keys lie where a file:// GOPROXY has them', () => {
  assert.equal(moduleFileKey(azure, candidate, 'zip'), 'modules/github.com/!azure/sdk/@v/v1.0.0-!r!c1.zip');
  assert.equal(moduleFileKey(azure, candidate, 'ziphash'), 'modules/github.com/!azure/sdk/@v/v1.0.0-!r!c1.ziphash');
  assert.equal(listKey(azure), 'modules/github.com/!azure/sdk/@v/list');
  assert.equal(supportedKey('sum.golang.org'), 'modules/sumdb/sum.golang.org/supported');
  assert.equal(latestKey('localhost.localdev/sumdb'), 'modules/sumdb/localhost.localdev/sumdb/latest');
  assert.equal(lookupKey('sum.golang.org', azure, candidate), 'modules/sumdb/sum.golang.org/lookup/github.com/!azure/sdk@v1.0.0-!r!c1');
  assert.equal(
    tileKey('sum.golang.org', { level: 'data', index: 1234067, width: 3 }),
    'modules/sumdb/sum.golang.org/tile/8/data/x001/x234/067.p/3',
  );
});

test('parseModuleFileKey inverts moduleFileKey', () => {
  const pairs = readVectors<[ModulePath, Version, boolean]>('path_version').filter(([, , agrees]) => agrees);
  fc.assert(
    fc.property(fc.constantFrom(...pairs), fc.constantFrom('info', 'mod', 'zip', 'ziphash'), ([module, version], file) => {
      assert.deepEqual(parseModuleFileKey(moduleFileKey(module, version, file)), { module, version, file });
    }),
  );
});

test('parseLookupKey inverts lookupKey, parseTileKey inverts tileKey, and neither takes the other’s', () => {
  const pairs = readVectors<[ModulePath, Version, boolean]>('path_version').filter(([, , agrees]) => agrees);
  const databases = fc.constantFrom('sum.golang.org', 'localhost.localdev/sumdb');
  fc.assert(
    fc.property(databases, fc.constantFrom(...pairs), (database, [module, version]) => {
      const key = lookupKey(database, module, version);
      assert.deepEqual(parseLookupKey(database, key), { module, version });
      assert.equal(parseTileKey(database, key), undefined);
      assert.equal(parseLookupKey('other.example', key), undefined);
    }),
  );
  const levels = fc.oneof(fc.constant('data' as const), fc.integer({ min: 0, max: 63 }));
  fc.assert(
    fc.property(databases, levels, fc.nat(1e9), fc.integer({ min: 1, max: 256 }), (database, level, index, width) => {
      const key = tileKey(database, { level, index, width });
      assert.deepEqual(parseTileKey(database, key), { level, index, width });
      assert.equal(parseLookupKey(database, key), undefined);
      assert.equal(parseTileKey('other.example', key), undefined);
    }),
  );
  assert.equal(parseTileKey('sum.golang.org', latestKey('sum.golang.org')), undefined);
  assert.equal(parseLookupKey('sum.golang.org', 'modules/sumdb/sum.golang.org/lookup/rsc.io/quote'), undefined);
});

const others = [
  '',
  'modules/',
  'modules/@v/v1.0.0.zip',
  'modules//@v/v1.0.0.zip',
  'modules/rsc.io/quote/@v/list',
  'modules/rsc.io/quote/@v/v1.0.0',
  'modules/rsc.io/quote/@v/v1.0.0.lock',
  'modules/rsc.io/quote/@v/v1.0.zip',
  'modules/rsc.io/quote/@v/v2.0.0.zip',
  'modules/rsc.io/Quote/@v/v1.0.0.zip',
  'modules/rsc.io/quote/@v/x/v1.0.0.zip',
  'modules/sumdb/sum.golang.org/latest',
  'modules/../@v/v1.0.0.zip',
  'sdk/rsc.io/quote/@v/v1.0.0.zip',
  'rsc.io/quote/@v/v1.0.0.zip',
];
for (const key of others) test(`${JSON.stringify(key)} is no file of a version`, () => assert.equal(parseModuleFileKey(key), undefined));

test('names of databases stay inside their folder', () => {
  for (const name of ['sum.golang.org', 'localhost.localdev/sumdb', 'goyi.corp.example/sumdb']) assert.equal(isDatabaseName(name), true);
  for (const name of ['', '..', '../x', 'a/../b', '/a', 'a/', 'a//b', 'a b', 'a\\b', 'é', 'a\n', 'con', 'a'.repeat(256)]) {
    assert.equal(isDatabaseName(name), false);
    assert.throws(() => latestKey(name), InvariantError);
  }
});
