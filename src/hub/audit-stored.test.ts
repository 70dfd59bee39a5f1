import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { createBench } from '../../test/support/checksum-bench.ts';
import { TestChecksumDatabase } from '../../test/support/checksum-database-server.ts';
import type { BlobKey } from '../base/blob-key.ts';
import { latestKey, lookupKey, tileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { TileName } from '../protocol/proxy-request.ts';
import type { Version } from '../protocol/version.ts';
import { type StoredAuditReport, auditStored } from './audit-stored.ts';

const signal = AbortSignal.timeout(120_000);
const database = new TestChecksumDatabase();
const { name, key } = database;

/** What a real hub's client of the database has stored while the log grew. */
const stored = new Map<string, Buffer>();
const asked = [1, 5, 299, 300, 65_999, 66_000, 69_000];

function moduleOf(recordId: number): ModulePath {
  return `m.example/M${recordId}` as ModulePath;
}

before(async () => {
  const bench = createBench(database);
  const relay = bench.client();
  for (const recordId of asked) {
    while (database.size <= recordId + 40) database.add(moduleOf(database.size), 'v1.0.0');
    bench.clock.nowMs += 3_600_000;
    assert.ok(await relay.lookupAnswer(moduleOf(recordId), 'v1.0.0', { cachedOnly: false }, signal));
  }
  for (const index of [0, 20]) assert.ok(await relay.tile({ level: 'data', index, width: 256 }, { cachedOnly: false }, signal));
  for await (const blob of bench.store.keys('')) stored.set(blob, (await bench.store.readSmall(blob, 1_000_000))!.bytes);
});

async function audit(change: (files: Map<string, Buffer>) => void = () => {}): Promise<StoredAuditReport> {
  const files = new Map([...stored].map(([path, bytes]) => [path, Buffer.from(bytes)]));
  change(files);
  const store = {
    async *keys(prefix: string) {
      for (const path of files.keys()) if (path.startsWith(prefix)) yield path as BlobKey;
    },
    readSmall: async (path: BlobKey) => {
      const bytes = files.get(path);
      return bytes && { bytes, fingerprint: '' };
    },
  };
  return auditStored({ store, database: name, key, onProgress: () => {} }, signal);
}

test('what a hub has stored is sound, and all of it is looked at', async () => {
  const report = await audit();
  assert.deepEqual(report.findings, []);
  assert.equal(report.lookups, asked.length);
  assert.equal(report.dataTiles, 2);
  assert.equal(report.hashTiles, [...stored.keys()].filter((path) => /\/tile\/8\/\d/.test(path)).length);
  assert.ok(report.hashTiles > 15, `${report.hashTiles} tiles`);
  assert.equal(report.treeSize, database.size);
});

const lookup = lookupKey(name, moduleOf(300), 'v1.0.0' as Version);
const tile = (level: TileName['level'], index: number, width = 256): string => tileKey(name, { level, index, width });
const flip = (path: string, at: number) => (files: Map<string, Buffer>) => {
  const bytes = files.get(path);
  assert.ok(bytes, `${path} is not stored: ${[...files.keys()].join(' ')}`);
  bytes[at < 0 ? bytes.length + at : at]! ^= 1;
};
const rewrite = (path: string, change: (text: string) => string) => (files: Map<string, Buffer>) => {
  const before = files.get(path)!.toString();
  assert.notEqual(change(before), before);
  files.set(path, Buffer.from(change(before)));
};

const damages: readonly {
  readonly name: string;
  readonly change: (files: Map<string, Buffer>) => void;
  readonly ids: readonly string[];
}[] = [
  { name: 'a bit in a full tile of hashes', change: (files) => flip(tile(0, 1), 5)(files), ids: ['tile-mismatch'] },
  { name: 'a bit in a full tile of level 1', change: (files) => flip(tile(1, 0), 5)(files), ids: ['tile-mismatch'] },
  { name: 'a bit in an old edge', change: (files) => flip(tile(0, 0, 42), 5)(files), ids: ['tile-mismatch'] },
  {
    name: 'a bit in the edge',
    change: (files) => flip([...files.keys()].find((path) => path.endsWith('tile/8/2/000.p/1'))!, 5)(files),
    ids: ['root-mismatch'],
  },
  { name: 'a short tile', change: (files) => void files.set(tile(0, 1), files.get(tile(0, 1))!.subarray(1)), ids: ['tile-mismatch'] },
  { name: 'a tile that is gone, under which others lie', change: (files) => void files.delete(tile(1, 0)), ids: ['tile-unproved'] },
  { name: 'a tile beyond the tree', change: (files) => void files.set(tile(0, 300), Buffer.alloc(8192)), ids: ['tile-unproved'] },
  { name: 'a bit in a tile of records', change: (files) => flip(tile('data', 20), 40)(files), ids: ['record-mismatch'] },
  {
    name: 'a tile of records cut off',
    change: (files) => void files.set(tile('data', 0), files.get(tile('data', 0))!.subarray(9)),
    ids: ['record-mismatch', 'record-malformed'],
  },
  { name: 'a bit in a hash of a look-up', change: (files) => flip(lookup, 60)(files), ids: ['lookup-mismatch', 'lookup-malformed'] },
  { name: 'another number', change: rewrite(lookup, (text) => text.replace(/^300\n/, '301\n')), ids: ['lookup-mismatch'] },
  {
    name: 'the look-up of something else',
    change: (files) => void files.set(lookup, files.get(lookupKey(name, moduleOf(299), 'v1.0.0' as Version))!),
    ids: ['lookup-malformed'],
  },
  {
    name: 'a look-up without a note',
    change: rewrite(lookup, (text) => text.slice(0, text.indexOf('\n\n') + 2)),
    ids: ['lookup-malformed'],
  },
  { name: 'an empty look-up', change: (files) => void files.set(lookup, Buffer.alloc(0)), ids: ['lookup-malformed'] },
  {
    name: 'a look-up with another note',
    change: (files) =>
      void files.set(
        lookup,
        Buffer.from(
          files
            .get(lookup)!
            .toString()
            .replace(/\n\n[^]*/, `\n\n${database.note(301, { root: Buffer.alloc(32) })}`),
        ),
      ),
    ids: ['fork'],
  },
  {
    name: 'another newest note',
    change: (files) => void files.set(latestKey(name), Buffer.from(new TestChecksumDatabase({ seed: 'x' }).note())),
    ids: ['note-invalid'],
  },
  { name: 'a newest note that is none', change: (files) => void files.set(latestKey(name), Buffer.from([0xff])), ids: ['note-invalid'] },
];

for (const { name: what, change, ids } of damages) {
  test(`found: ${what}`, async () => {
    const report = await audit(change);
    assert.ok(report.findings.length > 0 && report.findingCount === report.findings.length);
    const found = new Set<string>(report.findings.map(({ id }) => id));
    // A bad tile also leaves what lies below it without proof.
    found.delete('tile-unproved');
    if (found.size === 0) assert.deepEqual(ids, ['tile-unproved']);
    else assert.ok(ids.some((id) => found.has(id)) && [...found].every((id) => ids.includes(id)), JSON.stringify(report.findings));
  });
}

test('a look-up with a newer tree than the file latest, as a hub leaves it that was killed in between', async () => {
  const older = database.note(340);
  const report = await audit((files) => void files.set(latestKey(name), Buffer.from(older)));
  assert.deepEqual(report.findings, []);
  assert.ok(report.treeSize > 340);
});

test('nothing stored is no sound log', async () => {
  await assert.rejects(
    audit((files) => files.clear()),
    { code: 'not-found' },
  );
});
