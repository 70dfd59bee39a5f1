import { accessStatements } from './sqlite-access.ts';

/**
 * Every statement that runs while the hub works. None of them may walk through a whole table: a test asks SQLite for the plan of each.
 */
const fileColumns =
  'f.key, f.kind, f.module, f.version, f.size_bytes, f.sha256, f.fingerprint, f.h1, f.origin, f.proof_database, f.proof_tree_size, f.proof_record_id, f.proved_at_ms, f.stored_at_ms, f.private';

const jobColumns = 'id, kind, key, payload, state, attempts, next_at_ms, created_at_ms, changed_at_ms, error, outcome';
/** ?3 and ?4: kinds, and lanes as in `laneOf`, each between line ends. */
const isNotLeft = `instr(?3, char(10) || kind || char(10)) = 0
    AND instr(?4, char(10) || kind || ' ' || substr(key, 1, instr(key || ' ', ' ') - 1) || char(10)) = 0`;

/** What the gate blocked, or has not decided yet, is nobody's to see. */
const isShown = (
  table: string,
): string => `NOT EXISTS (SELECT 1 FROM held_version h WHERE h.module = ${table}.module AND h.version = ${table}.version)
    AND NOT EXISTS (SELECT 1 FROM verdict v WHERE v.module = ${table}.module AND v.version = ${table}.version AND v.kind = 'block')`;

