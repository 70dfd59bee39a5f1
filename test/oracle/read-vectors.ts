import { readFileSync } from 'node:fs';

/** The cases of `src/protocol/testdata/NAME.jsonl`, one array each. Their shapes stand in `vectors.go` beside the function that made them. */
export function readVectors<Case extends readonly unknown[]>(name: string): readonly Case[] {
  const text = readFileSync(new URL(`../../src/protocol/testdata/${name}.jsonl`, import.meta.url), 'utf8');
  const cases = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Case);
  if (cases.length < 300) throw new Error(`${name}.jsonl holds ${cases.length} cases: it is not whole`);
  return cases;
}
