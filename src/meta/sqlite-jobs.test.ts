import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import type { Metadata } from './metadata.ts';
import { openSqliteMetadata } from './sqlite-metadata.ts';

const nowMs = 1_800_000_000_000;
const job = { kind: 'tag', key: 'a', payload: '{}' };

async function place(): Promise<AsyncDisposable & { readonly file: string; open(owner?: string): Promise<Metadata> }> {
  const folder = await mkdtemp(join(tmpdir(), 'goyi-jobs-'));
  const file = join(folder, 'goyi.db');
  return {
    file,
    open: (owner) => openSqliteMetadata({ file, log: silentLog, ...(owner !== undefined && { owner }) }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

test('the job of a dead process is taken up at once, that of a living one is not', async () => {
  await using here = await place();
  // No process of this boot has that start.
  await using dead = await here.open('abcdef012345-1-1');
  await using alive = await here.open();
  await using next = await here.open();
  await dead.addJob(job, { nowMs });
  await dead.addJob({ ...job, key: 'b' }, { nowMs: nowMs + 1 });
  assert.deepEqual(
    (await dead.claimJobs(nowMs, 9)).map(({ key }) => key),
    ['a'],
  );
  assert.deepEqual(
    (await alive.claimJobs(nowMs + 1, 1)).map(({ key, attempts }) => [key, attempts]),
    [['a', 2]],
  );
  assert.deepEqual(
    (await next.claimJobs(nowMs + 1, 9)).map(({ key }) => key),
    ['b'],
  );
  assert.equal(await next.hasDueJob(nowMs + 1), false);
  const [{ id } = { id: 0 }] = (await alive.jobs(9)).filter(({ key }) => key === 'a');
  assert.equal(await dead.endJob(id, { kind: 'done', outcome: 'too late' }, nowMs), false);
  assert.equal(await alive.endJob(id, { kind: 'done', outcome: 'archive' }, nowMs), true);
});

test('what a metadata has begun is free again when it closes', async () => {
  await using here = await place();
  const first = await here.open();
  await first.addJob(job, { nowMs });
  await first.claimJobs(nowMs, 1);
  // One more of the same kind came meanwhile: one of them is enough.
  await first.addJob(job, { nowMs });
  await first[Symbol.asyncDispose]();
  await using second = await here.open();
  assert.deepEqual(
    (await second.claimJobs(nowMs, 9)).map(({ attempts }) => attempts),
    [1],
  );
});

test('ten thousand jobs that ended stay, and deliveries for three days', async () => {
  await using here = await place();
  await (await here.open())[Symbol.asyncDispose]();
  {
    using database = new DatabaseSync(here.file);
    database.exec(`
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10200)
      INSERT INTO job (kind, key, payload, state, attempts, next_at_ms, created_at_ms, changed_at_ms, outcome) SELECT 'tag', 'k' || i, '{}', 'done', 1, i, i, i, 'x' FROM n;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
      INSERT INTO hook_delivery (nonce, job, seen_at_ms) SELECT printf('%064d', i), i, ${nowMs} - i * 3600000 FROM n;`);
  }
  await using metadata = await here.open();
  await metadata.addJob(job, { nowMs });
  using database = new DatabaseSync(here.file, { readOnly: true });
  assert.deepEqual(
    { ...database.prepare(`SELECT count(*) AS jobs, min(next_at_ms) AS oldest FROM job WHERE state = 'done'`).get() },
    { jobs: 10_000, oldest: 201 },
  );
  assert.deepEqual({ ...database.prepare('SELECT count(*) AS kept FROM hook_delivery').get() }, { kept: 71 });
});
