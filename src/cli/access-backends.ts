import type { TrailReport } from '../hub/verify-trail.ts';
import type { ModuleAt } from '../protocol/main-go-mod.ts';
import type { ChainEntry, ChainPlace } from '../protocol/audit-chain.ts';
import type { HubConfig } from './config/hub-config.ts';

export interface TokenRequest {
  readonly name: string;
  readonly grants: readonly string[];
  readonly groups: readonly string[];
  /** Milliseconds since the epoch; undefined: never. */
  readonly expiresAtMs: number | undefined;
}

export interface BlockedVersion {
  readonly module: string;
  readonly version: string;
  readonly reason: string;
  readonly decidedAtMs: number;
}

export interface Token extends TokenRequest {
  readonly createdAtMs: number;
  /** To about a minute. */
  readonly lastUsedAtMs: number | undefined;
  readonly revokedAtMs: number | undefined;
}

/** What the commands about tokens, verdicts and the audit trail do; they work with the hub running or stopped. */
export interface AccessBackends {
  /** The secret, which nobody can read again. Undefined when the name is taken. */
  newToken(config: HubConfig, request: TokenRequest): Promise<string | undefined>;
  /** In the order in which they were made. */
  tokens(config: HubConfig): Promise<readonly Token[]>;
  /** The newest first; ten thousand at most. */
  blockedVersions(config: HubConfig): Promise<readonly BlockedVersion[]>;
  /** For good. A running hub then makes what is not stored yet. False when it is not blocked. */
  releaseVersion(config: HubConfig, release: ModuleAt & { readonly reason: string }): Promise<boolean>;
  revokeToken(config: HubConfig, name: string): Promise<'revoked' | 'already' | 'absent'>;
  /** In order, in pages. */
  auditEntries(
    config: HubConfig,
    request: { readonly sinceMs: number; readonly onEntries: (entries: readonly (ChainEntry & { readonly hash: string })[]) => void },
    signal: AbortSignal,
  ): Promise<void>;
  verifyAudit(
    config: HubConfig,
    request: { readonly anchor: ChainPlace | undefined; readonly onProgress: (checked: number, total: number) => void },
    signal: AbortSignal,
  ): Promise<TrailReport>;
}
