import { parseGrants } from '../../policy/access.ts';
import type { Say } from './faults.ts';
import { formatAddressRange, parseAddressRanges } from './hand-over.ts';
import type { AccessConfig, AddressRange } from './hub-config.ts';
import type { Check, ResolvePath } from './own-database.ts';
import { parsePath } from './parse-values.ts';
import type { CheckedTree } from './schema.ts';

/** `access` as it is written. */
export interface AccessTree {
  readonly anonymous?: readonly string[] | undefined;
  readonly groups: readonly { readonly name: string; readonly grants: readonly string[] }[];
  readonly oidc: readonly IssuerTree[];
  readonly trustedProxies?: readonly string[] | undefined;
}

export interface IssuerTree {
  readonly issuer: string;
  readonly audience: string;
  readonly jwksFile?: string | undefined;
  readonly jwksUrl?: string | undefined;
  readonly rules: readonly {
    readonly claims: Readonly<Record<string, string>>;
    readonly grants?: readonly string[] | undefined;
    readonly groups?: readonly string[] | undefined;
  }[];
}

export interface AccessFault {
  readonly path: readonly (string | number)[];
  readonly say: Say;
}

/** Anonymous callers read, and nothing else. */
export function faultsOfAnonymous(grants: readonly string[]): readonly AccessFault[] {
  return grants.flatMap((grant, index) => {
    const read = parseGrants([grant]);
    if (!read.ok) return [{ path: [index], say: (m) => m.access.config.badGrant(read.reason) }];
    return /^read(?::|$)/.test(grant) ? [] : [{ path: [index], say: (m) => m.access.config.anonymousReadsOnly }];
  });
}

export function faultsOfGroup({ name, grants }: AccessTree['groups'][number]): readonly AccessFault[] {
  const faults = faultsOfGrants(grants, ['grants']);
  return isName(name) ? faults : [{ path: ['name'], say: (m) => m.access.config.badGroupName }, ...faults];
}

/** Of groups and tokens. */
export function isName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._@/-]{0,99}$/.test(name);
}

export function faultsOfIssuer({ issuer, audience, jwksFile, jwksUrl, rules }: IssuerTree): readonly AccessFault[] {
  const faults: AccessFault[] = [];
  const fault = (path: readonly (string | number)[], say: Say): void => void faults.push({ path, say });
  if (!/^https:\/\/[^\s?#@]+$/.test(issuer) || !URL.canParse(issuer)) fault(['issuer'], (m) => m.access.config.badIssuer);
  if (!/^[\x21-\x7e]{1,500}$/.test(audience)) fault(['audience'], (m) => m.access.config.badAudience);
  if ((jwksFile === undefined) === (jwksUrl === undefined)) fault([], (m) => m.access.config.oneJwks);
  if (jwksFile !== undefined && !parsePath(jwksFile).ok) fault(['jwksFile'], (m) => m.config.badPath);
  if (jwksUrl !== undefined && (!/^https:\/\/[^\s#@]+$/.test(jwksUrl) || !URL.canParse(jwksUrl)))
    fault(['jwksUrl'], (m) => m.access.config.badJwksUrl);
  if (rules.length === 0) fault(['rules'], (m) => m.config.atLeastOneEntry);
  for (const [index, { claims, grants, groups }] of rules.entries()) {
    const at = ['rules', index] as const;
    // No claim, or one that may be anything, tells nobody apart.
    if (Object.values(claims).every((pattern) => /^\**$/.test(pattern))) fault([...at, 'claims'], (m) => m.access.config.claimNeeded);
    if ((grants ?? []).length + (groups ?? []).length === 0) fault([...at], (m) => m.access.config.grantNeeded);
    faults.push(...faultsOfGrants(grants ?? [], [...at, 'grants']));
  }
  return faults;
}

function faultsOfGrants(grants: readonly string[], at: readonly (string | number)[]): readonly AccessFault[] {
  return grants.flatMap((grant, index) => {
    const read = parseGrants([grant]);
    return read.ok ? [] : [{ path: [...at, index], say: (m) => m.access.config.badGrant(read.reason) }];
  });
}

/** Rules over several entries: names that stand for one group, groups that are there. */
export function checkAccess({ access }: CheckedTree, check: Check): void {
  const names = access.groups.map(({ name }) => name);
  for (const [index, name] of names.entries())
    check(['access.groups'], names.indexOf(name) === index, ['access', 'groups', index, 'name'], (m) => m.access.config.groupTwice);
  for (const [issuer, { rules }] of access.oidc.entries()) {
    for (const [rule, { groups = [] }] of rules.entries()) {
      for (const [group, name] of groups.entries())
        check(['access.groups', 'access.oidc'], names.includes(name), ['access', 'oidc', issuer, 'rules', rule, 'groups', group], (m) =>
          m.access.config.noSuchGroup(name),
        );
    }
  }
}

/** Expects a tree without faults. On a loopback address everybody reads public modules, elsewhere nobody does, unless it is written down. */
export function accessOf({ access }: CheckedTree, isLoopback: boolean, resolve: ResolvePath): AccessConfig {
  return {
    anonymous: access.anonymous ?? (isLoopback ? ['read'] : []),
    groups: access.groups,
    trustedProxies: proxiesOf(access),
    oidc: access.oidc.map(({ issuer, audience, jwksFile, jwksUrl, rules }, index) => ({
      issuer,
      audience,
      jwks:
        jwksFile === undefined
          ? { kind: 'url', url: jwksUrl ?? '' }
          : { kind: 'file', file: resolve(jwksFile, ['access', 'oidc', index, 'jwksFile']) },
      rules: rules.map(({ claims, grants = [], groups = [] }) => ({ claims, grants, groups })),
    })),
  };
}

function proxiesOf({ trustedProxies = [] }: AccessTree): readonly AddressRange[] {
  const ranges = parseAddressRanges(trustedProxies.map((text) => text.trim()));
  return ranges.ok ? ranges.value : [];
}

/** As it would be written. */
export function accessTree({ anonymous, groups, oidc, trustedProxies }: AccessConfig): Readonly<Record<string, unknown>> {
  return {
    anonymous,
    ...(groups.length > 0 && { groups }),
    ...(trustedProxies.length > 0 && { trustedProxies: trustedProxies.map(formatAddressRange) }),
    ...(oidc.length > 0 && {
      oidc: oidc.map(({ issuer, audience, jwks, rules }) => ({
        issuer,
        audience,
        ...(jwks.kind === 'file' ? { jwksFile: jwks.file } : { jwksUrl: jwks.url }),
        rules,
      })),
    }),
  };
}
