/**
 * Ways out for programs that connect by themselves, such as git. The name is resolved and checked here, by the rules of {@link AddressGuard}, and
 * the program is told to connect to just those addresses: a second answer of the name server is never asked for. Through an outbound proxy, which
 * resolves by itself, the name alone is checked.
 */
import { AddressGuard, type ResolvedAddress, type Resolver, systemResolver } from './address-guard.ts';
import type { ProxyRules } from './proxy-rules.ts';

export type PinnedRoute =
  | { readonly kind: 'addresses'; readonly addresses: readonly ResolvedAddress[] }
  /** With its credentials. */
  | { readonly kind: 'proxy'; readonly proxy: URL };

export interface PinnedRoutes {
  /** How to reach the host of `url` at this moment. @throws {OutboundError} forbidden, unreachable; the signal's reason */
  of(url: URL, signal: AbortSignal): Promise<PinnedRoute>;
}

export interface PinnedRoutesOptions {
  /** Whose host and port may be private. */
  readonly configuredOrigins: readonly URL[];
  readonly proxy: ProxyRules;
  /** Default: the system's. */
  readonly resolver?: Resolver;
}

export function createPinnedRoutes({ configuredOrigins, proxy, resolver = systemResolver }: PinnedRoutesOptions): PinnedRoutes {
  const guard = new AddressGuard({ configuredOrigins, resolver });
  return {
    async of(url, signal) {
      const through = proxy.proxyFor(url);
      if (through === undefined) return { kind: 'addresses', addresses: await guard.addressesOf(url, signal) };
      guard.checkName(url);
      return { kind: 'proxy', proxy: through };
    },
  };
}
