import { type Spread, ratiosOf, shortly, spreadOf } from './statistics.ts';

/** One test of one contender: a value a round for each of its figures. */
export interface Row {
  readonly suite: string;
  readonly test: string;
  readonly contender: string;
  readonly figures: Record<string, number[]>;
  readonly notes: string[];
}

/** Collects figures and says them: progress while it runs, tables and JSON at the end. */
export class Report {
  readonly rows: Row[] = [];
  readonly #isTerminal: boolean;
  readonly #startedMs = performance.now();

  constructor({ isTerminal }: { readonly isTerminal: boolean }) {
    this.#isTerminal = isTerminal;
  }

  /** On a terminal one line that changes; in a pipe a line each. */
  progress(line: string): void {
    const seconds = Math.round((performance.now() - this.#startedMs) / 1000);
    process.stderr.write(this.#isTerminal ? `\r\x1b[K${seconds} s  ${line}` : `${seconds} s  ${line}\n`);
  }

  add(of: Pick<Row, 'suite' | 'test' | 'contender'>, figures: Readonly<Record<string, number>>, note?: string): void {
    let row = this.rows.find(({ suite, test, contender }) => suite === of.suite && test === of.test && contender === of.contender);
    if (row === undefined) {
      row = { ...of, figures: {}, notes: [] };
      this.rows.push(row);
    }
    for (const [name, value] of Object.entries(figures)) (row.figures[name] ??= []).push(value);
    if (note !== undefined && !row.notes.includes(note)) row.notes.push(note);
  }

  /** Tables in Markdown, one a suite: each figure's median, and what goyi's is of it, with the smallest and the largest of the rounds. */
  tables(): string {
    if (this.#isTerminal) process.stderr.write('\r\x1b[K');
    const suites = [...new Set(this.rows.map(({ suite }) => suite))];
    return suites.map((suite) => `## ${suite}\n\n${this.#table(suite)}\n`).join('\n');
  }

  #table(suite: string): string {
    const lines: string[] = [];
    for (const row of this.rows.filter((one) => one.suite === suite)) {
      const ours = this.rows.find((one) => one.suite === suite && one.test === row.test && one.contender === 'goyi');
      for (const [name, values] of Object.entries(row.figures)) {
        const ratio = row === ours ? undefined : ratiosOf(ours?.figures[name] ?? [], values);
        lines.push(`| ${row.test} | ${row.contender} | ${name} | ${range(spreadOf(values))} | ${ratio === undefined ? '' : range(ratio)} |`);
      }
      for (const note of row.notes) lines.push(`| ${row.test} | ${row.contender} | note | ${note} | |`);
    }
    return ['| test | server | figure | median (min … max) | goyi is … of it |', '| --- | --- | --- | --- | --- |', ...lines].join('\n');
  }
}

function range({ min, median, max }: Spread): string {
  return min === max ? shortly(median) : `${shortly(median)} (${shortly(min)} … ${shortly(max)})`;
}
