import { HubError } from '../base/errors.ts';
import type { ArtefactKind } from '../base/events.ts';
import {
  compareReleases,
  type GoPlatform,
  type GoRelease,
  parseToolchainVersion,
  TOOLCHAIN_MODULE,
  toolchainVersion,
} from '../protocol/go-release.ts';
import { escapePath, type ModulePath, parseModulePath } from '../protocol/module-path.ts';
import { checkPathVersion, escapeVersion } from '../protocol/version.ts';
import type { Closure } from './closure.ts';
import { type FetchParts, lack } from './fetch-files.ts';

/** Releases of Go for some platforms. */
export interface SdkOrder {
  /** As the user wrote it: `1.26.8`, `1.25.x`, `latest`. */
  readonly shown: string;
  readonly platforms: readonly GoPlatform[];
  /** The release itself, where it was named. */
  readonly exact: GoRelease | undefined;
  readonly choose: (known: readonly GoRelease[]) => GoRelease | undefined;
}

const LIST_BYTES_MAX = 16 * 1024 * 1024;

/** The modules that have what the archives have: a hub inside makes the same archives of them. @throws {HubError} what ends all of it */
export async function addSdks(orders: readonly SdkOrder[], closure: Closure, parts: FetchParts, signal: AbortSignal): Promise<void> {
  const listed = orders.every(({ exact }) => exact !== undefined) ? [] : await releasesOf(parts, signal);
  for (const { shown, platforms, exact, choose } of orders)
    for (const platform of platforms) {
      const there = listed.filter(({ os, arch }) => os === platform.os && arch === platform.arch).map(({ release }) => release);
      const release = exact ?? choose(there.toSorted(compareReleases));
      if (release === undefined) {
        const error = new HubError('not-found', `${parts.source.name} knows no such release of Go for this platform`);
        lack(parts, { path: TOOLCHAIN_MODULE, version: `${shown} ${platform.os}/${platform.arch}`, file: undefined }, error);
      } else closure.addFiles({ path: TOOLCHAIN_MODULE, version: toolchainVersion({ release, ...platform }) }, ['info', 'mod', 'zip']);
    }
}

async function releasesOf(parts: FetchParts, signal: AbortSignal): Promise<readonly (GoPlatform & { readonly release: GoRelease })[]> {
  try {
    const list = await parts.source.get(`${escapePath(TOOLCHAIN_MODULE)}/@v/list`, LIST_BYTES_MAX, signal);
    return (list?.toString('latin1') ?? '').split('\n').flatMap((line) => parseToolchainVersion(line.trim()) ?? []);
  } catch (error) {
    signal.throwIfAborted();
    lack(parts, { path: TOOLCHAIN_MODULE, version: 'list', file: undefined }, error);
    return [];
  }
}

/** Some two hundred bytes an entry. */
const PAGE_ENTRIES = 2000;
const PAGE_BYTES_MAX = 16 * 1024 * 1024;
/** Of one hub: a manifest has no room for more. */
const VERSIONS_MAX = 300_000;

/**
 * Everything that the hub has stored, by its feed: of each version the files that are there, none of which it has to fetch. Private modules are in the feed for who may
 * audit; `admits` says which of them are wanted.
 * @throws {HubError} what ends all of it
 */
export async function addStored(
  { admits }: { readonly admits: (module: ModulePath) => boolean },
  closure: Closure,
  parts: FetchParts,
  signal: AbortSignal,
): Promise<void> {
  const versions = await feedOf(parts, signal);
  await Promise.all(
    versions
      .filter(({ path }) => admits(path))
      .map(async (module) => {
        const files = await Promise.all(
          (['info', 'mod', 'zip'] as const).map(async (file): Promise<ArtefactKind | undefined> => {
            const leave = await parts.small.enter({ priority: 'waited-for' }, signal);
            try {
              const resource = `${escapePath(module.path)}/@v/${escapeVersion(module.version)}.${file}`;
              return (await parts.source.size(resource, signal)) === undefined ? undefined : file;
            } finally {
              leave();
            }
          }),
        );
        closure.addFiles(
          module,
          files.filter((file) => file !== undefined),
        );
      }),
  );
}

type Versions = readonly Parameters<Closure['addFiles']>[0][];

async function feedOf({ source }: FetchParts, signal: AbortSignal): Promise<Versions> {
  const versions = new Map<string, Versions[number]>();
  for (let since = ''; versions.size < VERSIONS_MAX; ) {
    const page = await source.get(`index?since=${encodeURIComponent(since)}&limit=${PAGE_ENTRIES}`, PAGE_BYTES_MAX, signal);
    if (page === undefined) throw new HubError('not-found', `${source.name} has no feed of what it has stored: it is no hub`);
    const lines = page
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '');
    let last = since;
    for (const line of lines) {
      const { path, version, timestamp } = entryOf(line, source.name);
      versions.set(`${path}@${version}`, { path, version });
      last = timestamp;
    }
    if (lines.length < PAGE_ENTRIES) return [...versions.values()];
    if (last === since) throw new HubError('upstream-invalid', `the feed of ${source.name} does not go on after ${since}`);
    since = last;
  }
  throw new HubError('too-large', `${source.name} has more than ${VERSIONS_MAX} versions, more than a bundle can list`);
}

function entryOf(line: string, source: string): Versions[number] & { readonly timestamp: string } {
  const entry = entryIn(line);
  const path = typeof entry?.Path === 'string' ? parseModulePath(entry.Path) : undefined;
  const version = path?.ok === true && typeof entry?.Version === 'string' ? checkPathVersion(path.value, entry.Version) : undefined;
  if (path?.ok !== true || version?.ok !== true || typeof entry?.Timestamp !== 'string')
    throw new HubError('upstream-invalid', `the feed of ${source} has a line that is no entry`);
  return { path: path.value, version: version.value, timestamp: entry.Timestamp };
}

function entryIn(line: string): { readonly Path?: unknown; readonly Version?: unknown; readonly Timestamp?: unknown } | null {
  try {
    return JSON.parse(line) as ReturnType<typeof entryIn>;
  } catch {
    return null;
  }
}
