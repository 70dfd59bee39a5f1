/**
 * Reads from a go.mod file what the hub needs to know of a dependency: its module path, its go and toolchain lines, what it requires.
 *
 * As lenient as the go command is with the go.mod files of dependencies (`modfile.ParseLax`), and more: a line that cannot be understood
 * is passed over, because all that depends on it is what is fetched ahead. Only what decides on identity is strict: one module line, not
 * two, whose path is legal. The bytes themselves are never changed: the checksum database covers every one of them.
 *
 * Time is linear in the text. Escapes in quoted strings are not read: no legal path or version needs them.
 *
 * https://go.dev/ref/mod#go-mod-file
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ModulePath, parseModulePath } from './module-path.ts';
import { type Version, checkPathVersion } from './version.ts';

export interface Requirement {
  readonly path: ModulePath;
  readonly version: Version;
  /** There is a comment `// indirect`. */
  readonly indirect: boolean;
}

export interface GoMod {
  readonly module: ModulePath;
  /** `1.23`, `1.23.0`, `1.24rc1`; absent when there is no such line or it is malformed. */
  readonly go?: string;
  /** `go1.23.4` or `default`. */
  readonly toolchain?: string;
  /** In the order of the file, malformed ones left out. */
  readonly require: readonly Requirement[];
}

/** Characters. golang.org/x/mod/zip bounds go.mod at 16 MiB. */
export const GO_MOD_LENGTH_MAX: number = 16 << 20;

/** Requirements read; the rest is ignored. The largest real files have about a thousand. */
export const REQUIREMENTS_MAX = 20_000;

export function parseGoMod(text: string): Parsed<GoMod> {
  if (text.length > GO_MOD_LENGTH_MAX) return refused(`go.mod is longer than ${GO_MOD_LENGTH_MAX} characters`);
  const require: Requirement[] = [];
  let modulePath: string | undefined;
  let go: string | undefined;
  let toolchain: string | undefined;
  for (const { verb, words, comment } of statements(text)) {
    const [first, second] = words;
    if (verb === 'module') {
      if (modulePath !== undefined) return refused('go.mod has two module lines');
      if (first === undefined || words.length > 1) return refused('go.mod has a malformed module line');
      modulePath = unquoted(first);
    } else if (verb === 'go' && words.length === 1) go ??= goVersion(first);
    else if (verb === 'toolchain' && words.length === 1) toolchain ??= toolchainName(first);
    else if (verb === 'require' && words.length === 2 && require.length < REQUIREMENTS_MAX) {
      const requirement = parseRequirement(first, second, comment);
      if (requirement !== undefined) require.push(requirement);
    }
  }
  if (modulePath === undefined) return refused('go.mod has no module line');
  const module = parseModulePath(modulePath);
  if (!module.ok) return module;
  return parsed({ module: module.value, ...(go === undefined ? {} : { go }), ...(toolchain === undefined ? {} : { toolchain }), require });
}

/**
 * Whether the requirements of a go.mod with this go line are complete, so that the go command reads no further below it in the graph of another module:
 * since go 1.17. Without a line it counts as go 1.16. https://go.dev/ref/mod#graph-pruning
 */
export function isPruned(go: string | undefined): boolean {
  const [, major, minor, kind] = /^(\d+)\.(\d+)(rc|beta)?/.exec(go ?? '1.16') ?? [];
  if (major !== '1') return true;
  // A release candidate comes before its release.
  return kind === undefined ? Number(minor) >= 17 : Number(minor) > 17;
}

/** What the go command makes up for a module that has no go.mod file. */
export function legacyGoMod(module: ModulePath): string {
  return `module ${module}\n`;
}

export interface Statement {
  /** From 1. */
  readonly line: number;
  readonly verb: string;
  readonly words: readonly string[];
  /** The text after `//`, without it. */
  readonly comment: string;
}

/** Each line outside a block, and each line inside one with the block's verb. Only verbs that can head a block open one. */
export function* statements(text: string): Generator<Statement> {
  let block: string | undefined;
  let number = 0;
  for (let start = 0; start < text.length; ) {
    number += 1;
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = splitLine(text.slice(start, end));
    start = end + 1;
    const [verb, ...rest] = line.words;
    if (verb === undefined) continue;
    if (block !== undefined) {
      if (verb === ')') block = undefined;
      else yield { line: number, verb: block, words: line.words, comment: line.comment };
    } else if (rest.at(-1) === '(') block = rest.length === 1 ? verb : '';
    else yield { line: number, verb, words: rest, comment: line.comment };
  }
}

/** The words of a line as they stand there, quoted strings with their quotes, and its comment. */
function splitLine(line: string): { readonly words: readonly string[]; readonly comment: string } {
  const words: string[] = [];
  const token = /[ \t\r]+|(\/\/)|([()[\]{},]|"[^"\\]*"|`[^`]*`|["`].*|(?:[^ \t\r()[\]{},/]|\/(?!\/))+)/gy;
  for (let match = token.exec(line); match !== null; match = token.exec(line)) {
    const [, comment, word] = match;
    if (comment !== undefined) return { words, comment: line.slice(token.lastIndex) };
    if (word !== undefined) words.push(word);
  }
  return { words, comment: '' };
}

/** The content of a quoted string; any other word as it is. What is quoted wrongly keeps its quotes, which nothing legal has. */
export function unquoted(word: string): string {
  const quoted = /^(["`])([^"`\\]*)\1$/.exec(word);
  return quoted?.[2] ?? word;
}

function parseRequirement(pathText = '', versionText = '', comment = ''): Requirement | undefined {
  const path = parseModulePath(unquoted(pathText));
  if (!path.ok) return undefined;
  const version = checkPathVersion(path.value, unquoted(versionText));
  return version.ok ? { path: path.value, version: version.value, indirect: isIndirect(comment) } : undefined;
}

function isIndirect(comment: string): boolean {
  const [first, second] = comment.trim().split(/\s+/, 2);
  return second === undefined ? first === 'indirect' : first === 'indirect;';
}

/** Go's own leniency: `v1.9` and `1.9.x` in the file of a dependency are read as `1.9`. */
export function goVersion(text = ''): string | undefined {
  if (text.length > 64) return undefined;
  if (/^[1-9]\d*\.(0|[1-9]\d*)(\.(0|[1-9]\d*))?([a-z]+\d+)?$/.test(text)) return text;
  return /^v?([1-9]\d*\.(?:0|[1-9]\d*))\D.*$/.exec(text)?.[1];
}

function toolchainName(text = ''): string | undefined {
  return text === 'default' || /^go1(\.[\w.-]{1,64})?$/.test(text) ? text : undefined;
}
