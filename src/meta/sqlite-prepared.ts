import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite';
import { type StatementName, statements } from './sqlite-statements.ts';

export type Row = Record<string, SQLOutputValue>;

/** The statements of one connection, each compiled at its first use and kept. */
export class Prepared {
  readonly #database: DatabaseSync;
  readonly #compiled = new Map<StatementName, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  get(name: StatementName, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(name).get(...values);
  }

  all(name: StatementName, ...values: SQLInputValue[]): Row[] {
    return this.#statement(name).all(...values);
  }

  /** Answers how many rows were changed. */
  run(name: StatementName, ...values: SQLInputValue[]): number {
    return Number(this.#statement(name).run(...values).changes);
  }

  #statement(name: StatementName): StatementSync {
    let statement = this.#compiled.get(name);
    if (statement === undefined) {
      statement = this.#database.prepare(statements[name]);
      this.#compiled.set(name, statement);
    }
    return statement;
  }
}
