/**
 * Which version of a module a commit is, by the rules of cmd/go's codeRepo.convert.
 *
 * A canonical version that was asked for is itself or an error. Of any other name: the highest canonical tag on the commit that is not retracted and
 * agrees with the path, else a pseudo-version after the highest such tag among the commit's ancestors. A pseudo-version that was asked for has to
 * have the commit's own time and 12 digits of its hash, and a base that is tagged on an ancestor: else one commit had any number of names.
 */
import { HubError } from '../../base/errors.ts';
import { type Parsed, parsed, refused } from '../../base/parsed.ts';
import { type Retraction, isRetracted, readGoModFacts } from '../../protocol/go-mod-facts.ts';
import { formatPseudoVersion, parsePseudoVersion } from '../../protocol/pseudo-version.ts';
import {
  INCOMPATIBLE,
  canonicalSemver,
  compareSemver,
  isCanonicalText,
  isPseudoText,
  matchesPathMajor,
  semverMajor,
  withoutIncompatible,
} from '../../protocol/semver-text.ts';
import { type Version, isPrerelease, majorOf, parseVersion } from '../../protocol/version.ts';
import { type ModuleFolder, type ModulePlace, findModule } from './module-place.ts';
import { taggedVersions } from './module-tags.ts';
import { type RepositoryState, type Revision, statHead, statRevision } from './revision.ts';
import { tagHash, tagNames } from './refs.ts';

export interface ModuleRevision {
  readonly version: Version;
  readonly revision: Revision;
  /** Where the module lies in the commit. */
  readonly found: ModuleFolder;
}

const SHORT_HASH_LENGTH = 12;

/** The name in the repository that a query stands for: a tag with the module's prefix, the hash of a pseudo-version, or what was asked. */
export function revisionName(place: ModulePlace, query: string): string {
  if (canonicalSemver(query) === undefined) return query;
  if (isPseudoText(query)) return /-([^-+]*)(?:\+.*)?$/.exec(query)?.[1] ?? query;
  return place.tagPrefix + withoutIncompatible(query);
}

/** `query` as of `ModuleSource.resolve`. @throws {HubError} not-found, upstream-invalid, storage-fault */
export async function resolveQuery(
  state: RepositoryState,
  place: ModulePlace,
  query: string,
  signal: AbortSignal,
): Promise<ModuleRevision> {
  const isLatest = query === 'latest';
  const revision = isLatest ? await statHead(state, signal) : await statRevision(state, revisionName(place, query), signal);
  return new Conversion({ state, place, revision, query: isLatest ? '' : query }, signal).convert();
}

interface Subject {
  readonly state: RepositoryState;
  readonly place: ModulePlace;
  readonly revision: Revision;
  /** Empty for `latest`. */
  readonly query: string;
}

/** One commit on its way to a version. */
class Conversion {
  readonly #subject: Subject;
  readonly #signal: AbortSignal;
  #retractions: readonly Retraction[] | undefined;
  readonly #goMods = new Map<string, boolean>();

  constructor(subject: Subject, signal: AbortSignal) {
    this.#subject = subject;
    this.#signal = signal;
  }

  async convert(): Promise<ModuleRevision> {
    const { revision, query } = this.#subject;
    if (isPseudoText(query)) {
      const checked = await this.#mustCheck(query);
      await this.#validatePseudoVersion(query);
      return checked;
    }
    const own = this.#tagVersion(revision.name);
    if (own?.isCanonical === true) {
      const checked = await this.#check(own.version);
      if (checked.ok) return checked.value;
    }
    return this.#fromTags();
  }

  async #fromTags(): Promise<ModuleRevision> {
    const { revision, query } = this.#subject;
    let highest: Version | undefined;
    let base: Version | undefined;
    for (const tag of revision.tags) {
      const tagged = this.#tagVersion(tag);
      const isAsked = query !== '' && compareSemver(tagged?.version ?? '', query) === 0;
      if (tagged === undefined) continue;
      if (isAsked && tagged.isCanonical) return this.#mustCheck(tagged.version);
      if (isAsked) base = tagged.version;
      if (!tagged.isCanonical || compareSemver(highest ?? '', tagged.version) >= 0) continue;
      if (await this.#isAllowed(tagged.version)) highest = tagged.version;
    }
    if (highest !== undefined) return this.#mustCheck(highest);
    return this.#mustCheck(this.#pseudoVersion(base ?? (await this.#recentTag())));
  }

