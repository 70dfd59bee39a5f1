/**
 * Module paths and their escaped form, by the rules of `module.CheckPath` and `module.EscapePath`.
 *
 * - Elements of `A-Za-z0-9-._~`, ASCII only, separated by single slashes; none begins or ends with a dot, because a path is also a folder.
 * - The first element reads as a host name: lower case, at least one dot, no leading dash.
 * - The part of an element before its first dot is no Windows device name and does not end in `~` and digits (a Windows short name).
 * - A last element `/vN` needs N ≥ 2 without a leading zero; `gopkg.in/` paths end in `.vN` or `.vN-unstable` instead.
 * - Escaped, each capital becomes `!` and its small letter: disks and servers that ignore case must not take two modules for one.
 *
 * On top of Go's rules stand two limits that the go command has too, in its module cache: the path is at most {@link PATH_LENGTH_MAX}
 * characters, and no escaped element is longer than a file name may be ({@link ELEMENT_BYTES_MAX}).
 *
 * https://go.dev/ref/mod#module-path, https://pkg.go.dev/golang.org/x/mod/module#CheckPath
 */
import type { Branded } from '../base/brand.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { isDeviceName } from './file-path.ts';

/** A module path as people write it, e.g. `github.com/Azure/sdk/v2`. Only {@link parseModulePath} makes one. */
export type ModulePath = Branded<string, 'ModulePath'>;

/** The same path as it stands in URLs and file names: each capital becomes `!` and its small letter. */
export type EscapedPath = Branded<string, 'EscapedPath'>;

/** Characters (all ASCII, so bytes as well) of an unescaped path. */
export const PATH_LENGTH_MAX = 1024;

/** Bytes of one element in its escaped form: what common file systems allow for one name. */
export const ELEMENT_BYTES_MAX = 255;

const DOT = 0x2e;
const DASH = 0x2d;
const TILDE = 0x7e;
const UNDERSCORE = 0x5f;

/** Accepts exactly what `module.CheckPath` does, within the limits above. */
export function parseModulePath(text: string): Parsed<ModulePath> {
  if (text === '') return refused('module path is empty');
  if (text.length > PATH_LENGTH_MAX) return refused(`module path is longer than ${PATH_LENGTH_MAX} characters`);
  if (text.charCodeAt(0) === DASH) return refused('module path begins with a dash');
  let start = 0;
  while (start <= text.length) {
    const slash = text.indexOf('/', start);
    const end = slash < 0 ? text.length : slash;
    const fault = elementFault(text, start, end);
    if (fault !== undefined) return refused(fault);
    start = end + 1;
  }
  return splitPathVersion(text) === undefined ? refused('module path ends in a malformed major version') : parsed(text as ModulePath);
}

/** Each module has exactly one escaped form. */
export function escapePath(path: ModulePath): EscapedPath {
  return escapeCapitals(path) as EscapedPath;
}

/** Strict: whatever it accepts, {@link escapePath} gives back unchanged. */
export function unescapePath(text: string): Parsed<ModulePath> {
  const plain = unescapeCapitals(text);
  return plain === undefined ? refused('module path is not escaped as it should be') : parseModulePath(plain);
}

/**
 * The path without its major version, and that: `''`, `/vN` (N ≥ 2) or, below `gopkg.in/`, `.vN` or `.vN-unstable`.
 * `prefix + pathMajor` is the path. Undefined when the path ends in something that only looks like a major version, such as `/v1`.
 */
export function splitPathVersion(path: string): { readonly prefix: string; readonly pathMajor: string } | undefined {
  if (path.startsWith('gopkg.in/')) return splitGopkgIn(path);
  let start = path.length;
  while (start > 0 && (isDigit(path.charCodeAt(start - 1)) || path.charCodeAt(start - 1) === DOT)) start -= 1;
  if (start < 2 || start === path.length || path[start - 1] !== 'v' || path[start - 2] !== '/') return { prefix: path, pathMajor: '' };
  const digits = path.slice(start);
  if (digits.includes('.') || digits.startsWith('0') || digits === '1') return undefined;
  return { prefix: path.slice(0, start - 2), pathMajor: path.slice(start - 2) };
}

/** As lenient as Go itself, which lets `.v-unstable` pass, and as strict: no `.v0-unstable`. */
function splitGopkgIn(path: string): { readonly prefix: string; readonly pathMajor: string } | undefined {
  let start = path.endsWith('-unstable') ? path.length - '-unstable'.length : path.length;
  while (start > 0 && isDigit(path.charCodeAt(start - 1))) start -= 1;
  if (start < 2 || path[start - 1] !== 'v' || path[start - 2] !== '.') return undefined;
  const pathMajor = path.slice(start - 2);
  if (pathMajor === '.v' || (pathMajor.startsWith('.v0') && pathMajor !== '.v0')) return undefined;
  return { prefix: path.slice(0, start - 2), pathMajor };
}

function elementFault(path: string, start: number, end: number): string | undefined {
  if (start === end) return 'module path has an empty element';
  if (path.charCodeAt(start) === DOT) return 'module path has an element that begins with a dot';
  if (path.charCodeAt(end - 1) === DOT) return 'module path has an element that ends with a dot';
  let firstDot = end;
  let lastTilde = -1;
  let capitals = 0;
  for (let i = start; i < end; i++) {
    const code = path.charCodeAt(i);
    if (code === DOT) {
      if (firstDot === end) firstDot = i;
    } else if (code === TILDE) {
      if (firstDot === end) lastTilde = i;
    } else if (isCapital(code)) capitals += 1;
    else if (!isPlain(code)) return 'module path has a character other than ASCII letters, digits and -._~';
    if (start === 0 && (code === TILDE || code === UNDERSCORE || isCapital(code))) {
      return 'module path begins with an element that is no lower-case host name';
    }
  }
  if (start === 0 && firstDot === end) return 'module path has no dot in its first element';
  if (end - start + capitals > ELEMENT_BYTES_MAX) return `module path has an element longer than ${ELEMENT_BYTES_MAX} bytes`;
  if (isDeviceName(path, start, firstDot)) return 'module path has an element that is a device name on Windows';
  if (lastTilde >= 0 && lastTilde < firstDot - 1 && areDigits(path, lastTilde + 1, firstDot)) {
    return 'module path has an element that ends in a tilde and digits';
  }
  return undefined;
}

/** Small letters, digits, `-` and `_`. */
function isPlain(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || isDigit(code) || code === DASH || code === UNDERSCORE;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isCapital(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}

function areDigits(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (!isDigit(text.charCodeAt(i))) return false;
  return true;
}

/** `!` and the small letter for each ASCII capital; the text has no `!`. */
export function escapeCapitals(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`) : text;
}

/** Inverts {@link escapeCapitals}; undefined for a capital, a character beyond ASCII, or a `!` that stands before anything but a small letter. */
export function unescapeCapitals(escaped: string): string | undefined {
  let bangs = false;
  for (let i = 0; i < escaped.length; i++) {
    const code = escaped.charCodeAt(i);
    if (code >= 0x80 || isCapital(code)) return undefined;
    if (code !== 0x21) continue;
    const next = escaped.charCodeAt(i + 1);
    if (!(next >= 0x61 && next <= 0x7a)) return undefined;
    bangs = true;
  }
  return bangs ? escaped.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase()) : escaped;
}
