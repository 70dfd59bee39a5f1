import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import type { AuditEntry } from '../meta/audit-trail.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { chainHash, type ChainPlace } from '../protocol/audit-chain.ts';
import { type TrailReport, verifyTrail } from './verify-trail.ts';

const entry = (serial: number): AuditEntry => ({
  atMs: serial,
  act: 'read',
  actor: 'token ci',
  subject: `m.example/m@v1.0.${serial}`,
  detail: '',
  count: 1,
});

/** A chain of 12 entries of which 4 were cut off, then what an intruder does to the file. */
async function verifyAfter(intrude: (database: DatabaseSync) => void, anchor?: ChainPlace): Promise<TrailReport> {
  const folder = await mkdtemp(join(tmpdir(), 'goyi-trail-'));
  try {
    const file = join(folder, 'goyi.db');
    {
      await using metadata = await openSqliteMetadata({ file, log: silentLog });
      await metadata.appendAudit(Array.from({ length: 11 }, (_, serial) => entry(serial + 1)));
      assert.equal(await metadata.cutAudit(7, 1), 4);
    }
    {
      using database = new DatabaseSync(file);
      intrude(database);
    }
    await using metadata = await openSqliteMetadata({ file, log: silentLog });
    return await verifyTrail(metadata, { anchor, onProgress: () => {} }, new AbortController().signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test('a whole chain holds, and goes through what was written down', async () => {
  const report = await verifyAfter(() => {});
  assert.deepEqual([report.fault, report.checked, report.cut.id, report.head.id], [undefined, 8, 4, 12]);
  assert.equal((await verifyAfter(() => {}, report.head)).fault, undefined);
  assert.equal((await verifyAfter(() => {}, { id: 7, hash: 'a'.repeat(64) })).fault?.id, 7);
  assert.equal((await verifyAfter(() => {}, { id: 2, hash: 'a'.repeat(64) })).fault?.id, 2);
  assert.equal((await verifyAfter(() => {}, { id: 99, hash: 'a'.repeat(64) })).fault?.id, 99);
});

/** From this entry on every hash is made anew, as by somebody who knows how. */
function rechain(database: DatabaseSync, from: number, changes: object): void {
  const all = database.prepare('SELECT id, at_ms AS atMs, act, actor, subject, detail, count, hash FROM audit_entry ORDER BY id').all();
  let previous = String(all.find(({ id }) => id === from - 1)?.['hash']);
  for (const row of all.filter(({ id }) => Number(id) >= from)) {
    const changed = { ...row, ...(row['id'] === from && changes) } as unknown as Parameters<typeof chainHash>[1];
    previous = chainHash(previous, changed);
    database.prepare('UPDATE audit_entry SET actor = ?, hash = ? WHERE id = ?').run(changed.actor, previous, changed.id);
  }
  database.prepare('UPDATE audit_bounds SET head_hash = ?').run(previous);
}

const intrusions: readonly (readonly [what: string, intrude: (database: DatabaseSync) => void, firstBad: number])[] = [
  ['an entry is changed', (db) => db.exec("UPDATE audit_entry SET actor = 'token other' WHERE id = 8"), 8],
  ['a count is changed', (db) => db.exec('UPDATE audit_entry SET count = 2 WHERE id = 12'), 12],
  ['a time is changed', (db) => db.exec('UPDATE audit_entry SET at_ms = 0 WHERE id = 5'), 5],
  ['an entry and its hash are changed', (db) => db.exec(`UPDATE audit_entry SET hash = '${'b'.repeat(64)}' WHERE id = 8`), 8],
  ['an entry is removed', (db) => db.exec('DELETE FROM audit_entry WHERE id = 8'), 8],
  ['the last is removed', (db) => db.exec('DELETE FROM audit_entry WHERE id = 12'), 12],
  ['all are removed', (db) => db.exec('DELETE FROM audit_entry'), 5],
  ['the first is removed', (db) => db.exec('DELETE FROM audit_entry WHERE id = 5'), 5],
  [
    'the beginning is cut off and the bounds moved',
    (db) =>
      db.exec(
        'UPDATE audit_bounds SET cut_id = 6, cut_hash = (SELECT hash FROM audit_entry WHERE id = 6); DELETE FROM audit_entry WHERE id <= 6',
      ),
    6,
  ],
  [
    'the head is moved back',
    (db) => db.exec('UPDATE audit_bounds SET head_id = 10, head_hash = (SELECT hash FROM audit_entry WHERE id = 9)'),
    10,
  ],
  ['something older comes back', (db) => db.exec(`INSERT INTO audit_entry VALUES (3, 1, 'read', 'x', 'y', '', 1, '${'c'.repeat(64)}')`), 3],
];

for (const [what, intrude, firstBad] of intrusions)
  test(`${what}: entry ${firstBad} is named`, async () => assert.equal((await verifyAfter(intrude)).fault?.id, firstBad));

test('who makes every hash anew is found out by what was written down elsewhere, and by nothing else', async () => {
  const { head } = await verifyAfter(() => {});
  const intrude = (database: DatabaseSync): void => rechain(database, 8, { actor: 'token other' });
  assert.equal((await verifyAfter(intrude)).fault, undefined);
  assert.equal((await verifyAfter(intrude, head)).fault?.id, 12);
});
