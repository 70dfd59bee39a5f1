import type { HubConfig } from '../cli/config/hub-config.ts';

const OFFLINE_MS = 1_000;

/**
 * How long answers that change are believed. A hub that asks nobody finds them anew from what it has, at the cost of a look into its metadata: so what a bundle has just brought
 * is there at once.
 */
export function freshnessOf({
  freshness,
  upstreams,
  private: rules,
}: Pick<HubConfig, 'freshness' | 'upstreams' | 'private'>): HubConfig['freshness'] {
  const asksNobody = upstreams.kind === 'off' && rules.every(({ home }) => home.kind !== 'git');
  if (!asksNobody) return freshness;
  return { listMs: Math.min(freshness.listMs, OFFLINE_MS), negativeMs: Math.min(freshness.negativeMs, OFFLINE_MS) };
}
