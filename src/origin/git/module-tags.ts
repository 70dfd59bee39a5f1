/**
 * Which versions the tags of a repository give a module, by the rules of cmd/go's codeRepo.Versions.
 *
 * - A tag counts when what follows the module's prefix is exactly a canonical version of the path's major, and not shaped like a pseudo-version.
 * - `+incompatible`: only of a module at the root without major suffix. None when its highest v0 or v1 tag has a go.mod file; otherwise the
 *   tags of each major v2 and up whose highest has none.
 */
import { HubError } from '../../base/errors.ts';
import { isPseudoVersion } from '../../protocol/pseudo-version.ts';
import { INCOMPATIBLE, canonicalSemver, matchesPathMajor } from '../../protocol/semver-text.ts';
import { type Version, compareVersions, majorOf, parseVersion } from '../../protocol/version.ts';
import type { MirrorObjects } from './mirror-objects.ts';
import type { ModulePlace } from './module-place.ts';
import { type Refs, tagHash, tagNames } from './refs.ts';

export interface TaggedVersions {
  readonly compatible: readonly Version[];
  /** Of v2 and up, without `+incompatible`. Whether they are versions is to be seen from their go.mod files. */
  readonly later: readonly Version[];
}

/** Both ascending. */
export function taggedVersions(place: ModulePlace, refs: Refs): TaggedVersions {
  const compatible: Version[] = [];
  const later: Version[] = [];
  for (const tag of tagNames(refs, place.tagPrefix)) {
    const text = tag.slice(place.tagPrefix.length);
    const version = canonicalSemver(text);
    if (version === undefined || version !== text || isPseudoVersion(version)) continue;
    if (matchesPathMajor(version, place.pathMajor)) compatible.push(version);
    else if (place.folder === '' && place.pathMajor === '' && !['v0', 'v1'].includes(majorOf(version))) later.push(version);
  }
  return { compatible: compatible.toSorted(compareVersions), later: later.toSorted(compareVersions) };
}

/** Those of `later` that are versions, with `+incompatible`. Everything that `refs` names is in `objects`. @throws {HubError} not-found when a deciding tag is on no commit */
export async function incompatibleVersions(
  { compatible, later }: TaggedVersions,
  { refs, objects }: { readonly refs: Refs; readonly objects: MirrorObjects },
  signal: AbortSignal,
): Promise<readonly Version[]> {
  const hasGoMod = async (version: Version): Promise<boolean> => {
    const commit = await objects.commit(tagHash(refs, version) ?? '', signal);
    if (commit === undefined) throw new HubError('not-found', `tag ${version} is on no commit, so that the versions cannot be told`);
    return (await objects.file(commit.hash, 'go.mod', signal)) !== undefined;
  };
  const highest = compatible.at(-1);
  if (later.length === 0 || (highest !== undefined && (await hasGoMod(highest)))) return [];
  const versions: Version[] = [];
  for (const [index, version] of later.entries()) {
    const next = later[index + 1];
    if (next !== undefined && majorOf(next) === majorOf(version)) continue;
    if (await hasGoMod(version)) continue;
    versions.push(...later.filter((one) => majorOf(one) === majorOf(version)).flatMap(withIncompatible));
  }
  return versions;
}

/** None when it becomes longer than a version may be. */
function withIncompatible(version: Version): readonly Version[] {
  const whole = parseVersion(version + INCOMPATIBLE);
  return whole.ok ? [whole.value] : [];
}
