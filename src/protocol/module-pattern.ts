/**
 * Comma-separated patterns for module paths, as in GOPRIVATE: `*.corp.example,github.com/team/*`.
 *
 * A pattern with N slashes is matched against the first N + 1 elements of the path, so it means every module below as well. `*` stands
 * for any characters but a slash, `?` for one, `[a-z]` and `[^a-z]` for one of a class; `\` takes the next character as it is.
 * A slash at a pattern's end and empty patterns do not count, and neither does white space around a pattern.
 *
 * The go command passes over malformed patterns without a word. Here they decide what is private or forbidden, so they are refused.
 * Matching takes at most (length of the pattern) × (length of the path) steps: after each `*` the earliest fit is taken and kept.
 *
 * https://pkg.go.dev/golang.org/x/mod/module#MatchPrefixPatterns, https://pkg.go.dev/path#Match
 */
import { unreachable } from '../base/invariant.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';

/** Made by {@link parseModulePatterns}. */
export interface ModulePatterns {
  readonly ignoreCase: boolean;
  readonly patterns: readonly Pattern[];
}

interface Pattern {
  /** The literal characters it begins with: most paths fail here, at the price of one comparison. */
  readonly prefix: string;
  /** Slashes in the pattern's text. */
  readonly slashes: number;
  readonly chunks: readonly Chunk[];
  /** The chunks of its first element, of its first two, and so on, without those of all; undefined where a class or a backslash reaches over the slash. */
  readonly parents: readonly (readonly Chunk[] | undefined)[];
}

/** A row of things that each stand for one character, perhaps after a `*`. */
interface Chunk {
  readonly star: boolean;
  readonly units: readonly Unit[];
}

type Unit =
  | { readonly kind: 'literal'; readonly point: number }
  | { readonly kind: 'any' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [low: number, high: number])[] };

export const PATTERN_LENGTH_MAX = 256;
export const PATTERNS_MAX = 10_000;

/** `ignoreCase` compares ASCII letters without regard to case, as host names and most code hosts do. */
export function parseModulePatterns(
  source: string | readonly string[],
  options: { readonly ignoreCase: boolean } = { ignoreCase: false },
): Parsed<ModulePatterns> {
  const texts = (typeof source === 'string' ? [source] : source).flatMap((text) => text.split(','));
  if (texts.length > PATTERNS_MAX) return refused(`there are more than ${PATTERNS_MAX} patterns`);
  const patterns: Pattern[] = [];
  for (const text of texts.map((untrimmed) => untrimmed.trim().replace(/\/$/, ''))) {
    if (text === '') continue;
    if (text.length > PATTERN_LENGTH_MAX) return refused(`a pattern is longer than ${PATTERN_LENGTH_MAX} characters`);
    const chunks = parseChunks(text, options.ignoreCase);
    if (chunks === undefined) return refused(`pattern ${JSON.stringify(text)} is malformed`);
    patterns.push({
      prefix: literalPrefix(chunks),
      slashes: text.split('/').length - 1,
      chunks,
      parents: parentsOf(text).map((parent) => parseChunks(parent, options.ignoreCase)),
    });
  }
  return parsed({ ignoreCase: options.ignoreCase, patterns });
}

/** The single patterns of a comma-separated text, as they are written. */
export function splitPatterns(text: string): readonly string[] {
  return text
    .split(',')
    .map((pattern) => pattern.trim())
    .filter((pattern) => pattern !== '');
}

/** Whether a module path, or that of a folder above it, matches one of the patterns. */
export function matchesPattern(patterns: ModulePatterns, path: string): boolean {
  const name = patterns.ignoreCase ? path.toLowerCase() : path;
  for (const { prefix, slashes, chunks } of patterns.patterns) {
    if (!name.startsWith(prefix)) continue;
    const end = endOfElements(name, slashes + 1);
    if (end >= 0 && matchesChunks(chunks, { name, end, ignoreCase: patterns.ignoreCase })) return true;
  }
  return false;
}

/** Whether something below a path could match one of the patterns, though the path has too few elements itself: its own are those that such a pattern begins with. */
export function matchesParent(patterns: ModulePatterns, path: string): boolean {
  const elements = path.split('/').length;
  const name = patterns.ignoreCase ? path.toLowerCase() : path;
  return patterns.patterns.some(({ parents }) => {
    const parent = parents[elements - 1];
    return parent !== undefined && matchesChunks(parent, { name, end: name.length, ignoreCase: patterns.ignoreCase });
  });
}

/** Whether every pattern can be cut at its slashes, so that {@link matchesParent} knows all that is above it. */
export function hasParents(patterns: ModulePatterns): boolean {
  return patterns.patterns.every(({ parents }) => !parents.includes(undefined));
}

const SLASH = 0x2f;

/** Where the first `count` elements of a path end; -1 when it has fewer. */
function endOfElements(path: string, count: number): number {
  let end = -1;
  for (let i = 0; i < count; i++) {
    if (end === path.length) return -1;
    const slash = path.indexOf('/', end + 1);
    end = slash < 0 ? path.length : slash;
  }
  return end;
}

