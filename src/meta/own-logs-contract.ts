/** What every Metadata does with logs of our own and with drifts, whatever lies behind it. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { codeOf } from '../base/errors.ts';
import { formatChecksumRecord, recordHash } from '../protocol/checksum-record.ts';
import { edgeTiles } from '../protocol/tile.ts';
import { EMPTY_TREE, growTree } from '../protocol/tree-growth.ts';
import { type MetadataBench, rowOf } from './contract.ts';
import type { Drift, Metadata } from './metadata.ts';
import type { OwnEntry, OwnRecord } from './own-log.ts';

type Make = () => Promise<MetadataBench>;

const log = 'goyi.example/log';

/** An entry whose hashes depend on the serial and the flavour alone. */
export function entryOf(serial: number, flavour = ''): OwnEntry {
  const h1 = (seed: string): string => `h1:${hash('sha256', seed, 'base64')}`;
  return {
    module: `m${serial}.example/m`,
    version: 'v1.0.0',
    zipHash: h1(`${serial}${flavour}`),
    modHash: h1(`${serial}${flavour}/go.mod`),
    provedBy: serial % 3 === 0 ? undefined : 'sum.golang.org',
  };
}

/** The log is what its records say: numbers without a gap, head, edges, and every full tile that was not dropped. */
async function assertIsLogOf(metadata: Metadata, entries: readonly OwnEntry[], dropped: ReadonlySet<string> = new Set()): Promise<void> {
  const records: OwnRecord[] = [];
  while (records.length < entries.length) {
    const page = await metadata.ownRecords(log, records.length, 1000);
    assert.ok(page.length > 0, `record ${records.length} of ${entries.length} is missing`);
    records.push(...page);
  }
  assert.deepEqual(
    records,
    entries.map((entry, id) => ({ ...entry, id })),
  );
  assert.deepEqual(await metadata.ownRecords(log, entries.length, 1), []);
  const tree = growTree(
    EMPTY_TREE,
    entries.map((entry) => recordHash(formatChecksumRecord(entry))),
  );
  const kept = await metadata.ownTree(log);
  assert.equal(kept?.size, tree.size);
  assert.equal(kept.root, tree.root.toString('base64'));
  assert.deepEqual(
    kept.edges.map((edge) => Buffer.from(edge).toString('hex')),
    tree.edges.map((edge) => edge.toString('hex')),
  );
  assert.equal(kept.edges.length, edgeTiles(tree.size).length);
  const waiting = await metadata.ownTiles(log, 1000);
  const wanted = tree.full
    .filter(({ level, index }) => !dropped.has(`${level}/${index}`))
    .toSorted((a, b) => a.level - b.level || a.index - b.index);
  assert.deepEqual(
    waiting.map((tile) => ({ ...tile, bytes: Buffer.from(tile.bytes) })),
    wanted,
  );
}

export function ownLogsContract(name: string, make: Make): void {
  suite(`Own logs contract: ${name}`, () => {
    appending(make);
    many(make);
    tiles(make);
    breaking(make);
    drifts(make);
  });
}

