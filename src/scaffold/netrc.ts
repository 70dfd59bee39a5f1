/**
 * The entry of a netrc file that lets the go command into a hub, as a block between two marked lines. It stands first in the file, and the rest of the
 * file stays as it is to the byte.
 *
 * - First, because the go command stops reading at a line with `default` alone, and takes every line up to the next empty one for part of a `macdef`; of
 *   several entries for one machine it takes the first. https://go.dev/src/cmd/go/internal/auth/netrc.go
 * - The marks are comments to curl, git and Python. To Go, which knows none, they are pairs of words without a meaning: none of the two has `machine`,
 *   `login`, `password`, `macdef` or `default` in it.
 * - There is no quoting: a password ends at white space.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';

export const NETRC_OPEN = '# >>> goyi netrc >>>';
export const NETRC_CLOSE = '# <<< goyi netrc <<<';
export const NETRC_TOKEN_LENGTH_MAX = 4096;
/** The hub goes by the password alone. */
const LOGIN = 'goyi';

/** What a Bearer token may consist of, RFC 6750 §2.1: no white space, nothing that a reader of netrc takes for a quote or a comment. */
export function isNetrcToken(text: string): boolean {
  return text.length <= NETRC_TOKEN_LENGTH_MAX && /^[\w.~+/-]+=*$/.test(text);
}

/** Of the hub at `address`, as the go command of `goVersion` (`go1.26.8`) looks for it: since Go 1.20 with the port that the address names. */
export function netrcMachine(address: string, goVersion: string): string {
  const host = address.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const minor = Number(/^go1\.(\d+)/.exec(goVersion)?.[1] ?? 99);
  return minor >= 20 ? host : host.replace(/:\d+$/, '');
}

/** `token` may be whatever stands in its place when the entry is shown. */
export function netrcEntry(machine: string, token: string): string {
  return `machine ${machine} login ${LOGIN} password ${token}`;
}

/** Refused when a mark has lost its other half. */
export function withNetrcEntry(text: string, entry: string): Parsed<string> {
  const rest = withoutNetrcEntry(text);
  return rest.ok ? parsed(`${NETRC_OPEN}\n${entry}\n${NETRC_CLOSE}\n${rest.value}`) : rest;
}

/** All but the block. Refused when a mark has lost its other half. */
export function withoutNetrcEntry(text: string): Parsed<string> {
  const lines = text.split('\n');
  const [start = -1, ...moreStarts] = placesOf(lines, NETRC_OPEN);
  const [end = -1, ...moreEnds] = placesOf(lines, NETRC_CLOSE);
  if (start < 0 && end < 0) return parsed(text);
  if (start < 0 || end < start || moreStarts.length > 0 || moreEnds.length > 0)
    return refused(`the lines between ${NETRC_OPEN} and ${NETRC_CLOSE} have been changed: take them out by hand`);
  return parsed([...lines.slice(0, start), ...lines.slice(end + 1)].join('\n'));
}

/** Whether any reader of netrc finds an entry for this machine there: words in any order of lines, comments and macros left out. */
export function namesMachine(text: string, machine: string): boolean {
  let inMacro = false;
  let isName = false;
  for (const line of text.split('\n')) {
    if (inMacro) {
      inMacro = line !== '';
      continue;
    }
    if (/^[ \t]*#/.test(line)) continue;
    for (const word of line.split(/[ \t\r\f\v]+/).filter((part) => part !== '')) {
      if (isName && word === machine) return true;
      if (!isName && word === 'macdef') {
        inMacro = true;
        break;
      }
      isName = !isName && word === 'machine';
    }
  }
  return false;
}

function placesOf(lines: readonly string[], mark: string): readonly number[] {
  return lines.flatMap((line, index) => (line === mark ? [index] : []));
}
