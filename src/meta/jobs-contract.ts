/** What every Metadata does with jobs and verdicts, whatever lies behind it. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { suite, test } from 'node:test';
import { codeOf } from '../base/errors.ts';
import { type MetadataBench, rowOf } from './contract.ts';
import { JOBS_WAITING_MAX } from './jobs.ts';

const nowMs = 1_800_000_000_000;
const day = 24 * 3_600_000;
const job = (key: string, payload = '{}'): { kind: string; key: string; payload: string } => ({ kind: 'tag', key, payload });
const nonceOf = (text: string): string => hash('sha256', text, 'hex');

type Make = () => Promise<MetadataBench>;

export function jobsContract(name: string, make: Make): void {
  suite(`${name}: jobs and verdicts`, () => {
    turns(make);
    lanes(make);
    arrivals(make);
    verdicts(make);
  });
}

function turns(make: Make): void {
  test('a job is claimed once, those due longest first, and ends once', async () => {
    await using bench = await make();
    const { metadata } = bench;
    assert.equal(await metadata.hasDueJob(nowMs), false);
    const added = [await metadata.addJob(job('b'), { nowMs: nowMs + 1 }), await metadata.addJob(job('a', '{"x":1}'), { nowMs })];
    assert.deepEqual(
      added.map(({ kind }) => kind),
      ['added', 'added'],
    );
    assert.equal(await metadata.hasDueJob(nowMs), true);
    const [first, ...others] = await metadata.claimJobs(nowMs + 1, 1);
    assert.deepEqual([first?.key, first?.payload, first?.attempts, first?.state, others], ['a', '{"x":1}', 1, 'running', []]);
    assert.deepEqual(
      (await metadata.claimJobs(nowMs + 1, 9)).map(({ key }) => key),
      ['b'],
    );
    assert.deepEqual(await metadata.claimJobs(nowMs + 1, 9), []);
    const id = first?.id ?? 0;
    assert.equal(await metadata.endJob(id, { kind: 'done', outcome: 'archive' }, nowMs + 2), true);
    assert.equal(await metadata.endJob(id, { kind: 'failed', error: 'late' }, nowMs + 3), false);
    assert.deepEqual(
      (await metadata.jobs(9)).map(({ key, state, outcome }) => [key, state, outcome]),
      [
        ['a', 'done', 'archive'],
        ['b', 'running', undefined],
      ],
    );
    assert.deepEqual(
      (await metadata.jobs(9, id)).map(({ key }) => key),
      ['b'],
    );
  });

  test('of one kind and key one waits and one runs', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const { id } = await metadata.addJob(job('a'), { nowMs });
    assert.deepEqual(await metadata.addJob(job('a'), { nowMs }), { kind: 'joined', id });
    assert.equal((await metadata.addJob({ ...job('a'), kind: 'report' }, { nowMs })).kind, 'added');
    assert.equal((await metadata.claimJobs(nowMs, 9)).length, 2);
    assert.equal((await metadata.addJob(job('a'), { nowMs })).kind, 'added');
    await metadata.addJob(job('other'), { nowMs: nowMs + 5 });
    // The second waits for the first, and stands in nobody's way.
    assert.deepEqual(
      (await metadata.claimJobs(nowMs + 5, 1)).map(({ key }) => key),
      ['other'],
    );
    // What goes back while another waits is done by that one.
    assert.equal(await metadata.endJob(id, { kind: 'again', error: 'down', nextAtMs: nowMs + 50 }, nowMs), true);
    assert.deepEqual(
      (await metadata.claimJobs(nowMs + 5, 9)).map(({ key }) => key),
      ['a'],
    );
    assert.equal(await metadata.waitingJobs(), 0);
  });
}

function lanes(make: Make): void {
  test('what is to be left is left, wherever it stands, and everything else is claimed', async () => {
    await using bench = await make();
    const { metadata } = bench;
    for (const key of ['gitlab a', 'gitlab b', 'gitea a', 'lone']) await metadata.addJob(job(key), { nowMs });
    await metadata.addJob({ ...job('gitlab a'), kind: 'report' }, { nowMs });
    const claimed = async (except: Parameters<typeof metadata.claimJobs>[2]): Promise<readonly string[]> =>
      (await metadata.claimJobs(nowMs, 9, except)).map(({ lane, key }) => `${lane}: ${key}`).toSorted();
    assert.deepEqual(await claimed({ kinds: ['tag', 'report'], lanes: [] }), []);
    assert.deepEqual(await claimed({ kinds: ['report'], lanes: ['tag gitlab', 'tag git'] }), ['tag gitea: gitea a', 'tag lone: lone']);
    assert.deepEqual(await claimed({ kinds: ['tag'], lanes: [] }), ['report gitlab: gitlab a']);
    assert.deepEqual(await claimed({ kinds: [], lanes: [] }), ['tag gitlab: gitlab a', 'tag gitlab: gitlab b']);
  });
}

function arrivals(make: Make): void {
  test('a job that failed for now comes again when its time has come, however the clock was set', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const { id } = await metadata.addJob(job('a'), { nowMs });
    await metadata.claimJobs(nowMs, 1);
    await metadata.endJob(id, { kind: 'again', error: 'the host is down', nextAtMs: nowMs + 1_000 }, nowMs);
    assert.deepEqual(await metadata.claimJobs(nowMs + 999, 9), []);
    const [again] = await metadata.claimJobs(nowMs + 1_000, 9);
    assert.deepEqual([again?.attempts, again?.error], [2, 'the host is down']);
    await metadata.endJob(id, { kind: 'untried' }, nowMs + 1_000);
    const [untried] = await metadata.claimJobs(nowMs + 1_000, 9);
    assert.deepEqual([untried?.attempts, untried?.error], [2, 'the host is down']);
    await metadata.endJob(id, { kind: 'again', error: 'x', nextAtMs: nowMs + 900 * day }, nowMs);
    assert.deepEqual(await metadata.claimJobs(nowMs + day - 1, 9), []);
    assert.equal((await metadata.claimJobs(nowMs + day, 9)).length, 1);
    await metadata.endJob(id, { kind: 'again', error: 'x', nextAtMs: nowMs + day }, nowMs);
    assert.equal(await metadata.hasDueJob(nowMs - 30 * day), true);
  });

  test('a delivery is taken once; that of a job given up tries it anew', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const nonce = nonceOf('one');
    const { id } = await metadata.addJob(job('a'), { nowMs, nonce });
    assert.deepEqual(await metadata.addJob(job('a'), { nowMs, nonce }), { kind: 'repeated', id });
    await metadata.claimJobs(nowMs, 1);
    await metadata.endJob(id, { kind: 'failed', error: 'no such tag' }, nowMs);
    assert.deepEqual(await metadata.addJob(job('a'), { nowMs, nonce }), { kind: 'added', id });
    assert.deepEqual(
      (await metadata.claimJobs(nowMs, 1)).map(({ id: claimed, attempts }) => [claimed, attempts]),
      [[id, 1]],
    );
    await metadata.endJob(id, { kind: 'done', outcome: 'archive' }, nowMs);
    assert.deepEqual(await metadata.addJob(job('a'), { nowMs, nonce }), { kind: 'repeated', id });
    assert.equal((await metadata.jobs(9)).length, 1);
  });

  test('a job whose writing fails is not there, or there once', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const nonce = nonceOf('one');
    bench.breakNext('before');
    await assert.rejects(metadata.addJob(job('a'), { nowMs, nonce }), (error) => codeOf(error) === 'storage-fault');
    assert.deepEqual(await metadata.jobs(9), []);
    bench.breakNext('after');
    await assert.rejects(metadata.addJob(job('a'), { nowMs, nonce }), (error) => codeOf(error) === 'storage-fault');
    assert.equal((await metadata.addJob(job('a'), { nowMs, nonce })).kind, 'repeated');
    assert.equal((await metadata.jobs(9)).length, 1);
  });

  test('more than may wait are refused, and nothing of them is kept', async () => {
    await using bench = await make();
    const { metadata } = bench;
    await Promise.all(Array.from({ length: JOBS_WAITING_MAX }, (_, i) => metadata.addJob(job(`k${i}`), { nowMs })));
    const nonce = nonceOf('late');
    await assert.rejects(metadata.addJob(job('late'), { nowMs, nonce }), (error) => codeOf(error) === 'overloaded');
    assert.equal((await metadata.addJob(job('k1'), { nowMs })).kind, 'joined');
    await metadata.claimJobs(nowMs, 1);
    assert.equal((await metadata.addJob(job('late'), { nowMs, nonce })).kind, 'added');
  });
}

function verdicts(make: Make): void {
  test('the first verdict on a version stands; only what is blocked is released, and that stands too', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const version = { module: 'git.example/m', version: 'v1.0.0' };
    assert.equal(await metadata.verdict(version.module, version.version), undefined);
    const block = await metadata.recordVerdict({ ...version, kind: 'block', reason: 'a dependency is not proved' }, nowMs);
    assert.deepEqual(block, { kind: 'block', reason: 'a dependency is not proved', decidedAtMs: nowMs, releasedFor: undefined });
    assert.deepEqual(await metadata.recordVerdict({ ...version, kind: 'archive', reason: 'fine now' }, nowMs + 1), block);
    const other = { module: 'git.example/m', version: 'v1.0.1' };
    await metadata.recordVerdict({ ...other, kind: 'archive', reason: 'passed' }, nowMs);
    assert.equal((await metadata.recordVerdict({ ...other, kind: 'block', reason: 'moved' }, nowMs)).kind, 'archive');
    assert.deepEqual(
      (await metadata.blockedVerdicts(9)).map((row) => row.version),
      ['v1.0.0'],
    );
    assert.equal(await metadata.releaseVerdict({ ...other, releasedFor: 'why' }, nowMs), false);
    assert.equal(await metadata.releaseVerdict({ ...version, releasedFor: 'ticket 7' }, nowMs + 2), true);
    assert.equal(await metadata.releaseVerdict({ ...version, releasedFor: 'ticket 8' }, nowMs + 3), false);
    assert.equal((await metadata.recordVerdict({ ...version, kind: 'block', reason: 'again' }, nowMs)).kind, 'released');
    const released = await metadata.verdict(version.module, version.version);
    assert.ok(released !== undefined && released.kind !== 'held');
    assert.deepEqual([released.kind, released.reason, released.releasedFor], ['released', 'a dependency is not proved', 'ticket 7']);
    assert.deepEqual(await metadata.blockedVerdicts(9), []);
  });

  test('the index lists what may be seen, and what may be seen later comes as if it had come then', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const [held, blocked, plain] = [rowOf(1), rowOf(2), rowOf(3)];
    const listed = async (): Promise<readonly string[]> =>
      (await metadata.indexSince(0, 10)).map(({ module, version }) => `${module}@${version}`);
    const nameOf = ({ module, version }: { readonly module: string; readonly version: string }): string => `${module}@${version}`;
    await metadata.holdVersion(held, nowMs);
    for (const row of [held, blocked, plain]) await metadata.recordFile(row);
    await metadata.recordVerdict({ ...blocked, kind: 'block', reason: 'no' }, nowMs);
    assert.deepEqual(await listed(), [nameOf(plain)]);
    await metadata.recordVerdict({ ...held, kind: 'archive', reason: 'passed' }, nowMs);
    assert.deepEqual(await listed(), [nameOf(plain), nameOf(held)]);
    await metadata.releaseVerdict({ ...blocked, releasedFor: 'ticket 7' }, nowMs);
    assert.deepEqual(await listed(), [nameOf(plain), nameOf(held), nameOf(blocked)]);
    // A verdict on what everybody saw before changes nothing.
    await metadata.recordVerdict({ ...plain, kind: 'archive', reason: 'passed' }, nowMs);
    assert.deepEqual(await listed(), [nameOf(plain), nameOf(held), nameOf(blocked)]);
  });

  test('a version is held until there is a verdict, which ends the hold and is not held again', async () => {
    await using bench = await make();
    const { metadata } = bench;
    const version = { module: 'git.example/m', version: 'v1.0.0' };
    await metadata.holdVersion(version, nowMs);
    await metadata.holdVersion(version, nowMs + 1);
    assert.deepEqual(await metadata.verdict(version.module, version.version), { kind: 'held' });
    assert.deepEqual(await metadata.blockedVersions(version.module), []);
    await metadata.recordVerdict({ ...version, kind: 'block', reason: 'moved' }, nowMs + 2);
    await metadata.holdVersion(version, nowMs + 3);
    assert.equal((await metadata.verdict(version.module, version.version))?.kind, 'block');
    assert.deepEqual(await metadata.blockedVersions(version.module), [version.version]);
    assert.deepEqual(await metadata.blockedVersions('git.example/other'), []);
    await metadata.releaseVerdict({ ...version, releasedFor: 'ticket 7' }, nowMs + 4);
    assert.equal((await metadata.verdict(version.module, version.version))?.kind, 'released');
    assert.deepEqual(await metadata.blockedVersions(version.module), []);
  });
}