function appending(make: Make): void {
  test('a log begins with its first record', async () => {
    await using bench = await make();
    const { metadata } = bench;
    assert.equal(await metadata.ownHead(log), undefined);
    assert.equal(await metadata.ownTree(log), undefined);
    assert.equal(await metadata.ownRecord(log, 'm1.example/m', 'v1.0.0'), undefined);
    const appended = await metadata.appendOwn(log, [entryOf(1), entryOf(2)], 0);
    assert.deepEqual(appended.records, [
      { ...entryOf(1), id: 0 },
      { ...entryOf(2), id: 1 },
    ]);
    assert.equal(appended.added, 2);
    assert.deepEqual(await metadata.ownHead(log), appended.head);
    assert.deepEqual(await metadata.ownRecord(log, 'm2.example/m', 'v1.0.0'), { ...entryOf(2), id: 1 });
    await assertIsLogOf(metadata, [entryOf(1), entryOf(2)]);
  });

  test('a version keeps its first record for ever, in one batch and over many', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const twice = await metadata.appendOwn(log, [entryOf(1), entryOf(1, 'other'), entryOf(2)], 0);
    assert.deepEqual(
      twice.records.map(({ id, zipHash }) => [id, zipHash]),
      [
        [0, entryOf(1).zipHash],
        [0, entryOf(1).zipHash],
        [1, entryOf(2).zipHash],
      ],
    );
    const again = await metadata.appendOwn(log, [entryOf(2, 'moved'), entryOf(1)], 2);
    assert.deepEqual([again.added, again.records.map(({ id }) => id), again.head], [0, [1, 0], twice.head]);
    await assertIsLogOf(metadata, [entryOf(1), entryOf(2)]);
  });

  test('logs of other names are other logs', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await metadata.appendOwn(log, [entryOf(1)], 0);
    const other = await metadata.appendOwn('other.example', [entryOf(1, 'other')], 0);
    assert.equal(other.records[0]?.id, 0);
    assert.equal((await metadata.ownRecord('other.example', 'm1.example/m', 'v1.0.0'))?.zipHash, entryOf(1, 'other').zipHash);
    await assertIsLogOf(metadata, [entryOf(1)]);
  });
}

function many(make: Make): void {
  test('of many who append at once each gets its number, without gap and without repetition', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const appended = await Promise.all(
      Array.from({ length: 60 }, (_, at) => metadata.appendOwn(log, [entryOf(at), entryOf(at + 30), entryOf(at + 1000)], 0)),
    );
    const byId = new Map<number, OwnEntry>();
    for (const { id, ...entry } of appended.flatMap(({ records }) => records)) byId.set(id, entry);
    assert.equal(byId.size, 150);
    for (const { records, head } of appended) assert.ok(records.every(({ id }) => id < head.size));
    await assertIsLogOf(
      metadata,
      Array.from({ length: 150 }, (_, id) => byId.get(id) as OwnEntry),
    );
  });

  test('whatever the batches, the log is that of its records', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const entries: OwnEntry[] = [];
    const seen = new Set<string>();
    const batch = fc.array(fc.nat({ max: 5000 }), { maxLength: 400, size: 'max' });
    await fc.assert(
      fc.asyncProperty(batch, async (serials) => {
        const before = entries.length;
        for (const serial of serials) {
          const entry = entryOf(serial);
          if (!seen.has(entry.module)) entries.push(entry);
          seen.add(entry.module);
        }
        const { added } = await metadata.appendOwn(
          log,
          serials.map((serial) => entryOf(serial)),
          before,
        );
        assert.equal(added, entries.length - before);
        await assertIsLogOf(metadata, entries);
      }),
      { numRuns: 20 },
    );
  });
}

function tiles(make: Make): void {
  test('full tiles wait until the store has them', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const entries = Array.from({ length: 600 }, (_, serial) => entryOf(serial));
    await metadata.appendOwn(log, entries, 0);
    const [first, second] = await metadata.ownTiles(log, 1000);
    assert.deepEqual([first?.level, first?.index, second?.index], [0, 0, 1]);
    assert.equal((await metadata.ownTiles(log, 1)).length, 1);
    assert.deepEqual(await metadata.ownTile(log, 0, 1), second?.bytes);
    assert.equal(await metadata.ownTile(log, 0, 2), undefined);
    await metadata.dropOwnTiles(log, [{ level: 0, index: 0 }]);
    await metadata.dropOwnTiles(log, [{ level: 0, index: 0 }]);
    await metadata.dropOwnTiles(log, []);
    assert.equal(await metadata.ownTile(log, 0, 0), undefined);
    await assertIsLogOf(metadata, entries, new Set(['0/0']));
  });

  test('a tree with a full tile of level 1', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const entries = Array.from({ length: 65_600 }, (_, serial) => entryOf(serial));
    for (let at = 0; at < entries.length; at += 10_000) await metadata.appendOwn(log, entries.slice(at, at + 10_000), at);
    await assertIsLogOf(metadata, entries);
    assert.ok((await metadata.ownTile(log, 1, 0)) !== undefined);
  });
}

