/**
 * Semantic versions in text of any kind, such as the names of tags: by the functions of golang.org/x/mod/semver and `module.CheckPathMajor`, which
 * answer for malformed text as well. Text longer than a version may be counts as malformed.
 *
 * https://pkg.go.dev/golang.org/x/mod/semver
 */
import { isPseudoVersion } from './pseudo-version.ts';
import { type Version, canonicalOf, comparePrecedence, parseVersion } from './version.ts';

export const INCOMPATIBLE = '+incompatible';

/** `semver.Canonical`: three numbers, without any build metadata; undefined for what is no semantic version. */
export function canonicalSemver(text: string): Version | undefined {
  const canonical = canonicalOf(text);
  if (!canonical.ok) return undefined;
  const bare = parseVersion(withoutIncompatible(canonical.value));
  return bare.ok ? bare.value : undefined;
}

/** `semver.Compare`: malformed text is less than any version, and equal to other malformed text. */
export function compareSemver(a: string, b: string): number {
  const left = canonicalSemver(a);
  const right = canonicalSemver(b);
  if (left === undefined || right === undefined) return Number(left !== undefined) - Number(right !== undefined);
  return comparePrecedence(left, right);
}

/** `semver.Major`: `v2` of `v2.1.0`; empty for malformed text. */
export function semverMajor(text: string): string {
  const canonical = canonicalSemver(text);
  return canonical === undefined ? '' : canonical.slice(0, canonical.indexOf('.'));
}

/** `module.IsPseudoVersion`. */
export function isPseudoText(text: string): boolean {
  const canonical = canonicalSemver(text);
  return canonical !== undefined && isPseudoVersion(canonical);
}

/** Whether the text is a version that `module.CanonicalVersion` gives back unchanged. */
export function isCanonicalText(text: string): boolean {
  return parseVersion(text).ok;
}

export function withoutIncompatible(text: string): string {
  return text.endsWith(INCOMPATIBLE) ? text.slice(0, -INCOMPATIBLE.length) : text;
}

/** `module.MatchPathMajor`: whether a version may stand under a path with this major suffix (`''`, `/v2`, `.v2`, `.v2-unstable`). */
export function matchesPathMajor(text: string, pathMajor: string): boolean {
  const suffix = pathMajor.replace(/-unstable$/, '');
  if (suffix === '.v1' && text.startsWith('v0.0.0-')) return true;
  const major = semverMajor(text);
  if (suffix === '') return major === 'v0' || major === 'v1' || (major !== '' && text.endsWith(INCOMPATIBLE));
  return major === suffix.slice(1);
}
