import type { Clock } from '../base/clock.ts';
import { HubError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import { type IssuerKey, parseIssuerKeys } from '../protocol/json-web-token.ts';

export interface IssuerKeysParts {
  /** From the configuration, never from a token. */
  readonly url: URL;
  readonly client: OutboundClient;
  readonly firstByteMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

const FRESH_MS = 600_000;
/** Keys that cannot be fetched again are believed for this long: issuers withdraw a key by leaving it out. */
const KEPT_MS = 86_400_000;
/** However many tokens name a key that is not there. */
const AGAIN_MS = 30_000;
const SIZE_MAX_BYTES = 262_144;

/** The keys of an OpenID issuer, fetched when they are first asked for, every ten minutes, and when a token names one that is missing. */
export class IssuerKeys {
  readonly #parts: IssuerKeysParts;
  #kept: { readonly keys: readonly IssuerKey[]; readonly atMs: number } | undefined;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #failure: unknown;
  #fetching: Promise<void> | undefined;

  constructor(parts: IssuerKeysParts) {
    this.#parts = parts;
  }

  /** @throws {HubError} origin-unavailable when there are none */
  async get(kid: string | undefined): Promise<readonly IssuerKey[]> {
    const now = this.#parts.clock.monotonicMs();
    const isFresh = this.#kept !== undefined && now - this.#kept.atMs < FRESH_MS;
    const isMissing = kid !== undefined && this.#kept?.keys.some((key) => key.kid === kid) !== true;
    if ((!isFresh || isMissing) && now - this.#triedAtMs >= AGAIN_MS) {
      this.#triedAtMs = now;
      this.#fetching = this.#fetch().finally(() => {
        this.#fetching = undefined;
      });
    }
    // Whoever needs nothing new does not wait for it.
    if (!isFresh || isMissing) await this.#fetching;
    if (this.#kept !== undefined && this.#parts.clock.monotonicMs() - this.#kept.atMs < KEPT_MS) return this.#kept.keys;
    throw new HubError('origin-unavailable', 'the keys of the issuer of this token cannot be fetched: try again', { cause: this.#failure });
  }

  async #fetch(): Promise<void> {
    const { url, client, firstByteMs, clock, log } = this.#parts;
    try {
      const limits = { firstByteMs, idleMs: firstByteMs, bytesPerSecondMin: 0, sizeMaxBytes: SIZE_MAX_BYTES };
      const signal = AbortSignal.timeout(firstByteMs * 2);
      await using response = await client.send({ url, limits, followRedirects: false }, signal);
      if (response.status !== 200) throw new HubError('origin-unavailable', `the issuer answers ${response.status}`);
      const chunks: Buffer[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      const keys = parseIssuerKeys(Buffer.concat(chunks).toString('utf8'));
      if (!keys.ok) throw new HubError('upstream-invalid', keys.reason);
      this.#kept = { keys: keys.value, atMs: clock.monotonicMs() };
    } catch (error) {
      this.#failure = error;
      log.warn('the keys of an issuer could not be fetched', { url: url.origin + url.pathname, reason: messageOf(error) });
    }
  }
}
