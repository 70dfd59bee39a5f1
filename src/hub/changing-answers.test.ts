import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock } from '../../test/support/station-bench.ts';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { Metadata } from '../meta/metadata.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { type Asked, ChangingAnswers } from './changing-answers.ts';

const listMs = 60_000;
const negativeMs = 30_000;
const name = 'example.com/m/@v/list';
const signal = new AbortController().signal;

interface Bench extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly metadata: Metadata;
  answers: ChangingAnswers;
  asks: number;
  says: () => Promise<Asked>;
  get(): ReturnType<ChangingAnswers['get']>;
  restart(): void;
}

async function bench(): Promise<Bench> {
  const clock = new FakeClock();
  const metadata = await openSqliteMetadata({ file: ':memory:', log: silentLog });
  const make = (): ChangingAnswers => new ChangingAnswers({ metadata, clock, freshness: { listMs, negativeMs } });
  const made: Bench = {
    clock,
    metadata,
    answers: make(),
    asks: 0,
    says: found('v1'),
    get: () =>
      made.answers.get(
        name,
        () => {
          made.asks += 1;
          return made.says();
        },
        signal,
      ),
    restart: () => {
      made.answers = make();
    },
    [Symbol.asyncDispose]: () => metadata[Symbol.asyncDispose](),
  };
  return made;
}

const found =
  (body: string): (() => Promise<Asked>) =>
  async () => ({ kind: 'found', body, origin: 'https://upstream.example' });
const absent = async (): Promise<Asked> => ({ kind: 'absent', reason: 'no such module' });
const down = async (): Promise<Asked> => {
  throw new HubError('origin-unavailable', 'every upstream is down');
};
const never = (): Promise<Asked> => new Promise(() => {});
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('fresh: one question, then answered from memory with its age', async () => {
  await using it = await bench();
  assert.deepEqual(await it.get(), { body: 'v1', ageSeconds: 0, stale: false, outcome: 'miss' });
  it.clock.pass(listMs - 1);
  assert.deepEqual(await it.get(), { body: 'v1', ageSeconds: 59, stale: false, outcome: 'hit' });
  assert.equal(it.asks, 1);
});

test('past its freshness: served at once while one refresh runs', async () => {
  await using it = await bench();
  await it.get();
  it.clock.pass(listMs);
  const { promise, resolve } = Promise.withResolvers<Asked>();
  it.says = () => promise;
  const answers = await Promise.all([it.get(), it.get(), it.get()]);
  assert.ok(answers.every((answer) => answer.body === 'v1' && answer.outcome === 'stale' && !answer.stale && answer.ageSeconds === 60));
  assert.equal(it.asks, 2);
  resolve(await found('v2')());
  await turn();
  assert.deepEqual(await it.get(), { body: 'v2', ageSeconds: 0, stale: false, outcome: 'hit' });
});

test('long past its freshness: the refresh is waited for, and what is old is served for ever when nobody answers', async () => {
  await using it = await bench();
  await it.get();
  it.clock.pass(400 * 86_400_000);
  it.says = down;
  assert.deepEqual(await it.get(), { body: 'v1', ageSeconds: 400 * 86_400, stale: true, outcome: 'stale' });
  it.says = found('v2');
  assert.deepEqual(await it.get(), { body: 'v2', ageSeconds: 0, stale: false, outcome: 'miss' });
});

test('an upstream that hangs is waited for once, not by every question after another', async (t) => {
  await using it = await bench();
  await it.get();
  it.clock.pass(86_400_000);
  it.says = never;
  const startMs = performance.now();
  assert.equal((await it.get()).stale, true);
  const waitedMs = performance.now() - startMs;
  assert.ok(waitedMs > 3_000 && waitedMs < 8_000, `${waitedMs} ms`);
  const againMs = performance.now();
  for (let round = 0; round < 50; round += 1) assert.equal((await it.get()).stale, true);
  t.diagnostic(`50 answers in ${Math.round(performance.now() - againMs)} ms`);
  assert.ok(performance.now() - againMs < 1_000);
});

