/**
 * The bodies of `@v/list`, and the choice that `@latest` stands for.
 *
 * A list has one version a line. Upstreams send more than they should: pseudo-versions, versions of other majors, times after the
 * version. We read the first word of each line as the go command does, keep what is a canonical version of the module, and send the
 * tagged versions in ascending order: the client would drop pseudo-versions anyway, but `@latest` needs them where nothing is tagged.
 *
 * https://go.dev/ref/mod#goproxy-protocol, https://go.dev/ref/mod#version-queries
 */
import type { ModulePath } from './module-path.ts';
import { isPseudoVersion, parsePseudoVersion } from './pseudo-version.ts';
import { type Version, VERSION_BYTES_MAX, checkPathVersion, compareVersions, isIncompatible, isPrerelease } from './version.ts';

/** Versions of one list that are read; the rest of the body is ignored. The longest real lists have some thousands. */
export const LIST_VERSIONS_MAX = 100_000;

/** Lines of one list that are looked at: of nothing but blank lines a body holds millions. */
export const LIST_LINES_MAX = 500_000;

/** Characters of one line that are looked at: a version and a time. */
const LINE_LENGTH_MAX = VERSION_BYTES_MAX + 64;

/** Every canonical version of the module in the list, pseudo-versions too, each once, in the order of the list. Linear in the text. */
export function parseVersionList(text: string, module: ModulePath): readonly Version[] {
  const versions = new Set<Version>();
  for (let start = 0, lines = 0; start < text.length && versions.size < LIST_VERSIONS_MAX && lines < LIST_LINES_MAX; lines += 1) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    if (end - start <= LINE_LENGTH_MAX) {
      const version = checkPathVersion(module, firstWord(text.slice(start, end)));
      if (version.ok) versions.add(version.value);
    }
    start = end + 1;
  }
  return [...versions];
}

/** One tagged version a line, ascending by `semver.Sort`, each once; 0 bytes when there is none. */
export function formatVersionList(versions: readonly Version[]): string {
  const tagged = [...new Set(versions)].filter((version) => !isPseudoVersion(version)).toSorted(compareVersions);
  return tagged.map((version) => `${version}\n`).join('');
}

/**
 * The version that the query `latest` means, by the rule of the go command: the highest release, else the highest prerelease, else the
 * pseudo-version of the latest commit. Undefined when there is none of them.
 *
 * `+incompatible` versions count only when there is no compatible tagged version, or when the highest of those has no go.mod file: the
 * author then never said that the module follows semantic import versioning, and higher majors are plain tags. Whether it has one is
 * the caller's to find out (see {@link decidingVersion}); unless told otherwise we take it that it has, since choosing a compatible
 * version is the mistake that breaks no build. Retractions are the client's to consider.
 */
export function latestOf(
  versions: readonly Version[],
  options: { readonly decidingHasGoMod: boolean } = { decidingHasGoMod: true },
): Version | undefined {
  const tagged = versions.filter((version) => !isPseudoVersion(version));
  const compatible = tagged.filter((version) => !isIncompatible(version));
  const eligible = options.decidingHasGoMod && compatible.length > 0 ? compatible : tagged;
  return highest(eligible.filter((version) => !isPrerelease(version))) ?? highest(eligible) ?? latestPseudo(versions);
}

/** The version whose go.mod file (a real one, not {@link legacyGoMod}) decides {@link latestOf}; undefined when the answer does not depend on it. */
export function decidingVersion(versions: readonly Version[]): Version | undefined {
  const tagged = versions.filter((version) => !isPseudoVersion(version));
  return tagged.some(isIncompatible) ? highest(tagged.filter((version) => !isIncompatible(version))) : undefined;
}

function highest(versions: readonly Version[]): Version | undefined {
  let best: Version | undefined;
  for (const version of versions) if (best === undefined || compareVersions(version, best) > 0) best = version;
  return best;
}

/** By the commit's time, as the go command does: after a deleted tag the highest pseudo-version may be an old one. */
function latestPseudo(versions: readonly Version[]): Version | undefined {
  let best: { readonly version: Version; readonly timeMs: number } | undefined;
  for (const version of versions) {
    const pseudo = parsePseudoVersion(version);
    if (!pseudo.ok) continue;
    const { timeMs } = pseudo.value;
    const order = best === undefined ? 1 : timeMs - best.timeMs || compareVersions(version, best.version);
    if (order > 0) best = { version, timeMs };
  }
  return best?.version;
}

function firstWord(line: string): string {
  const trimmed = line.trimStart();
  const end = trimmed.search(/\s/);
  return end < 0 ? trimmed : trimmed.slice(0, end);
}
