/** What every Metadata does when a bundle is taken in, and with wishes, whatever lies behind it. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { codeOf } from '../base/errors.ts';
import { type MetadataBench, rowOf } from './contract.ts';
import type { HeadRow, ImportChange } from './metadata.ts';

type Make = () => Promise<MetadataBench>;

const headAt = (treeSize: number): HeadRow => ({
  database: 'sum.golang.org',
  treeSize,
  root: `root ${treeSize}`,
  note: `note ${treeSize}`,
});
const changeTo = (treeSize: number, expectedTreeSize: number | undefined, serial = 1): ImportChange => ({
  rows: [rowOf(serial), rowOf(serial + 1)],
  heads: [{ next: headAt(treeSize), expectedTreeSize }],
  settings: { imported: `bundle ${treeSize}` },
});

export function importContract(name: string, make: Make): void {
  suite(`${name}: imports and wishes`, () => {
    imports(make);
    wishes(make);
  });
}

function imports(make: Make): void {
  test('rows, head and settings change together', async () => {
    await using bench = await make();
    const { metadata } = bench;
    assert.equal(await metadata.recordImport(changeTo(10, undefined)), true);
    assert.deepEqual(await metadata.file(rowOf(2).key), rowOf(2));
    assert.deepEqual(await metadata.head('sum.golang.org'), headAt(10));
    assert.equal(await metadata.setting('imported'), 'bundle 10');
    assert.equal((await metadata.indexSince(0, 10)).length, 2);
    assert.equal(await metadata.recordImport(changeTo(10, 10, 3)), true, 'the same tree may come again');
  });

  test('or not at all: the head has moved, or it would go back, or the database is frozen', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await metadata.advanceHead(headAt(20), undefined);
    assert.equal(await metadata.recordImport(changeTo(30, 10)), false);
    assert.equal(await metadata.recordImport(changeTo(10, 20)), false);
    const evidence = { database: 'sum.golang.org', keptNote: 'a', contradictingNote: 'b', detail: 'c', seenAtMs: 1 };
    await metadata.recordFork(evidence);
    await assert.rejects(metadata.recordImport(changeTo(30, 20)), (error) => codeOf(error) === 'log-forked');
    assert.equal(await metadata.file(rowOf(1).key), undefined);
    assert.deepEqual(await metadata.head('sum.golang.org'), headAt(20));
    assert.equal(await metadata.setting('imported'), undefined);
  });

  test('or a private version came with other content meanwhile', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const row = { ...rowOf(2), proof: { kind: 'private' }, h1: 'h1:one' } as const;
    const change = { ...changeTo(10, undefined), rows: [rowOf(1), row] };
    await metadata.recordFile({ ...row, h1: 'h1:other' });
    assert.equal(await metadata.recordImport(change), false);
    assert.equal(await metadata.file(rowOf(1).key), undefined);
    assert.equal(await metadata.head('sum.golang.org'), undefined);
    await metadata.recordFile(row);
    assert.equal(await metadata.recordImport(change), true);
  });

  test('of two heads both move, or neither does', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const other = { ...headAt(7), database: 'hub.example/sumdb' };
    const both = (expected: number | undefined): ImportChange => {
      const change = changeTo(10, undefined);
      return { ...change, heads: [...change.heads, { next: other, expectedTreeSize: expected }] };
    };
    assert.equal(await metadata.recordImport(both(5)), false);
    assert.equal(await metadata.head('sum.golang.org'), undefined);
    assert.equal(await metadata.file(rowOf(1).key), undefined);
    assert.equal(await metadata.recordImport(both(undefined)), true);
    assert.deepEqual([await metadata.head('sum.golang.org'), await metadata.head(other.database)], [headAt(10), other]);
  });

  test('a write that broke before it was done left nothing', async () => {
    await using bench = await make();
    bench.breakNext('before');
    await assert.rejects(bench.metadata.recordImport(changeTo(10, undefined)));
    assert.equal(await bench.metadata.file(rowOf(1).key), undefined);
    assert.equal(await bench.metadata.head('sum.golang.org'), undefined);
  });
}

function wishes(make: Make): void {
  test('wishes add up, and go when they are forgotten', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const [one, any] = [
      { module: 'b.example/m', version: 'v1.0.0' },
      { module: 'a.example/m', version: '' },
    ];
    await metadata.recordWishes([{ ...one, count: 2 }], 1_000);
    await metadata.recordWishes(
      [
        { ...one, count: 1 },
        { ...any, count: 1 },
      ],
      2_000,
    );
    assert.deepEqual(await metadata.wishes(10), [
      { ...any, firstSeenMs: 2_000, lastSeenMs: 2_000, count: 1 },
      { ...one, firstSeenMs: 1_000, lastSeenMs: 2_000, count: 3 },
    ]);
    await metadata.forgetWishes([one, { module: 'c.example/m', version: '' }]);
    assert.deepEqual(
      (await metadata.wishes(10)).map(({ module }) => module),
      ['a.example/m'],
    );
    assert.deepEqual(await metadata.wishes(0), []);
  });
}
