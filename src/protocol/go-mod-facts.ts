/**
 * What decides about a module in its own go.mod file, read as the go command reads it when it makes a module from source code: the declared path
 * (`modfile.ModulePath`, which looks at lines and at nothing else), the go line and the retractions (`modfile.ParseLax`).
 *
 * Of the ways in which ParseLax can fail, those are known here that real files show: a repeated module or go line, a malformed go version, a
 * requirement without a valid version. A file that fails has no go line and no retractions.
 *
 * https://pkg.go.dev/golang.org/x/mod/modfile
 */
import { goVersion, type Statement, statements, unquoted } from './go-mod.ts';
import { compareSemver } from './semver-text.ts';
import { canonicalOf } from './version.ts';

/** Inclusive, as written; text that is no version is below every version. */
export interface Retraction {
  readonly low: string;
  readonly high: string;
}

export interface GoModFacts {
  readonly go?: string;
  readonly retract: readonly Retraction[];
}

/** What `unicode.IsSpace` counts as space; JavaScript's own set is another one. */
const SPACE = '[\\t\\n\\v\\f\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const MODULE_LINE = new RegExp(`^${SPACE}*module${SPACE}+(.*?)${SPACE}*$`);
const NO_FACTS: GoModFacts = { retract: [] };

/** The text that stands as module path, which need not be a legal one; empty where there is none. */
export function declaredModulePath(text: string): string {
  for (const line of text.split('\n')) {
    const comment = line.indexOf('//');
    const path = MODULE_LINE.exec(comment < 0 ? line : line.slice(0, comment))?.[1];
    if (path === undefined || path === '') continue;
    return path.startsWith('"') || path.startsWith('`') ? unquote(path) : path;
  }
  return '';
}

export function readGoModFacts(text: string): GoModFacts {
  let go: string | undefined;
  let modules = 0;
  const retract: Retraction[] = [];
  for (const statement of statements(text)) {
    const { verb, words } = statement;
    if (verb === 'module') {
      modules += 1;
      if (modules > 1 || words.length !== 1) return NO_FACTS;
    } else if (verb === 'go') {
      const line: string | undefined = words.length === 1 ? goVersion(words[0]) : undefined;
      if (go !== undefined || line === undefined) return NO_FACTS;
      go = line;
    } else if (verb === 'require') {
      if (words.length !== 2 || !canonicalOf(unquoted(words[1] as string)).ok) return NO_FACTS;
    } else if (verb === 'retract') {
      const retraction = readRetraction(statement);
      if (retraction !== undefined) retract.push(retraction);
    }
  }
  return go === undefined ? { retract } : { go, retract };
}

export function isRetracted(version: string, retractions: readonly Retraction[]): boolean {
  return retractions.some(({ low, high }) => compareSemver(low, version) <= 0 && compareSemver(version, high) <= 0);
}

/** Whether the language version of a go line is at least `1.MINOR`; what is no Go version is older than all. */
export function isGoAtLeast(go: string | undefined, minor: number): boolean {
  const [, majorText, minorText] = /^(\d+)\.(\d+)(?:\.\d+|(?:alpha|beta|rc)\d+)?$/.exec(go ?? '') ?? [];
  if (majorText === undefined) return false;
  return Number(majorText) > 1 || Number(minorText) >= minor;
}

/** `v1.0.0` or `[v1.0.0, v1.2.0]`; anything else is passed over in a dependency. */
function readRetraction({ words }: Statement): Retraction | undefined {
  const [first = '', low = '', comma, high = '', close] = words;
  if (first !== '[') return first === '' ? undefined : { low: unquoted(first), high: unquoted(first) };
  return comma === ',' && close === ']' ? { low: unquoted(low), high: unquoted(high) } : undefined;
}

function unquote(quoted: string): string {
  const mark = quoted.charAt(0);
  const inner = quoted.slice(1, -1);
  if (quoted.length < 2 || !quoted.endsWith(mark) || inner.includes(mark === '`' ? '`' : '\n')) return '';
  if (mark === '`') return inner.replaceAll('\r', '');
  try {
    return String(JSON.parse(quoted));
  } catch {
    return '';
  }
}
