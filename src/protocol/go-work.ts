/**
 * Reads the go.work file of a workspace: which folders have its main modules, and what it replaces.
 *
 * - `use FOLDER` names a folder with a go.mod, relative to the file or absolute.
 * - `replace` lines count for the whole workspace and go before those of its modules. They are written as in a go.mod.
 *
 * Time is linear in the text. https://go.dev/ref/mod#workspaces
 */
import { type Parsed, parsed } from '../base/parsed.ts';
import { statements, unquoted } from './go-mod.ts';
import { type MainGoMod, parseMainGoMod } from './main-go-mod.ts';

export interface GoWork {
  /** As they are written. */
  readonly use: readonly string[];
  readonly replace: MainGoMod['replace'];
}

export function parseGoWork(text: string): Parsed<GoWork> {
  // Its lines are those of a go.mod, but for the one that says whose it is.
  const lines = parseMainGoMod(`${text}\nmodule workspace\n`);
  if (!lines.ok) return lines;
  const use = [...statements(text)].flatMap(({ verb, words }) => (verb === 'use' && words.length === 1 ? [unquoted(words[0] ?? '')] : []));
  return parsed({ use, replace: lines.value.replace });
}

/** A main module as it is in the workspace. What it requires of the others is read all the same: the go command looks into the go.mod of that version. */
export function inWorkspace(main: MainGoMod, { replace }: GoWork): MainGoMod {
  return { ...main, replace: new Map([...main.replace, ...replace]) };
}
