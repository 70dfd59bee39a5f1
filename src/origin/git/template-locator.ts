/**
 * Finds the repository of a private module by a rule's address, such as `https://git.corp.example/{repo}.git`: `{repo}` is the repository's root path
 * without its first element, the host.
 *
 * Where the root ends is fixed by the rule (`rootElements`), or by an element that ends in `.git` as for the go command, or is found: the shortest
 * root of two elements or more at which there is a repository. A root with a mirror is known without asking, and what was found or not found is
 * remembered for a while. A server that refuses, or answers as no Git server does, has said nothing about existence: a longer root may still be
 * found, but when none is, that refusal is the answer, and not "does not exist".
 */
import { LRUCache } from 'lru-cache';
import { HubError } from '../../base/errors.ts';
import type { Urgency } from '../../base/gate.ts';
import type { ModulePath } from '../../protocol/module-path.ts';
import type { GitCredential, GitRemote } from './git-remote.ts';
import { type ListTools, listRemote } from './list-remote.ts';
import { UrgentFlight } from './urgent-flight.ts';

export interface LocatedRepository extends GitRemote {
  /** The module path of the repository's root. */
  readonly root: string;
  /** What its mirror is called, where several roots are one repository. */
  readonly mirror?: string | undefined;
  /** What a discovery page adds: the folder that stands for the root. */
  readonly subfolder?: string | undefined;
}

/** @throws {HubError} not-found, origin-unavailable, origin-timeout, upstream-invalid, overloaded, or the signal's reason */
export type Locate = (module: ModulePath, urgency: Urgency, signal: AbortSignal) => Promise<LocatedRepository>;

export interface TemplateLocatorOptions {
  readonly template: string;
  readonly credential: GitCredential | undefined;
  /** Elements of every root path, the host included. */
  readonly rootElements?: number | undefined;
  readonly probe: Probe;
  /** Whether there is a mirror of this repository from this address. */
  readonly isMirrored: (located: LocatedRepository) => Promise<boolean>;
}

export type Probe = (remote: GitRemote, urgency: Urgency, signal: AbortSignal) => Promise<ProbeAnswer>;

/** `trouble` is thrown instead. */
export type ProbeAnswer = { readonly kind: 'found' } | { readonly kind: 'absent' | 'refused' | 'unclear'; readonly error: HubError };

const ROOT_ELEMENTS_MIN = 2;
/** Of a module path that is asked about; deeper roots have to be fixed by the rule. */
const CANDIDATES_MAX = 6;
const FOUND_MAX = 10_000;
const ABSENT_MAX = 10_000;
const ABSENT_MS = 30_000;

export function createTemplateLocator(options: TemplateLocatorOptions): Locate {
  const { template, credential, probe, isMirrored } = options;
  const found = new LRUCache<string, true>({ max: FOUND_MAX });
  const absent = new LRUCache<string, HubError>({ max: ABSENT_MAX, ttl: ABSENT_MS });
  const probes = new UrgentFlight<ProbeAnswer>();
  const locatedAt = (root: string): LocatedRepository => ({
    root,
    mirror: withoutSuffix(root),
    url: addressOf(template, root),
    credential,
  });
  const ask = async (root: string, urgency: Urgency, signal: AbortSignal): Promise<ProbeAnswer> => {
    const known = absent.get(root);
    if (known !== undefined) return { kind: 'absent', error: known };
    const answer = await probes.do(root, urgency, (shared, flight) => probe(locatedAt(root), shared, flight), signal);
    if (answer.kind === 'found') found.set(root, true);
    if (answer.kind === 'absent') absent.set(root, answer.error);
    return answer;
  };
  return async (module, urgency, signal) => {
    if (isHome(addressOf(template, module)) && !isHome(addressOf(template, 'host.example/x')))
      throw new HubError('not-found', `${module} would be the home of somebody on the Git server`);
    const fixed = fixedRoot(module, options.rootElements);
    if (!fixed.isOpen) {
      if (fixed.root === undefined) throw new HubError('not-found', `${module} is shorter than the root path of a repository`);
      return locatedAt(fixed.root);
    }
    const candidates = rootsOf(module);
    for (const root of candidates) if (found.has(root)) return locatedAt(root);
    for (const root of candidates) {
      if (!(await isMirrored(locatedAt(root)))) continue;
      found.set(root, true);
      return locatedAt(root);
    }
    let unsure: HubError | undefined;
    let last: HubError | undefined;
    for (const root of candidates) {
      const answer = await ask(root, urgency, signal);
      if (answer.kind === 'found') return locatedAt(root);
      if (answer.kind === 'absent') last = answer.error;
      else unsure ??= answer.error;
    }
    throw unsure ?? last ?? new HubError('not-found', `${module} is shorter than the root path of a repository`);
  };
}

