import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentEvents } from '../base/events.ts';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { Metadata } from '../meta/metadata.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import type { CosignatureOutcome, CosignatureWish, WitnessAddress } from '../origin/witness-client.ts';
import { openTreeNote } from '../protocol/checksum-record.ts';
import { type CosignerSigner, cosign, findCosignature, generateCosigner } from '../protocol/cosignature.ts';
import { parseNote } from '../protocol/note.ts';
import { EMPTY_ROOT } from '../protocol/tree-hash.ts';
import { provesConsistency } from '../protocol/tree-proof.ts';
import { temporaryFolder } from '../../test/support/hub-process.ts';
import { type OwnLogBench, addMany, lookUp, openOwnLogBench, ownSigner } from '../../test/support/own-log-bench.ts';
import { ownDatabaseName } from '../../test/support/station-bench.ts';
import { CosignHeads } from './cosign-heads.ts';
import type { OwnDatabase } from './own-database.ts';

/** Cosigns what is proved to continue what it has, as a real one does, unless it was told to fail. */
class FakeWitness {
  readonly cosigner: CosignerSigner;
  readonly address: WitnessAddress;
  readonly asked: number[] = [];
  head: { size: number; root: Buffer } = { size: 0, root: EMPTY_ROOT };
  failure: HubError | undefined;
  gate: Promise<void> | undefined;

  constructor(name: string, seed: number) {
    this.cosigner = generateCosigner(name, Buffer.alloc(32, seed)).cosigner;
    this.address = { url: new URL(`http://${name}`), key: this.cosigner.key };
  }

  async ask({ note, prove, olderSize }: CosignatureWish, signal: AbortSignal): Promise<CosignatureOutcome> {
    this.asked.push(olderSize);
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    const parsed = parseNote(note);
    const tree = openTreeNote(note, ownSigner.verifier);
    assert.ok(parsed.ok && tree.ok);
    if (this.head.size > tree.value.size) return { kind: 'ahead', size: this.head.size };
    const proof = await prove(this.head.size, signal);
    if (!provesConsistency({ older: this.head, newer: tree.value, proof })) throw new HubError('log-forked', 'it answers 422');
    this.head = tree.value;
    const timeSeconds = 1_800_000_000;
    return { kind: 'cosigned', line: cosign(parsed.value.text, this.cosigner, timeSeconds), timeSeconds, treeSize: tree.value.size };
  }
}

const [east, west] = ['witness.east.example', 'witness.west.example'] as const;

interface Cosigning extends AsyncDisposable {
  readonly bench: OwnLogBench;
  readonly database: OwnDatabase;
  readonly witnesses: readonly [FakeWitness, FakeWitness];
  readonly forks: string[];
  readonly heads: CosignHeads;
  /** Another process on the same data, with an owner's name of its own for leases. */
  another(): Promise<{ readonly database: OwnDatabase; readonly heads: CosignHeads }>;
}

