import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';
import { HubError } from '../base/errors.ts';
import { migrations } from './migrations/all.ts';
import { isBusy, metadataError } from './sqlite-errors.ts';

/** "goyi": says whose file this is. https://sqlite.org/pragma.html#pragma_application_id */
const applicationId = 0x676f7969;
const busyMs = 10_000;
const openMs = 20_000;
const retryMs = 25;
const logSizeMaxBytes = 64 * 1024 ** 2;

/** SQLite's name for a database that lives and dies with its connection. */
export const memoryFile = ':memory:';

/**
 * Opens the file, makes it when it is not there, and brings its schema up to date; several processes may do so at once.
 * @throws {HubError} storage-full; storage-fault when it is damaged, no database of goyi, or written by a newer goyi
 */
export async function openDatabase(file: string): Promise<DatabaseSync> {
  let database: DatabaseSync | undefined;
  try {
    if (file !== memoryFile) await mkdir(dirname(file), { recursive: true });
    database = connect(file, { readOnly: false });
    await migrate(database, file);
    return database;
  } catch (error) {
    database?.close();
    throw metadataError(file, 'open the metadata', error);
  }
}

/** One more connection to a file that {@link openDatabase} has prepared. It waits up to 10 seconds for the lock of another process. */
export function connect(file: string, options: { readOnly: boolean }): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: busyMs, enableForeignKeyConstraints: true, readOnly: options.readOnly });
  // `trusted_schema`: a file that somebody prepared must not run functions of its own through triggers and views.
  database.exec(
    `PRAGMA trusted_schema = OFF; PRAGMA cache_size = -4000; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = ${logSizeMaxBytes}`,
  );
  return database;
}

/** To switch to the log (WAL) needs the file for oneself for a moment, and SQLite does not wait for that by itself. */
async function migrate(database: DatabaseSync, file: string): Promise<void> {
  for (const giveUpAtMs = performance.now() + openMs; ; ) {
    try {
      if (needsWork(database, file)) applyMissing(database, file);
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > giveUpAtMs) throw error;
      await wait(retryMs);
    }
  }
}

function needsWork(database: DatabaseSync, file: string): boolean {
  const version = schemaVersion(database, file);
  return version < migrations.length || (file !== memoryFile && pragma(database, 'journal_mode') !== 'wal');
}

function applyMissing(database: DatabaseSync, file: string): void {
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN EXCLUSIVE');
  try {
    // Another process may have been first while this one waited for the lock.
    for (let version = schemaVersion(database, file); version < migrations.length; version += 1) {
      database.exec(`${migrations[version]}; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version + 1}`);
    }
    database.exec('COMMIT');
  } finally {
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}

/** How many migrations the file has seen. */
function schemaVersion(database: DatabaseSync, file: string): number {
  const version = Number(pragma(database, 'user_version'));
  const owner = Number(pragma(database, 'application_id'));
  const isEmpty = version === 0 && owner === 0 && database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
  if (!isEmpty && owner !== applicationId) throw new HubError('storage-fault', `${file} is a database, but not one of goyi`);
  if (version > migrations.length) {
    const known = `schema ${version}, this program knows up to ${migrations.length}`;
    throw new HubError('storage-fault', `${file} was written by a newer goyi (${known}): run that version, or name another data folder`);
  }
  return version;
}

function pragma(database: DatabaseSync, name: 'user_version' | 'application_id' | 'journal_mode'): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name];
}
