import type { DatabaseSync } from 'node:sqlite';
import { HubError } from '../base/errors.ts';
import { type Failure, failureOf, isBusy } from './sqlite-errors.ts';
import { isSoft, SqliteWrites, type WriteCall } from './sqlite-writes.ts';

export type WriteOutcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly failure: Failure };

/** Runs calls in groups: one transaction and one sync of the disk for all that came together. It owns the write connection. */
export class SqliteWriter {
  readonly #database: DatabaseSync;
  readonly #writes: SqliteWrites;
  #synchronous: 'FULL' | 'NORMAL' | undefined;

  constructor(database: DatabaseSync, owner: string) {
    this.#database = database;
    this.#writes = new SqliteWrites(database, owner);
  }

  /**
   * One outcome a call, in order. What is answered `ok` is committed, and on the disk if any call of the group needs that.
   * A call that the database refuses does not take the others with it: then each gets a transaction of its own.
   */
  run(calls: readonly WriteCall[]): WriteOutcome[] {
    try {
      return this.#transact(calls);
    } catch (error) {
      const failure: WriteOutcome = { ok: false, failure: failureOf(error) };
      // When the lock could not be had, waiting for it once a call would take minutes.
      if (calls.length <= 1 || isBusy(error)) return calls.map(() => failure);
      return calls.flatMap((call) => this.run([call]));
    }
  }

  #transact(calls: readonly WriteCall[]): WriteOutcome[] {
    this.#synchronise(calls.every((call) => isSoft(call.name)) ? 'NORMAL' : 'FULL');
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const outcomes = calls.map((call) => this.#one(call));
      this.#database.exec('COMMIT');
      return outcomes;
    } finally {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    }
  }

  /** A refusal of ours comes before anything was written, so the transaction goes on without it. */
  #one(call: WriteCall): WriteOutcome {
    try {
      const method = this.#writes[call.name] as (...args: WriteCall['args']) => unknown;
      return { ok: true, value: method.apply(this.#writes, call.args) };
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      return { ok: false, failure: failureOf(error) };
    }
  }

  /** https://sqlite.org/pragma.html#pragma_synchronous: FULL syncs the log at each commit, NORMAL leaves that to the next FULL or checkpoint. */
  #synchronise(level: 'FULL' | 'NORMAL'): void {
    if (this.#synchronous === level) return;
    this.#database.exec(`PRAGMA synchronous = ${level}`);
    this.#synchronous = level;
  }
}