async function start(): Promise<Cosigning> {
  const stack = new AsyncDisposableStack();
  const file = join(stack.use(await temporaryFolder()).path, 'goyi.db');
  const bench = stack.use(await openOwnLogBench(file));
  const witnesses = [new FakeWitness(east, 1), new FakeWitness(west, 2)] as const;
  const forks: string[] = [];
  const open = async (metadata: Metadata): ReturnType<Cosigning['another']> => {
    const database = await bench.open({ metadata });
    const heads = new CosignHeads({
      database,
      witnesses: witnesses.map(({ address }) => address),
      ask: (wish, signal) => witnesses.find(({ address }) => address === wish.witness)!.ask(wish, signal),
      metadata,
      events: { ...silentEvents, verificationFailed: ({ reason, subject }) => void forks.push(`${reason}: ${subject}`) },
      log: silentLog,
      clock: bench.clock,
      // Only the test looks.
      lookEveryMs: 1_000_000,
    });
    return { database, heads: stack.use(heads) };
  };
  const another = async (): ReturnType<Cosigning['another']> => open(stack.use(await openSqliteMetadata({ file, log: silentLog })));
  return { bench, witnesses, forks, another, ...(await open(bench.metadata)), [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Names of the witnesses whose cosignatures are on the newest note and hold. */
async function cosignersOf(database: OwnDatabase, witnesses: readonly FakeWitness[]): Promise<string[]> {
  const note = await database.latest();
  assert.ok(openTreeNote(note, ownSigner.verifier).ok);
  const parsed = parseNote(note);
  assert.ok(parsed.ok);
  const found = witnesses.filter(({ cosigner }) => findCosignature(parsed.value, cosigner.key).ok);
  assert.equal(parsed.value.signatures.length, found.length + 1);
  return found.map(({ cosigner }) => cosigner.key.cosigner.name);
}

test('the newest head is cosigned by all, at every size, and asked for once', async () => {
  await using here = await start();
  const { database, heads, witnesses } = here;
  await heads.look();
  assert.deepEqual(witnesses[0].asked, [], 'an empty log needs no witness');
  const sizes = [1, 255, 256, 257, 700];
  for (const [i, size] of sizes.entries()) {
    await addMany(database, sizes[i - 1] ?? 0, size);
    assert.deepEqual(await cosignersOf(database, witnesses), []);
    await Promise.all([heads.look(), heads.look()]);
    await heads.look();
    assert.deepEqual(await cosignersOf(database, witnesses), [east, west]);
  }
  assert.deepEqual(witnesses[0].asked, [0, 1, 255, 256, 257]);
  assert.equal((await lookUp(database, 'm1.example/m'))?.note, await database.latest());
});

test('every process shows what one of them has asked for, and only one asks', async () => {
  await using here = await start();
  const { database, heads, witnesses } = here;
  await addMany(database, 0, 5);
  await heads.look();
  const other = await here.another();
  assert.deepEqual(await cosignersOf(other.database, witnesses), []);
  await other.heads.look();
  assert.deepEqual(await cosignersOf(other.database, witnesses), [east, west]);
  assert.equal(witnesses[0].asked.length, 1);
});

test('while another process holds the lease nothing is asked, and when that one ends this one goes on', async () => {
  await using here = await start();
  const { heads, witnesses } = here;
  await addMany(here.database, 0, 5);
  await heads.look();
  const waiting = await here.another();
  await addMany(here.database, 5, 6);
  await waiting.heads.look();
  assert.deepEqual([witnesses[0].asked, await cosignersOf(waiting.database, witnesses)], [[0], []]);
  await heads[Symbol.asyncDispose]();
  await waiting.heads.look();
  assert.deepEqual(
    [witnesses[0].asked, await cosignersOf(waiting.database, witnesses)],
    [
      [0, 5],
      [east, west],
    ],
  );
});

test('a witness that faults rests longer and longer, and keeps nobody else from cosigning', async () => {
  await using here = await start();
  const { bench, database, heads, witnesses } = here;
  witnesses[1].failure = new HubError('origin-unavailable', 'it is down');
  await addMany(database, 0, 3);
  await heads.look();
  assert.deepEqual(await cosignersOf(database, witnesses), [east]);
  await heads.look();
  assert.equal(witnesses[1].asked.length, 1, 'it rests');
  // The longest rest is ten minutes.
  bench.clock.pass(600_000);
  await heads.look();
  assert.equal(witnesses[1].asked.length, 2);
  witnesses[1].failure = undefined;
  bench.clock.pass(600_000);
  await heads.look();
  assert.deepEqual(await cosignersOf(database, witnesses), [east, west]);
  assert.equal(witnesses[0].asked.length, 1, 'what is there is not asked for again');
  assert.deepEqual([here.forks, heads.alarms], [[], []]);
});

test('lines of a quick witness are shown while a slow one is waited for', async () => {
  await using here = await start();
  const { database, heads, witnesses } = here;
  const { promise, resolve } = Promise.withResolvers<void>();
  witnesses[1].gate = promise;
  await addMany(database, 0, 3);
  const { promise: kept, resolve: isKept } = Promise.withResolvers<void>();
  here.bench.metadataFaults = (point, write) => {
    if (point === 'after' && write === 'recordSetting') isKept();
  };
  const looking = heads.look();
  await kept;
  assert.deepEqual(await cosignersOf(database, witnesses), [east]);
  resolve();
  await looking;
  assert.deepEqual(await cosignersOf(database, witnesses), [east, west]);
});

test('a witness that has seen another log is an alarm in every process until it cosigns again, and nothing stops', async () => {
  await using here = await start();
  const { bench, database, heads, witnesses } = here;
  await addMany(database, 0, 3);
  witnesses[0].head = { size: 2, root: Buffer.alloc(32, 7) };
  await heads.look();
  assert.deepEqual(here.forks, [`log-forked: ${ownDatabaseName} as the witness ${east} sees it`]);
  assert.match(heads.alarms.join(), /^the witness witness\.east\.example has seen another log .* 422$/);
  assert.deepEqual(await cosignersOf(database, witnesses), [west]);
  const other = await here.another();
  await other.heads.look();
  assert.deepEqual(other.heads.alarms, heads.alarms);
  await addMany(database, 3, 4);
  await heads.look();
  assert.equal(witnesses[0].asked.length, 1, 'it is not asked at once again');
  assert.equal(heads.alarms.length, 1);
  witnesses[0].head = { size: 0, root: EMPTY_ROOT };
  bench.clock.pass(600_000);
  await heads.look();
  assert.deepEqual([heads.alarms, await cosignersOf(database, witnesses)], [[], [east, west]]);
  await other.heads.look();
  assert.deepEqual(other.heads.alarms, []);
});

test('a witness that has a larger tree than this hub is an alarm; one that another head of ours has reached first is none', async () => {
  await using here = await start();
  const { bench, database, heads, witnesses } = here;
  await addMany(database, 0, 3);
  const { promise, resolve } = Promise.withResolvers<void>();
  witnesses[0].gate = promise;
  witnesses[0].head = { size: 9, root: Buffer.alloc(32, 7) };
  const looking = heads.look();
  // The log grows while the witness is asked.
  await addMany(database, 3, 9);
  resolve();
  await looking;
  assert.deepEqual([here.forks, heads.alarms], [[], []]);
  witnesses[0].head = { size: 10, root: Buffer.alloc(32, 7) };
  bench.clock.pass(600_000);
  await heads.look();
  assert.equal(here.forks.length, 1);
  assert.match(heads.alarms.join(), /it has cosigned a tree of 10 records, more than this hub has$/);
});

test('a log that freezes while it is proved is not blamed on the witness', async () => {
  await using here = await start();
  const { bench, database, heads, witnesses } = here;
  await addMany(database, 0, 3);
  await heads.look();
  await addMany(database, 3, 4);
  const { promise, resolve } = Promise.withResolvers<void>();
  witnesses[0].gate = witnesses[1].gate = promise;
  const looking = heads.look();
  await addMany(database, 4, 5);
  bench.signedHeads.heads.set(ownDatabaseName, { name: ownDatabaseName, treeSize: 5, root: 'other', note: '' });
  await assert.rejects(database.latest(), { code: 'log-forked' });
  resolve();
  await looking;
  assert.deepEqual([witnesses[0].asked, witnesses[0].head.size, here.forks, heads.alarms], [[0, 3], 3, [], []]);
});

test('what was kept is believed only when it holds', async () => {
  await using here = await start();
  const { bench, database, heads, witnesses } = here;
  await addMany(database, 0, 3);
  await heads.look();
  await heads[Symbol.asyncDispose]();
  const name = `cosigned ${ownDatabaseName}`;
  const good = (await bench.metadata.setting(name))!;
  const { root, lines } = JSON.parse(good) as { root: string; lines: [string, string][] };
  const foreign = lines.map(([key], i) => [key, lines[1 - i]![1]]);
  const damages = ['', '{', '[]', 'null', good.replace('"treeSize":3', '"treeSize":2'), good.replace(root, EMPTY_ROOT.toString('base64'))];
  damages.push(JSON.stringify({ treeSize: 3, root, lines: foreign, alarms: [] }));
  damages.push(JSON.stringify({ treeSize: 3, root, lines: [[lines[0]![0], `${lines[0]![1]}\n\nmore`]], alarms: [] }));
  let asked = 1;
  for (const damaged of damages) {
    await bench.metadata.recordSetting(name, damaged);
    const other = await here.another();
    witnesses[0].failure = witnesses[1].failure = new HubError('origin-unavailable', 'it is down');
    await other.heads.look();
    assert.deepEqual(await cosignersOf(other.database, witnesses), [], damaged);
    assert.equal(witnesses[0].asked.length, (asked += 1), 'it is asked for anew');
    await other.heads[Symbol.asyncDispose]();
  }
  await bench.metadata.recordSetting(name, good);
  const other = await here.another();
  await other.heads.look();
  assert.deepEqual(await cosignersOf(other.database, witnesses), [east, west]);
});