  #pseudoVersion(base: Version | undefined): Version {
    const { place, revision } = this.#subject;
    const major = base === undefined ? place.pseudoMajor || 'v0' : majorOf(base);
    const formatted = formatPseudoVersion({
      major,
      base,
      timeMs: revision.timeS * 1000,
      revision: revision.hash.slice(0, SHORT_HASH_LENGTH),
    });
    if (!formatted.ok) throw new HubError('upstream-invalid', `commit ${revision.hash} makes no version: ${formatted.reason}`);
    return formatted.value;
  }

  /** The version in a tag's name and whether the name is nothing but that; undefined where there is none. */
  #tagVersion(tag: string): { readonly version: Version; readonly isCanonical: boolean } | undefined {
    const { tagPrefix } = this.#subject.place;
    if (!tag.startsWith(tagPrefix) || isPseudoText(tag)) return undefined;
    const text = tag.slice(tagPrefix.length);
    const version = canonicalSemver(text);
    return version === undefined || !text.startsWith(version) ? undefined : { version, isCanonical: version === text };
  }

  /** Of the path's major or allowed as `+incompatible`, and not retracted. */
  async #isAllowed(version: Version): Promise<boolean> {
    if (!matchesPathMajor(version, this.#subject.place.pathMajor) && !(await this.#canBeIncompatible(version))) return false;
    return !isRetracted(version, await this.#retracted());
  }

  /**
   * Of the commit's own tags the highest, such as `v1.0.5+meta`, else of all its ancestors': with an empty cache go knows nothing but the commit at first, and
   * looks at its history only when that has no tag that would do.
   */
  async #recentTag(): Promise<Version | undefined> {
    const { state, revision } = this.#subject;
    const own = await this.#highestAllowed(revision.tags);
    return own ?? this.#highestAllowed(await state.objects.mergedTags(revision.hash, this.#signal));
  }

  async #highestAllowed(tags: readonly string[]): Promise<Version | undefined> {
    const { refs } = this.#subject.state;
    let highest: Version | undefined;
    for (const tag of tags) {
      const version = this.#tagVersion(tag)?.version;
      if (version === undefined || tagHash(refs, tag) === undefined || compareSemver(version, highest ?? '') <= 0) continue;
      if (await this.#isAllowed(version)) highest = version;
    }
    return highest;
  }

  async #mustCheck(version: string): Promise<ModuleRevision> {
    const checked = await this.#check(version);
    if (checked.ok) return checked.value;
    throw new HubError('not-found', `${this.#subject.place.module}@${this.#subject.query || version}: ${checked.reason}`);
  }

  /** Whether the module is there and the version agrees with its path, which may take `+incompatible`; and whether it is what was asked for. */
  async #check(text: string): Promise<Parsed<ModuleRevision>> {
    const { state, place, revision, query } = this.#subject;
    const found = await findModule(place, { objects: state.objects, commit: revision.hash, name: text }, this.#signal);
    if (!found.ok) return found;
    let version = text === withoutIncompatible(query) ? query : text;
    const base = withoutIncompatible(version);
    let fault: string | undefined;
    if (!matchesPathMajor(base, place.pathMajor)) {
      if (await this.#canBeIncompatible(base)) version = base + INCOMPATIBLE;
      else if (place.pathMajor !== '') fault = 'module path has a major version suffix, so that the major version must match';
      else fault = `the module has a go.mod file, so that its path would have to end in /${semverMajor(version)}`;
    } else if (version.endsWith(INCOMPATIBLE))
      fault = `${INCOMPATIBLE} is not allowed: major version ${semverMajor(version)} is compatible`;
    if (isCanonicalText(query) && withoutIncompatible(query) !== base)
      return refused(`it is ${version} (${withoutIncompatible(query)} is not a tag)`);
    if (fault !== undefined) return refused(fault);
    const whole = parseVersion(version);
    return whole.ok ? parsed({ version: whole.value, revision, found: found.value }) : whole;
  }

  async #canBeIncompatible(version: string): Promise<boolean> {
    const { place, query } = this.#subject;
    if (place.folder !== '' || place.pathMajor !== '' || (await this.#hasGoMod(''))) return false;
    return query.endsWith(INCOMPATIBLE) || !(await this.#hasGoMod(`${semverMajor(version)}/`));
  }

  async #hasGoMod(prefix: string): Promise<boolean> {
    const { state, revision } = this.#subject;
    const known = this.#goMods.get(prefix) ?? (await state.objects.file(revision.hash, `${prefix}go.mod`, this.#signal)) !== undefined;
    this.#goMods.set(prefix, known);
    return known;
  }

  async #retracted(): Promise<readonly Retraction[]> {
    this.#retractions ??= await readRetractions(this.#subject.state, this.#subject.place, this.#signal);
    return this.#retractions;
  }

  async #validatePseudoVersion(text: string): Promise<void> {
    const { state, place, revision } = this.#subject;
    const fail = (reason: string): HubError => new HubError('not-found', `${place.module}@${text}: invalid pseudo-version: ${reason}`);
    const version = parseVersion(withoutIncompatible(text));
    if (!version.ok) throw fail(version.reason);
    const pseudo = parsePseudoVersion(version.value);
    const short = revision.hash.slice(0, SHORT_HASH_LENGTH);
    if (revisionName(place, text) !== short)
      throw fail(`its revision is not the first ${SHORT_HASH_LENGTH} digits of the commit, ${short}`);
    if (!pseudo.ok) throw fail(pseudo.reason);
    if (pseudo.value.timeMs !== revision.timeS * 1000) throw fail(`the commit's time is ${timeOf(revision)}`);
    const { base } = pseudo.value;
    if (base === undefined) {
      if (place.pseudoMajor === '' && majorOf(version.value) === 'v1') throw fail('major version without preceding tag must be v0, not v1');
      return;
    }
    const own = revision.tags.find((tag) => (tag.startsWith(place.tagPrefix) ? tag.slice(place.tagPrefix.length) : tag) === base);
    if (own !== undefined) throw fail(`tag ${own} on the same commit is a version already`);
    const bases = tagNames(state.refs, place.tagPrefix + base).filter(
      (tag) => compareSemver(tag.slice(place.tagPrefix.length), base) === 0,
    );
    if (bases.length === 0) throw fail(`preceding tag ${base} not found`);
    for (const tag of bases) if (await state.objects.isAncestor(tagHash(state.refs, tag) ?? '', revision.hash, this.#signal)) return;
    throw fail(`the commit does not descend from preceding tag ${bases.at(-1)}`);
  }
}

/** By the go.mod file of the highest release, else of the highest prerelease. Where that has no module there is nothing retracted. */
export async function readRetractions(
  { refs, objects }: RepositoryState,
  place: ModulePlace,
  signal: AbortSignal,
): Promise<readonly Retraction[]> {
  const { compatible } = taggedVersions(place, refs);
  const highest = compatible.findLast((version) => !isPrerelease(version)) ?? compatible.at(-1);
  if (highest === undefined) return [];
  const commit = await objects.commit(tagHash(refs, place.tagPrefix + highest) ?? '', signal);
  if (commit === undefined) return [];
  const found = await findModule(place, { objects, commit: commit.hash, name: highest }, signal);
  return found.ok && found.value.goMod !== undefined ? readGoModFacts(found.value.goMod.toString('utf8')).retract : [];
}

/** RFC 3339 in UTC. @throws {HubError} upstream-invalid for a time that has no such form */
export function timeOf({ hash, timeS }: { readonly hash: string; readonly timeS: number }): string {
  const iso = Math.abs(timeS) <= 8.64e12 ? new Date(timeS * 1000).toISOString() : '';
  if (!/^\d{4}-/.test(iso)) throw new HubError('upstream-invalid', `commit ${hash} has an impossible time`);
  return `${iso.slice(0, 19)}Z`;
}
