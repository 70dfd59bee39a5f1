/**
 * What an identity token is worth: rules that ask for claims. A rule gives its grants to a token of which every listed claim matches; `*` in a pattern stands
 * for any characters, slashes included, and there is no other wildcard. A claim that is a list matches when one of its texts does.
 */

export interface ClaimRule {
  /** Patterns by the name of the claim. At least one: a rule without a condition would take every account of a public issuer. */
  readonly claims: Readonly<Record<string, string>>;
  readonly grants: readonly string[];
}

/** The grants of all rules that match; undefined when none does. */
export function grantsOfClaims(rules: readonly ClaimRule[], claims: Readonly<Record<string, unknown>>): readonly string[] | undefined {
  const matching = rules.filter((rule) => matchesRule(rule, claims));
  return matching.length === 0 ? undefined : [...new Set(matching.flatMap(({ grants }) => grants))];
}

function matchesRule({ claims: wanted }: ClaimRule, claims: Readonly<Record<string, unknown>>): boolean {
  const conditions = Object.entries(wanted);
  return (
    conditions.length > 0 &&
    conditions.every(([name, pattern]) => {
      const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
      const values: readonly unknown[] = Array.isArray(value) ? (value as readonly unknown[]) : [value];
      return values.some((one) => textOf(one) !== undefined && matchesGlob(pattern, textOf(one) ?? ''));
    })
  );
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

/** Takes the earliest fit of each part: at most (length of the pattern) × (length of the text) steps. */
export function matchesGlob(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return text === pattern;
  if (!text.startsWith(first)) return false;
  let from = first.length;
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return text.length - last.length >= from && text.endsWith(last);
}
