import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DRIFT_PATH, type DriftPage, parseDriftQuery } from '../api/drift.ts';
import { parseProblem } from '../api/problem.ts';
import { HubError } from '../base/errors.ts';
import type { DriftRow } from '../meta/metadata.ts';
import { accessOf } from './fake-access.ts';
import { ask, startHub } from './fake-station.ts';

const rowOf = (id: number): DriftRow => ({
  id,
  module: 'moved.example/m',
  version: 'v1.0.0',
  kind: 'zip',
  recordedHash: 'h1:recorded',
  offeredHash: `h1:offered ${id}`,
  origin: 'https://proxy.example/',
  firstSeenMs: 1_800_000_000_000,
  lastSeenMs: 1_800_000_001_500,
  count: id,
});

test('drifts come as JSON, a page at a time', async () => {
  const asked: (number | undefined)[][] = [];
  const rows = [5, 3, 2].map(rowOf);
  const fake = await startHub({
    station: {
      drifts: async (limit, before) => {
        asked.push([limit, before]);
        return rows.filter(({ id }) => before === undefined || id < before).slice(0, limit);
      },
    },
  });
  const page = async (query: string): Promise<DriftPage> => {
    const reply = await ask(fake.port, `${DRIFT_PATH}${query}`);
    assert.deepEqual([reply.status, reply.headers['content-type'], reply.headers['cache-control']], [200, 'application/json', 'no-store']);
    return JSON.parse(String(reply.body)) as DriftPage;
  };
  assert.deepEqual((await page('')).drifts[0], {
    module: 'moved.example/m',
    version: 'v1.0.0',
    kind: 'zip',
    recordedHash: 'h1:recorded',
    offeredHash: 'h1:offered 5',
    origin: 'https://proxy.example/',
    firstSeen: '2027-01-15T08:00:00.000Z',
    lastSeen: '2027-01-15T08:00:01.500Z',
    count: 5,
  });
  assert.equal((await page('')).next, null);
  const first = await page('?limit=2');
  assert.deepEqual([first.drifts.map(({ count }) => count), first.next], [[5, 3], 3]);
  const second = await page(`?limit=2&before=${first.next}`);
  assert.deepEqual([second.drifts.map(({ count }) => count), second.next], [[2], null]);
  assert.deepEqual(asked.at(-1), [2, 3]);
  assert.equal((await ask(fake.port, DRIFT_PATH, { method: 'HEAD' })).body.length, 0);
  await fake.stop();
});

for (const query of ['limit=0', 'limit=1001', 'limit=x', 'limit=', 'before=0', 'before=-1', 'before=99999999999999999', 'other=1', '=']) {
  test(`the query ${query} is refused`, () => assert.equal(parseDriftQuery(query).ok, false));
}

test('what may not be asked, or fails, is a problem document', async () => {
  const open = await startHub({ station: { drifts: () => Promise.reject(new HubError('storage-fault', 'the disk is gone')) } });
  const closed = await startHub({ access: accessOf([]) });
  for (const [port, path, method, status, code] of [
    [open.port, DRIFT_PATH, 'GET', 503, 'storage-fault'],
    [open.port, `${DRIFT_PATH}?limit=0`, 'GET', 400, 'bad-request'],
    [open.port, DRIFT_PATH, 'POST', 405, 'method-not-allowed'],
    [closed.port, DRIFT_PATH, 'GET', 401, 'unauthorized'],
  ] as const) {
    const reply = await ask(port, path, { method });
    const problem = parseProblem(String(reply.body));
    assert.deepEqual([reply.status, problem.ok && problem.value.code], [status, code], `${method} ${path}`);
  }
  await open.stop();
  await closed.stop();
});
