import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { invariant } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import type { Parsed } from '../base/parsed.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { keysFolderOf } from '../cli/config/own-database.ts';
import { BackgroundScrub } from '../hub/background-scrub.ts';
import { CosignHeads, type CosignHeadsParts } from '../hub/cosign-heads.ts';
import { createKeptStore } from '../hub/kept-store.ts';
import { SettleFiles } from '../hub/settle-files.ts';
import { createStation, type HubStation } from '../hub/create-station.ts';
import { createHomes, type Homes, type PrivateSource } from '../hub/homes.ts';
import { type OwnDatabase, openOwnDatabase, type PrivateModules } from '../hub/own-database.ts';
import { SdkShelf, type SdkShelfParts } from '../hub/sdk-shelf.ts';
import { Wishes } from '../hub/wishes.ts';
import type { Metadata } from '../meta/metadata.ts';
import { openSignedHeads } from '../meta/signed-heads.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { createOutboundClient } from '../net/http-client.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import { parseProxyRules } from '../net/proxy-rules.ts';
import { createChecksumDatabase } from '../origin/checksum-client.ts';
import type { ChecksumDatabase } from '../origin/checksum-database.ts';
import type { ChecksumRelay } from '../origin/checksum-relay.ts';
import type { ChecksumTransport } from '../origin/checksum-transport.ts';
import { type OfficialSdks, createOfficialSdks } from '../origin/official-sdks.ts';
import { createSdkPacker } from '../origin/sdk-packer-threads.ts';
import type { ZipProver } from '../origin/zip-prover.ts';
import { createZipProver } from '../origin/zip-prover-pool.ts';
import { createUpstreamSet, type UpstreamSet, type UpstreamSetOptions } from '../origin/upstream-set.ts';
import { createUrlTransport } from '../origin/upstream-transport.ts';
import { requestCosignature } from '../origin/witness-client.ts';
import { createNamePolicy, type NamePolicy } from '../policy/name-policy.ts';
import { createPrivateNames, type PrivateNames } from '../policy/private-names.ts';
import { type ChecksumDatabaseEntry, parseChecksumDatabaseEntry } from '../protocol/checksum-database-entry.ts';
import { parseCosignerKey } from '../protocol/cosignature.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { openFsStore } from '../store/fs-store.ts';
import { Verdicts } from '../hub/verdicts.ts';
import { freshnessOf } from './freshness.ts';
import { openPublicSource } from './public-source.ts';
import { issuerUrls } from './access.ts';
import type { PrivateSourcesParts } from './private-sources.ts';
import type { OwnSigner } from './own-keys.ts';
import { reportOrigins } from './report-origins.ts';
import type { ProbeResult } from './worker-messages.ts';

/** Where a database with no address of its own is asked after every upstream. */
const wellKnownMirrors: Readonly<Record<string, readonly string[]>> = { 'sum.golang.org': ['https://sum.golang.google.cn'] };

/** Every part of one replica, wired. Disposing of it ends the parts in the right order. */
export interface WiredHub extends AsyncDisposable {
  readonly station: HubStation;
  readonly sdks: SdkShelf;
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly client: OutboundClient;
  readonly prover: ZipProver;
  /** Which modules are private. */
  readonly names: PrivateNames;
  readonly homes: Homes;
  readonly policy: NamePolicy;
  /** Names below `/sumdb/`. */
  readonly databases: readonly string[];
  /** The one that proves; undefined with `verify: off`. */
  readonly proving: ChecksumDatabase | undefined;
  probe(): Promise<readonly ProbeResult[]>;
  watchQueues(watch: (queue: string, depth: () => number) => void): void;
}

export interface WiringParts {
  readonly events: Events;
  readonly log: Log;
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of the databases that this process signs, the current one first; a command that only works on the data signs none. */
  readonly signers: readonly OwnSigner[];
}