function breaking(make: Make): void {
  test('a log that has fewer records than somebody was shown takes no more, and other writes of the moment succeed', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await metadata.appendOwn(log, [entryOf(1)], 0);
    const outcomes = await Promise.allSettled([
      metadata.recordFile(rowOf(1)),
      metadata.appendOwn(log, [entryOf(2)], 2),
      metadata.appendOwn('other.example', [entryOf(2)], 1),
      metadata.appendOwn(log, [entryOf(3)], 1),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'rejected' ? codeOf(outcome.reason) : 'done')),
      ['done', 'log-forked', 'log-forked', 'done'],
    );
    await assertIsLogOf(metadata, [entryOf(1), entryOf(3)]);
  });

  test('a fault before leaves nothing; a fault after leaves the record, which is found when asked for again', async () => {
    await using bench = await make();
    const { metadata } = bench;
    bench.breakNext('before');
    await assert.rejects(metadata.appendOwn(log, [entryOf(1)], 0), { code: 'storage-fault' });
    assert.equal(await metadata.ownHead(log), undefined);
    bench.breakNext('after');
    await assert.rejects(metadata.appendOwn(log, [entryOf(1)], 0), { code: 'storage-fault' });
    const { added, records } = await metadata.appendOwn(log, [entryOf(1)], 0);
    assert.deepEqual([added, records[0]?.id], [0, 0]);
    await assertIsLogOf(metadata, [entryOf(1)]);
  });

  test('what is no record fails alone and leaves nothing', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const outcomes = await Promise.allSettled([
      metadata.appendOwn(log, [entryOf(1)], 0),
      metadata.appendOwn(log, [entryOf(2), { ...entryOf(3), zipHash: 'h1:short' }], 0),
      metadata.appendOwn(log, [entryOf(4)], 0),
    ]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    await assertIsLogOf(metadata, [entryOf(1), entryOf(4)]);
  });
}

function drifts(make: Make): void {
  const drift: Drift = {
    module: 'moved.example/m',
    version: 'v1.0.0',
    kind: 'zip',
    recordedHash: 'h1:recorded',
    offeredHash: 'h1:offered',
    origin: 'https://proxy.example',
  };

  test('the same offer is one row with a count; other hashes, files and origins are others', async () => {
    await using bench = await make();
    const { metadata } = bench;
    assert.deepEqual(await metadata.drifts(10), []);
    assert.equal(await metadata.recordDrift(drift, 5), true);
    assert.equal(await metadata.recordDrift({ ...drift, offeredHash: 'h1:third' }, 6), true);
    assert.equal(await metadata.recordDrift(drift, 9), false);
    await metadata.recordDrift({ ...drift, kind: 'mod' }, 7);
    await metadata.recordDrift(drift, 8);
    const rows = await metadata.drifts(10);
    assert.deepEqual(
      rows.map((row) => ({ ...row, id: 0 })),
      [
        { ...drift, id: 0, kind: 'mod', firstSeenMs: 7, lastSeenMs: 7, count: 1 },
        { ...drift, id: 0, offeredHash: 'h1:third', firstSeenMs: 6, lastSeenMs: 6, count: 1 },
        { ...drift, id: 0, firstSeenMs: 5, lastSeenMs: 9, count: 3 },
      ],
    );
    assert.deepEqual(await metadata.drifts(2), rows.slice(0, 2));
    assert.deepEqual(await metadata.drifts(2, rows[1]?.id), rows.slice(2));
  });

  test('some ten thousand stay, those seen last', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await metadata.recordDrift({ ...drift, module: 'oldest.example/m' }, 1);
    const all = Array.from({ length: 10_300 }, (_, serial) => metadata.recordDrift({ ...drift, offeredHash: `h1:${serial}` }, 10 + serial));
    await Promise.all(all);
    let count = 0;
    let seenOldest = false;
    for (let page = await metadata.drifts(1000); page.length > 0; page = await metadata.drifts(1000, page.at(-1)?.id)) {
      count += page.length;
      seenOldest ||= page.some(({ module }) => module === 'oldest.example/m');
    }
    assert.ok(count >= 10_000 && count < 10_100, `${count} are kept`);
    assert.equal(seenOldest, false);
    assert.equal((await metadata.drifts(1))[0]?.offeredHash, 'h1:10299');
  });
}
