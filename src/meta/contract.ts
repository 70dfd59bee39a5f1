/** What every Metadata does, whatever lies behind it. Each backend's test runs this suite on one that it can move in time and tell to break. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { BlobKey } from '../base/blob-key.ts';
import { codeOf, HubError } from '../base/errors.ts';
import type { ArtefactKind } from '../base/events.ts';
import type { AnswerRow, FileRow, ForkEvidence, HeadRow, Metadata } from './metadata.ts';

export interface MetadataBench extends AsyncDisposable {
  readonly metadata: Metadata;
  /** Of the index feed. */
  wallMs: number;
  /** Of failed leases. */
  sharedMs: number;
  /** The next write fails before it is done, or after it was done and before anybody was told. */
  breakNext(point: 'before' | 'after'): void;
}

type Make = () => Promise<MetadataBench>;

/** A whole row; `serial` makes it another file. */
export function rowOf(serial: number, changes: Partial<FileRow> = {}): FileRow {
  const kind: ArtefactKind = changes.kind ?? 'zip';
  const version = changes.version ?? `v1.0.${serial}`;
  const module = changes.module ?? 'rsc.io/quote';
  return {
    key: `modules/${module}/@v/${version}.${kind}` as BlobKey,
    kind,
    module,
    version,
    sizeBytes: 100 + serial,
    sha256: serial.toString(16).padStart(64, '0'),
    fingerprint: `${serial}:1:2:3`,
    h1: kind === 'info' ? undefined : `h1:${serial}`,
    origin: 'https://proxy.example',
    proof:
      kind === 'info'
        ? { kind: 'none' }
        : {
            kind: 'checksum-database',
            database: 'sum.golang.org',
            treeSize: 2 ** 40 + serial,
            recordId: serial,
            provedAtMs: 1_700_000_000_000,
          },
    storedAtMs: 1_700_000_000_000 + serial,
    ...changes,
  };
}

export function metadataContract(name: string, make: Make): void {
  suite(`Metadata contract: ${name}`, () => {
    files(make);
    uses(make);
    pages(make);
    index(make);
    answers(make);
    heads(make);
    forks(make);
    leases(make);
    breaking(make);
  });
}

function files(make: Make): void {
  test('a recorded row comes back as it was, and is replaced by the next', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const rows = [
      rowOf(1),
      rowOf(1, { kind: 'mod' }),
      rowOf(1, { kind: 'info' }),
      rowOf(2, { proof: { kind: 'none' }, h1: undefined }),
      rowOf(3, { proof: { kind: 'private' } }),
    ];
    await Promise.all(rows.map((row) => metadata.recordFile(row)));
    for (const row of rows) assert.deepEqual(await metadata.file(row.key), row);
    const changed = rowOf(1, { sizeBytes: 7, origin: 'https://other.example', proof: { kind: 'none' } });
    await metadata.recordFile(changed);
    assert.deepEqual(await metadata.file(changed.key), changed);
    await metadata.recordFingerprint(changed.key, 'touched');
    assert.equal((await metadata.file(changed.key))?.fingerprint, 'touched');
    await metadata.forgetFile(changed.key, changed.fingerprint);
    assert.equal((await metadata.file(changed.key))?.fingerprint, 'touched');
    await metadata.forgetFile(changed.key, 'touched');
    assert.equal(await metadata.file(changed.key), undefined);
    assert.equal(await metadata.file('modules/none/@v/list' as BlobKey), undefined);
  });

  test('totals, stored versions and the walk agree with what was recorded and forgotten', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const model = new Map<string, FileRow>();
    const kinds = fc.constantFrom<ArtefactKind>('info', 'mod', 'zip');
    const step = fc.record({
      serial: fc.nat(12),
      kind: kinds,
      sizeBytes: fc.nat(1000),
      forget: fc.boolean(),
      module: fc.constantFrom('a.io/b', 'a.io/c'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        for (const { forget, serial, ...changes } of steps) {
          const row = rowOf(serial, changes);
          if (forget) await metadata.forgetFile(row.key);
          else await metadata.recordFile(row);
          if (forget) model.delete(row.key);
          else model.set(row.key, row);
        }
        const kept = [...model.values()].toSorted((left, right) => (left.key < right.key ? -1 : 1));
        const zips = kept.filter((row) => row.kind === 'zip');
        assert.deepEqual(await metadata.totals(), {
          files: kept.length,
          sizeBytes: kept.reduce((sum, row) => sum + row.sizeBytes, 0),
          versions: zips.length,
        });
        const versions = zips.filter((row) => row.module === 'a.io/b').map((row) => row.version);
        assert.deepEqual([...(await metadata.storedVersions('a.io/b', 'public'))].toSorted(), versions.toSorted());
        const walked: FileRow[] = [];
        for (let rows = await metadata.filesAfter(undefined, 3); rows.length > 0; rows = await metadata.filesAfter(rows.at(-1)?.key, 3))
          walked.push(...rows);
        assert.deepEqual(walked, kept);
      }),
      { numRuns: 15 },
    );
  });

  test('settings', async () => {
    await using bench = await make();
    assert.equal(await bench.metadata.setting('upstreams'), undefined);
    await bench.metadata.recordSetting('upstreams', 'one');
    await bench.metadata.recordSetting('upstreams', '["two"]');
    assert.equal(await bench.metadata.setting('upstreams'), '["two"]');
  });
}

