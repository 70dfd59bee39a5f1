import { type Clock, systemClock } from '../base/clock.ts';
import { invariant } from '../base/invariant.ts';
import { silentLog } from '../base/log.ts';
import { AuditKeeper } from '../hub/audit-keeper.ts';
import { LogIns, type LogInsParts } from '../hub/log-ins.ts';
import type { AccessTokenRow } from '../meta/access-tokens.ts';
import type { AuditEntry, AuditTrail } from '../meta/audit-trail.ts';
import { parseGrants } from '../policy/access.ts';
import { type AccessToken, hashAccessToken, newAccessToken, type TokenHash } from '../protocol/access-token.ts';
import { CHAIN_START } from '../protocol/audit-chain.ts';
import type { ServerAccess } from './gatekeeper.ts';

/** For tests: tokens and an audit trail in memory behind the faces of metadata. */
export interface FakeAccess extends ServerAccess {
  /** Everything that was written to the trail, what waited included. */
  told(): Promise<readonly AuditEntry[]>;
  give(name: string, grants: readonly string[], changes?: Partial<AccessTokenRow>): AccessToken;
  revoke(name: string): void;
  /** How often a token was looked for. */
  readonly lookUps: number;
}

export function accessOf(anonymous: readonly string[], more: Partial<LogInsParts> & { readonly clock?: Clock } = {}): FakeAccess {
  const rights = parseGrants(anonymous);
  invariant(rights.ok, 'a test writes grants');
  const rows = new Map<TokenHash, AccessTokenRow>();
  const entries: AuditEntry[] = [];
  let lookUps = 0;
  const trail: AuditTrail = {
    appendAudit: async (added) => void entries.push(...added),
    auditEntries: async () => [],
    auditBounds: async () => ({ cut: CHAIN_START, head: CHAIN_START }),
    cutAudit: async () => 0,
  };
  const tokens: LogInsParts['tokens'] = {
    accessToken: async (hash) => {
      lookUps += 1;
      return rows.get(hash);
    },
    accessTokens: async () => [...rows.values()],
    hasAccessTokens: async () => rows.size > 0,
    addAccessToken: async () => false,
    revokeAccessToken: async () => 'absent',
    recordTokenUses: async () => {},
  };
  const parts = { clock: more.clock ?? systemClock, log: silentLog };
  const audit = new AuditKeeper({ trail, ...parts });
  const logIns = new LogIns({ tokens, issuers: [], groups: new Map(), anonymous: rights.value, audit, ...parts, ...more });
  return {
    anonymous: rights.value,
    logIns,
    audit,
    told: async () => {
      await audit.flush();
      return entries;
    },
    give: (name, grants, changes = {}) => {
      const secret = newAccessToken();
      const hash = hashAccessToken(secret);
      const times = { createdAtMs: 0, expiresAtMs: undefined, lastUsedAtMs: undefined, revokedAtMs: undefined };
      rows.set(hash, { id: rows.size + 1, name, hash, grants, groups: [], ...times, ...changes });
      return secret;
    },
    revoke: (name) => {
      for (const [hash, row] of rows) if (row.name === name) rows.set(hash, { ...row, revokedAtMs: 1 });
    },
    get lookUps() {
      return lookUps;
    },
  };
}