/** What is matched: the first characters of the path, as far as the pattern has elements. */
interface Subject {
  readonly name: string;
  readonly end: number;
  readonly ignoreCase: boolean;
}

function matchesChunks(chunks: readonly Chunk[], subject: Subject): boolean {
  let position = 0;
  for (const [index, chunk] of chunks.entries()) {
    const isLast = index === chunks.length - 1;
    const next = endOfChunk(chunk, subject, position, isLast);
    if (next < 0) return false;
    position = next;
  }
  return position === subject.end;
}

/** Where the earliest fit of a chunk ends, the last one's being at the end of the subject; -1 when there is none. */
function endOfChunk(chunk: Chunk, subject: Subject, from: number, isLast: boolean): number {
  for (let start = from; ; start++) {
    const end = endOfUnits(chunk.units, subject, start);
    if (end >= 0 && (!isLast || end === subject.end)) return end;
    if (!chunk.star || start >= subject.end || subject.name.charCodeAt(start) === SLASH) return -1;
  }
}

function endOfUnits(units: readonly Unit[], subject: Subject, from: number): number {
  if (from + units.length > subject.end) return -1;
  for (let i = 0; i < units.length; i++) {
    if (!fits(units[i] as Unit, subject.name.charCodeAt(from + i), subject.ignoreCase)) return -1;
  }
  return from + units.length;
}

function fits(unit: Unit, code: number, ignoreCase: boolean): boolean {
  switch (unit.kind) {
    case 'literal':
      return unit.point === code;
    case 'any':
      return code !== SLASH;
    case 'class':
      return isInRanges(unit.ranges, code) || (ignoreCase && isInRanges(unit.ranges, upper(code))) ? !unit.negated : unit.negated;
    default:
      return unreachable(unit);
  }
}

function isInRanges(ranges: readonly (readonly [low: number, high: number])[], code: number): boolean {
  return ranges.some(([low, high]) => low <= code && code <= high);
}

function upper(code: number): number {
  return code >= 0x61 && code <= 0x7a ? code - 0x20 : code;
}

function lower(code: number): number {
  return code >= 0x41 && code <= 0x5a ? code + 0x20 : code;
}

function parentsOf(text: string): readonly string[] {
  const elements = text.split('/');
  return elements.slice(1).map((_, index) => elements.slice(0, index + 1).join('/'));
}

/** Undefined when the pattern is malformed. */
function parseChunks(text: string, ignoreCase: boolean): readonly Chunk[] | undefined {
  const characters = Array.from(text);
  const chunks: { star: boolean; units: Unit[] }[] = [{ star: false, units: [] }];
  for (let i = 0; i < characters.length; ) {
    const units = (chunks.at(-1) as { units: Unit[] }).units;
    const character = characters[i];
    if (character === '*') {
      if (units.length > 0 || chunks.length === 1) chunks.push({ star: true, units: [] });
      i += 1;
    } else if (character === '?') {
      units.push({ kind: 'any' });
      i += 1;
    } else if (character === '[') {
      const group = parseClass(characters, i + 1);
      if (group === undefined) return undefined;
      units.push(group.unit);
      i = group.end;
    } else {
      const literal = character === '\\' ? characters[i + 1] : character;
      if (literal === undefined) return undefined;
      const point = pointOf(literal);
      units.push({ kind: 'literal', point: ignoreCase ? lower(point) : point });
      i += character === '\\' ? 2 : 1;
    }
  }
  return chunks;
}

function literalPrefix(chunks: readonly Chunk[]): string {
  let prefix = '';
  for (const unit of chunks[0]?.units ?? []) {
    if (unit.kind !== 'literal') break;
    prefix += String.fromCodePoint(unit.point);
  }
  return prefix;
}

/** From after the opening bracket; `end` is after the closing one. */
function parseClass(characters: readonly string[], from: number): { readonly unit: Unit; readonly end: number } | undefined {
  const negated = characters[from] === '^';
  const ranges: [number, number][] = [];
  let i = negated ? from + 1 : from;
  while (characters[i] !== ']' || ranges.length === 0) {
    const low = parseBound(characters, i);
    if (low === undefined) return undefined;
    const high = characters[low.end] === '-' ? parseBound(characters, low.end + 1) : low;
    if (high === undefined) return undefined;
    ranges.push([low.point, high.point]);
    i = high.end;
  }
  return { unit: { kind: 'class', negated, ranges }, end: i + 1 };
}

function parseBound(characters: readonly string[], at: number): { readonly point: number; readonly end: number } | undefined {
  if (characters[at] === '-' || characters[at] === ']') return undefined;
  const escaped = characters[at] === '\\' ? 1 : 0;
  const character = characters[at + escaped];
  return character === undefined ? undefined : { point: pointOf(character), end: at + escaped + 1 };
}

function pointOf(character: string): number {
  return character.codePointAt(0) as number;
}
