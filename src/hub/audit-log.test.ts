import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryNames, TestLogReader as Reader, audit, grow } from '../../test/support/audit-bench.ts';
import { TestChecksumDatabase, type Answer, type Lie, absent, found, onlyAt } from '../../test/support/checksum-database-server.ts';
import { codeOf } from '../base/errors.ts';
import { cosign, generateCosigner } from '../protocol/cosignature.ts';
import { type AuditRequest, type Audited, type NameIndex } from './audit-log.ts';

/** 274 tiles of level 0, two of level 1, one of level 2. */
const SIZE = 70_000;

const database = grow(new TestChecksumDatabase(), SIZE);

test('a sound log: every tile and every record is read once', async () => {
  const reader = new Reader(database);
  const progress: number[] = [];
  const report = await audit(reader, { onProgress: ({ done }) => progress.push(done) });
  assert.deepEqual(report.findings, []);
  assert.deepEqual(
    { ...report, note: '', root: '', audited: undefined },
    {
      isComplete: true,
      treeSize: SIZE,
      root: '',
      note: '',
      cosignatures: [],
      from: 0,
      to: SIZE,
      hashTiles: 277,
      dataTiles: 274,
      findings: [],
      findingCount: 0,
      audited: undefined,
    },
  );
  assert.deepEqual(report.audited, { note: database.note(), records: SIZE, hashes: SIZE, isUnique: true });
  assert.equal(new Set(reader.asked).size, reader.asked.length);
  assert.equal(reader.asked.length, 1 + 274 + 277);
  assert.equal(progress.at(-1), SIZE);
});

test('small logs, down to the empty one', async () => {
  const log = new TestChecksumDatabase();
  for (const size of [0, 1, 2, 255, 256, 257, 512, 1000]) {
    grow(log, size - log.size);
    const { findings, isComplete, to } = await audit(new Reader(log));
    assert.deepEqual({ findings, isComplete, to }, { findings: [], isComplete: true, to: size });
  }
});

