/**
 * Which module versions a tag of a repository can be, as the go command finds them (https://go.dev/ref/mod#vcs-version): what stands before the last
 * slash is the folder of the module in the repository, the rest a canonical version. With major 2 or above the module path ends in `/vN`, whether its
 * go.mod lies in a folder of that name or beside it; a repository's root without a go.mod has such versions as `+incompatible`.
 */
import type { HookKind, TagEvent } from './tag-event.ts';
import type { ModuleAt } from '../protocol/main-go-mod.ts';
import { type ModulePath, parseModulePath } from '../protocol/module-path.ts';
import { isPseudoVersion } from '../protocol/pseudo-version.ts';
import { checkPathVersion, majorOf, parseVersion } from '../protocol/version.ts';

/** Empty when the tag is no version. The first that exists is meant. */
export function modulesOfTag(root: ModulePath, tag: string): readonly ModuleAt[] {
  const slash = tag.lastIndexOf('/');
  const folder = slash === -1 ? '' : tag.slice(0, slash + 1);
  const text = tag.slice(slash + 1);
  const version = parseVersion(text);
  // The go command takes neither of these from a tag.
  if (!version.ok || text.includes('+') || isPseudoVersion(version.value)) return [];
  const base = `${root}/${folder}`.replace(/\/$/, '');
  const major = majorOf(version.value);
  const isOld = major === 'v0' || major === 'v1';
  const names: readonly (readonly [path: string, version: string])[] = isOld
    ? [[base, text]]
    : [
        [`${base}/${major}`, text],
        [base, `${text}+incompatible`],
      ];
  return names.flatMap(([path, wanted]) => {
    const module = parseModulePath(path);
    const checked = module.ok ? checkPathVersion(module.value, wanted) : module;
    return module.ok && checked.ok ? [{ path: module.value, version: checked.value }] : [];
  });
}

/** A place of private modules: which paths, and the address of their repositories with `{repo}` for the path below the first element. */
export interface SourceRule {
  readonly match: string;
  readonly url: string;
  readonly rootElements: number | undefined;
}

const REPO = '{repo}';

/** A repository's root, as the rule has it whose repository it is. */
export interface RepositoryRoot {
  readonly module: ModulePath;
  /** The repository on its host: what a report of this module is about, and no other. */
  readonly path: string;
}

/**
 * The roots of the repository by every rule whose repositories it is one of, by its addresses; where none of them fits (a host may know itself
 * by another name than the hub does), by its path alone. What an event says of both is believed of one repository alone. Nothing is asked at an address of an event: a root that is none is found out by its rule's own.
 */
export function rootsOf(
  event: Pick<TagEvent, 'urls' | 'path'> & { readonly kind?: HookKind },
  rules: readonly SourceRule[],
): readonly RepositoryRoot[] {
  const places = event.urls.map(placeOf).filter((place) => place !== undefined);
  const byAddress = rules.flatMap((rule) =>
    places.flatMap((place) =>
      repositoryIn(rule, place).flatMap((repository) =>
        rootOf(rule, repository).map((module) => ({ module, path: pathOnHost(event.path, place, repository) })),
      ),
    ),
  );
  const roots =
    byAddress.length > 0
      ? byAddress
      : rules
          .filter(({ url }) => url.includes(REPO))
          .flatMap((rule) => rootOf(rule, event.path).map((module) => ({ module, path: event.path })));
  return [...new Map(roots.map((root) => [root.module, root])).values()];
}

interface Place {
  readonly host: string;
  readonly path: string;
}

/** What a host calls a repository may lack what its addresses begin with, as far as the rule says that it is no part of the name. */
function pathOnHost(said: string, place: Place, repository: string): string {
  const whole = place.path.toLowerCase();
  const name = said.toLowerCase();
  const isItsEnd = whole === name || whole.endsWith(`/${name}`);
  return isItsEnd && name.length >= repository.length ? said : place.path;
}

/** Hosts have several ports and schemes for one repository, and end its path as they like. */
function placeOf(url: string): Place | undefined {
  const sample = url.replaceAll(REPO, 'goyi-repo');
  if (!URL.canParse(sample)) return undefined;
  const { hostname, pathname } = new URL(sample);
  return { host: hostname.toLowerCase(), path: pathname.replace(/^\/+|\/+$/g, '').replace(/\.git$/, '') };
}

/** What stands for `{repo}`; for an address without it, its own path. */
function repositoryIn({ url }: SourceRule, place: Place): string[] {
  const rule = placeOf(url);
  if (rule === undefined || rule.host !== place.host) return [];
  if (!url.includes(REPO)) return rule.path.toLowerCase() === place.path.toLowerCase() ? [place.path] : [];
  const [before = '', after = ''] = rule.path.split('goyi-repo');
  const { path } = place;
  const fits =
    path.length > before.length + after.length &&
    path.toLowerCase().startsWith(before.toLowerCase()) &&
    path.toLowerCase().endsWith(after.toLowerCase());
  return fits ? [path.slice(before.length, path.length - after.length)] : [];
}

/** A pattern's first element is the root's, when it is a name and no pattern. */
function rootOf({ match, url, rootElements }: SourceRule, repository: string): ModulePath[] {
  return match.split(',').flatMap((pattern) => {
    const elements = pattern.trim().split('/');
    const [first = ''] = elements;
    if (/[*?[\\]/.test(first)) return [];
    // Without {repo} the one repository lies where the rule says.
    const path = url.includes(REPO) ? `${first}/${repository}` : elements.slice(0, rootElements ?? elements.length).join('/');
    const module = parseModulePath(path);
    return module.ok && (rootElements === undefined || path.split('/').length === rootElements) ? [module.value] : [];
  });
}
