/**
 * Canonical versions, their order, and their agreement with a module path's major version.
 *
 * - Canonical is `vMAJOR.MINOR.PATCH` with an optional prerelease and no build metadata but exactly `+incompatible`. Numbers, in the
 *   core and among the prerelease's identifiers, have no leading zeros and any length: they are never turned into JavaScript numbers.
 *   `v1`, `v1.2` and `v1.2.3+meta` are semantic versions as well, but stand in requests only as queries.
 * - The order is that of semantic versioning, without build metadata; `semver.Sort` breaks the remaining ties by the text.
 * - A path without a major suffix has v0, v1, or `+incompatible`; `/vN` and `.vN` have major N.
 * - In URLs and file names capitals are escaped as in module paths.
 *
 * On top of Go's rules: an escaped version is at most {@link VERSION_BYTES_MAX} bytes, so that it makes a file name with any extension.
 *
 * https://go.dev/ref/mod#versions, https://pkg.go.dev/golang.org/x/mod/semver
 */
import type { Branded } from '../base/brand.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { checkFileElement } from './file-path.ts';
import { ELEMENT_BYTES_MAX, type ModulePath, escapeCapitals, splitPathVersion, unescapeCapitals } from './module-path.ts';

/** A canonical version, e.g. `v1.5.2`, `v2.0.0+incompatible`. Only {@link parseVersion} and {@link canonicalOf} make one. */
export type Version = Branded<string, 'Version'>;

/** Bytes of a version or a query in its escaped form. */
export const VERSION_BYTES_MAX = 240;

const INCOMPATIBLE = '+incompatible';

const DOT = 0x2e;
const DASH = 0x2d;
const PLUS = 0x2b;
const ZERO = 0x30;

/** Accepts a version that `module.CanonicalVersion` gives back unchanged. */
export function parseVersion(text: string): Parsed<Version> {
  if (text.length > VERSION_BYTES_MAX) return refused(`version is longer than ${VERSION_BYTES_MAX} bytes`);
  const shape = semverShape(text);
  if (shape === undefined) return refused('version is no semantic version with a leading v');
  if (shape.numbers < 3) return refused('version is not canonical: it needs major, minor and patch');
  if (shape.end < text.length && text.slice(shape.end) !== INCOMPATIBLE) return refused('version is not canonical: it has build metadata');
  return escapedLength(text) > VERSION_BYTES_MAX ? refused(`version is longer than ${VERSION_BYTES_MAX} bytes`) : parsed(text as Version);
}

/** The canonical form of any semantic version: `v1` is `v1.0.0`, build metadata is dropped unless it is `+incompatible`. As `module.CanonicalVersion`. */
export function canonicalOf(text: string): Parsed<Version> {
  const shape = text.length > VERSION_BYTES_MAX ? undefined : semverShape(text);
  if (shape === undefined) return refused('version is no semantic version with a leading v');
  const core = text.slice(0, shape.end) + '.0'.repeat(3 - shape.numbers);
  return parseVersion(text.slice(shape.end) === INCOMPATIBLE ? core + INCOMPATIBLE : core);
}

/** The version that `module.Check` accepts for this path: canonical, and of the path's major. */
export function checkPathVersion(path: ModulePath, version: string): Parsed<Version> {
  const canonical = parseVersion(version);
  if (!canonical.ok) return canonical;
  if (!agreesWithPath(path, canonical.value)) return refused(`version ${version} is not of the major version that module path ${path} has`);
  // The go command unpacks into a folder `PATH@VERSION`, and a look-up's file has that name as well.
  const lastElement = path.slice(path.lastIndexOf('/') + 1);
  const nameBytes = escapedLength(lastElement) + 1 + escapedLength(version);
  return nameBytes > ELEMENT_BYTES_MAX
    ? refused(`module path and version make a file name longer than ${ELEMENT_BYTES_MAX} bytes`)
    : canonical;
}

function agreesWithPath(path: ModulePath, version: Version): boolean {
  const pathMajor = splitPathVersion(path)?.pathMajor ?? '';
  if (pathMajor === '') return version.startsWith('v0.') || version.startsWith('v1.') || version.endsWith(INCOMPATIBLE);
  const major = pathMajor.slice(1).replace(/-unstable$/, '');
  // An old fault of the go command made v0.0.0- pseudo-versions for gopkg.in paths ending in .v1; go.mod files still name them.
  if (pathMajor.startsWith('.') && major === 'v1' && version.startsWith('v0.0.0-')) return true;
  return version.startsWith(`${major}.`);
}

/** As it stands in URLs and file names. `text` is a version, or a query that {@link unescapeVersion} accepted. */
export function escapeVersion(text: string): string {
  return escapeCapitals(text);
}

/** A version or a query from its escaped form: one element of a file path, ASCII, without `!`. Strict: escaping it again gives `text`. */
export function unescapeVersion(text: string): Parsed<string> {
  if (text.length > VERSION_BYTES_MAX) return refused(`version is longer than ${VERSION_BYTES_MAX} bytes`);
  const plain = unescapeCapitals(text);
  return plain === undefined ? refused('version is not escaped as it should be') : checkFileElement(plain);
}

/** The order of `semver.Sort`: negative, 0 (the same version) or positive. */
export function compareVersions(a: Version, b: Version): number {
  return comparePrecedence(a, b) || compareText(a, b);
}

