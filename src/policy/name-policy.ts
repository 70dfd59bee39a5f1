/**
 * Which modules may pass, by name: ordered rules, the first that matches decides, and what no rule matches may pass.
 *
 * A rule names modules by a pattern as in GOPRIVATE, so everything below counts too, or single versions of them: `example.com/m@v1.3.1`.
 * A deny rule compares without regard to case and an allow rule exactly: whatever spelling is asked for, the doubt is on the safe side.
 * A rule of one version does not hide the version from lists; asking for its files is what is refused.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ModulePatterns, matchesPattern, parseModulePatterns } from '../protocol/module-pattern.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { type Version, parseVersion } from '../protocol/version.ts';

/** One rule as the configuration has it. */
export interface NameRule {
  /** Comma-separated: `PATTERN` or `PATTERN@VERSION`. */
  readonly match: string;
  readonly action: 'allow' | 'deny';
  /** One sentence. A deny rule needs it: the go command prints it first. */
  readonly reason?: string;
}

export type NameVerdict =
  | { readonly kind: 'allow' }
  /** `rule` is the rule's `match`. */
  | { readonly kind: 'deny'; readonly rule: string; readonly reason: string };

export interface NamePolicy {
  /** Without a version (a list, `@latest`, a query) only rules of whole modules count. */
  verdict(module: ModulePath, version?: Version): NameVerdict;
}

/** Bytes of UTF-8. The go command shows at most 648 of an answer, and the sentence has to fit beside the module's name. */
export const REASON_BYTES_MAX = 400;

export const RULES_MAX = 10_000;

/** Every fault of the rules at once, each with the rule's number from 1, joined by `; `. */
export function createNamePolicy(rules: readonly NameRule[]): Parsed<NamePolicy> {
  if (rules.length > RULES_MAX) return refused(`there are more than ${RULES_MAX} policy rules`);
  const faults: string[] = [];
  const compiled: CompiledRule[] = [];
  for (const [index, rule] of rules.entries()) {
    const result = compileRule(rule);
    if (result.ok) compiled.push(result.value);
    else faults.push(`policy rule ${index + 1}: ${result.reason}`);
  }
  if (faults.length > 0) return refused(faults.join('; '));
  return parsed({ verdict: (module, version) => compiled.find((rule) => applies(rule, module, version))?.verdict ?? ALLOW });
}

const ALLOW: NameVerdict = { kind: 'allow' };

interface CompiledRule {
  readonly verdict: NameVerdict;
  readonly modules: ModulePatterns;
  readonly versions: readonly { readonly modules: ModulePatterns; readonly version: Version }[];
}

function applies(rule: CompiledRule, module: ModulePath, version: Version | undefined): boolean {
  if (matchesPattern(rule.modules, module)) return true;
  return version !== undefined && rule.versions.some((one) => one.version === version && matchesPattern(one.modules, module));
}

function compileRule(rule: NameRule): Parsed<CompiledRule> {
  const reason = rule.reason ?? '';
  const fault = reasonFault(reason);
  if (fault !== undefined) return refused(fault);
  if (rule.action === 'deny' && reason === '') return refused('a deny rule needs a reason');
  const ignoreCase = rule.action === 'deny';
  const items = rule.match.split(',').map((item) => item.trim());
  const modules = parseModulePatterns(
    items.filter((item) => !item.includes('@')),
    { ignoreCase },
  );
  if (!modules.ok) return modules;
  const versions = [];
  for (const item of items.filter((one) => one.includes('@'))) {
    const at = item.indexOf('@');
    const version = parseVersion(item.slice(at + 1));
    if (!version.ok) return version;
    const single = parseModulePatterns([item.slice(0, at)], { ignoreCase });
    if (!single.ok) return single;
    if (single.value.patterns.length === 0) return refused('a version stands without a module');
    versions.push({ modules: single.value, version: version.value });
  }
  if (modules.value.patterns.length + versions.length === 0) return refused('a rule has no pattern');
  const verdict: NameVerdict = rule.action === 'allow' ? ALLOW : { kind: 'deny', rule: rule.match, reason };
  return parsed({ verdict, modules: modules.value, versions });
}

/** The sentence goes to terminals and logs as it is: no control, format or line-separating character, and no lone surrogate. */
function reasonFault(reason: string): string | undefined {
  if (Buffer.byteLength(reason) > REASON_BYTES_MAX) return `reason is longer than ${REASON_BYTES_MAX} bytes`;
  if (/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(reason)) return 'reason has a control character or a line break';
  return reason !== reason.trim() ? 'reason begins or ends with white space' : undefined;
}
