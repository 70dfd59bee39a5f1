/**
 * Reads a go.sum file: one line a hash, `MODULE VERSION h1:…` for a zip and `MODULE VERSION/go.mod h1:…` for a go.mod file.
 *
 * As the go command does, empty lines are passed over and a line that has not three fields spoils the file. Hashes of another kind than
 * `h1:` are allowed and say nothing. Several lines may name one thing: a file has to agree with each of them.
 *
 * Time is linear in the text. https://go.dev/ref/mod#go-sum-files
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type Hash, parseHash } from './dirhash.ts';
import { type ModulePath, parseModulePath } from './module-path.ts';
import { checkPathVersion, type Version } from './version.ts';

export interface GoSumLine {
  /** From 1. */
  readonly line: number;
  readonly path: ModulePath;
  readonly version: Version;
  readonly file: 'mod' | 'zip';
  /** Undefined for a hash of another kind. */
  readonly hash: Hash | undefined;
}

/** The largest real files have some ten thousand. */
export const GO_SUM_LINES_MAX = 40_000;

const GO_MOD = '/go.mod';

export function parseGoSum(text: string): Parsed<readonly GoSumLine[]> {
  const read: GoSumLine[] = [];
  let number = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    number += 1;
    const line = parseLine(text.slice(start, end), number);
    start = end + 1;
    if (line === undefined) continue;
    if (!line.ok) return refused(`go.sum line ${number}: ${line.reason}`);
    if (read.length === GO_SUM_LINES_MAX) return refused(`go.sum has more than ${GO_SUM_LINES_MAX} lines`);
    read.push(line.value);
  }
  return parsed(read);
}

function parseLine(text: string, line: number): Parsed<GoSumLine> | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  const [pathText = '', versionText = '', hashText = '', ...more] = trimmed.split(/[ \t]+/, 4);
  if (hashText === '' || more.length > 0) return refused('not of the form MODULE VERSION HASH');
  const path = parseModulePath(pathText);
  if (!path.ok) return path;
  const isMod = versionText.endsWith(GO_MOD);
  const version = checkPathVersion(path.value, isMod ? versionText.slice(0, -GO_MOD.length) : versionText);
  if (!version.ok) return version;
  const hash = parseHash(hashText);
  if (!hash.ok && hashText.startsWith('h1:')) return hash;
  return parsed({ line, path: path.value, version: version.value, file: isMod ? 'mod' : 'zip', hash: hash.ok ? hash.value : undefined });
}
