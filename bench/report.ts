import { growthTable } from './growth-table.ts';
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
    // wrk knows no 99th percentile of a few requests.
    for (const [name, value] of Object.entries(figures)) if (Number.isFinite(value)) (row.figures[name] ??= []).push(value);
    if (note !== undefined && !row.notes.includes(note)) row.notes.push(note);
  }

  /** Tables in Markdown, one a suite. A cell is the median of the rounds; behind it, in the rows of others, what goyi's was of it: median (smallest … largest). */
  tables(): string {
    if (this.#isTerminal) process.stderr.write('\r\x1b[K');
    const suites = [...new Set(this.rows.map(({ suite }) => suite))];
    const table = (suite: string): string =>
      suite === 'scale' ? growthTable(this.rows.filter((row) => row.suite === suite)) : this.#table(suite);
    return suites.map((suite) => `## ${suite}\n\n${table(suite)}\n`).join('\n');
  }

  #table(suite: string): string {
    const rows = this.rows.filter((row) => row.suite === suite);
    const figures = [...new Set(rows.flatMap((row) => Object.keys(row.figures)))];
    const lines = rows.map((row) => {
      const ours = rows.find(({ test, contender }) => test === row.test && contender === 'goyi');
      const cells = figures.map((figure) => cellOf(row.figures[figure], row === ours ? undefined : ours?.figures[figure]));
      return [row.test, row.contender, ...cells, row.notes.join('; ')];
    });
    const head = ['test', 'server', ...figures, 'notes'];
    return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  }
}

function cellOf(values: readonly number[] | undefined, ours: readonly number[] | undefined): string {
  if (values === undefined) return '';
  const ratio = ratiosOf(ours ?? [], values);
  return ratio === undefined ? range(spreadOf(values)) : `${shortly(spreadOf(values).median)} · **${range(ratio)}**`;
}

function range({ min, median, max }: Spread): string {
  return min === max ? shortly(median) : `${shortly(median)} (${shortly(min)} … ${shortly(max)})`;
}
