import type { Row } from './report.ts';
import { type Spread, ratiosOf, shortly, spreadOf } from './statistics.ts';

/**
 * One row a figure and one column a size, in Markdown. A cell is the median of the rounds; behind it stands what it is of the smallest size's that has the
 * figure, in the same round: median (smallest … largest). `rows` name the size as their contender, the smallest first.
 */
export function growthTable(rows: readonly Row[]): string {
  const sizes = [...new Set(rows.map(({ contender }) => contender))];
  const lines = [...new Set(rows.map(({ test }) => test))].flatMap((test) => {
    const ofTest = rows.filter((row) => row.test === test);
    return [...new Set(ofTest.flatMap((row) => Object.keys(row.figures)))].map((figure) => {
      const values = sizes.map((size) => ofTest.find(({ contender }) => contender === size)?.figures[figure]);
      const smallest = values.find((some) => some !== undefined);
      return [test, figure, ...values.map((some) => cellOf(some, some === smallest ? undefined : smallest))];
    });
  });
  const notes = [...new Set(rows.flatMap((row) => row.notes.map((note) => `${row.test}, ${row.contender}: ${note}`)))];
  const head = ['test', 'figure', ...sizes];
  const table = [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  return [table, ...notes].join('\n\n');
}

function cellOf(values: readonly number[] | undefined, smallest: readonly number[] | undefined): string {
  if (values === undefined) return '';
  const median = shortly(spreadOf(values).median);
  const ratio = ratiosOf(values, smallest ?? []);
  return ratio === undefined ? median : `${median} · **${range(ratio)}**`;
}

function range({ min, median, max }: Spread): string {
  return min === max ? shortly(median) : `${shortly(median)} (${shortly(min)} … ${shortly(max)})`;
}