function uses(make: Make): void {
  test('unused files come oldest first; a use moves forward and never back', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const at = (serial: number): number => 1_700_000_000_000 + serial;
    for (const serial of [3, 1, 2, 4]) await metadata.recordFile(rowOf(serial));
    const { key } = rowOf(1);
    await metadata.recordUses([
      { key, count: 5, lastUsedAtMs: at(10) },
      { key, count: 1, lastUsedAtMs: at(6) },
      { key: 'modules/none/@v/v1.0.0.zip' as BlobKey, count: 1, lastUsedAtMs: at(9) },
    ]);
    const unused = await metadata.filesUnusedSince(at(4), 10);
    assert.deepEqual(
      unused.map((row) => [row.version, row.lastUsedAtMs]),
      [
        ['v1.0.2', at(2)],
        ['v1.0.3', at(3)],
      ],
    );
    assert.deepEqual(
      (await metadata.filesUnusedSince(at(100), 1)).map((row) => row.version),
      ['v1.0.2'],
    );
    assert.equal((await metadata.filesUnusedSince(at(100), 10)).at(-1)?.lastUsedAtMs, at(10));
    await metadata.recordFile(rowOf(2, { storedAtMs: at(50) }));
    await metadata.forgetFile(rowOf(3).key);
    assert.deepEqual(
      (await metadata.filesUnusedSince(at(100), 10)).map((row) => row.version),
      ['v1.0.4', 'v1.0.1', 'v1.0.2'],
    );
  });
}

function pages(make: Make): void {
  test('a file of a private module is never unused, and its version is stored as a private one alone', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const [open, own] = [rowOf(1), rowOf(2, { proof: { kind: 'private' } })];
    for (const row of [open, own]) await metadata.recordFile(row);
    const unused = await metadata.filesUnusedSince(Number.MAX_SAFE_INTEGER, 10);
    assert.deepEqual(
      unused.map(({ key }) => key),
      [open.key],
    );
    assert.deepEqual(await metadata.storedVersions(open.module, 'public'), [open.version]);
    assert.deepEqual(await metadata.storedVersions(own.module, 'private'), [own.version]);
    await metadata.holdVersion(own, 1);
    assert.deepEqual(await metadata.storedVersions(own.module, 'private'), []);
    await metadata.recordVerdict({ ...own, kind: 'archive', reason: '' }, 2);
    assert.deepEqual(await metadata.storedVersions(own.module, 'private'), [own.version]);
    await metadata.recordVerdict({ module: own.module, version: 'v9.9.9', kind: 'block', reason: 'not this one' }, 2);
    assert.deepEqual(await metadata.storedVersions(own.module, 'private'), [own.version]);
    await metadata.recordFile({ ...own, proof: open.proof });
    assert.deepEqual(await metadata.storedVersions(own.module, 'private'), []);
  });

  test('unused files come a page at a time, each once, also when many were last used in the same moment', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const rows = Array.from({ length: 25 }, (_, serial) => rowOf(serial, { storedAtMs: 1_700_000_000_000 + Math.floor(serial / 9) }));
    for (const row of rows) await metadata.recordFile(row);
    const seen: string[] = [];
    for (
      let page = await metadata.filesUnusedSince(Date.now(), 4);
      page.length > 0;
      page = await metadata.filesUnusedSince(Date.now(), 4, page.at(-1))
    ) {
      assert.ok(page.length <= 4);
      seen.push(...page.map(({ key }) => key));
    }
    assert.deepEqual(seen.toSorted(), rows.map(({ key }) => key).toSorted());
    const last = rows[3];
    assert.ok(last !== undefined);
    await metadata.forgetFile(last.key);
    const rest = await metadata.filesUnusedSince(Date.now(), 100, { key: last.key, lastUsedAtMs: 1_700_000_000_001 });
    assert.ok(rest.length >= 16, 'a page whose last file is gone by now goes on');
  });
}

