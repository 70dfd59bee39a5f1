import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { type Log, silentLog } from '../base/log.ts';
import type { Metadata } from '../meta/metadata.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { memoryFile } from '../meta/sqlite-open.ts';
import { type JobHandler, JobRunner } from './job-runner.ts';

interface Bench extends AsyncDisposable {
  readonly metadata: Metadata;
  readonly tried: string[];
  nowMs: number;
  start(handler: JobHandler, options?: { slotsMax?: number; laneSlotsMax?: number; attemptsMax?: number; log?: Log }): JobRunner;
  /** Resolves when the job has this state, and was begun so often. */
  reached(key: string, state: string, attempts?: number): Promise<void>;
}

async function bench(): Promise<Bench> {
  let isBroken: 'after' | undefined;
  const metadata = await openSqliteMetadata({
    file: memoryFile,
    log: silentLog,
    faults: (point, write) => {
      if (point !== isBroken || write !== 'endJob') return;
      isBroken = undefined;
      throw new HubError('storage-fault', 'the test says so');
    },
  });
  const tried: string[] = [];
  let runner: JobRunner | undefined;
  const made: Bench = {
    metadata,
    tried,
    nowMs: 1_800_000_000_000,
    start(handler, { log = silentLog, ...limits } = {}) {
      runner = new JobRunner({
        jobs: metadata,
        handlers: new Map([
          ['tag', handler],
          ['report', handler],
        ]),
        brief: new Set(['report']),
        events: {
          ...silentEvents,
          jobTried: ({ subject, outcome, attempts, detail }) => void tried.push(`${subject} ${attempts} ${outcome}: ${detail}`),
        },
        log,
        clock: { wallMs: () => made.nowMs, monotonicMs: () => performance.now() },
        random: () => 0,
        limits: { pollMs: 5, ...limits },
      });
      return runner;
    },
    async reached(key, state, attempts) {
      const endMs = performance.now() + 5_000;
      for (;;) {
        const row = (await metadata.jobs(100)).find((job) => job.key === key);
        if (row?.state === state && row.attempts === (attempts ?? row.attempts)) return;
        assert.ok(performance.now() < endMs, `${key} is ${row?.state}, not ${state}`);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    async [Symbol.asyncDispose]() {
      await runner?.[Symbol.asyncDispose]();
      await metadata[Symbol.asyncDispose]();
    },
  };
  return made;
}

const add = (here: Bench, key: string, kind = 'tag'): Promise<unknown> =>
  here.metadata.addJob({ kind, key, payload: '{}' }, { nowMs: here.nowMs });

test('a job is done, wherever it was added, and says what came of it', async () => {
  await using here = await bench();
  here.start(async ({ key }) => `did ${key}`);
  await add(here, 'a');
  await here.reached('a', 'done');
  assert.deepEqual(here.tried, ['a 1 done: did a']);
  assert.equal((await here.metadata.jobs(1))[0]?.outcome, 'did a');
});

test('what is out of reach comes again after longer and longer times, and is given up in the end', async () => {
  await using here = await bench();
  const atMs: number[] = [];
  here.start(
    async () => {
      atMs.push(here.nowMs);
      throw new HubError('origin-unavailable', 'the host is down');
    },
    { attemptsMax: 4 },
  );
  await add(here, 'a');
  for (let attempt = 1; attempt < 4; attempt += 1) {
    await here.reached('a', 'waiting', attempt);
    here.nowMs = (await here.metadata.jobs(1))[0]?.nextAtMs ?? 0;
  }
  await here.reached('a', 'failed');
  assert.deepEqual(
    atMs.map((ms, i) => ms - (atMs[i - 1] ?? ms)),
    [0, 2_500, 5_000, 10_000],
  );
  assert.match(here.tried.at(-1) ?? '', /a 4 failed: the host is down/);
});

test('what no other attempt mends is given up at once; a kind that nobody does as well; a bug is said', async () => {
  await using here = await bench();
  const bugs: string[] = [];
  const log: Log = { ...silentLog, error: (sentence) => void bugs.push(sentence) };
  here.start(
    async ({ key }) => {
      if (key === 'bug') throw new Error('a slip');
      throw new HubError('config-invalid', 'there is no such hook any more');
    },
    { log },
  );
  await add(here, 'a');
  await add(here, 'b', 'other');
  await add(here, 'bug');
  await here.reached('a', 'failed');
  await here.reached('b', 'failed');
  await here.reached('bug', 'waiting');
  assert.deepEqual(bugs, ['a job met a bug']);
});

test('no more run at once than there are slots, and two runners share the work', async () => {
  await using here = await bench();
  let running = 0;
  let most = 0;
  const done = new Map<string, number>();
  const work: JobHandler = async ({ key }) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    done.set(key, (done.get(key) ?? 0) + 1);
    return 'ok';
  };
  for (let i = 0; i < 60; i += 1) await add(here, `k${i}`);
  await using first = here.start(work, { slotsMax: 3 });
  here.start(work, { slotsMax: 3 });
  for (let i = 0; i < 60; i += 1) await here.reached(`k${i}`, 'done');
  assert.ok(first.running <= 3 && most <= 6 && most > 1, `${most} at once`);
  assert.deepEqual(
    [...done.values()],
    Array.from({ length: 60 }, () => 1),
  );
});

test('a runner that stops gives back what it has not done', async () => {
  await using here = await bench();
  const begun = Promise.withResolvers<void>();
  const runner = here.start(async (_job, signal) => {
    begun.resolve();
    return await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  });
  await add(here, 'a');
  await begun.promise;
  await runner[Symbol.asyncDispose]();
  const [row] = await here.metadata.jobs(1);
  assert.deepEqual([row?.state, row?.attempts, here.tried], ['waiting', 0, []]);
});

test('a host that answers nobody leaves slots for other hooks, and reports have their own', async () => {
  await using here = await bench();
  const begun: string[] = [];
  const never = Promise.withResolvers<string>();
  const runner = here.start(
    async ({ key }) => {
      begun.push(key);
      return key.startsWith('slow ') ? await never.promise : 'ok';
    },
    { slotsMax: 4, laneSlotsMax: 2 },
  );
  for (let number = 0; number < 6; number += 1) await add(here, `slow ${number}`);
  for (const chat of ['slow chat', 'other chat']) await add(here, chat, 'report');
  await add(here, 'other tag');
  await here.reached('other tag', 'done');
  await here.reached('other chat', 'done');
  assert.deepEqual([begun.filter((key) => /^slow \d/.test(key)).length, runner.running], [2, 3]);
  never.resolve('ok');
  for (let number = 0; number < 6; number += 1) await here.reached(`slow ${number}`, 'done');
});
