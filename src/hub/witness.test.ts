import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TestChecksumDatabase } from '../../test/support/checksum-database-server.ts';
import { silentLog } from '../base/log.ts';
import { type WitnessState, openWitnessState } from '../meta/witness-state.ts';
import { formatTreeNote } from '../protocol/checksum-record.ts';
import { cosignerFor, findCosignature, generateCosigner } from '../protocol/cosignature.ts';
import { formatSignature, parseNote, signNote } from '../protocol/note.ts';
import { EMPTY_ROOT } from '../protocol/tree-hash.ts';
import { consistencyRanges, hashRanges } from '../protocol/tree-proof.ts';
import { formatWitnessRequest } from '../protocol/witness-request.ts';
import { Witness, type WitnessAnswer } from './witness.ts';

const cosigner = generateCosigner('witness.example/w1', Buffer.alloc(32, 7)).cosigner;
const nowMs = 1_700_000_000_500;

class Bench implements Disposable {
  readonly database = new TestChecksumDatabase();
  readonly other = new TestChecksumDatabase({ seed: 'other' });
  readonly state: WitnessState;
  readonly witness: Witness;

  constructor(state: WitnessState) {
    this.state = state;
    this.witness = this.restarted();
  }

  static async open(): Promise<Bench> {
    return new Bench(await openWitnessState(':memory:'));
  }

  /** One more on the same state. */
  restarted(): Witness {
    const clock = { wallMs: () => nowMs, monotonicMs: () => 0 };
    return new Witness({ cosigner, logs: [this.database.key, this.other.key], state: this.state, clock, log: silentLog });
  }

  [Symbol.dispose](): void {
    this.state[Symbol.dispose]();
  }
}

async function body(database: TestChecksumDatabase, olderSize: number, note: string = database.note()): Promise<Buffer> {
  const size = Number(note.split('\n')[1]);
  const proof = olderSize > size ? [] : await hashRanges(consistencyRanges(olderSize, size), size, (tile) => database.hashes(tile));
  return Buffer.from(formatWitnessRequest({ olderSize, proof, note }));
}

function isCosigned(answer: WitnessAnswer, note: string, database: TestChecksumDatabase): void {
  assert.equal(answer.kind, 'cosigned', JSON.stringify(answer));
  const cosigned = parseNote(note + (answer.kind === 'cosigned' ? answer.lines : ''));
  assert.ok(cosigned.ok);
  const found = findCosignature(cosigned.value, cosignerFor(cosigner, database.key).key);
  assert.deepEqual(found, { ok: true, value: { line: 'lines' in answer ? answer.lines : '', timeSeconds: 1_700_000_000 } });
}

test('a log that grows is cosigned, head after head, and by a key of its own', async () => {
  using bench = await Bench.open();
  const { database, other, witness } = bench;
  let older = 0;
  for (const step of [0, 1, 1, 300, 0, 70_000]) {
    for (let i = 0; i < step; i += 1) database.add(`m${database.size}.example/m`, 'v1.0.0');
    isCosigned(witness.addCheckpoint(await body(database, older)), database.note(), database);
    older = database.size;
  }
  other.add('m.example/m', 'v1.0.0');
  isCosigned(witness.addCheckpoint(await body(other, 0)), other.note(), other);
  assert.deepEqual(
    bench
      .restarted()
      .logs()
      .map(({ head }) => head?.size),
    [70_302, 1],
  );
});

test('the newest head is kept with both signatures', async () => {
  using bench = await Bench.open();
  const { database, witness } = bench;
  const [{ id } = { id: '' }] = witness.logs();
  assert.equal(witness.checkpoint(id), undefined);
  database.add('m.example/m', 'v1.0.0');
  const answer = witness.addCheckpoint(await body(database, 0));
  assert.equal(witness.checkpoint(id), database.note() + (answer.kind === 'cosigned' ? answer.lines : ''));
  assert.equal(witness.checkpoint('0'.repeat(64)), undefined);
});

