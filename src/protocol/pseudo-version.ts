/**
 * Pseudo-versions: versions of commits without a tag, ordered between the tags around them.
 *
 *     vX.0.0-yyyymmddhhmmss-abcdefabcdef                no earlier tag of this major
 *     vX.Y.(Z+1)-0.yyyymmddhhmmss-abcdefabcdef          after vX.Y.Z
 *     vX.Y.Z-pre.0.yyyymmddhhmmss-abcdefabcdef          after vX.Y.Z-pre
 *
 * and each of the last two with `+incompatible` when the tag before has it. The time is the commit's, in UTC; the revision is by custom
 * the first 12 hex digits of its hash, and by syntax any ASCII letters and digits.
 *
 * https://go.dev/ref/mod#pseudo-versions, https://pkg.go.dev/golang.org/x/mod/module#PseudoVersion
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type Version, isIncompatible, majorOf, parseVersion } from './version.ts';

export interface PseudoVersion {
  /** `v0`, `v1`, …, that of `base` when there is one. */
  readonly major: string;
  /** The highest tagged version before the commit; undefined when there is none. */
  readonly base: Version | undefined;
  /** Whole seconds, in milliseconds since the epoch, in the years 0 to 9999. */
  readonly timeMs: number;
  readonly revision: string;
}

/** Whether the version is shaped as one, as `module.IsPseudoVersion`: its time may still be no time, and its base impossible. */
export function isPseudoVersion(version: Version): boolean {
  return split(version) !== undefined;
}

export function parsePseudoVersion(version: Version): Parsed<PseudoVersion> {
  const parts = split(version);
  if (parts === undefined) return refused('version is no pseudo-version');
  const timeMs = parseStamp(parts.stamp);
  if (timeMs === undefined) return refused('pseudo-version has an impossible time');
  const base = baseOf(parts.head, isIncompatible(version) ? '+incompatible' : '');
  if (!base.ok) return base;
  return parsed({ major: majorOf(version), base: base.value, timeMs, revision: parts.revision });
}

/** Inverts {@link parsePseudoVersion}. Refused when the revision or time cannot stand in a version, or the version becomes too long. */
export function formatPseudoVersion(pseudo: PseudoVersion): Parsed<Version> {
  const { base, revision } = pseudo;
  if (!/^[0-9A-Za-z]+$/.test(revision)) return refused('revision of a pseudo-version is no row of ASCII letters and digits');
  const stamp = formatStamp(pseudo.timeMs);
  if (stamp === undefined) return refused('time of a pseudo-version is no whole second of the years 0 to 9999');
  const segment = `${stamp}-${revision}`;
  if (base === undefined) return parseVersion(`${pseudo.major}.0.0-${segment}`);
  if (majorOf(base) !== pseudo.major) return refused('base of a pseudo-version is of another major version');
  const build = isIncompatible(base) ? '+incompatible' : '';
  const core = base.slice(0, base.length - build.length);
  if (core.includes('-')) return parseVersion(`${core}.0.${segment}${build}`);
  const patch = core.lastIndexOf('.') + 1;
  return parseVersion(`${core.slice(0, patch)}${BigInt(core.slice(patch)) + 1n}-0.${segment}${build}`);
}

const STAMP_LENGTH = 14;

interface Parts {
  /** `vX.0.0`, `vX.Y.Z-0` or `vX.Y.Z-pre.0`. */
  readonly head: string;
  readonly stamp: string;
  readonly revision: string;
}

/** Read from the end, because the prerelease of the base may hold anything. */
function split(version: Version): Parts | undefined {
  const plus = version.indexOf('+');
  const end = plus < 0 ? version.length : plus;
  const dash = version.lastIndexOf('-', end - 1);
  const stampStart = dash - STAMP_LENGTH;
  const first = version.indexOf('-');
  if (first < 0 || stampStart <= first) return undefined;
  const revision = version.slice(dash + 1, end);
  const stamp = version.slice(stampStart, dash);
  const head = version.slice(0, stampStart - 1);
  if (!/^\d+$/.test(stamp) || !/^[0-9A-Za-z]+$/.test(revision)) return undefined;
  const separator = version[stampStart - 1];
  if (separator === '-') return first === stampStart - 1 && head.endsWith('.0.0') ? { head, stamp, revision } : undefined;
  return separator === '.' && (head.endsWith('-0') ? head.length - 2 === first : head.endsWith('.0'))
    ? { head, stamp, revision }
    : undefined;
}

function baseOf(head: string, build: string): Parsed<Version | undefined> {
  const dash = head.indexOf('-');
  if (dash < 0) return build === '' ? parsed(undefined) : refused('pseudo-version has +incompatible but no base version');
  if (head.slice(dash) !== '-0') return parseVersion(head.slice(0, -'.0'.length) + build);
  const patch = head.lastIndexOf('.', dash) + 1;
  const number = BigInt(head.slice(patch, dash)) - 1n;
  return number < 0n
    ? refused('pseudo-version has a base version with a negative patch number')
    : parseVersion(`${head.slice(0, patch)}${number}${build}`);
}

/** `yyyymmddhhmmss` in UTC; undefined for dates that the calendar does not have. */
function parseStamp(stamp: string): number | undefined {
  const iso = stamp.replace(/^(....)(..)(..)(..)(..)(..)$/, '$1-$2-$3T$4:$5:$6.000Z');
  const timeMs = Date.parse(iso);
  // Date.parse lets some impossible dates run over into the next month.
  return Number.isNaN(timeMs) || new Date(timeMs).toISOString() !== iso ? undefined : timeMs;
}

function formatStamp(timeMs: number): string | undefined {
  if (!Number.isInteger(timeMs / 1000) || Math.abs(timeMs) > 8.64e15) return undefined;
  const iso = new Date(timeMs).toISOString();
  return /^\d{4}-/.test(iso) ? iso.slice(0, 19).replace(/[-:T]/g, '') : undefined;
}