test('an absence is remembered for its own time, and never because of a fault', async () => {
  await using it = await bench();
  it.says = absent;
  await assert.rejects(it.get(), { code: 'not-found', message: 'no such module' });
  it.clock.pass(negativeMs - 1);
  await assert.rejects(it.get(), { name: 'HubError', code: 'not-found', message: 'no such module' });
  assert.equal(it.asks, 1);
  it.clock.pass(1);
  it.says = down;
  await assert.rejects(it.get(), { code: 'origin-unavailable' });
  it.says = found('v1');
  assert.equal((await it.get()).body, 'v1');
  assert.equal(await it.metadata.answer('example.com/other/@v/list'), undefined);
});

test('a flood of absences leaves nothing in metadata', async () => {
  await using it = await bench();
  for (let serial = 0; serial < 300; serial += 1)
    await assert.rejects(it.answers.get(`example.com/m${serial}/@v/list`, absent, signal), { code: 'not-found' });
  for (const serial of [0, 150, 299]) assert.equal(await it.metadata.answer(`example.com/m${serial}/@v/list`), undefined);
});

test('what another process was told is shared, and survives a restart', async () => {
  await using it = await bench();
  await it.get();
  it.clock.pass(10_000);
  it.restart();
  assert.deepEqual(await it.get(), { body: 'v1', ageSeconds: 10, stale: false, outcome: 'hit' });
  it.says = down;
  it.clock.pass(86_400_000);
  it.restart();
  assert.deepEqual(await it.get(), { body: 'v1', ageSeconds: 86_410, stale: true, outcome: 'stale' });
  assert.equal(it.asks, 2);
});

test('a wall clock set back makes nothing fresh for ever, and one set forward expires nothing in memory', async () => {
  await using it = await bench();
  await it.get();
  it.clock.wall -= 10 * 365 * 86_400_000;
  it.restart();
  it.says = found('v2');
  assert.equal((await it.get()).body, 'v2', 'a time stamp from the future counts as old');
  it.clock.wall += 20 * 365 * 86_400_000;
  assert.deepEqual(await it.get(), { body: 'v2', ageSeconds: 0, stale: false, outcome: 'hit' });
  assert.equal(it.asks, 2);
});

test('what was derived from something old is as old as that, and is not kept when nothing newer can be had', async () => {
  await using it = await bench();
  it.says = async () => ({ kind: 'found', body: 'derived', origin: 'list', derivedFrom: { ageSeconds: 50, stale: false } });
  assert.deepEqual(await it.get(), { body: 'derived', ageSeconds: 50, stale: false, outcome: 'miss' });
  it.clock.pass(9_000);
  assert.equal((await it.get()).ageSeconds, 59);
  assert.equal(it.asks, 1);
  const stale = async (): Promise<Asked> => ({ kind: 'found', body: 'old', origin: 'list', derivedFrom: { ageSeconds: 900, stale: true } });
  for (const asks of [1, 2]) {
    let asked = 0;
    const answer = await it.answers.get(
      'other',
      () => {
        asked += 1;
        return stale();
      },
      signal,
    );
    assert.deepEqual(answer, { body: 'old', ageSeconds: 900, stale: true, outcome: 'miss' }, `${asks}`);
    assert.equal(asked, 1);
  }
  assert.equal(await it.metadata.answer('other'), undefined);
});

test('metadata that fails costs neither an answer in memory nor one from upstream', async () => {
  await using it = await bench();
  await it.get();
  const fail = (): Promise<never> => Promise.reject(new HubError('storage-fault', 'broken'));
  it.metadata.answer = fail;
  it.metadata.recordAnswer = fail;
  it.clock.pass(86_400_000);
  it.says = down;
  assert.deepEqual(await it.get(), { body: 'v1', ageSeconds: 86_400, stale: true, outcome: 'stale' });
  it.restart();
  it.says = found('v3');
  assert.equal((await it.get()).body, 'v3');
});

test('kept asks nobody', async () => {
  await using it = await bench();
  assert.equal(await it.answers.kept(name), undefined);
  await it.get();
  it.clock.pass(86_400_000);
  assert.equal((await it.answers.kept(name))?.body, 'v1');
  assert.equal(it.asks, 1);
});