test('another older size is a conflict that tells the right one', async () => {
  using bench = await Bench.open();
  const { database, witness } = bench;
  for (let i = 0; i < 5; i += 1) database.add(`m${i}.example/m`, 'v1.0.0');
  assert.deepEqual(witness.addCheckpoint(await body(database, 3)), { kind: 'conflict', size: 0 });
  isCosigned(witness.addCheckpoint(await body(database, 0, database.note(3))), database.note(3), database);
  assert.deepEqual(witness.addCheckpoint(await body(database, 0)), { kind: 'conflict', size: 3 });
  assert.deepEqual(witness.addCheckpoint(await body(database, 2)), { kind: 'conflict', size: 3 });
  isCosigned(witness.addCheckpoint(await body(database, 3)), database.note(), database);
  assert.deepEqual(witness.addCheckpoint(await body(database, 0, database.note(3))), { kind: 'conflict', size: 5 }, 'never back');
});

test('what is refused, and with what', async () => {
  using bench = await Bench.open();
  const { database, witness } = bench;
  const stranger = new TestChecksumDatabase({ seed: 'stranger' });
  for (const log of [database, stranger]) log.add('m.example/m', 'v1.0.0');
  isCosigned(witness.addCheckpoint(await body(database, 0)), database.note(), database);
  database.add('n.example/m', 'v1.0.0');
  const good = await body(database, 1);
  const text = formatTreeNote({ size: 2, root: database.root() });
  const bad = formatSignature({ name: database.name, keyHash: database.key.hash, signature: Buffer.alloc(64) });
  const foreign = signNote('another origin\n1\nAAAA\n', database.signer);
  const cases: readonly (readonly [string, Buffer, WitnessAnswer['kind']])[] = [
    ['no request at all', Buffer.from('hello'), 'malformed'],
    ['no note', Buffer.from('old 1\n\nhello\n'), 'malformed'],
    ['another origin', Buffer.from(`old 0\n\n${foreign}`), 'unknown-log'],
    ['an unknown log', await body(stranger, 0), 'unsigned'],
    ['a bad signature', Buffer.from(`old 1\n\n${text}\n${bad}`), 'unsigned'],
    ['a bad signature before a good one', Buffer.from(good.toString().replace('\n\n— ', `\n\n${bad}— `)), 'unsigned'],
    ['two logs at once', await body(database, 1, database.note(2, { signers: [database.signer, bench.other.signer] })), 'malformed'],
    ['no tree', Buffer.from(`old 1\n\n${signNote('go.sum database tree\n', database.signer)}`), 'malformed'],
    ['a size with a leading zero', Buffer.from(`old 1\n\n${signNote(text.replace('\n2\n', '\n02\n'), database.signer)}`), 'malformed'],
    ['an empty line in the text', await body(database, 1, database.note(2, { lines: '\nmore\n' })), 'malformed'],
    ['lines that pretend to be records', await body(database, 1, database.note(2, { lines: 'm v1 h1:a\n' })), 'malformed'],
    ['an older size above the note’s', Buffer.from(`old 3\n\n${database.note()}`), 'malformed'],
    ['a proof that is missing', Buffer.from(`old 1\n\n${database.note()}`), 'inconsistent'],
    [
      'a proof of too much',
      Buffer.from(good.toString().replace('\n\ngo.sum', `\n${EMPTY_ROOT.toString('base64')}\n\ngo.sum`)),
      'inconsistent',
    ],
    ['another root', await body(database, 1, database.note(2, { root: EMPTY_ROOT })), 'inconsistent'],
  ];
  for (const [name, request, kind] of cases) assert.equal(witness.addCheckpoint(request).kind, kind, name);
  assert.equal(witness.logs()[0]?.head?.size, 1, 'nothing moved');
  isCosigned(witness.addCheckpoint(good), database.note(), database);
});

