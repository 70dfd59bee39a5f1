import { createNamePolicy, REASON_BYTES_MAX } from '../../policy/name-policy.ts';
import type { Say } from './faults.ts';

/** Every fault of one rule of `policy.rules`, each with the key it belongs to. */
export function parseNameRule(rule: {
  readonly match: string;
  readonly action: 'allow' | 'deny';
  readonly reason?: string | undefined;
}): readonly { readonly key: 'match' | 'reason'; readonly say: Say }[] {
  const faults: { key: 'match' | 'reason'; say: Say }[] = [];
  // Each half is tried with a sound other half, so that both faults of one rule are found.
  const pattern = createNamePolicy([{ match: rule.match, action: 'allow' }]);
  if (!pattern.ok) faults.push({ key: 'match', say: (m) => m.config.badMatch(pattern.reason.replace(/^policy rule 1: /, '')) });
  if (rule.reason === undefined || rule.reason === '') {
    if (rule.action === 'deny') faults.push({ key: 'reason', say: (m) => m.config.reasonMissing });
  } else if (!createNamePolicy([{ match: 'any.example', action: 'allow', reason: rule.reason }]).ok) {
    faults.push({ key: 'reason', say: (m) => m.config.badReason(REASON_BYTES_MAX) });
  }
  return faults;
}
