import type { TokenHash } from '../protocol/access-token.ts';
import type { AuditEntry } from './audit-trail.ts';

export interface NewAccessToken {
  /** Unique among all that were ever made. */
  readonly name: string;
  readonly hash: TokenHash;
  /** As they are written. */
  readonly grants: readonly string[];
  /** Names of groups, whose grants are in the configuration. */
  readonly groups: readonly string[];
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  /** Undefined: never. */
  readonly expiresAtMs: number | undefined;
}

export interface AccessTokenRow extends NewAccessToken {
  readonly id: number;
  /** To about a minute. */
  readonly lastUsedAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
}

/** Tokens by hash; the secret is nowhere. A row stays when its token is over, so that a name never means another one. */
export interface AccessTokens {
  /** Revoked and expired ones as well. */
  accessToken(hash: TokenHash): Promise<AccessTokenRow | undefined>;
  /** In the order in which they were made, after this `id`. */
  accessTokens(afterId: number, limit: number): Promise<readonly AccessTokenRow[]>;
  /** Whether one was ever made. */
  hasAccessTokens(): Promise<boolean>;
  /** With the entry for the audit trail in the same transaction. False when the name is taken, and then nothing is written. */
  addAccessToken(token: NewAccessToken, told: AuditEntry): Promise<boolean>;
  /** The same; `already` and `absent` write nothing. */
  revokeAccessToken(name: string, told: AuditEntry): Promise<'revoked' | 'already' | 'absent'>;
  recordTokenUses(uses: readonly { readonly id: number; readonly lastUsedAtMs: number }[]): Promise<void>;
}
