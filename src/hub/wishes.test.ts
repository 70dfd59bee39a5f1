import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { rowOf } from '../meta/contract.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { createPrivateNames } from '../policy/private-names.ts';
import { parseProxyRequest } from '../protocol/proxy-request.ts';
import { openWishes, Wishes } from './wishes.ts';

async function wishedFor(
  paths: readonly string[],
  stored: readonly string[] = [],
  later: readonly string[] = [],
): Promise<readonly string[]> {
  await using metadata = await openSqliteMetadata({ file: ':memory:', log: silentLog });
  const store = async (names: readonly string[]): Promise<void> => {
    for (const [i, name] of names.entries()) {
      const [module = '', version = ''] = name.split('@');
      await metadata.recordFile(rowOf(i, { module, version, kind: 'zip' }));
    }
  };
  await store(stored);
  await using wishes = new Wishes({ metadata, clock: systemClock, log: silentLog });
  for (const path of paths) {
    const request = parseProxyRequest(path, ['sum.golang.org']);
    assert.ok(request.ok, path);
    wishes.missed(request.value);
  }
  await wishes.flush();
  await store(later);
  return (await openWishes(metadata, () => false)).map(({ module, version, count }) => `${module}@${version} ${count}`);
}

const cases: readonly {
  readonly name: string;
  readonly asked: readonly string[];
  readonly stored?: string[];
  readonly later?: string[];
  readonly wished: readonly string[];
}[] = [
  {
    name: 'the files of one version are one wish',
    asked: ['/a.example/m/@v/v1.0.0.info', '/a.example/m/@v/v1.0.0.mod', '/a.example/m/@v/v1.0.0.zip'],
    wished: ['a.example/m@v1.0.0 3'],
  },
  {
    name: 'of the prefixes of an import path the longest',
    asked: ['/a.example/m/x/y/@v/list', '/a.example/m/@v/list', '/a.example/m/x/@v/list', '/a.example/@v/list'],
    wished: ['a.example/m/x/y@ 1'],
  },
  {
    name: 'a package of a module that is here is no module',
    asked: ['/a.example/m/x/y/@v/list', '/a.example/@v/list'],
    stored: ['a.example/m@v1.0.0'],
    wished: [],
  },
  {
    name: 'what leads to a module that is here is none, unless its go.mod is asked for',
    asked: ['/a.example/m/@v/v1.0.0.info', '/b.example/m/@v/v1.0.0.mod'],
    stored: ['a.example/m/sub@v1.0.0', 'b.example/m/sub@v1.0.0'],
    wished: ['b.example/m@v1.0.0 1'],
  },
  {
    name: 'a query is wished for as it was asked',
    asked: ['/a.example/m/@v/master.info', '/a.example/m/@latest'],
    wished: ['a.example/m@ 1', 'a.example/m@master 1'],
  },
  {
    name: 'what is fulfilled is wished for no more',
    asked: ['/a.example/m/@v/v1.0.0.zip', '/a.example/@v/v1.0.0.info'],
    later: ['a.example/m@v1.0.0'],
    wished: [],
  },
  { name: 'a list is fulfilled by any version', asked: ['/a.example/m/p/@v/list'], later: ['a.example/m@v1.0.0'], wished: [] },
  {
    name: 'the checksum database is not wished for',
    asked: ['/sumdb/sum.golang.org/lookup/a.example/m@v1.0.0', '/sumdb/sum.golang.org/latest'],
    wished: [],
  },
];
for (const { name, asked, stored, later, wished } of cases)
  test(name, async () => assert.deepEqual(await wishedFor(asked, stored, later), wished));

test('of more than ten thousand those asked for last stay', async () => {
  await using metadata = await openSqliteMetadata({ file: ':memory:', log: silentLog });
  const batch = (from: number, count: number): { module: string; version: string; count: number }[] =>
    Array.from({ length: count }, (_, i) => ({ module: `a.example/m${from + i}`, version: 'v1.0.0', count: 1 }));
  await metadata.recordWishes(batch(0, 6_000), 1_000);
  await metadata.recordWishes(batch(6_000, 6_000), 2_000);
  const kept = await metadata.wishes(20_000);
  assert.ok(kept.length <= 10_000 && kept.length >= 6_000, `${kept.length} are kept`);
  assert.ok(kept.every(({ lastSeenMs }) => lastSeenMs === 2_000));
});

test('what became private after it was asked for is on no list that is carried outside, and is forgotten', async () => {
  await using metadata = await openSqliteMetadata({ file: ':memory:', log: silentLog });
  const names = createPrivateNames([{ match: 'git.corp.example/*', public: false }]);
  assert.ok(names.ok);
  const wishes = ['git.corp.example/team/lib', 'git.CORP.example/team', 'git.corp.example', 'a.example/m'];
  await metadata.recordWishes(
    wishes.map((module) => ({ module, version: 'v1.0.0', count: 1 })),
    1,
  );
  const open = await openWishes(metadata, (module) => names.value.of(module).kind !== 'public');
  assert.deepEqual(
    [open, await metadata.wishes(10)].map((rows) => rows.map(({ module }) => module)),
    [['a.example/m'], ['a.example/m']],
  );
});
