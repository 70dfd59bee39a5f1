/**
 * Where in a repository a module lies, by the rules of cmd/go's newCodeRepo and findDir.
 *
 * A module path is the repository's root path, a folder, and a major suffix `/vN`. Tags of the module begin with the folder. For `/vN` the module is
 * in the folder, its go.mod declaring some `/vN`, or in `folder/vN` with a go.mod that declares one: never both. Of the declared path the major
 * suffix alone counts, because forks keep the path of what they were forked from. Without go.mod there is a module only at the root, without `/vN`.
 */
import { type Parsed, parsed, refused } from '../../base/parsed.ts';
import { declaredModulePath } from '../../protocol/go-mod-facts.ts';
import { type ModulePath, splitPathVersion } from '../../protocol/module-path.ts';
import { semverMajor } from '../../protocol/semver-text.ts';
import type { MirrorObjects } from './mirror-objects.ts';

export interface ModulePlace {
  readonly module: ModulePath;
  readonly root: string;
  /** Of the module in the repository without its major suffix; empty at the root. */
  readonly folder: string;
  /** What its tags begin with: empty, or the folder and a slash. */
  readonly tagPrefix: string;
  /** `''`, `/v2`, `.v2`, `.v2-unstable`. */
  readonly pathMajor: string;
  /** `v2`; empty where v0 and v1 are meant. */
  readonly pseudoMajor: string;
  readonly pathPrefix: string;
}

/** `subfolder` is what a discovery page adds to the root. */
export function placeOf(module: ModulePath, root: string, subfolder = ''): Parsed<ModulePlace> {
  if (module !== root && !module.startsWith(`${root}/`)) return refused(`the repository ${root} cannot contain module ${module}`);
  const split = splitPathVersion(module);
  if (split === undefined) return refused('module path ends in a malformed major version');
  const pathPrefix = root === module ? module : split.prefix;
  if (root !== module && pathPrefix !== root && !pathPrefix.startsWith(`${root}/`))
    return refused(`the repository ${root} cannot contain module ${module}`);
  const folder = [root === module ? '' : pathPrefix.slice(root.length + 1), subfolder].filter((part) => part !== '').join('/');
  const { pathMajor } = split;
  const pseudoMajor = pathMajor.slice(1).replace(/-unstable$/, '');
  return parsed({ module, root, folder, tagPrefix: folder === '' ? '' : `${folder}/`, pathMajor, pseudoMajor, pathPrefix });
}

export interface ModuleFolder {
  readonly folder: string;
  /** As it is stored; undefined where the module has none. */
  readonly goMod: Buffer | undefined;
}

/** Where the module is at a commit; `name` is the version that the reasons speak of. */
export async function findModule(
  place: ModulePlace,
  { objects, commit, name }: { readonly objects: MirrorObjects; readonly commit: string; readonly name: string },
  signal: AbortSignal,
): Promise<Parsed<ModuleFolder>> {
  const { folder, pathMajor, pathPrefix } = place;
  const first = join(folder, 'go.mod');
  const hasSecond = pathMajor.startsWith('/') && place.root !== place.module;
  const second = join(folder, `${pathMajor.slice(1)}/go.mod`);
  const [goMod, majorGoMod] = await objects.files(commit, hasSecond ? [first, second] : [first], signal);
  const path = goMod === undefined ? '' : declaredModulePath(goMod.toString('utf8'));
  const isFound = goMod !== undefined && (isOfMajor(path, pathMajor) || (pathMajor === '' && path.startsWith('gopkg.in/')));
  if (majorGoMod !== undefined) {
    const majorPath = declaredModulePath(majorGoMod.toString('utf8'));
    const isMajorFound = isOfMajor(majorPath, pathMajor);
    if (isFound && isMajorFound) return refused(`both ${first} and ${second} declare a ${pathMajor} module path at ${name}`);
    if (isMajorFound) return parsed({ folder: join(folder, pathMajor.slice(1)), goMod: majorGoMod });
    return refused(
      majorPath === '' ? `${second} has no module path at ${name}` : `${second} declares no ${pathMajor} module path at ${name}`,
    );
  }
  if (isFound) return parsed({ folder, goMod });
  if (goMod !== undefined) return refused(declarationFault({ file: first, path, pathMajor, name }));
  if (folder === '' && !pathMajor.startsWith('/')) return parsed({ folder: '', goMod: undefined });
  const places = hasSecond ? `neither ${pathPrefix}/go.mod nor one in …${pathMajor}` : `no ${pathPrefix}/go.mod`;
  return refused(`there is ${places} at ${name}`);
}

interface Declaration {
  readonly file: string;
  readonly path: string;
  readonly pathMajor: string;
  readonly name: string;
}

function declarationFault({ file, path, pathMajor, name }: Declaration): string {
  if (path === '') return `${file} has no module path at ${name}`;
  if (pathMajor !== '') return `${file} declares no ${pathMajor} module path at ${name}`;
  if (splitPathVersion(path) === undefined) return `${file} declares a malformed module path at ${name}`;
  return `${file} declares a module path of another major version than ${semverMajor(name) || 'v1'} at ${name}`;
}

/** Whether versions of the declared path may stand under this major suffix. */
function isOfMajor(path: string, pathMajor: string): boolean {
  const major = path === '' ? undefined : splitPathVersion(path)?.pathMajor;
  if (major === undefined) return false;
  if (pathMajor === '') return ['', 'v0', 'v1'].includes(major.slice(1).replace(/-unstable$/, ''));
  return major !== '' && major.slice(1) === pathMajor.slice(1);
}

function join(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}