function index(make: Make): void {
  test('the first mod or zip of a version enters the feed, once and for ever', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await metadata.recordFile(rowOf(1, { kind: 'info' }));
    assert.deepEqual(await metadata.indexSince(0, 10), []);
    await metadata.recordFile(rowOf(1, { kind: 'mod' }));
    const [entry] = await metadata.indexSince(0, 10);
    assert.deepEqual(entry, { module: 'rsc.io/quote', version: 'v1.0.1', storedAtUs: bench.wallMs * 1000 });
    bench.wallMs += 5;
    await metadata.recordFile(rowOf(1));
    await metadata.forgetFile(rowOf(1).key);
    await metadata.recordFile(rowOf(1));
    assert.deepEqual(await metadata.indexSince(0, 10), [entry]);
  });

  test('the feed grows strictly, also while the clock stands still or steps back', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const startMs = bench.wallMs;
    let serial = 0;
    for (const stepMs of [0, 0, 1, -3_600_000, -86_400_000, 0, 100_000_000]) {
      bench.wallMs += stepMs;
      await Promise.all([metadata.recordFile(rowOf((serial += 1))), metadata.recordFile(rowOf((serial += 1)))]);
    }
    const feed = await metadata.indexSince(0, 100);
    assert.equal(feed.length, serial);
    assert.ok(feed.every((entry, at) => at === 0 || entry.storedAtUs > (feed[at - 1]?.storedAtUs ?? 0)));
    assert.equal(feed[0]?.storedAtUs, startMs * 1000);
    const third = feed[2]?.storedAtUs ?? 0;
    assert.deepEqual(await metadata.indexSince(third, 2), feed.slice(2, 4));
    assert.deepEqual(await metadata.indexSince(third + 1, 1), feed.slice(3, 4));
    assert.deepEqual(await metadata.indexSince(0, 0), []);
    assert.deepEqual(await metadata.indexSince(0, -1), []);
  });
}

function answers(make: Make): void {
  test('an answer is kept until the next one', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const found: AnswerRow = {
      name: 'rsc.io/quote/@v/list',
      body: 'v1.0.0\n',
      origin: 'https://proxy.example',
      fetchedAtMs: 5,
    };
    const next: AnswerRow = { ...found, body: 'v1.0.0\nv1.1.0\n', fetchedAtMs: 6 };
    assert.equal(await metadata.answer(found.name), undefined);
    await metadata.recordAnswer(found);
    assert.deepEqual(await metadata.answer(found.name), found);
    await metadata.recordAnswer(next);
    assert.deepEqual(await metadata.answer(found.name), next);
  });
}

const headOf = (treeSize: number, root = `root of ${treeSize}`): HeadRow => ({
  database: 'sum.golang.org',
  treeSize,
  root,
  note: `note of ${treeSize}\n`,
});

function heads(make: Make): void {
  test('a head moves forward by compare-and-swap, never back or sideways', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const { database } = headOf(0);
    assert.equal(await metadata.head(database), undefined);
    assert.equal(await metadata.advanceHead(headOf(10), 5), false);
    assert.equal(await metadata.advanceHead(headOf(10), undefined), true);
    assert.equal(await metadata.advanceHead(headOf(20), undefined), false);
    assert.equal(await metadata.advanceHead(headOf(9), 10), false);
    assert.equal(await metadata.advanceHead(headOf(10, 'another root'), 10), false);
    assert.equal(await metadata.advanceHead({ ...headOf(10), note: 'signed again\n' }, 10), true);
    assert.equal(await metadata.advanceHead(headOf(20), 10), true);
    assert.equal(await metadata.advanceHead(headOf(30), 10), false);
    assert.deepEqual(await metadata.head(database), headOf(20));
    assert.equal(await metadata.advanceHead({ ...headOf(1), database: 'other.example' }, undefined), true);
  });

  test('of many who advance from one head at once, one succeeds', async () => {
    await using bench = await make();
    const sizes = Array.from({ length: 20 }, (_, at) => at + 1);
    const outcomes = await Promise.all(sizes.map((size) => bench.metadata.advanceHead(headOf(size), undefined)));
    assert.equal(outcomes.filter(Boolean).length, 1);
    assert.equal((await bench.metadata.head(headOf(0).database))?.treeSize, sizes[outcomes.indexOf(true)]);
  });
}

