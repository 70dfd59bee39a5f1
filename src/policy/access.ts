/**
 * Who may do what. A grant is written `read`, `read:PATTERN`, `publish:PATTERN`, `audit` or `admin`; a caller may do what one of its grants gives, and
 * nothing else. The rules that are easily got wrong:
 *
 * - `read` gives public modules alone. A private module is read by who has a `read:` whose pattern matches it; `read:*` matches every module.
 * - Patterns compare without regard to case, as private names do, so that no spelling of a name escapes the rule for it.
 * - `admin` includes every other right.
 * - Whoever logs in keeps what anonymous callers have.
 */
import { unreachable } from '../base/invariant.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ModulePatterns, hasParents, matchesParent, matchesPattern, parseModulePatterns } from '../protocol/module-pattern.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Privacy } from './private-names.ts';

/** What a caller's grants come to. Made by {@link parseGrants}. */
export interface Rights {
  /** As they are written, each once. */
  readonly texts: readonly string[];
  readonly readsPublic: boolean;
  readonly read: ModulePatterns;
  readonly publish: ModulePatterns;
  readonly audit: boolean;
  readonly admin: boolean;
}

/** What somebody wants to do. */
export type Wish =
  | { readonly kind: 'read'; readonly module: ModulePath; readonly privacy: Privacy['kind'] }
  /** What belongs to no module and is open to whoever may read any. */
  | { readonly kind: 'read-any' }
  | { readonly kind: 'publish'; readonly module: ModulePath }
  | { readonly kind: 'audit' }
  | { readonly kind: 'admin' };

export type Caller =
  | { readonly kind: 'anonymous'; readonly rights: Rights }
  /** `name` is that of the token, or the subject that an issuer vouches for. */
  | { readonly kind: 'token' | 'oidc'; readonly name: string; readonly rights: Rights };

export const GRANTS_MAX = 256;

/** Every fault at once, joined by `; `. */
export function parseGrants(texts: readonly string[]): Parsed<Rights> {
  if (texts.length > GRANTS_MAX) return refused(`there are more than ${GRANTS_MAX} grants`);
  const faults: string[] = [];
  const patterns = { read: [] as string[], publish: [] as string[] };
  const plain = new Set<string>();
  for (const text of texts) {
    const [, name, pattern] = /^(read|publish):(.+)$/s.exec(text) ?? [];
    if (name === undefined || pattern === undefined) {
      if (text === 'read' || text === 'audit' || text === 'admin') plain.add(text);
      else faults.push(`${JSON.stringify(text)} is none of read, read:PATTERN, publish:PATTERN, audit and admin`);
      continue;
    }
    const one = parsePattern(pattern);
    if (!one.ok) faults.push(`${JSON.stringify(text)}: ${one.reason}`);
    patterns[name as keyof typeof patterns].push(pattern);
  }
  if (faults.length > 0) return refused(faults.join('; '));
  const read = parsePattern(patterns.read, 0);
  const publish = parsePattern(patterns.publish, 0);
  if (!read.ok) return read;
  if (!publish.ok) return publish;
  const rights = { readsPublic: plain.has('read'), audit: plain.has('audit'), admin: plain.has('admin') };
  return parsed({ texts: [...new Set(texts)], ...rights, read: read.value, publish: publish.value });
}

/** Of who was given nothing. */
export const NO_RIGHTS: Rights = {
  texts: [],
  readsPublic: false,
  read: { ignoreCase: true, patterns: [] },
  publish: { ignoreCase: true, patterns: [] },
  audit: false,
  admin: false,
};

export function may(rights: Rights, wish: Wish): boolean {
  if (rights.admin) return true;
  switch (wish.kind) {
    case 'read':
      return mayRead(rights, wish.module, wish.privacy);
    case 'read-any':
      return rights.readsPublic || rights.read.patterns.length > 0;
    case 'publish':
      return matchesPattern(rights.publish, wish.module);
    case 'audit':
      return rights.audit;
    case 'admin':
      return false;
    default:
      return unreachable(wish);
  }
}

function mayRead({ readsPublic, read }: Rights, module: ModulePath, privacy: Privacy['kind']): boolean {
  switch (privacy) {
    case 'public':
      return readsPublic || matchesPattern(read, module);
    case 'private':
      return matchesPattern(read, module);
    case 'parent':
      // `go get` asks for the parents of what it looks for.
      return matchesPattern(read, module) || matchesParent(read, module);
    default:
      return unreachable(privacy);
  }
}

function parsePattern(text: string | readonly string[], countMin = 1): Parsed<ModulePatterns> {
  const patterns = parseModulePatterns(text, { ignoreCase: true });
  if (!patterns.ok) return patterns;
  if (patterns.value.patterns.length < countMin) return refused('there is no pattern after the colon');
  return hasParents(patterns.value) ? patterns : refused('a pattern has a slash in a class or after a backslash');
}
