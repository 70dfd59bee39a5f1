import { readFile } from 'node:fs/promises';
import { systemClock } from '../base/clock.ts';
import { HubError, messageOf } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import type { AccessConfig, HubConfig } from '../cli/config/hub-config.ts';
import { AuditKeeper } from '../hub/audit-keeper.ts';
import { type Issuer, LogIns } from '../hub/log-ins.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import { IssuerKeys } from '../origin/issuer-keys.ts';
import { parseGrants } from '../policy/access.ts';
import { parseIssuerKeys } from '../protocol/json-web-token.ts';
import type { ServerAccess } from '../server/gatekeeper.ts';

export interface AccessWiring {
  readonly metadata: Metadata;
  readonly client: OutboundClient;
  readonly log: Log;
}

/** Who may what, from configuration and metadata. Disposing of it writes what waits to be told. @throws {HubError} config-invalid */
export async function openAccess(config: HubConfig, { metadata, client, log }: AccessWiring): Promise<ServerAccess & AsyncDisposable> {
  const { access } = config;
  const anonymous = parseGrants(access.anonymous);
  invariant(anonymous.ok, 'the configuration has checked its grants');
  const groups = new Map(access.groups.map(({ name, grants }) => [name, grants]));
  const issuers = await Promise.all(access.oidc.map((issuer) => openIssuer(issuer, { groups, client, log, config })));
  const audit = new AuditKeeper({ trail: metadata, clock: systemClock, log });
  const logIns = new LogIns({ tokens: metadata, issuers, groups, anonymous: anonymous.value, audit, clock: systemClock, log });
  return {
    anonymous: anonymous.value,
    logIns,
    audit,
    [Symbol.asyncDispose]: async () => {
      await logIns[Symbol.asyncDispose]();
      await audit[Symbol.asyncDispose]();
    },
  };
}

/** Where the keys of issuers are fetched. */
export function issuerUrls({ oidc }: AccessConfig): readonly string[] {
  return oidc.flatMap(({ jwks }) => (jwks.kind === 'url' ? [jwks.url] : []));
}

/** Whether credentials would go over the network in the clear. */
export function sendsInClear({ listen, tls, publicUrl }: HubConfig): boolean {
  return !listen.loopback && tls === undefined && publicUrl?.startsWith('https://') !== true;
}

async function openIssuer(
  { issuer, audience, jwks, rules }: AccessConfig['oidc'][number],
  { groups, client, log, config }: Omit<AccessWiring, 'metadata'> & { config: HubConfig; groups: ReadonlyMap<string, readonly string[]> },
): Promise<Issuer> {
  const claimRules = rules.map(({ claims, grants, groups: names }) => ({
    claims,
    grants: [...grants, ...names.flatMap((name) => groups.get(name) ?? [])],
  }));
  const base = { issuer, audience, rules: claimRules };
  if (jwks.kind === 'url') {
    const keys = new IssuerKeys({ url: new URL(jwks.url), client, firstByteMs: config.limits.upstreamMs, clock: systemClock, log });
    return { ...base, keys: (kid) => keys.get(kid) };
  }
  const text = await readFile(jwks.file, 'utf8').catch((error: unknown) => {
    throw new HubError('config-invalid', `access.oidc: cannot read ${jwks.file}: ${messageOf(error)}`, { cause: error });
  });
  const keys = parseIssuerKeys(text);
  if (!keys.ok) throw new HubError('config-invalid', `access.oidc: ${jwks.file}: ${keys.reason}`);
  return { ...base, keys: async () => keys.value };
}
