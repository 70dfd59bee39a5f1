import { codeOf, type ErrorCode, HubError, messageOf } from '../base/errors.ts';
import type { ArtefactKind } from '../base/events.ts';
import { Gate } from '../base/gate.ts';
import { latestVersionName } from '../protocol/bundle-manifest.ts';
import { moduleFileKey } from '../protocol/layout.ts';
import { type ModuleAt, nameOf } from '../protocol/main-go-mod.ts';
import { escapePath, type ModulePath, parseModulePath } from '../protocol/module-path.ts';
import { checkPathVersion, escapeVersion, parseVersion, type Version } from '../protocol/version.ts';
import { INFO_BYTES_MAX, parseVersionInfo } from '../protocol/version-info.ts';
import { Closure, type Project, type Wanted } from './closure.ts';
import type { ProxySource } from './proxy-source.ts';
import type { Staging } from './staging.ts';

/** A module version as people ask for it. */
export interface ModuleQuery {
  readonly path: ModulePath;
  /** `v1.5.2`, `latest`, `v1`, a branch, a commit. */
  readonly query: string;
  /** The path may be that of a package: the module is the longest path above it that there is. */
  readonly orAbove?: boolean;
}

export interface PlanRequest {
  readonly projects: readonly Project[];
  readonly modules: readonly ModuleQuery[];
  readonly withLatest: boolean;
}

/** What could not be had, and why. */
export interface Lack {
  readonly path: string;
  readonly version: string;
  readonly file: ArtefactKind | 'record' | undefined;
  readonly code: ErrorCode;
  readonly reason: string;
}

export interface Plan {
  readonly wanted: readonly Wanted[];
  /** By name in the bundle: the `.info` of the latest version of modules, where it was asked for. */
  readonly latest: ReadonlyMap<string, Buffer>;
}

export interface FetchParts {
  readonly source: ProxySource;
  readonly staging: Staging;
  readonly small: Gate;
  readonly lacks: Lack[];
  readonly onFile: (sizeBytes: number) => void;
}

export const FILE_BYTES_MAX: Readonly<Record<ArtefactKind, number>> = {
  info: INFO_BYTES_MAX,
  mod: 16 * 1024 * 1024,
  zip: 500 * 1024 * 1024,
};

/** Files asked for at once; a graph is thousands of small ones. */
export const SMALL_SLOTS = 16;
export const QUEUE_MAX = 400_000;

/** Reads every go.mod there is to read, and so finds out what is to be carried. @throws {HubError} what ends all of it, such as a full disk */
export async function makePlan(request: PlanRequest, parts: FetchParts, signal: AbortSignal): Promise<Plan> {
  const closure = new Closure({
    goMod: async (module) => {
      const isHere = await fetchFile({ ...module, file: 'mod' }, parts, signal);
      return isHere ? await parts.staging.read(moduleFileKey(module.path, module.version, 'mod')) : undefined;
    },
  });
  for (const project of request.projects) await closure.addProject(project);
  const resolved = await Promise.all(request.modules.map((query) => resolveQuery(query, parts, signal)));
  for (const [i, module] of resolved.entries()) {
    if (module !== undefined) await closure.addModule(module, 'all');
    else forgetProbe(request.modules[i], { found: resolved, queries: request.modules }, parts.lacks);
  }
  const latest = new Map<string, Buffer>();
  if (request.withLatest) {
    const modules = new Set(closure.wanted.map(({ path }) => path).filter((path) => path !== TOOLCHAIN));
    const found = await Promise.all([...modules].map((path) => latestOf(path, parts, signal)));
    for (const newest of found) {
      if (newest === undefined) continue;
      latest.set(latestVersionName(newest.path), newest.info);
      await closure.addModule(newest, 'built');
    }
  }
  return { wanted: closure.wanted, latest };
}

/** It has versions beyond counting and no latest. */
const TOOLCHAIN = 'golang.org/toolchain';

