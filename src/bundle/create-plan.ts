import { HubError } from '../base/errors.ts';
import { latestVersionName } from '../protocol/bundle-manifest.ts';
import { TOOLCHAIN_MODULE } from '../protocol/go-release.ts';
import { moduleFileKey } from '../protocol/layout.ts';
import { type ModuleAt, nameOf } from '../protocol/main-go-mod.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { checkPathVersion, parseVersion } from '../protocol/version.ts';
import { Closure, type Project, type Wanted } from './closure.ts';
import { askVersion, fetchFile, type FetchParts, type Lack, lack, pathsFrom } from './fetch-files.ts';
import { addSdks, addStored, type SdkOrder } from './plan-sources.ts';
import { addTool, type ToolOrder } from './tools.ts';

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
  readonly sdks: readonly SdkOrder[];
  readonly tools: readonly ToolOrder[];
  /** Undefined: nothing but what is named. Else everything that the hub has stored of the modules that are admitted. */
  readonly stored: { readonly admits: (module: ModulePath) => boolean } | undefined;
  readonly withLatest: boolean;
}

export interface Plan {
  readonly wanted: readonly Wanted[];
  /** The latest versions of modules, where they were asked for. */
  readonly latest: readonly LatestVersion[];
}

/** What `@latest` of a module answers. */
export interface LatestVersion {
  /** In the bundle. */
  readonly name: string;
  readonly module: ModuleAt;
  readonly info: Buffer;
}

/** Reads every go.mod there is to read, and so finds out what is to be carried. @throws {HubError} what ends all of it, such as a full disk */
export async function makePlan(request: PlanRequest, parts: FetchParts, signal: AbortSignal): Promise<Plan> {
  const closure = new Closure({
    goMod: async (module) => {
      const isHere = await fetchFile({ ...module, file: 'mod' }, parts, signal);
      return isHere ? await parts.staging.read(moduleFileKey(module.path, module.version, 'mod')) : undefined;
    },
  });
  if (request.stored !== undefined) await addStored(request.stored, closure, parts, signal);
  await addSdks(request.sdks, closure, parts, signal);
  for (const tool of request.tools) await addTool(tool, closure, parts, signal);
  for (const project of request.projects) await closure.addProject(project);
  const resolved = await Promise.all(request.modules.map((query) => resolveQuery(query, parts, signal)));
  for (const [i, module] of resolved.entries()) {
    if (module !== undefined) await closure.addModule(module, 'all');
    else forgetProbe(request.modules[i], { found: resolved, queries: request.modules }, parts.lacks);
  }
  const latest: LatestVersion[] = [];
  if (request.withLatest) {
    // Toolchains have no latest.
    const modules = new Set(closure.wanted.map(({ path }) => path).filter((path) => path !== TOOLCHAIN_MODULE));
    const found = await Promise.all([...modules].map((path) => latestOf(path, parts, signal)));
    for (const newest of found) {
      if (newest === undefined) continue;
      latest.push({ name: latestVersionName(newest.path), module: newest, info: newest.info });
      await closure.addModule(newest, 'built');
    }
  }
  return { wanted: closure.wanted, latest };
}

async function resolveQuery(query: ModuleQuery, parts: FetchParts, signal: AbortSignal): Promise<ModuleAt | undefined> {
  const canonical = parseVersion(query.query);
  if (canonical.ok && query.orAbove !== true) {
    const version = checkPathVersion(query.path, canonical.value);
    if (version.ok) return { path: query.path, version: version.value };
  }
  const leave = await parts.small.enter({ priority: 'waited-for' }, signal);
  try {
    for (const path of query.orAbove === true ? pathsFrom(query.path) : [query.path]) {
      const found = await askVersion(path, query.query, parts, signal);
      if (found !== undefined) return { path, version: found.version };
    }
    throw new HubError('not-found', `${parts.source.name} knows no such module or version`);
  } catch (error) {
    signal.throwIfAborted();
    lack(parts, { path: query.path, version: query.query, file: undefined }, error);
    return undefined;
  } finally {
    leave();
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

async function latestOf(
  path: ModulePath,
  parts: FetchParts,
  signal: AbortSignal,
): Promise<(ModuleAt & { readonly info: Buffer }) | undefined> {
  const leave = await parts.small.enter({ priority: 'waited-for' }, signal);
  try {
    const found = await askVersion(path, 'latest', parts, signal);
    return found && { path, ...found };
  } catch (error) {
    signal.throwIfAborted();
    lack(parts, { path, version: 'latest', file: undefined }, error);
    return undefined;
  } finally {
    leave();
  }
}

/** The same version, once. */
export function versionsOf(wanted: readonly Wanted[]): readonly ModuleAt[] {
  return [...new Map(wanted.map(({ path, version }) => [nameOf({ path, version }), { path, version }])).values()];
}