/** @throws {HubError} config-invalid, storage-fault, storage-full */
export async function wireHub(config: HubConfig, upstreamUrls: readonly string[], parts: WiringParts): Promise<WiredHub> {
  const { events, log } = parts;
  await using stack = new AsyncDisposableStack();
  const entries = config.checksumDatabases.map((text) => checked(parseChecksumDatabaseEntry(text)));
  const client = stack.use(await openClient(config, upstreamUrls, entries, parts));
  const { store, metadata } = await openData(stack, config, parts);
  const openPublicClient = (connectMs: number): Promise<OutboundClient> =>
    openOutboundClient(config, { configuredOrigins: [], version: parts.version, connectMs });
  const direct = await openPublicSource(stack, config, { ...parts, metadata, openClient: openPublicClient });
  const upstreams = stack.use(openUpstreams(config, upstreamUrls, { client, direct }, parts));
  const prover = stack.use(createZipProver({ threadsMax: config.limits.proofThreads }));
  const databases = entries.map((entry) => stack.use(openDatabase(entry, { config, store, metadata, client, upstreams, parts })));
  const proving = config.verify === 'off' ? undefined : databases[0];
  const names = checked(createPrivateNames(config.private.map(({ match, home }) => ({ match, public: home.kind === 'public' }))));
  const sources = await privateSources(stack, config, { metadata, log, env: parts.env });
  const homes = createHomes({ names, upstreams, sources });
  const made = Promise.withResolvers<PrivateModules>();
  const privateModules = madeLater(names, made.promise);
  const ownDatabases = await openOwnDatabases(stack, { config, store, metadata, proving: databases[0], privateModules, parts });
  const cosigning = cosignHeads(ownDatabases[0], { config, metadata, client, parts });
  if (cosigning !== undefined) stack.use(cosigning);
  const policy = checked(createNamePolicy(config.nameRules));
  const wishes = config.upstreams.kind === 'off' ? stack.use(new Wishes({ metadata, clock: systemClock, log })) : undefined;
  const station = stack.use(
    createStation({
      store,
      metadata,
      homes,
      upstreams,
      prover,
      databases,
      ownDatabases,
      wishes,
      alarms: () => cosigning?.alarms ?? [],
      policy,
      verdicts: new Verdicts({ jobs: metadata, clock: systemClock }),
      verify: config.verify,
      events,
      log,
      clock: systemClock,
      freshness: freshnessOf(config),
      limits: { waitMs: config.limits.waitMs, memoryBytesMax: config.limits.memoryCacheBytes, prefetchSlots: config.limits.prefetchSlots },
    }),
  );
  made.resolve(station.privateVersions);
  const sdks = openSdks(stack, { station, store, metadata, policy, log, limits: config.limits, official: officialSdks(config, client) });
  if (config.limits.scrubEveryMs > 0) {
    const { filler, lists } = station;
    stack.use(new BackgroundScrub({ store, metadata, events, log, filler, lists, sdks, everyMs: config.limits.scrubEveryMs }));
  }
  const owned = stack.move();
  return {
    station,
    sdks,
    store,
    metadata,
    client,
    prover,
    names,
    homes,
    policy,
    databases: [...databases, ...ownDatabases].map(({ name }) => name),
    proving,
    probe: () => upstreams.probe(AbortSignal.timeout(config.limits.upstreamMs)),
    watchQueues: (watch) => watchAll(watch, { station, sdks, ownDatabases }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Small files are made durable by the metadata and settled later. */
async function openData(
  stack: AsyncDisposableStack,
  { dataDir }: HubConfig,
  { events, log }: WiringParts,
): Promise<{ readonly store: BlobStore; readonly metadata: Metadata }> {
  const files = stack.use(await openFsStore({ root: dataDir, events, log }));
  const metadata = stack.use(await openSqliteMetadata({ file: join(dataDir, 'goyi.db'), log }));
  const store = createKeptStore(files, metadata);
  stack.use(new SettleFiles({ store, metadata, clock: systemClock, log }));
  return { store, metadata };
}

/** What it takes to read Git is loaded by a hub that does. */
async function privateSources(
  stack: AsyncDisposableStack,
  config: HubConfig,
  parts: PrivateSourcesParts,
): Promise<readonly (PrivateSource | undefined)[]> {
  if (config.private.every(({ home }) => home.kind !== 'git')) return [];
  return (await import('./private-sources.ts')).openPrivateSources(stack, config, parts);
}

type WatchQueue = Parameters<WiredHub['watchQueues']>[0];

function watchAll(
  watch: WatchQueue,
  { station, sdks, ownDatabases }: Pick<WiredHub, 'station' | 'sdks'> & { readonly ownDatabases: readonly OwnDatabase[] },
): void {
  watch('fill', () => station.filler.running);
  watch('prefetch', () => station.ahead.waiting);
  watch('sdk', () => sdks.running);
  if (ownDatabases.length > 0) watch('own-log', () => ownDatabases.reduce((sum, { waiting }) => sum + waiting, 0));
}

/** A log hashes what the station makes, and the station, which comes later, gives the log what it stores. */
function madeLater(names: PrivateNames, made: Promise<PrivateModules>): PrivateModules {
  return { isPrivate: (module) => names.of(module).kind !== 'public', hash: async (...version) => (await made).hash(...version) };
}

async function openClient(
  config: HubConfig,
  upstreamUrls: readonly string[],
  entries: readonly ChecksumDatabaseEntry[],
  { version, env }: Pick<WiringParts, 'version' | 'env'>,
): Promise<OutboundClient> {
  const databaseUrls = entries.flatMap(({ name, url }) => (url === undefined ? (wellKnownMirrors[name] ?? []) : [url]));
  const witnessUrls = config.ownDatabase?.witnesses.map(({ url }) => url) ?? [];
  const sdkUrls = config.sdk.mirrors.length > 0 ? [...config.sdk.mirrors, config.sdk.index] : [];
  const configuredOrigins = [
    ...upstreamUrls,
    ...databaseUrls,
    ...witnessUrls,
    ...issuerUrls(config.access),
    ...reportOrigins(config, env),
    ...sdkUrls,
  ].map((url) => new URL(url));
  return openOutboundClient(config, { configuredOrigins, version });
}

/** The way out as the configuration has it: its proxy, its authorities. @throws {HubError} config-invalid */
export async function openOutboundClient(
  config: HubConfig,
  {
    configuredOrigins,
    version,
    connectMs,
  }: { readonly configuredOrigins: readonly URL[]; readonly version: string; readonly connectMs?: number },
): Promise<OutboundClient> {
  const { caFile, ...proxySettings } = config.outbound;
  const proxy = checked(parseProxyRules(proxySettings));
  return createOutboundClient({
    configuredOrigins,
    proxy,
    ...(caFile !== undefined && { caPem: await readPem(caFile) }),
    userAgent: `goyi/${version}`,
    ...(connectMs !== undefined && { connectMs }),
  });
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new HubError('config-invalid', `tls.caFile: cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

function openUpstreams(
  config: HubConfig,
  urls: readonly string[],
  { client, direct }: Pick<UpstreamSetOptions, 'client' | 'direct'>,
  { events, log }: WiringParts,
): UpstreamSet {
  const { upstreamMs, idleMs, bytesPerSecondMin, fetchSlots, rangeStreams } = config.limits;
  return createUpstreamSet({
    upstreams: config.upstreams.kind === 'off' ? 'off' : urls.map((url) => new URL(url)),
    client,
    direct,
    clock: systemClock,
    events,
    log,
    random: Math.random,
    limits: { upstreamMs, idleMs, bytesPerSecondMin, fetchSlots, rangeStreams },
  });
}

interface DatabaseParts {
  readonly config: HubConfig;
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly client: OutboundClient;
  readonly upstreams: UpstreamSet;
  readonly parts: WiringParts;
}

/** An address in the entry is the only way to that database, as in GOSUMDB; without one the upstreams relay it, then the well-known mirrors. */
function openDatabase(
  entry: ChecksumDatabaseEntry,
  { config, store, metadata, client, upstreams, parts }: DatabaseParts,
): ChecksumDatabase & ChecksumRelay & AsyncDisposable {
  const { upstreamMs, idleMs, bytesPerSecondMin, fetchSlots } = config.limits;
  const limits = { upstreamMs, idleMs, bytesPerSecondMin, fetchSlots };
  const addresses =
    entry.url === undefined && config.upstreams.kind !== 'off'
      ? (wellKnownMirrors[entry.name] ?? [])
      : entry.url === undefined
        ? []
        : [entry.url];
  const own = addresses.map((url) =>
    createUrlTransport({ url: new URL(url), client, limits, clock: systemClock, events: parts.events, random: Math.random }),
  );
  const transports: readonly ChecksumTransport[] = entry.url === undefined ? [...upstreams.transportsFor(entry.name), ...own] : own;
  return createChecksumDatabase({
    name: entry.name,
    key: entry.key,
    transports: () => transports,
    store,
    metadata,
    events: parts.events,
    log: parts.log,
    clock: systemClock,
    freshnessMs: config.freshness.listMs,
    limits: { absentMs: config.freshness.negativeMs },
  });
}

function officialSdks({ sdk, limits }: HubConfig, client: OutboundClient): OfficialSdks | undefined {
  if (sdk.mirrors.length === 0) return undefined;
  const { upstreamMs: firstByteMs, idleMs, bytesPerSecondMin } = limits;
  return createOfficialSdks({ ...sdk, client, clock: systemClock, limits: { firstByteMs, idleMs, bytesPerSecondMin } });
}

/** Its owner is the stack. */
function openSdks(stack: AsyncDisposableStack, parts: Omit<SdkShelfParts, 'packer' | 'clock'>): SdkShelf {
  const packer = stack.use(createSdkPacker());
  return stack.use(new SdkShelf({ ...parts, packer, clock: systemClock }));
}

interface OwnParts {
  readonly config: HubConfig;
  readonly store: BlobStore;
  readonly metadata: Metadata;
  /** In which public modules are proved. */
  readonly proving: ChecksumDatabase | undefined;
  readonly privateModules: PrivateModules;
  readonly parts: WiringParts;
}

/** Their owner is the stack. @throws {HubError} log-forked when what was signed is not what the metadata has */
async function openOwnDatabases(stack: AsyncDisposableStack, own: OwnParts): Promise<readonly OwnDatabase[]> {
  const { config, store, metadata, proving, privateModules, parts } = own;
  if (parts.signers.length === 0) return [];
  invariant(proving !== undefined, 'there is a public checksum database');
  const signedHeads = stack.use(await openSignedHeads(keysFolderOf(config.dataDir)));
  const opened: OwnDatabase[] = [];
  for (const { name, sign, signer } of parts.signers) {
    const { events, log } = parts;
    const clock = systemClock;
    const database = { name, signer, sign, store, metadata, signedHeads, proving, privateModules, events, log, clock };
    opened.push(stack.use(await openOwnDatabase(database)));
  }
  return opened;
}

/** Undefined when nobody is to cosign, and in a process that signs nothing. */
function cosignHeads(
  current: OwnDatabase | undefined,
  { config, metadata, client, parts }: Pick<DatabaseParts, 'config' | 'metadata' | 'client' | 'parts'>,
): CosignHeads | undefined {
  const witnesses = config.ownDatabase?.witnesses.map(({ url, key }) => ({ url: new URL(url), key: checked(parseCosignerKey(key)) })) ?? [];
  if (current === undefined || witnesses.length === 0) return undefined;
  const limits = { firstByteMs: config.limits.upstreamMs };
  const ask: CosignHeadsParts['ask'] = (wish, signal) => requestCosignature(wish, { client, limits }, signal);
  return new CosignHeads({ database: current, witnesses, ask, metadata, events: parts.events, log: parts.log, clock: systemClock });
}

/** What the configuration's own checks let through must parse here too. */
function checked<T>(result: Parsed<T>): T {
  if (result.ok) return result.value;
  invariant(result.reason !== '', 'a refusal has a reason');
  throw new HubError('config-invalid', result.reason);
}