test('further lines and other signatures do not hurt, and the lines are cosigned too', async () => {
  using bench = await Bench.open();
  const { database, witness } = bench;
  database.add('m.example/m', 'v1.0.0');
  const other = generateCosigner('other.example', Buffer.alloc(32, 1)).cosigner.signer;
  const note = database.note(1, { lines: 'more\n', signers: [other, database.signer] });
  isCosigned(witness.addCheckpoint(await body(database, 0, note)), note, database);
  assert.doesNotMatch(witness.checkpoint(witness.logs()[0]!.id) ?? '', /other\.example/);
});

test('the empty tree has one root', async () => {
  using bench = await Bench.open();
  const { database, witness } = bench;
  const wrong = signNote(formatTreeNote({ size: 0, root: Buffer.alloc(32) }), database.signer);
  assert.equal(witness.addCheckpoint(await body(database, 0, wrong)).kind, 'inconsistent');
  const withProof = formatWitnessRequest({ olderSize: 0, proof: [EMPTY_ROOT], note: database.note() });
  assert.equal(witness.addCheckpoint(Buffer.from(withProof)).kind, 'inconsistent');
  isCosigned(witness.addCheckpoint(await body(database, 0)), database.note(), database);
  database.add('m.example/m', 'v1.0.0');
  isCosigned(witness.addCheckpoint(await body(database, 0)), database.note(), database);
});

test('two logs with one key that contradict each other: one of them gets nothing, and the evidence stays', async () => {
  using bench = await Bench.open();
  const { database, witness } = bench;
  for (let i = 0; i < 300; i += 1) database.add(`m${i}.example/m`, 'v1.0.0');
  const fork = database.split();
  database.add('evil.example/m', 'v1.0.0');
  fork.add('evil.example/m', 'v1.0.0', { zipHash: `h1:${EMPTY_ROOT.toString('base64')}` });
  isCosigned(witness.addCheckpoint(await body(database, 0)), database.note(), database);
  assert.equal(witness.addCheckpoint(await body(fork, 301)).kind, 'inconsistent', 'same size');
  assert.deepEqual(witness.logs()[0]?.fork, {
    keptNote: witness.checkpoint(witness.logs()[0]!.id),
    contradictingNote: fork.note(),
    seenAtMs: nowMs,
  });
  for (let i = 0; i < 500; i += 1) fork.add(`n${i}.example/m`, 'v1.0.0');
  assert.equal(witness.addCheckpoint(await body(fork, 301)).kind, 'inconsistent', 'larger');
  assert.deepEqual(witness.addCheckpoint(await body(fork, 300)), { kind: 'conflict', size: 301 });
  database.add('n.example/m', 'v1.0.0');
  isCosigned(witness.addCheckpoint(await body(database, 301)), database.note(), database);
});

test('two witnesses on one state never cosign both branches of a fork', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record({ on: fc.nat(1), branch: fc.nat(1), grow: fc.nat(3) }), { maxLength: 20 }), async (steps) => {
      using bench = await Bench.open();
      const witnesses = [bench.witness, bench.restarted()];
      bench.database.add('root.example/m', 'v1.0.0');
      const branches = [bench.database, bench.database.split()];
      const cosigned: { readonly branch: number; readonly size: number }[] = [];
      for (const { on, branch, grow } of steps) {
        const log = branches[branch]!;
        for (let i = 0; i < grow; i += 1) log.add(`b${branch}.example/m${log.size}`, 'v1.0.0');
        const [watched] = witnesses[on]!.logs();
        const older = watched?.head?.size ?? 0;
        if (witnesses[on]!.addCheckpoint(await body(log, older)).kind === 'cosigned') cosigned.push({ branch, size: log.size });
      }
      // The first record is common to both.
      assert.ok(new Set(cosigned.filter(({ size }) => size > 1).map(({ branch }) => branch)).size <= 1, JSON.stringify(cosigned));
      assert.deepEqual(
        cosigned.map(({ size }) => size),
        cosigned.map(({ size }) => size).toSorted((a, b) => a - b),
      );
    }),
    { numRuns: 60 },
  );
});
