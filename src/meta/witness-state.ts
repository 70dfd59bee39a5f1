import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { HubError } from '../base/errors.ts';
import { isDamaged, metadataError } from './sqlite-errors.ts';
import { connect } from './sqlite-open.ts';

/** The newest head of one log that a witness cosigned. */
export interface WitnessedHead {
  readonly size: number;
  /** Base64. */
  readonly root: string;
  /** Signed by the log and cosigned. */
  readonly note: string;
}

/** Two heads of one size that one log signed, with different roots: one of them is a lie. */
export interface WitnessedFork {
  readonly keptNote: string;
  readonly contradictingNote: string;
  /** Milliseconds since the epoch. */
  readonly seenAtMs: number;
}

/**
 * What a witness must never forget, by the text of each log's key. What a method has written is durable when it returns. The methods do not wait, so
 * that nothing comes between looking at a head and moving it; another process on the same file cannot come between either, since heads
 * move by compare-and-swap.
 */
export interface WitnessState extends Disposable {
  head(log: string): WitnessedHead | undefined;
  /** Moves the head if it is still `from`; false when it is another. @throws {HubError} storage-full, storage-fault */
  advance(log: string, from: WitnessedHead | undefined, to: WitnessedHead): boolean;
  fork(log: string): WitnessedFork | undefined;
  /** Keeps the first one. @throws {HubError} storage-full, storage-fault */
  recordFork(log: string, fork: WitnessedFork): void;
  /** The key whose promises these are; undefined before the first start is through. */
  readonly owner: string | undefined;
  /** @throws {HubError} storage-full, storage-fault */
  setOwner(verifierKey: string): void;
}

/** "gwit": says whose file this is. */
const APPLICATION_ID = 0x67776974;
const VERSION = 1;

const schema = `
  CREATE TABLE heads (log TEXT PRIMARY KEY, size INTEGER NOT NULL, root TEXT NOT NULL, note TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE forks (log TEXT PRIMARY KEY, kept_note TEXT NOT NULL, contradicting_note TEXT NOT NULL, seen_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE owner (one INTEGER PRIMARY KEY CHECK (one = 1), verifier_key TEXT NOT NULL) STRICT;
`;

/** Opens the file, making it when it is not there. @throws {HubError} storage-full; storage-fault when it is damaged, not a witness's, or a newer goyi's */
export async function openWitnessState(file: string): Promise<WitnessState> {
  let database: DatabaseSync | undefined;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    database = connect(file, { readOnly: false });
    prepare(database, file);
    return new SqliteWitnessState(database, file);
  } catch (error) {
    database?.close();
    throw stateError(file, 'open the state of the witness', error);
  }
}

function prepare(database: DatabaseSync, file: string): void {
  // A head is on the disk before anything is said about it.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN EXCLUSIVE');
  try {
    const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined;
    const owner = Number(database.prepare('PRAGMA application_id').get()?.['application_id']);
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
    if (!isEmpty && owner !== APPLICATION_ID) throw new HubError('storage-fault', `${file} is a database, but not that of a witness`);
    if (version > VERSION) throw new HubError('storage-fault', `${file} was written by a newer goyi: run that version`);
    if (isEmpty) database.exec(`${schema}; PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`);
    database.exec('COMMIT');
  } finally {
    if (database.isTransaction) database.exec('ROLLBACK');
  }
}

class SqliteWitnessState implements WitnessState {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #head: StatementSync;
  readonly #first: StatementSync;
  readonly #next: StatementSync;

  constructor(database: DatabaseSync, file: string) {
    this.#database = database;
    this.#file = file;
    this.#head = database.prepare('SELECT size, root, note FROM heads WHERE log = ?');
    this.#first = database.prepare('INSERT INTO heads (log, size, root, note) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING');
    this.#next = database.prepare('UPDATE heads SET size = ?, root = ?, note = ? WHERE log = ? AND size = ? AND root = ?');
  }

  head(log: string): WitnessedHead | undefined {
    return this.#do('read a head', () => {
      const row = this.#head.get(log);
      return row && { size: Number(row['size']), root: String(row['root']), note: String(row['note']) };
    });
  }

  advance(log: string, from: WitnessedHead | undefined, to: WitnessedHead): boolean {
    return this.#do('move a head', () => {
      const { changes } =
        from === undefined
          ? this.#first.run(log, to.size, to.root, to.note)
          : this.#next.run(to.size, to.root, to.note, log, from.size, from.root);
      return Number(changes) === 1;
    });
  }

  fork(log: string): WitnessedFork | undefined {
    return this.#do('read evidence', () => {
      const row = this.#database.prepare('SELECT kept_note, contradicting_note, seen_at_ms FROM forks WHERE log = ?').get(log);
      return (
        row && {
          keptNote: String(row['kept_note']),
          contradictingNote: String(row['contradicting_note']),
          seenAtMs: Number(row['seen_at_ms']),
        }
      );
    });
  }

  recordFork(log: string, { keptNote, contradictingNote, seenAtMs }: WitnessedFork): void {
    this.#do('keep evidence', () =>
      this.#database
        .prepare('INSERT INTO forks (log, kept_note, contradicting_note, seen_at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING')
        .run(log, keptNote, contradictingNote, seenAtMs),
    );
  }

  get owner(): string | undefined {
    return this.#do('read whose state it is', () => {
      const row = this.#database.prepare('SELECT verifier_key FROM owner').get();
      return row && String(row['verifier_key']);
    });
  }

  setOwner(verifierKey: string): void {
    this.#do('say whose state it is', () => this.#database.prepare('INSERT INTO owner (one, verifier_key) VALUES (1, ?)').run(verifierKey));
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #do<T>(doing: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw stateError(this.#file, doing, error);
    }
  }
}

function stateError(file: string, doing: string, error: unknown): HubError {
  if (!isDamaged(error)) return metadataError(file, doing, error);
  // Not to be begun anew with the same key: what it has promised would be forgotten.
  const way = 'a witness that has lost its state must not go on with its key: begin in an empty folder, and give the logs the new keys';
  return new HubError('storage-fault', `the state of the witness, ${file}, is damaged; ${way}`, { cause: error });
}