/** The order of semantic versioning alone: `v2.0.0` and `v2.0.0+incompatible` are equal. */
export function comparePrecedence(a: Version, b: Version): number {
  let i = 1;
  let j = 1;
  for (let number = 0; number < 3; number++) {
    const iEnd = endOfDigits(a, i);
    const jEnd = endOfDigits(b, j);
    const order = compareNumbers(a, i, iEnd, b, j, jEnd);
    if (order !== 0) return order;
    i = iEnd + 1;
    j = jEnd + 1;
  }
  return comparePrereleases(a, i - 1, b, j - 1);
}

/** `v2` of `v2.1.0`. */
export function majorOf(version: Version): string {
  return version.slice(0, version.indexOf('.'));
}

/** Whether there is a prerelease part, which every pseudo-version has too. */
export function isPrerelease(version: Version): boolean {
  return version.includes('-');
}

export function isIncompatible(version: Version): boolean {
  return version.endsWith(INCOMPATIBLE);
}

/** Where the parts of a semantic version end; undefined when `text` is none. */
interface SemverShape {
  /** How many of major, minor and patch are there. */
  readonly numbers: number;
  /** The end of the prerelease, or of the core when there is none: where build metadata begins. */
  readonly end: number;
}

function semverShape(text: string): SemverShape | undefined {
  if (!text.startsWith('v')) return undefined;
  let numbers = 0;
  let i = 0;
  do {
    const start = i + 1;
    i = endOfDigits(text, start);
    if (i === start || (i - start > 1 && text.charCodeAt(start) === ZERO)) return undefined;
    numbers += 1;
  } while (numbers < 3 && text.charCodeAt(i) === DOT);
  if (i === text.length) return { numbers, end: i };
  if (numbers < 3) return undefined;
  if (text.charCodeAt(i) === DASH) i = endOfIdentifiers(text, i + 1, 'no leading zeros');
  if (i < 0) return undefined;
  const end = i;
  if (text.charCodeAt(i) === PLUS) i = endOfIdentifiers(text, i + 1, 'any');
  return i === text.length ? { numbers, end } : undefined;
}

/** The end of dot-separated identifiers of letters, digits and dashes, none empty; -1 when they are malformed. */
function endOfIdentifiers(text: string, from: number, digits: 'no leading zeros' | 'any'): number {
  let start = from;
  let onlyDigits = true;
  for (let i = from; ; i++) {
    const code = text.charCodeAt(i);
    if (isIdentifierCharacter(code)) {
      onlyDigits &&= isDigit(code);
      continue;
    }
    if (i === start) return -1;
    if (digits === 'no leading zeros' && onlyDigits && i - start > 1 && text.charCodeAt(start) === ZERO) return -1;
    if (code !== DOT) return i;
    start = i + 1;
    onlyDigits = true;
  }
}

/** `i` and `j` are where the cores end: at the dash of a prerelease, at `+`, or at the end. */
function comparePrereleases(a: string, i: number, b: string, j: number): number {
  const aHas = a.charCodeAt(i) === DASH;
  const bHas = b.charCodeAt(j) === DASH;
  if (!aHas || !bHas) return Number(bHas) - Number(aHas);
  for (;;) {
    const iEnd = endOfIdentifier(a, i + 1);
    const jEnd = endOfIdentifier(b, j + 1);
    const order = compareIdentifiers(a, i + 1, iEnd, b, j + 1, jEnd);
    if (order !== 0) return order;
    const aGoesOn = a.charCodeAt(iEnd) === DOT;
    const bGoesOn = b.charCodeAt(jEnd) === DOT;
    if (!aGoesOn || !bGoesOn) return Number(aGoesOn) - Number(bGoesOn);
    i = iEnd;
    j = jEnd;
  }
}

function compareIdentifiers(a: string, i: number, iEnd: number, b: string, j: number, jEnd: number): number {
  const aNumeric = endOfDigits(a, i) === iEnd;
  const bNumeric = endOfDigits(b, j) === jEnd;
  if (aNumeric !== bNumeric) return aNumeric ? -1 : 1;
  return aNumeric ? compareNumbers(a, i, iEnd, b, j, jEnd) : compareStretches(a, i, iEnd, b, j, jEnd);
}

/** Numbers have no leading zeros: the longer one is the greater one. */
function compareNumbers(a: string, i: number, iEnd: number, b: string, j: number, jEnd: number): number {
  return iEnd - i - (jEnd - j) || compareStretches(a, i, iEnd, b, j, jEnd);
}

function compareStretches(a: string, i: number, iEnd: number, b: string, j: number, jEnd: number): number {
  for (; i < iEnd && j < jEnd; i++, j++) {
    const order = a.charCodeAt(i) - b.charCodeAt(j);
    if (order !== 0) return order;
  }
  return iEnd - i - (jEnd - j);
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function endOfDigits(text: string, from: number): number {
  let i = from;
  while (isDigit(text.charCodeAt(i))) i += 1;
  return i;
}

function endOfIdentifier(text: string, from: number): number {
  let i = from;
  while (isIdentifierCharacter(text.charCodeAt(i))) i += 1;
  return i;
}

function isIdentifierCharacter(code: number): boolean {
  return isDigit(code) || (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === DASH;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function escapedLength(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x41 && text.charCodeAt(i) <= 0x5a) length += 1;
  return length;
}
