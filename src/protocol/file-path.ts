/**
 * Paths of files inside a module, by the rules of `module.CheckFilePath`, and their comparison without regard to case.
 *
 * - Elements separated by single slashes; none is empty, made of dots only, or ends with a dot.
 * - ASCII letters and digits, the space, ``!#$%&()+,-.=@[]^_{}~``, and every Unicode letter (category L*).
 * - The part of an element before its first dot is no Windows device name, in any case.
 * - Two paths that are equal under simple case folding cannot stand in one module: on some disks they are one file.
 *
 * What a letter is, and which letters fold together, is read from tables made by Go itself, because the JavaScript engine's Unicode
 * version is another than Go's: a name is judged as the go command judges it, on every version of Node.
 *
 * https://pkg.go.dev/golang.org/x/mod/module#CheckFilePath
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { FOLD_RUNS, LETTER_RANGES } from './unicode-tables.ts';

/** Accepts exactly what `module.CheckFilePath` does. Text that is not well-formed UTF-16 is refused. */
export function checkFilePath(text: string): Parsed<string> {
  let start = 0;
  while (start <= text.length) {
    const slash = text.indexOf('/', start);
    const end = slash < 0 ? text.length : slash;
    const fault = elementFault(text, start, end);
    if (fault !== undefined) return refused(fault);
    start = end + 1;
  }
  return parsed(text);
}

/** One element of a file path, without slashes: versions and queries have to be one. */
export function checkFileElement(text: string): Parsed<string> {
  const fault = elementFault(text, 0, text.length);
  return fault === undefined ? parsed(text) : refused(fault);
}

/** Two texts have equal keys exactly if they are equal under simple case folding, as by Go's `unicode.SimpleFold`. */
export function foldKey(text: string): string {
  if (isAscii(text)) return text.toLowerCase();
  const folds = foldTable();
  let key = '';
  for (const letter of text) {
    const code = letter.codePointAt(0) as number;
    const stand = folds.get(code);
    key += stand === undefined ? letter : String.fromCodePoint(stand);
  }
  return key;
}

/** Whether the characters from `start` up to `end` are a Windows device name: CON PRN AUX NUL COM1–9 LPT1–9, in any case. */
export function isDeviceName(text: string, start: number, end: number): boolean {
  if (end - start === 3) return DEVICES.has(text.slice(start, end).toLowerCase());
  if (end - start !== 4) return false;
  const digit = text.charCodeAt(end - 1);
  return digit >= 0x31 && digit <= 0x39 && NUMBERED_DEVICES.has(text.slice(start, end - 1).toLowerCase());
}

const DEVICES: ReadonlySet<string> = new Set(['con', 'prn', 'aux', 'nul']);
const NUMBERED_DEVICES: ReadonlySet<string> = new Set(['com', 'lpt']);

const DOT = 0x2e;

function elementFault(path: string, start: number, end: number): string | undefined {
  if (start === end) return path === '' ? 'path is empty' : 'path has an empty element';
  if (path.charCodeAt(end - 1) === DOT) return 'path has an element that ends with a dot';
  let firstDot = end;
  for (let i = start; i < end; i++) {
    const code = path.charCodeAt(i);
    if (code < 0x80) {
      if (ASCII_LEGAL[code] === 0) return `path has the forbidden character ${codePointName(code)}`;
      if (code === DOT && firstDot === end) firstDot = i;
    } else {
      const point = path.codePointAt(i) as number;
      if (!isLetter(point)) return `path has the character ${codePointName(point)}, which is no letter`;
      if (point > 0xffff) i += 1;
    }
  }
  return isDeviceName(path, start, firstDot) ? 'path has an element that is a device name on Windows' : undefined;
}

const ASCII_LEGAL: Uint8Array = Uint8Array.from({ length: 0x80 }, (_, code) =>
  /[A-Za-z0-9 !#$%&()+,\-.=@[\]^_{}~]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** Never the character itself: it may be a control character, and reasons are shown on terminals and in logs. */
function codePointName(point: number): string {
  return `U+${point.toString(16).toUpperCase().padStart(4, '0')}`;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** Begins and ends of the ranges of letters, ascending. Unpacked when the first name beyond ASCII comes. */
let letterBounds: Uint32Array | undefined;

function isLetter(point: number): boolean {
  letterBounds ??= unpackLetters();
  let low = 0;
  let high = letterBounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((letterBounds[middle] as number) <= point) low = middle + 1;
    else high = middle;
  }
  // Past an odd number of bounds, the point lies inside a range.
  return low % 2 === 1;
}

function unpackLetters(): Uint32Array {
  let point = 0;
  return Uint32Array.from(LETTER_RANGES.split(' '), (step) => (point += Number.parseInt(step, 36)));
}

let folds: ReadonlyMap<number, number> | undefined;

function foldTable(): ReadonlyMap<number, number> {
  folds ??= unpackFolds();
  return folds;
}

function unpackFolds(): ReadonlyMap<number, number> {
  const table = new Map<number, number>();
  const numbers = FOLD_RUNS.split(' ').map((field) => Number.parseInt(field, 36));
  for (let i = 0; i < numbers.length; i += 4) {
    const [start = 0, count = 0, stride = 0, delta = 0] = numbers.slice(i, i + 4);
    for (let k = 0; k < count; k++) table.set(start + k * stride, start + k * stride + delta);
  }
  return table;
}