export const statements: Readonly<Record<StatementName, string>> = {
  file: `SELECT ${fileColumns} FROM file f WHERE f.key = ?`,
  filesAfter: `SELECT ${fileColumns} FROM file f WHERE f.key > ? ORDER BY f.key LIMIT ?`,
  // As one text: to make an object of each of ten thousand rows takes eight times as long, on the thread that serves.
  storedVersions: `SELECT group_concat(version, char(10)) AS versions FROM file f WHERE module = ?1 AND private = ?2 AND kind = 'zip' AND (?2 = 0 OR (${isShown('f')}))`,
  totals: 'SELECT files, size_bytes, versions FROM totals WHERE id = 1',
  filesUnusedSince: `SELECT ${fileColumns}, u.last_used_at_ms FROM file_use u CROSS JOIN file f ON f.id = u.file_id
    WHERE f.private = 0 AND u.last_used_at_ms < ? AND (u.last_used_at_ms, u.file_id) > (?, coalesce((SELECT id FROM file WHERE key = ?), 0))
    ORDER BY u.last_used_at_ms, u.file_id LIMIT ?`,
  upsertFile: `INSERT INTO file (key, kind, module, version, size_bytes, sha256, fingerprint, h1, origin, proof_database, proof_tree_size, proof_record_id, proved_at_ms, stored_at_ms, private)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET kind = excluded.kind, module = excluded.module, version = excluded.version, size_bytes = excluded.size_bytes,
      sha256 = excluded.sha256, fingerprint = excluded.fingerprint, h1 = excluded.h1, origin = excluded.origin, proof_database = excluded.proof_database,
      proof_tree_size = excluded.proof_tree_size, proof_record_id = excluded.proof_record_id, proved_at_ms = excluded.proved_at_ms, stored_at_ms = excluded.stored_at_ms,
      private = excluded.private
    RETURNING id`,
  touchFile: `INSERT INTO file_use (file_id, uses, last_used_at_ms) VALUES (?, 0, ?)
    ON CONFLICT (file_id) DO UPDATE SET last_used_at_ms = max(last_used_at_ms, excluded.last_used_at_ms)`,
  updateFingerprint: 'UPDATE file SET fingerprint = ? WHERE key = ?',
  deleteFile: 'DELETE FROM file WHERE key = ?',
  deleteFileAs: 'DELETE FROM file WHERE key = ? AND fingerprint = ?',
  addUses:
    'UPDATE file_use SET uses = uses + ?, last_used_at_ms = max(last_used_at_ms, ?) WHERE file_id = (SELECT id FROM file WHERE key = ?)',

  isIndexed: 'SELECT 1 FROM index_entry WHERE module = ? AND version = ?',
  // Inside the write lock: whichever process is next, and wherever its clock stands, its entry comes after the last one.
  insertIndexEntry:
    'INSERT INTO index_entry (stored_at_us, module, version) VALUES (max(?, 1 + coalesce((SELECT max(stored_at_us) FROM index_entry), 0)), ?, ?)',
  indexSince: `SELECT module, version, stored_at_us FROM index_entry i WHERE stored_at_us >= ? AND ${isShown('i')} ORDER BY stored_at_us LIMIT ?`,
  // Who reads the index on from where it ended would never see one that shows itself later.
  moveIndexEntry:
    'UPDATE index_entry SET stored_at_us = max(?, 1 + (SELECT max(stored_at_us) FROM index_entry)) WHERE module = ? AND version = ?',

  answer: 'SELECT name, body, origin, fetched_at_ms FROM answer WHERE name = ?',
  upsertAnswer: `INSERT INTO answer (name, body, origin, fetched_at_ms) VALUES (?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET body = excluded.body, origin = excluded.origin, fetched_at_ms = excluded.fetched_at_ms`,
  queryBeyond: `SELECT fetched_at_ms FROM answer WHERE name GLOB '*.info' ORDER BY fetched_at_ms DESC LIMIT 1 OFFSET ?`,
  deleteQueriesUntil: `DELETE FROM answer WHERE name GLOB '*.info' AND fetched_at_ms <= ?`,

  head: 'SELECT checksum_database, tree_size, root, note FROM head WHERE checksum_database = ?',
  upsertHead: `INSERT INTO head (checksum_database, tree_size, root, note) VALUES (?, ?, ?, ?)
    ON CONFLICT (checksum_database) DO UPDATE SET tree_size = excluded.tree_size, root = excluded.root, note = excluded.note`,
  deleteHead: 'DELETE FROM head WHERE checksum_database = ?',
  fork: 'SELECT checksum_database, kept_note, contradicting_note, detail, seen_at_ms FROM fork WHERE checksum_database = ?',
  insertFork: `INSERT INTO fork (checksum_database, kept_note, contradicting_note, detail, seen_at_ms) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (checksum_database) DO NOTHING`,
  deleteFork: 'DELETE FROM fork WHERE checksum_database = ?',

  lease: 'SELECT owner, failure_code, failure_message, failed_until_ms FROM lease WHERE key = ?',
  takeLease: `INSERT INTO lease (key, owner) VALUES (?, ?)
    ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, failure_code = NULL, failure_message = NULL, failed_until_ms = NULL`,
  failLease: 'UPDATE lease SET failure_code = ?, failure_message = ?, failed_until_ms = ? WHERE key = ? AND owner = ?',
  dropLease: 'DELETE FROM lease WHERE key = ? AND owner = ? AND failure_code IS NULL',
  dropLeasesOf: 'DELETE FROM lease WHERE owner = ? AND failure_code IS NULL',
  dropExpiredFailures: 'DELETE FROM lease WHERE failed_until_ms < ?',

  upsertKept: `INSERT INTO kept (key, bytes, boot, kept_at_ms) VALUES (?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, boot = excluded.boot, kept_at_ms = excluded.kept_at_ms`,
  keptUntil: `SELECT key, kept_at_ms FROM kept
    WHERE kept_at_ms <= max(?, coalesce((SELECT kept_at_ms FROM kept ORDER BY kept_at_ms DESC LIMIT 1 OFFSET ?), 0)) ORDER BY kept_at_ms LIMIT ?`,
  keptAfter: 'SELECT key, kept_at_ms, boot, bytes FROM kept WHERE key > ? ORDER BY key LIMIT ?',
  deleteKeptAs: 'DELETE FROM kept WHERE key = ? AND kept_at_ms = ?',
  deleteKeptOfNone: 'DELETE FROM kept WHERE key = ? AND NOT EXISTS (SELECT 1 FROM file WHERE key = ?)',

  ownHead: 'SELECT size, root FROM own_log WHERE name = ?',
  // One statement, so that head and edges are of one moment.
  ownTree: `SELECT l.id, l.size, l.root, e.level, e.hashes FROM own_log l LEFT JOIN own_edge e ON e.log = l.id WHERE l.name = ? ORDER BY e.level`,
  ownRecord: `SELECT id, module, version, zip_hash, mod_hash, proved_by FROM own_record
    WHERE log = (SELECT id FROM own_log WHERE name = ?) AND module = ? AND version = ?`,
  ownRecords: `SELECT id, module, version, zip_hash, mod_hash, proved_by FROM own_record
    WHERE log = (SELECT id FROM own_log WHERE name = ?) AND id >= ? ORDER BY id LIMIT ?`,
  ownTiles: `SELECT level, tile_index, hashes FROM own_tile WHERE log = (SELECT id FROM own_log WHERE name = ?) ORDER BY level, tile_index LIMIT ?`,
  ownTile: 'SELECT hashes FROM own_tile WHERE log = (SELECT id FROM own_log WHERE name = ?) AND level = ? AND tile_index = ?',
  insertOwnLog: 'INSERT INTO own_log (name, size, root) VALUES (?, 0, ?) RETURNING id',
  updateOwnLog: 'UPDATE own_log SET size = ?, root = ? WHERE id = ?',
  insertOwnRecord: `INSERT INTO own_record (log, id, module, version, zip_hash, mod_hash, proved_by) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (log, module, version) DO NOTHING`,
  upsertOwnEdge:
    'INSERT INTO own_edge (log, level, hashes) VALUES (?, ?, ?) ON CONFLICT (log, level) DO UPDATE SET hashes = excluded.hashes',
  deleteOwnEdge: 'DELETE FROM own_edge WHERE log = ? AND level = ?',
  insertOwnTile: 'INSERT INTO own_tile (log, level, tile_index, hashes) VALUES (?, ?, ?, ?)',
  deleteOwnTile: 'DELETE FROM own_tile WHERE log = (SELECT id FROM own_log WHERE name = ?) AND level = ? AND tile_index = ?',

  drifts:
    'SELECT id, module, version, kind, recorded_hash, offered_hash, origin, first_seen_ms, last_seen_ms, count FROM drift WHERE id < ? ORDER BY id DESC LIMIT ?',
  upsertDrift: `INSERT INTO drift (module, version, kind, recorded_hash, offered_hash, origin, first_seen_ms, last_seen_ms, count)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
    ON CONFLICT (module, version, kind, offered_hash, origin) DO UPDATE
    SET recorded_hash = excluded.recorded_hash, last_seen_ms = max(last_seen_ms, excluded.last_seen_ms), count = count + 1
    RETURNING count`,
  driftBeyond: 'SELECT last_seen_ms FROM drift ORDER BY last_seen_ms DESC LIMIT 1 OFFSET ?',
  deleteDriftsUntil: 'DELETE FROM drift WHERE last_seen_ms <= ?',

  job: `SELECT ${jobColumns}, owner FROM job WHERE id = ?`,
  jobs: `SELECT ${jobColumns} FROM job WHERE id < ? ORDER BY id DESC LIMIT ?`,
  countWaitingJobs: `SELECT count(*) AS waiting FROM job WHERE state = 'waiting'`,
  waitingJob: `SELECT id FROM job WHERE kind = ? AND key = ? AND state = 'waiting'`,
  runningJobOfKey: `SELECT id, owner FROM job WHERE kind = ? AND key = ? AND state = 'running'`,
  jobBeyond: `SELECT 1 FROM job WHERE state = 'waiting' LIMIT 1 OFFSET ?`,
  insertJob: `INSERT INTO job (kind, key, payload, state, attempts, next_at_ms, created_at_ms, changed_at_ms) VALUES (?, ?, ?, 'waiting', 0, ?, ?, ?) RETURNING id`,
  // As many as there are workers times what each does at once.
  runningJobs: `SELECT ${jobColumns}, owner FROM job WHERE state = 'running' ORDER BY next_at_ms LIMIT 1000`,
  dueJobs: `SELECT ${jobColumns} FROM job WHERE state = 'waiting' AND next_at_ms <= ?1 AND ${isNotLeft}
    AND NOT EXISTS (SELECT 1 FROM job r WHERE r.kind = job.kind AND r.key = job.key AND r.state = 'running') ORDER BY next_at_ms LIMIT ?2`,
  farJobs: `SELECT ${jobColumns} FROM job WHERE state = 'waiting' AND next_at_ms > ?1 AND ${isNotLeft} ORDER BY next_at_ms LIMIT ?2`,
  claimJob: `UPDATE job SET state = 'running', owner = ?, attempts = attempts + 1, changed_at_ms = ? WHERE id = ? AND state IN ('waiting', 'running')`,
  // From now on the time is that of its end, by which the oldest are found.
  endJob: `UPDATE job SET state = ?1, next_at_ms = ?2, changed_at_ms = ?2, owner = NULL, error = coalesce(?3, error), outcome = ?4 WHERE id = ?5 AND owner = ?6`,
  returnJob: `UPDATE job SET state = 'waiting', next_at_ms = ?, changed_at_ms = ?, owner = NULL, error = ?, attempts = attempts - ? WHERE id = ? AND owner = ?`,
  returnJobsOf: `UPDATE OR REPLACE job SET state = 'waiting', owner = NULL, attempts = attempts - 1 WHERE state = 'running' AND owner = ?`,
  reviveJob: `UPDATE job SET state = 'waiting', attempts = 0, next_at_ms = ?, changed_at_ms = ?, outcome = NULL WHERE id = ?`,
  endedJobBeyond: 'SELECT next_at_ms FROM job WHERE state = ? ORDER BY next_at_ms DESC LIMIT 1 OFFSET ?',
  deleteEndedJobs: 'DELETE FROM job WHERE state = ? AND next_at_ms <= ?',
  hookDelivery: 'SELECT job FROM hook_delivery WHERE nonce = ?',
  insertHookDelivery: 'INSERT INTO hook_delivery (nonce, job, seen_at_ms) VALUES (?, ?, ?)',
  hookDeliveryBeyond: 'SELECT seen_at_ms FROM hook_delivery ORDER BY seen_at_ms DESC LIMIT 1 OFFSET ?',
  deleteHookDeliveries: 'DELETE FROM hook_delivery WHERE seen_at_ms <= ?',
  verdict: `SELECT kind, reason, decided_at_ms, released_for FROM verdict WHERE module = ?1 AND version = ?2
    UNION ALL SELECT 'held', '', since_ms, NULL FROM held_version WHERE module = ?1 AND version = ?2 LIMIT 1`,
  holdVersion: 'INSERT INTO held_version (module, version, since_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  letGoOfHeld: 'DELETE FROM held_version WHERE module = ? AND version = ?',
  blockedVersions: `SELECT version FROM verdict WHERE module = ? AND kind = 'block'`,
  insertVerdict:
    'INSERT INTO verdict (module, version, kind, reason, decided_at_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT (module, version) DO NOTHING',
  releaseVerdict: `UPDATE verdict SET kind = 'released', released_for = ?, released_at_ms = ? WHERE module = ? AND version = ? AND kind = 'block'`,
  blockedVerdicts: `SELECT id, module, version, kind, reason, decided_at_ms, released_for FROM verdict WHERE kind = 'block' AND id < ? ORDER BY id DESC LIMIT ?`,

  upsertWish: `INSERT INTO wish (module, version, first_seen_ms, last_seen_ms, count) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (module, version) DO UPDATE SET last_seen_ms = max(last_seen_ms, excluded.last_seen_ms), count = count + excluded.count`,
  wishes: `SELECT module, version, first_seen_ms, last_seen_ms, count FROM wish WHERE module > '' ORDER BY module, version LIMIT ?`,
  wishBeyond: 'SELECT last_seen_ms FROM wish ORDER BY last_seen_ms DESC LIMIT 1 OFFSET ?',
  deleteWishesUntil: 'DELETE FROM wish WHERE last_seen_ms <= ?',
  deleteWish: 'DELETE FROM wish WHERE module = ? AND version = ?',

  setting: 'SELECT value FROM setting WHERE name = ?',
  ...accessStatements,

  upsertSetting: 'INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
};