test('without records: the tiles of hashes alone', async () => {
  const reader = new Reader(
    database,
    onlyAt(/\/data\//, () => ({ status: 403, body: Buffer.alloc(0) })),
  );
  const report = await audit(reader, { scope: 'hashes' });
  assert.deepEqual([report.findings, report.hashTiles, report.dataTiles, report.isComplete], [[], 277, 0, true]);
  assert.deepEqual(report.audited, { note: database.note(), records: 0, hashes: SIZE, isUnique: true });
});

test('found: a record with a blank line, which no tile of records can hold', async () => {
  const log = grow(new TestChecksumDatabase(), 10);
  log.addText('m.example/m v1.0.0 h1:a\n\nm.example/m v1.0.0/go.mod h1:b\n');
  const { findings } = await audit(new Reader(grow(log, 10)));
  assert.deepEqual(
    findings.map(({ id, proof }) => [id, proof['record']]),
    [
      ['data-tile-malformed', undefined],
      ['record-mismatch', 10],
    ],
  );
});

test('found: a module version twice, with both records and its name', async () => {
  const log = grow(new TestChecksumDatabase(), 1_000);
  log.add('m.example/m5', 'v1.0.0', { zipHash: `h1:${Buffer.alloc(32).toString('base64')}` });
  log.add('m.example/m5', 'v1.0.1');
  log.add('m.example/M5', 'v1.0.0');
  const { findings } = await audit(new Reader(log));
  assert.deepEqual(findings, [
    {
      id: 'module-twice',
      what: 'records 5 and 1000 are of one module version, m.example/m5@v1.0.0',
      proof: { first: 5, again: 1000, name: 'm.example/m5@v1.0.0' },
    },
  ]);
});

async function known(log: TestChecksumDatabase, names: MemoryNames = new MemoryNames()): Promise<Audited> {
  const { audited } = await audit(new Reader(log), { names });
  assert.ok(audited);
  return audited;
}

test('the next audit reads what is new, and that the old is still there', async () => {
  const log = grow(new TestChecksumDatabase(), 66_000);
  const names = new MemoryNames();
  const before = await known(log, names);
  grow(log, 700);
  const reader = new Reader(log);
  const report = await audit(reader, { known: before, names });
  assert.deepEqual([report.from, report.to, report.dataTiles, report.findings], [66_000, 66_700, 4, []]);
  assert.ok(reader.asked.length < 20, `${reader.asked.length} requests`);
  assert.equal(names.seen.length, 66_700);
  assert.equal(report.audited?.records, 66_700);

  const again = await audit(new Reader(log), { known: report.audited, names });
  assert.deepEqual([again.from, again.to, again.dataTiles, again.isComplete], [66_700, 66_700, 0, true]);

  // A repetition of what an earlier audit has read.
  log.add('m.example/m7', 'v1.0.0');
  const repeated = await audit(new Reader(log), { known: report.audited, names });
  assert.deepEqual(
    repeated.findings.map(({ proof }) => proof['first']),
    [7],
  );

  const fromStart = await audit(new Reader(log), { known: report.audited, fromStart: true });
  assert.deepEqual([fromStart.from, fromStart.findings.length], [0, 1]);
});

test('found: a fork against the last audit, larger, of the same size, and smaller', async () => {
  const log = grow(new TestChecksumDatabase(), 300);
  const fork = log.split();
  grow(log, 10);
  const before = await known(log);
  for (const size of [310, 311, 1_000, 70_000]) {
    grow(fork, size - fork.size, 'evil');
    const report = await audit(new Reader(fork), { known: before });
    assert.deepEqual(
      report.findings.map(({ id, proof }) => [id, proof]),
      [['fork', { earlierNote: log.note(), note: fork.note() }]],
      `${size}`,
    );
    assert.deepEqual([report.isComplete, report.audited, report.dataTiles], [false, undefined, 0]);
  }
  // Only the head is of the other branch, since a fork cannot serve tiles of a tree that it does not have.
  const smaller = grow(log.split(), 0);
  const head = grow(new TestChecksumDatabase(), 305, 'evil').note();
  const older = await audit(
    new Reader(
      smaller,
      onlyAt(/^latest$/, () => found(head)),
    ),
    { known: before },
  );
  assert.deepEqual(
    older.findings.map(({ id }) => id),
    ['fork'],
  );
});

test('found: a log that has gone back, though it has not forked', async () => {
  const log = grow(new TestChecksumDatabase(), 300);
  const before = await known(log);
  const reader = new Reader(
    log,
    onlyAt(/^latest$/, () => found(log.note(200))),
  );
  const report = await audit(reader, { known: before });
  assert.deepEqual(
    report.findings.map(({ id, what }) => [id, what]),
    [['rolled-back', 'the newest tree has 200 records, and one of 300 was there before; both are one log']],
  );
  log.signAt(200);
  const lost = await audit(new Reader(log), { known: before });
  assert.ok(lost.findings.some(({ id }) => id === 'rolled-back'));
  assert.equal(lost.audited, undefined);
});

test('cosignatures that are asked for are looked for', async () => {
  const log = grow(new TestChecksumDatabase(), 3);
  const [one, two] = [1, 2].map((seed) => generateCosigner(`witness${seed}.example`, Buffer.alloc(32, seed)).cosigner);
  const text = log.note().split('\n\n')[0] ?? '';
  const latest = (...lines: readonly string[]): Lie => onlyAt(/^latest$/, () => found(log.note() + lines.join('')));
  const lines = [one!, two!].map((cosigner) => cosign(`${text}\n`, cosigner, 9));
  const cosigners = [one!.key, two!.key];
  const both = await audit(new Reader(log, latest(...lines)), { cosigners });
  assert.deepEqual(
    [both.findings, both.cosignatures],
    [
      [],
      [
        { witness: 'witness1.example', timeSeconds: 9 },
        { witness: 'witness2.example', timeSeconds: 9 },
      ],
    ],
  );
  assert.match(both.audited?.note ?? '', /witness2/, 'what is kept is the note as it was');
  const lacking = await audit(new Reader(log, latest(lines[0]!)), { cosigners });
  assert.deepEqual(
    lacking.findings.map(({ id }) => id),
    ['not-cosigned'],
  );
  const wrong = await audit(new Reader(log, latest(cosign('other\n', one!, 9))), { cosigners: [one!.key] });
  assert.match(wrong.findings[0]?.what ?? '', /invalid cosignature/);
});

test('who may read nothing, and what is no database, are told apart from a log that is wrong', async () => {
  const refuse: Answer = { status: 403, body: Buffer.alloc(0) };
  const asked = (lie: Lie, more: Partial<AuditRequest> = {}): Promise<unknown> => audit(new Reader(database, lie), more).catch(codeOf);
  assert.equal(await asked(() => refuse), 'policy-denied');
  assert.equal(await asked(() => absent('no')), 'not-found');
  assert.equal(await asked(onlyAt(/\/data\//, () => refuse)), 'policy-denied');
  assert.equal(await asked(onlyAt(/\/data\//, () => absent('as if absent'))), 'not-found');
  assert.equal(
    await asked(
      onlyAt(/^tile/, () => refuse),
      { scope: 'hashes' },
    ),
    'policy-denied',
  );
});

test('an interruption keeps what was verified, and the next audit goes on from there', async () => {
  const names = new MemoryNames();
  const stop = new AbortController();
  const onProgress = ({ done }: { done: number }): void => {
    if (done >= 30_000) stop.abort(new Error('Ctrl-C'));
  };
  const report = await audit(new Reader(database), { names, onProgress }, stop.signal);
  assert.deepEqual([report.isComplete, report.to, report.findingCount], [false, 30_208, 0]);
  assert.deepEqual(report.audited, { note: database.note(), records: 30_208, hashes: 30_208, isUnique: false });
  assert.equal(names.seen.length, 30_208);
  const rest = await audit(new Reader(database), { known: report.audited, names });
  assert.deepEqual([rest.isComplete, rest.from, rest.to, rest.audited?.isUnique], [true, 30_208, SIZE, true]);
  assert.equal(names.seen.length, SIZE);
  // Who has read more before keeps that.
  const anew = new AbortController();
  const shorterRun = await audit(
    new Reader(database),
    { known: rest.audited, fromStart: true, onProgress: () => anew.abort(new Error('Ctrl-C')) },
    anew.signal,
  );
  assert.deepEqual([shorterRun.isComplete, shorterRun.audited], [false, undefined]);
  const early = new AbortController();
  early.abort(new Error('Ctrl-C'));
  await assert.rejects(audit(new Reader(database), {}, early.signal), /Ctrl-C/);
});

test('repetitions are looked for again when that was interrupted', async () => {
  const log = grow(new TestChecksumDatabase(), 3);
  log.add('m.example/m1', 'v1.0.0');
  const stop = new AbortController();
  const names = new MemoryNames();
  const interrupted: NameIndex = {
    add: (name, recordId) => names.add(name, recordId),
    async *repeats() {
      stop.abort(new Error('Ctrl-C'));
      stop.signal.throwIfAborted();
      yield* names.repeats();
    },
  };
  const report = await audit(new Reader(log), { names: interrupted }, stop.signal);
  assert.deepEqual(report.audited, { note: log.note(), records: 4, hashes: 4, isUnique: false });
  const next = await audit(new Reader(log), { known: report.audited, names });
  assert.deepEqual(
    next.findings.map(({ id }) => id),
    ['module-twice'],
  );
});