export function mirrorOf({ root, mirror = root }: Pick<LocatedRepository, 'root' | 'mirror'>): string {
  return mirror;
}

/** Asks a server whether there is a repository. */
export function createProbe(tools: Omit<ListTools, 'urgency'>): Probe {
  return async (remote, urgency, signal) => {
    const listing = await listRemote({ ...tools, urgency }, remote, signal);
    if (listing.kind === 'found') return { kind: 'found' };
    if (listing.kind === 'trouble') throw listing.error;
    return { kind: listing.kind, error: listing.error };
  };
}

/** The address with `{repo}` put in; a root that ends in `.git` gives it without. */
export function addressOf(template: string, root: string): string {
  return template.replaceAll('{repo}', () => withoutSuffix(root.slice(root.indexOf('/') + 1)));
}

function withoutSuffix(path: string): string {
  return path.replace(/\.git$/, '');
}

/** A server of ssh takes a path that begins so for the home of a user of its machine. */
function isHome(address: string): boolean {
  const { protocol, pathname } = new URL(address);
  return protocol === 'ssh:' && pathname.startsWith('/~');
}

/** Whether a template makes addresses that git may be given; the reason when not. */
export function templateFault(template: string): string | undefined {
  if (!template.includes('{repo}')) return 'has no {repo}';
  const address = addressOf(template, 'host.example/team/name');
  if (!URL.canParse(address)) return 'is no URL';
  const { protocol, hostname, username, password, search, hash } = new URL(address);
  if (!['https:', 'ssh:', 'http:'].includes(protocol)) return 'is neither https, ssh nor http';
  if (hostname === '' || hostname.startsWith('-')) return 'has no host';
  if (template.slice(0, template.indexOf('{repo}')).split('/').length < 4) return 'has {repo} in its host';
  if (password !== '' || (username !== '' && protocol !== 'ssh:')) return 'holds a credential, which belongs in credential';
  return search !== '' || hash !== '' ? 'has a query or a fragment' : undefined;
}

type FixedRoot = { readonly isOpen: true } | { readonly isOpen: false; readonly root: string | undefined };

function fixedRoot(module: ModulePath, rootElements: number | undefined): FixedRoot {
  const elements = module.split('/');
  const named = elements.findIndex((element, index) => index > 0 && element.endsWith('.git') && element.length > '.git'.length);
  if (named > 0) return { isOpen: false, root: elements.slice(0, named + 1).join('/') };
  if (rootElements === undefined) return { isOpen: true };
  return { isOpen: false, root: elements.length < rootElements ? undefined : elements.slice(0, rootElements).join('/') };
}

/** Shortest first. */
function rootsOf(module: ModulePath): readonly string[] {
  const elements = module.split('/');
  const lengths = Array.from({ length: Math.max(0, elements.length - ROOT_ELEMENTS_MIN + 1) }, (_, index) => ROOT_ELEMENTS_MIN + index);
  return lengths.slice(0, CANDIDATES_MAX).map((length) => elements.slice(0, length).join('/'));
}