function forks(make: Make): void {
  const evidence: ForkEvidence = {
    database: 'sum.golang.org',
    keptNote: 'kept\n',
    contradictingNote: 'other\n',
    detail: 'sizes are the same, roots are not',
    seenAtMs: 7,
  };

  test('the first evidence of a fork stays and freezes the head until an operator decides', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await metadata.advanceHead(headOf(10), undefined);
    assert.equal(await metadata.fork(evidence.database), undefined);
    await metadata.recordFork(evidence);
    await metadata.recordFork({ ...evidence, detail: 'a later one', seenAtMs: 8 });
    assert.deepEqual(await metadata.fork(evidence.database), evidence);
    await assert.rejects(metadata.advanceHead(headOf(20), 10), { code: 'log-forked' });
    assert.deepEqual(await metadata.head(evidence.database), headOf(10));
    await metadata.clearFork(evidence.database, { forgetHead: false });
    assert.equal(await metadata.fork(evidence.database), undefined);
    assert.equal(await metadata.advanceHead(headOf(20), 10), true);
    await metadata.recordFork(evidence);
    await metadata.clearFork(evidence.database, { forgetHead: true });
    assert.equal(await metadata.head(evidence.database), undefined);
  });

  test('a frozen head does not take other writes of the same moment with it', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await metadata.recordFork(evidence);
    const outcomes = await Promise.allSettled([
      metadata.recordFile(rowOf(1)),
      metadata.advanceHead(headOf(20), undefined),
      metadata.recordFile(rowOf(2)),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal((await metadata.totals()).files, 2);
  });
}

function leases(make: Make): void {
  test('one holder a key, free again when released', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const attempts = await Promise.all(Array.from({ length: 10 }, () => metadata.acquireLease('a')));
    assert.deepEqual(attempts.map((attempt) => attempt.kind).toSorted(), ['acquired', ...Array.from({ length: 9 }, () => 'held')]);
    assert.equal((await metadata.acquireLease('b')).kind, 'acquired');
    assert.equal(await metadata.isLeaseHeld('a'), true);
    await metadata.releaseLease('a');
    assert.equal(await metadata.isLeaseHeld('a'), false);
    assert.equal((await metadata.acquireLease('a')).kind, 'acquired');
    assert.deepEqual(await metadata.acquireLease('b'), { kind: 'held', ours: true });
  });

  test('a failure is told to those who waited, for as long as was said', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const failure = { code: 'origin-unavailable', message: 'every upstream is down' } as const;
    await metadata.acquireLease('a');
    await metadata.releaseLease('a', { ...failure, failureTtlMs: 1000 });
    bench.sharedMs += 999;
    assert.deepEqual(await metadata.acquireLease('a'), { kind: 'failed', failure });
    bench.sharedMs += 1;
    assert.equal((await metadata.acquireLease('a')).kind, 'acquired');
    assert.equal((await metadata.acquireLease('a')).kind, 'held');
    await metadata.releaseLease('a');
    assert.equal((await metadata.acquireLease('a')).kind, 'acquired');
    await metadata.releaseLease('never held', { ...failure, failureTtlMs: 1000 });
    assert.equal((await metadata.acquireLease('never held')).kind, 'acquired');
  });

  test('after the machine was started again, its shared clock begins anew and old failures say nothing', async () => {
    await using bench = await make();
    bench.sharedMs = 1e9;
    await bench.metadata.acquireLease('a');
    await bench.metadata.releaseLease('a', { code: 'origin-timeout', message: 'time over', failureTtlMs: 1000 });
    bench.sharedMs = 50;
    assert.equal((await bench.metadata.acquireLease('a')).kind, 'acquired');
  });
}

function breaking(make: Make): void {
  test('a fault before persisting leaves nothing; a fault after leaves the row', async () => {
    await using bench = await make();
    const { metadata } = bench;
    bench.breakNext('before');
    await assert.rejects(metadata.recordFile(rowOf(1)), (error) => codeOf(error) === 'storage-fault');
    assert.equal(await metadata.file(rowOf(1).key), undefined);
    bench.breakNext('after');
    await assert.rejects(metadata.recordFile(rowOf(1)), (error) => codeOf(error) === 'storage-fault');
    assert.deepEqual(await metadata.file(rowOf(1).key), rowOf(1));
    bench.breakNext('after');
    await assert.rejects(metadata.advanceHead(headOf(10), undefined), (error) => codeOf(error) === 'storage-fault');
    assert.equal(await metadata.advanceHead(headOf(10), undefined), false);
  });

  test('a row that the rules of the tables refuse fails alone', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const outcomes = await Promise.allSettled([
      metadata.recordFile(rowOf(1)),
      metadata.recordFile(rowOf(2, { sha256: 'short' })),
      metadata.recordFile(rowOf(3)),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.ok(outcomes[1]?.status === 'rejected' && outcomes[1].reason instanceof HubError && outcomes[1].reason.code === 'storage-fault');
    assert.deepEqual([(await metadata.totals()).files, (await metadata.indexSince(0, 10)).length], [2, 2]);
  });
}
