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
import { SingleFlight } from '../../base/single-flight.ts';
import type { ModulePath } from '../../protocol/module-path.ts';
import type { GitCredential, GitRemote } from './git-remote.ts';
import { type ListTools, listRemote } from './list-remote.ts';

export interface LocatedRepository extends GitRemote {
  /** The module path of the repository's root. */
  readonly root: string;
  /** What a discovery page adds: the folder that stands for the root. */
  readonly subfolder?: string | undefined;
}

/** @throws {HubError} not-found, origin-unavailable, origin-timeout, upstream-invalid, overloaded, or the signal's reason */
export type Locate = (module: ModulePath, signal: AbortSignal) => Promise<LocatedRepository>;

export interface TemplateLocatorOptions {
  readonly template: string;
  readonly credential: GitCredential | undefined;
  /** Elements of every root path, the host included. */
  readonly rootElements?: number | undefined;
  readonly probe: Probe;
  /** Whether there is a mirror of this root from this address. */
  readonly isMirrored: (root: string, remote: GitRemote) => Promise<boolean>;
}

export type Probe = (remote: GitRemote, signal: AbortSignal) => Promise<ProbeAnswer>;

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
  const probes = new SingleFlight<ProbeAnswer>();
  const locatedAt = (root: string): LocatedRepository => ({ root, url: addressOf(template, root), credential });
  const ask = async (root: string, signal: AbortSignal): Promise<ProbeAnswer> => {
    const known = absent.get(root);
    if (known !== undefined) return { kind: 'absent', error: known };
    const answer = await probes.do(root, (flight) => probe(locatedAt(root), flight), signal);
    if (answer.kind === 'found') found.set(root, true);
    if (answer.kind === 'absent') absent.set(root, answer.error);
    return answer;
  };
  return async (module, signal) => {
    const fixed = fixedRoot(module, options.rootElements);
    if (!fixed.isOpen) {
      if (fixed.root === undefined) throw new HubError('not-found', `${module} is shorter than the root path of a repository`);
      return locatedAt(fixed.root);
    }
    const candidates = rootsOf(module);
    for (const root of candidates) if (found.has(root)) return locatedAt(root);
    for (const root of candidates) {
      if (!(await isMirrored(root, locatedAt(root)))) continue;
      found.set(root, true);
      return locatedAt(root);
    }
    let unsure: HubError | undefined;
    let last: HubError | undefined;
    for (const root of candidates) {
      const answer = await ask(root, signal);
      if (answer.kind === 'found') return locatedAt(root);
      if (answer.kind === 'absent') last = answer.error;
      else unsure ??= answer.error;
    }
    throw unsure ?? last ?? new HubError('not-found', `${module} is shorter than the root path of a repository`);
  };
}

/** Asks a server whether there is a repository. */
export function createProbe(tools: ListTools): Probe {
  return async (remote, signal) => {
    const listing = await listRemote(tools, remote, signal);
    if (listing.kind === 'found') return { kind: 'found' };
    if (listing.kind === 'trouble') throw listing.error;
    return { kind: listing.kind, error: listing.error };
  };
}

/** The address with `{repo}` put in; a root that ends in `.git` gives it without. */
export function addressOf(template: string, root: string): string {
  return template.replaceAll('{repo}', () => root.slice(root.indexOf('/') + 1).replace(/\.git$/, ''));
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