/** True when the file is in staging; else the lack is noted. @throws {HubError} storage-full, storage-fault, or the signal's reason */
export async function fetchFile({ path, version, file }: Wanted, parts: FetchParts, signal: AbortSignal): Promise<boolean> {
  const resource = `${escapePath(path)}/@v/${escapeVersion(version)}.${file}`;
  const name = moduleFileKey(path, version, file);
  const leave = await parts.small.enter({ priority: 'waited-for' }, signal);
  try {
    if (await parts.staging.fetch(name, { resource, sizeMaxBytes: FILE_BYTES_MAX[file] }, signal)) {
      parts.onFile((await parts.staging.sizeOf(name)) ?? 0);
      return true;
    }
    lack(parts, { path, version, file }, new HubError('not-found', `${parts.source.name} does not have it`));
  } catch (error) {
    lack(parts, { path, version, file }, error);
  } finally {
    leave();
  }
  return false;
}

/** @throws what no other file would fare better with */
export function lack(
  { lacks }: Pick<FetchParts, 'lacks'>,
  { path, version, file }: { readonly path: string; readonly version: string; readonly file: Lack['file'] },
  error: unknown,
): void {
  const code = codeOf(error);
  if (code === undefined || code === 'storage-full' || code === 'storage-fault' || code === 'canceled') throw error;
  if (!lacks.some((other) => other.path === path && other.version === version && other.file === file))
    lacks.push({ path, version, file, code, reason: messageOf(error) });
}

async function resolveQuery(query: ModuleQuery, parts: FetchParts, signal: AbortSignal): Promise<ModuleAt | undefined> {
  const canonical = parseVersion(query.query);
  if (canonical.ok && query.orAbove !== true) {
    const version = checkPathVersion(query.path, canonical.value);
    if (version.ok) return { path: query.path, version: version.value };
  }
  try {
    for (const path of query.orAbove === true ? pathsFrom(query.path) : [query.path]) {
      const found = await ask(path, query.query, parts, signal);
      if (found !== undefined) return { path, version: found.version };
    }
    throw new HubError('not-found', `${parts.source.name} knows no such module or version`);
  } catch (error) {
    signal.throwIfAborted();
    lack(parts, { path: query.path, version: query.query, file: undefined }, error);
    return undefined;
  }
}

/** Who asked for a module at a version asked for every path above it as well: that those are none is no lack. */
function forgetProbe(
  probe: ModuleQuery | undefined,
  { found, queries }: { readonly found: readonly (ModuleAt | undefined)[]; readonly queries: readonly ModuleQuery[] },
  lacks: Lack[],
): void {
  if (probe?.orAbove !== true) return;
  const isAbove = found.some((module, i) => queries[i]?.query === probe.query && module?.path.startsWith(`${probe.path}/`) === true);
  const at = lacks.findIndex(
    ({ path, version, file, code }) => path === probe.path && version === probe.query && file === undefined && code === 'not-found',
  );
  if (isAbove && at >= 0) lacks.splice(at, 1);
}

function pathsFrom(path: ModulePath): readonly ModulePath[] {
  const elements = path.split('/');
  return elements.flatMap((_, i) => {
    const above = parseModulePath(elements.slice(0, elements.length - i).join('/'));
    return above.ok ? [above.value] : [];
  });
}

async function latestOf(
  path: ModulePath,
  parts: FetchParts,
  signal: AbortSignal,
): Promise<(ModuleAt & { readonly info: Buffer }) | undefined> {
  const leave = await parts.small.enter({ priority: 'waited-for' }, signal);
  try {
    const found = await ask(path, 'latest', parts, signal);
    return found && { path, ...found };
  } catch (error) {
    signal.throwIfAborted();
    lack(parts, { path, version: 'latest', file: undefined }, error);
    return undefined;
  } finally {
    leave();
  }
}

async function ask(
  path: ModulePath,
  query: string,
  { source }: FetchParts,
  signal: AbortSignal,
): Promise<{ readonly version: Version; readonly info: Buffer } | undefined> {
  const resource = query === 'latest' ? '@latest' : `@v/${encodeURIComponent(escapeVersion(query))}.info`;
  const info = await source.get(`${escapePath(path)}/${resource}`, INFO_BYTES_MAX, signal);
  if (info === undefined) return undefined;
  const read = parseVersionInfo(info);
  const version = read.ok ? checkPathVersion(path, read.value.version) : read;
  if (!version.ok)
    throw new HubError('upstream-invalid', `${source.name} answers ${path}@${query} with what is refused: ${version.reason}`);
  return { version: version.value, info };
}

/** The same version, once. */
export function versionsOf(wanted: readonly Wanted[]): readonly ModuleAt[] {
  return [...new Map(wanted.map(({ path, version }) => [nameOf({ path, version }), { path, version }])).values()];
}
