import { stringify } from 'yaml';
import { accessTree } from './access.ts';
import { formatAddressRange } from './hand-over.ts';
import { privateTree } from './private.ts';
import { webhooksTree } from './webhooks.ts';
import type { HubConfig } from './hub-config.ts';

/** The configuration in the file's own words and units, with every secret masked: what `goyi serve --check` shows. */
export function effectiveTree(config: HubConfig): Readonly<Record<string, unknown>> {
  const { limits, tls, outbound } = config;
  return {
    listen: formatListen(config.listen),
    publicUrl: config.publicUrl,
    dataDir: config.dataDir,
    workers: config.workers,
    upstreams: formatUpstreams(config),
    checksumDatabases: config.checksumDatabases,
    freshness: { listSeconds: config.freshness.listMs / 1_000, negativeSeconds: config.freshness.negativeMs / 1_000 },
    limits: {
      upstreamSeconds: limits.upstreamMs / 1_000,
      idleSeconds: limits.idleMs / 1_000,
      minBytesPerSecond: limits.bytesPerSecondMin,
      waitSeconds: limits.waitMs / 1_000,
      connections: limits.connectionsMax,
      headerSeconds: limits.headerMs / 1_000,
      fetchSlots: limits.fetchSlots,
      rangeStreams: limits.rangeStreams,
      prefetchSlots: limits.prefetchSlots,
      memoryCacheBytes: limits.memoryCacheBytes,
      mirrorBytes: limits.mirrorBytes,
      proofThreads: limits.proofThreads,
      drainSeconds: limits.drainMs / 1_000,
      scrubDays: limits.scrubEveryMs / 86_400_000,
    },
    tls: withoutEmpty({ ...tls, caFile: outbound.caFile }),
    outbound: withoutEmpty({
      proxy: outbound.httpProxy === outbound.httpsProxy ? masked(outbound.httpProxy) : undefined,
      httpProxy: outbound.httpProxy === outbound.httpsProxy ? undefined : masked(outbound.httpProxy),
      httpsProxy: outbound.httpProxy === outbound.httpsProxy ? undefined : masked(outbound.httpsProxy),
      noProxy: outbound.noProxy,
    }),
    verify: config.verify,
    ownDatabase: ownDatabaseTree(config.ownDatabase),
    private: privateTree(config.private),
    webhooks: webhooksTree(config.webhooks),
    access: accessTree(config.access),
    ...(config.sdk.mirrors.length > 0 && { sdk: { ...config.sdk, mirrors: config.sdk.mirrors.map(masked) } }),
    store: config.store,
    handOver: handOverTree(config.handOver),
    metadata: config.metadata,
    policy: { rules: config.nameRules },
    ...(config.witness.name !== undefined && { witness: { ...config.witness, listen: formatListen(config.witness.listen) } }),
    log: config.log,
  };
}

export function formatEffective(config: HubConfig): string {
  return stringify(withoutEmpty(effectiveTree(config)), { lineWidth: 0, aliasDuplicateObjects: false });
}

export function formatListen({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function ownDatabaseTree(own: HubConfig['ownDatabase']): Readonly<Record<string, unknown>> | undefined {
  if (own === undefined) return undefined;
  const { former, witnesses, ...current } = own;
  return { ...current, ...(former.length > 0 && { former }), ...(witnesses.length > 0 && { witnesses }) };
}

function handOverTree(handOver: HubConfig['handOver']): Readonly<Record<string, unknown>> {
  return 'to' in handOver ? { ...handOver, to: handOver.to.map(formatAddressRange) } : handOver;
}

function formatUpstreams({ upstreams }: HubConfig): readonly string[] | undefined {
  switch (upstreams.kind) {
    case 'default':
      return undefined;
    case 'off':
      return ['off'];
    case 'list':
      return upstreams.entries.map((entry) => (entry.kind === 'url' ? (masked(entry.url) ?? '') : entry.kind));
  }
}

/** Everything before the last `@` of the address's authority is a secret; so is all of it when it cannot be told apart. */
function masked(address: string | undefined): string | undefined {
  return address?.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/i, '$1***@');
}

function withoutEmpty(tree: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(tree).filter(
      ([, value]) =>
        value !== undefined && !(typeof value === 'object' && value !== null && Object.keys(value).length === 0 && !Array.isArray(value)),
    ),
  );
}
