/**
 * Reads the go.mod file of a main module: what a build starts from. Beyond what counts in a dependency's file ({@link parseGoMod}) it has
 * `replace` and `exclude` lines, which the go command heeds in the main module alone.
 *
 * - `exclude M V` drops every requirement on that version, wherever it stands.
 * - `replace M [V] => N W` takes both go.mod and zip of N at W instead of those of M; `replace M [V] => ./folder` takes them from a folder.
 *   A line with a version goes before one without.
 * - A line that cannot be understood is told with its number, because the build would fail at it. Other verbs (`tool`, `retract`, …) add
 *   nothing to the list of modules.
 *
 * Time is linear in the text. https://go.dev/ref/mod#go-mod-file
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { GO_MOD_LENGTH_MAX, goVersion, REQUIREMENTS_MAX, type Statement, statements, unquoted } from './go-mod.ts';
import { type ModulePath, parseModulePath } from './module-path.ts';
import { checkPathVersion, type Version } from './version.ts';

export interface ModuleAt {
  readonly path: ModulePath;
  readonly version: Version;
}

export interface MainGoMod {
  readonly module: string;
  /** As in {@link GoMod}. */
  readonly go?: string;
  readonly require: readonly ModuleAt[];
  /** `PATH@VERSION`. */
  readonly exclude: ReadonlySet<string>;
  /** By `PATH@VERSION` or, for every version, `PATH`. */
  readonly replace: ReadonlyMap<string, ModuleAt | 'folder'>;
  /** Lines that name no module version the go command would accept, with the reason. */
  readonly unread: readonly { readonly line: number; readonly reason: string }[];
}

export function parseMainGoMod(text: string): Parsed<MainGoMod> {
  if (text.length > GO_MOD_LENGTH_MAX) return refused(`go.mod is longer than ${GO_MOD_LENGTH_MAX} characters`);
  const require: ModuleAt[] = [];
  const exclude = new Set<string>();
  const replace = new Map<string, ModuleAt | 'folder'>();
  const unread: { line: number; reason: string }[] = [];
  let module: string | undefined;
  let go: string | undefined;
  for (const statement of statements(text)) {
    const { verb, words, line } = statement;
    if (verb === 'module') {
      if (module !== undefined) return refused('go.mod has two module lines');
      module = unquoted(words[0] ?? '');
    } else if (verb === 'go' && words.length === 1) go ??= goVersion(words[0]);
    else if (verb === 'require' || verb === 'exclude') {
      const read = moduleAt(words);
      if (!read.ok) unread.push({ line, reason: read.reason });
      else if (verb === 'exclude') exclude.add(nameOf(read.value));
      else require.push(read.value);
    } else if (verb === 'replace') {
      const read = replacement(statement);
      if (read.ok) replace.set(read.value.from, read.value.to);
      else unread.push({ line, reason: read.reason });
    }
    if (require.length + exclude.size + replace.size + unread.length > REQUIREMENTS_MAX)
      return refused(`go.mod has more than ${REQUIREMENTS_MAX} requirements`);
  }
  if (module === undefined || module === '') return refused('go.mod has no module line');
  return parsed({ module, ...(go === undefined ? {} : { go }), require, exclude, replace, unread });
}

/** What stands for a required module: itself, another, or a folder of the main module's machine. */
export function replacementOf(main: MainGoMod, required: ModuleAt): ModuleAt | 'folder' {
  return main.replace.get(nameOf(required)) ?? main.replace.get(required.path) ?? required;
}

export function nameOf({ path, version }: ModuleAt): string {
  return `${path}@${version}`;
}

function moduleAt(words: readonly string[]): Parsed<ModuleAt> {
  const [pathText = '', versionText = ''] = words.map(unquoted);
  if (words.length !== 2) return refused('not of the form MODULE VERSION');
  const path = parseModulePath(pathText);
  if (!path.ok) return path;
  const version = checkPathVersion(path.value, versionText);
  return version.ok ? parsed({ path: path.value, version: version.value }) : version;
}

function replacement({ words }: Statement): Parsed<{ readonly from: string; readonly to: ModuleAt | 'folder' }> {
  const arrow = words.indexOf('=>');
  const left = words.slice(0, arrow).map(unquoted);
  const right = words.slice(arrow + 1).map(unquoted);
  if (arrow < 1 || left.length > 2 || right.length < 1 || right.length > 2)
    return refused('not of the form MODULE [VERSION] => MODULE VERSION or => FOLDER');
  const path = parseModulePath(left[0] ?? '');
  if (!path.ok) return path;
  const from = left.join('@');
  if (right.length === 1) return parsed({ from, to: 'folder' });
  const to = moduleAt(right);
  return to.ok ? parsed({ from, to: to.value }) : to;
}
