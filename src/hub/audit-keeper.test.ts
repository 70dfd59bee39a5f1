import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { type Log, silentLog } from '../base/log.ts';
import type { AuditEntry, AuditTrail } from '../meta/audit-trail.ts';
import { CHAIN_START } from '../protocol/audit-chain.ts';
import { AUDIT_ENTRIES_MAX, AuditKeeper } from './audit-keeper.ts';

function bench(appendAudit: AuditTrail['appendAudit'], log: Log = silentLog): { keeper: AuditKeeper; cuts: number[] } {
  const cuts: number[] = [];
  const trail: AuditTrail = {
    appendAudit,
    auditEntries: async () => [],
    auditBounds: async () => ({ cut: CHAIN_START, head: CHAIN_START }),
    cutAudit: async (keepMax) => cuts.push(keepMax),
  };
  return { keeper: new AuditKeeper({ trail, clock: { wallMs: () => 5, monotonicMs: () => 5 }, log }), cuts };
}

const read = (serial: number): Parameters<AuditKeeper['tally']>[0] => ({ act: 'read', actor: 'token a', subject: `m${serial}` });

test('what is alike within a minute is one entry with a count; an act is written at once', async () => {
  const written: AuditEntry[] = [];
  const { keeper } = bench(async (entries) => void written.push(...entries));
  for (let turn = 0; turn < 1_000; turn += 1) keeper.tally(read(turn % 2));
  assert.deepEqual(written, []);
  await keeper.audit({ act: 'publish', actor: 'token b', subject: 'm', detail: 'new' });
  assert.deepEqual(written, [{ atMs: 5, act: 'publish', actor: 'token b', subject: 'm', detail: 'new', count: 1 }]);
  await keeper[Symbol.asyncDispose]();
  assert.deepEqual(
    written.slice(1).map(({ subject, count }) => [subject, count]),
    [
      ['m0', 500],
      ['m1', 500],
    ],
  );
});

test('however many differ, a bounded number waits, and none is uncounted', async () => {
  const written: AuditEntry[] = [];
  const slow = Promise.withResolvers<void>();
  const { keeper } = bench(async (entries) => {
    await slow.promise;
    written.push(...entries);
  });
  for (let turn = 0; turn < 5_000; turn += 1) keeper.tally(read(turn));
  slow.resolve();
  await keeper.flush();
  assert.equal(
    written.reduce((sum, { count }) => sum + count, 0),
    5_000,
  );
  assert.ok(written.length <= 2_001, `${written.length} entries`);
  assert.ok(written.some(({ subject, count }) => subject === 'several' && count === 3_000));
});

test('an act that cannot be told throws; gathered ones that cannot are said in the log', async () => {
  const said: string[] = [];
  const log = { ...silentLog, error: (sentence: string) => void said.push(sentence) };
  const { keeper } = bench(() => Promise.reject(new HubError('storage-full', 'no space')), log);
  await assert.rejects(keeper.audit({ act: 'publish', actor: 'a', subject: 'm' }), { code: 'storage-full' });
  keeper.tally(read(1));
  await keeper.flush();
  assert.deepEqual(said, ['entries of the audit trail are lost']);
});

test('the trail is cut every so many entries', async () => {
  const { keeper, cuts } = bench(async () => {});
  for (let turn = 0; turn < 2_100; turn += 1) await keeper.audit(read(turn));
  assert.deepEqual(cuts, [AUDIT_ENTRIES_MAX, AUDIT_ENTRIES_MAX]);
});
