import { hash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { AccessTokenRow, AccessTokens } from '../meta/access-tokens.ts';
import { type Caller, parseGrants, type Rights } from '../policy/access.ts';
import { type ClaimRule, grantsOfClaims } from '../policy/claim-rules.ts';
import { hashAccessToken, looksLikeAccessToken, parseAccessToken } from '../protocol/access-token.ts';
import { claimedIssuer, claimedKeyId, type IssuerKey, verifyIdentityToken } from '../protocol/json-web-token.ts';
import type { AuditKeeper } from './audit-keeper.ts';
import { boundedCache } from './bounded-cache.ts';

/** An OpenID issuer whose tokens are taken. */
export interface Issuer {
  readonly issuer: string;
  readonly audience: string;
  readonly rules: readonly ClaimRule[];
  /** As they were configured, or fetched from where the configuration says; `kid` hints that a key is missed. @throws {HubError} origin-unavailable */
  keys(kid: string | undefined): Promise<readonly IssuerKey[]>;
}

export interface LogInsParts {
  readonly tokens: AccessTokens;
  readonly issuers: readonly Issuer[];
  /** Grants by the name of the group. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
  /** What anonymous callers may, and so everybody. */
  readonly anonymous: Rights;
  readonly audit: Pick<AuditKeeper, 'tally'>;
  readonly clock: Clock;
  readonly log: Log;
}

export type LogIn =
  | { readonly kind: 'caller'; readonly caller: Caller }
  | { readonly kind: 'refused' }
  /** The same, and too often from this address within a minute. */
  | { readonly kind: 'too-many' };

/** What is known of a secret is believed for this long: a token that is revoked is refused by every worker within that time. */
export const BELIEVED_MS = 5_000;
const REMEMBERED_MAX = 10_000;

const FAILURES_WINDOW_MS = 60_000;
/** Of one address in a minute. From here on a failure is answered 429 and counted no more. */
export const FAILURES_TOLD_MAX = 20;
/** From here on a secret that was never right is not even looked at. */
export const FAILURES_CHECKED_MAX = 600;

const USES_EVERY_MS = 60_000;
const USES_MAX = 10_000;

interface Known {
  /** Undefined: it is worth nothing. */
  readonly caller: Caller | undefined;
  readonly untilMs: number;
}

/**
 * Who a secret belongs to. A token costs one SHA-256 and one look by that hash, whether it is right or wrong, so nothing is learnt from how long that takes;
 * and there are 2^256 of them to guess. Honest callers behind the same address as somebody who guesses are let in all the same, up to a bound far above what a slip makes.
 */
export class LogIns implements AsyncDisposable {
  readonly #parts: LogInsParts;
  readonly #known = boundedCache<string, Known>(REMEMBERED_MAX);
  readonly #unknown = boundedCache<string, Known>(REMEMBERED_MAX);
  readonly #failures = boundedCache<string, { count: number; readonly sinceMs: number }>(REMEMBERED_MAX);
  readonly #uses = new Map<number, number>();
  #usesTimer: NodeJS.Timeout | undefined;
  #closed: { readonly untilMs: number; readonly value: boolean } | undefined;

  constructor(parts: LogInsParts) {
    this.#parts = parts;
  }

  /** @throws {HubError} origin-unavailable when an issuer's keys cannot be had, storage-… */
  async logIn(secret: string, address: string): Promise<LogIn> {
    const now = this.#parts.clock.monotonicMs();
    const digest = hash('sha256', secret, 'hex');
    const known = this.#known.get(digest);
    if (known?.caller !== undefined && known.untilMs > now) return { kind: 'caller', caller: known.caller };
    const failures = this.#failuresOf(address, now);
    // Whoever was let in before is looked at again: behind a proxy everybody has one address, and nobody there may lock the others out.
    if (failures >= FAILURES_CHECKED_MAX && known?.caller === undefined) return { kind: 'too-many' };
    const refused = this.#unknown.get(digest);
    const caller = refused !== undefined && refused.untilMs > now ? undefined : await this.#lookUp(secret);
    if (caller === undefined) {
      this.#known.delete(digest);
      this.#unknown.set(digest, {
        caller: undefined,
        untilMs: refused !== undefined && refused.untilMs > now ? refused.untilMs : now + BELIEVED_MS,
      });
      return this.#fail(address, failures + 1, now);
    }
    this.#known.set(digest, { caller, untilMs: now + BELIEVED_MS });
    return { kind: 'caller', caller };
  }

  /** Whether there is any way to log in: then nobody writes without one. Once there was, that stays so. */
  async isClosed(): Promise<boolean> {
    if (this.#parts.issuers.length > 0) return true;
    const now = this.#parts.clock.monotonicMs();
    if (this.#closed === undefined || (!this.#closed.value && this.#closed.untilMs <= now))
      this.#closed = { untilMs: now + BELIEVED_MS, value: await this.#parts.tokens.hasAccessTokens() };
    return this.#closed.value;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writeUses();
  }

  #failuresOf(address: string, now: number): number {
    const seen = this.#failures.get(address);
    return seen === undefined || now - seen.sinceMs >= FAILURES_WINDOW_MS ? 0 : seen.count;
  }

  #fail(address: string, count: number, now: number): LogIn {
    const seen = this.#failures.get(address);
    if (seen !== undefined && count > 1) seen.count = count;
    else this.#failures.set(address, { count, sinceMs: now });
    if (count > FAILURES_TOLD_MAX) return { kind: 'too-many' };
    this.#parts.audit.tally({ act: 'log-in.failed', actor: address, subject: 'hub' });
    return { kind: 'refused' };
  }

  async #lookUp(secret: string): Promise<Caller | undefined> {
    return looksLikeAccessToken(secret) ? this.#ofToken(secret) : this.#ofIdentity(secret);
  }

  async #ofToken(secret: string): Promise<Caller | undefined> {
    const token = parseAccessToken(secret);
    if (!token.ok) return undefined;
    const { tokens, groups, clock, log } = this.#parts;
    const row = await tokens.accessToken(hashAccessToken(token.value));
    const now = clock.wallMs();
    if (row === undefined || row.revokedAtMs !== undefined || (row.expiresAtMs !== undefined && row.expiresAtMs <= now)) return undefined;
    const rights = this.#rights([...row.grants, ...row.groups.flatMap((name) => groups.get(name) ?? [])]);
    if (rights === undefined) {
      log.error('a token has grants that cannot be read', { token: row.name });
      return undefined;
    }
    this.#use(row, now);
    return { kind: 'token', name: row.name, rights };
  }

  async #ofIdentity(secret: string): Promise<Caller | undefined> {
    const { issuers, clock } = this.#parts;
    const claimed = claimedIssuer(secret);
    const candidates = issuers.filter(({ issuer }) => issuer === claimed);
    for (const candidate of candidates) {
      const { issuer, audience, rules } = candidate;
      const keys = await candidate.keys(claimedKeyId(secret));
      const token = verifyIdentityToken(secret, { issuer, audience, keys, nowMs: clock.wallMs() });
      const grants = token.ok ? grantsOfClaims(rules, token.value) : undefined;
      const rights = grants === undefined ? undefined : this.#rights(grants);
      if (!token.ok || rights === undefined) continue;
      const subject = token.value['sub'];
      return { kind: 'oidc', name: `${issuer} ${typeof subject === 'string' ? subject : '-'}`.slice(0, 300), rights };
    }
    return undefined;
  }

  #rights(grants: readonly string[]): Rights | undefined {
    const rights = parseGrants([...this.#parts.anonymous.texts, ...grants]);
    return rights.ok ? rights.value : undefined;
  }

  #use({ id, lastUsedAtMs }: AccessTokenRow, nowMs: number): void {
    if (lastUsedAtMs !== undefined && nowMs - lastUsedAtMs < USES_EVERY_MS) return;
    if (this.#uses.size < USES_MAX) this.#uses.set(id, nowMs);
    this.#usesTimer ??= setTimeout(() => void this.#writeUses(), USES_EVERY_MS).unref();
  }

  async #writeUses(): Promise<void> {
    clearTimeout(this.#usesTimer);
    this.#usesTimer = undefined;
    const uses = [...this.#uses].map(([id, lastUsedAtMs]) => ({ id, lastUsedAtMs }));
    this.#uses.clear();
    try {
      await this.#parts.tokens.recordTokenUses(uses);
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      this.#parts.log.warn('the last uses of tokens could not be written', { reason: error.message });
    }
  }
}