export type StatementName =
  | keyof typeof accessStatements
  | 'file'
  | 'filesAfter'
  | 'storedVersions'
  | 'totals'
  | 'filesUnusedSince'
  | 'upsertWish'
  | 'wishes'
  | 'wishBeyond'
  | 'deleteWishesUntil'
  | 'deleteWish'
  | 'upsertFile'
  | 'touchFile'
  | 'updateFingerprint'
  | 'deleteFile'
  | 'deleteFileAs'
  | 'addUses'
  | 'isIndexed'
  | 'insertIndexEntry'
  | 'indexSince'
  | 'moveIndexEntry'
  | 'answer'
  | 'upsertAnswer'
  | 'queryBeyond'
  | 'deleteQueriesUntil'
  | 'head'
  | 'upsertHead'
  | 'deleteHead'
  | 'fork'
  | 'insertFork'
  | 'deleteFork'
  | 'lease'
  | 'takeLease'
  | 'failLease'
  | 'dropLease'
  | 'dropLeasesOf'
  | 'dropExpiredFailures'
  | 'upsertKept'
  | 'keptUntil'
  | 'keptAfter'
  | 'deleteKeptAs'
  | 'deleteKeptOfNone'
  | 'ownHead'
  | 'ownTree'
  | 'ownRecord'
  | 'ownRecords'
  | 'ownTiles'
  | 'ownTile'
  | 'insertOwnLog'
  | 'updateOwnLog'
  | 'insertOwnRecord'
  | 'upsertOwnEdge'
  | 'deleteOwnEdge'
  | 'insertOwnTile'
  | 'deleteOwnTile'
  | 'drifts'
  | 'upsertDrift'
  | 'driftBeyond'
  | 'deleteDriftsUntil'
  | 'job'
  | 'jobs'
  | 'countWaitingJobs'
  | 'waitingJob'
  | 'runningJobOfKey'
  | 'jobBeyond'
  | 'insertJob'
  | 'runningJobs'
  | 'dueJobs'
  | 'farJobs'
  | 'claimJob'
  | 'endJob'
  | 'returnJob'
  | 'returnJobsOf'
  | 'reviveJob'
  | 'endedJobBeyond'
  | 'deleteEndedJobs'
  | 'hookDelivery'
  | 'insertHookDelivery'
  | 'hookDeliveryBeyond'
  | 'deleteHookDeliveries'
  | 'verdict'
  | 'holdVersion'
  | 'letGoOfHeld'
  | 'blockedVersions'
  | 'insertVerdict'
  | 'releaseVerdict'
  | 'blockedVerdicts'
  | 'setting'
  | 'upsertSetting';
