import type { RepositoryRecipe } from './git-repository.ts';
import { GIT_HOST } from './git-oracle.ts';

/** A repository, the modules that are asked for in it, and what is asked of each. */
export interface GitWorld {
  readonly name: string;
  readonly recipe: RepositoryRecipe;
  /** What follows the root in the module path (`''`, `/v2`, `/sub`), and the queries between blanks; `{NAME}` is the hash of that commit, `{NAME:12}` its first digits. */
  readonly asks: Readonly<Record<string, string>>;
}

export function rootOf(name: string): string {
  return `${GIT_HOST}/w/${name}.git`;
}

export const go = (name: string, rest = '', line = '1.21'): string => `module ${rootOf(name)}${rest}\n\ngo ${line}\n`;
export const words = (...lines: readonly string[]): string => lines.join(' ');
export const code = (text = ''): string => `package p\n\n// ${text}\n`;
