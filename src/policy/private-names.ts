/**
 * Which module paths are the company's own: an ordered list of rules, the first whose pattern matches decides. What matches a private rule never
 * reaches an upstream or a public checksum database, in whatever spelling: hosts differ in case rules, so all names are compared without regard to case.
 *
 * A pattern's parents are kept back too: `go get git.corp.example/team/lib` asks for `git.corp.example/team` and `git.corp.example` as well, and each
 * of these questions tells an outsider a name. Where a parent is a public module in truth, a rule with `public` says so.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ModulePatterns, hasParents, matchesParent, matchesPattern, parseModulePatterns } from '../protocol/module-pattern.ts';
import type { ModulePath } from '../protocol/module-path.ts';

export interface PrivateRule {
  /** Comma-separated patterns as in GOPRIVATE. */
  readonly match: string;
  /** What matches goes the way of public modules, whatever later rules say. */
  readonly public: boolean;
}

/** `rule` is the index of the one that decided. */
export type Privacy =
  | { readonly kind: 'public' }
  /** Above a private pattern and below none: no module of ours, and nothing to ask others about. */
  | { readonly kind: 'parent'; readonly rule: number }
  | { readonly kind: 'private'; readonly rule: number };

export interface PrivateNames {
  of(module: ModulePath): Privacy;
}

const PUBLIC: Privacy = { kind: 'public' };

/** Names of a hub that has no private modules. */
export const noPrivateNames: PrivateNames = { of: () => PUBLIC };

/** Every fault of the rules at once, each with the rule's number from 1, joined by `; `. */
export function createPrivateNames(rules: readonly PrivateRule[]): Parsed<PrivateNames> {
  const faults: string[] = [];
  const compiled: { readonly patterns: ModulePatterns; readonly isPublic: boolean }[] = [];
  for (const [index, { match, public: isPublic }] of rules.entries()) {
    const patterns = parsePrivateMatch(match);
    if (patterns.ok) compiled.push({ patterns: patterns.value, isPublic });
    else faults.push(`private rule ${index + 1}: ${patterns.reason}`);
  }
  if (faults.length > 0) return refused(faults.join('; '));
  if (compiled.every(({ isPublic }) => isPublic)) return parsed(noPrivateNames);
  return parsed({
    of: (module) => {
      const rule = compiled.findIndex(({ patterns }) => matchesPattern(patterns, module));
      if (rule >= 0) return compiled[rule]?.isPublic === true ? PUBLIC : { kind: 'private', rule };
      const above = compiled.findIndex(({ patterns, isPublic }) => !isPublic && matchesParent(patterns, module));
      return above >= 0 ? { kind: 'parent', rule: above } : PUBLIC;
    },
  });
}

/** The patterns of one rule; at least one. */
export function parsePrivateMatch(match: string): Parsed<ModulePatterns> {
  const patterns = parseModulePatterns(match, { ignoreCase: true });
  if (patterns.ok && patterns.value.patterns.length === 0) return refused('a rule has no pattern');
  if (patterns.ok && !hasParents(patterns.value)) return refused('a pattern has a slash in a class or after a backslash');
  return patterns;
}
