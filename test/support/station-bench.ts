/** A whole station over the real metadata, a real store and the real zip prover; upstreams and the checksum database are small and do as they are told. */
import { silentEvents, type Events } from '../../src/base/events.ts';
import { HubError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { createStation, type HubStation, type StationParts } from '../../src/hub/create-station.ts';
import { createHomes, type HomesParts } from '../../src/hub/homes.ts';
import type { Served } from '../../src/hub/served.ts';
import type { Metadata } from '../../src/meta/metadata.ts';
import { type MetadataFaults, openSqliteMetadata } from '../../src/meta/sqlite-metadata.ts';
import type { ChecksumDatabase, ProvedRecord } from '../../src/origin/checksum-database.ts';
import type { ChecksumRelay } from '../../src/origin/checksum-relay.ts';
import type { ModuleOrigin, OriginAnswer, OriginBody, OriginRequest, UpstreamState } from '../../src/origin/module-origin.ts';
import { createZipProver } from '../../src/origin/zip-prover-pool.ts';
import type { ZipProver } from '../../src/origin/zip-prover.ts';
import { createNamePolicy, type NameRule } from '../../src/policy/name-policy.ts';
import { noPrivateNames, type PrivateNames } from '../../src/policy/private-names.ts';
import { parseProxyRequest } from '../../src/protocol/proxy-request.ts';
import type { BlobStore } from '../../src/store/blob-store.ts';
import { Verdicts } from '../../src/hub/verdicts.ts';
import { createMemoryStore, type MemoryStore, type StoreFaults } from '../../src/store/memory-store.ts';
import { address, escaped, type SyntheticModule } from './synthetic-module.ts';

export const databaseName: string = 'sum.example.com';

/** Of the database that the hub signs itself, where a test gives it one. */
export const ownDatabaseName: string = 'goyi.example.com/sumdb';

/** What one upstream does about one resource. */
export type Told = Buffer | string | { readonly status: 404 | 403 | 502; readonly reason: string };

const pieceBytes = 65_536;

/** Upstreams in order, each a map from resources to what it says of them; what is not in the map is absent. */
export class ScriptedOrigin implements ModuleOrigin {
  readonly upstreams: Map<string, Told>[];
  /** How often each resource was asked for. */
  readonly asked: Map<string, number> = new Map();
  /** Bytes of bodies that were read. */
  sentBytes = 0;
  /** While it is set, bodies come only when it has resolved. */
  gate: Promise<void> | undefined;

  constructor(count = 1) {
    this.upstreams = Array.from({ length: count }, () => new Map());
  }

  get first(): Map<string, Told> {
    return this.upstreams[0] as Map<string, Told>;
  }

  get total(): number {
    return [...this.asked.values()].reduce((sum, count) => sum + count, 0);
  }

  publish(module: SyntheticModule, upstream: Map<string, Told> = this.first): void {
    const base = address(module);
    upstream.set(`${base}info`, module.info);
    upstream.set(`${base}mod`, module.goMod);
    upstream.set(`${base}zip`, module.zip);
  }

  /** From now on every upstream fails. */
  goDown(): void {
    for (const upstream of this.upstreams) upstream.clear();
    this.#down = true;
  }

  comeBack(): void {
    this.#down = false;
  }

  #down = false;

  async fetch<T>(
    request: OriginRequest,
    consume: (body: OriginBody, origin: string, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<OriginAnswer<T>> {
    this.asked.set(request.resource, (this.asked.get(request.resource) ?? 0) + 1);
    await Promise.race([this.gate, whenAborted(signal)]);
    signal.throwIfAborted();
    let invalid: HubError | undefined;
    let refusal: HubError | undefined;
    for (const [at, upstream] of this.upstreams.entries()) {
      const told = this.#down ? ({ status: 502, reason: 'it is down' } as const) : upstream.get(request.resource);
      if (told === undefined || (typeof told === 'object' && 'status' in told)) {
        if (told?.status === 403) refusal ??= new HubError('upstream-refused', told.reason);
        if (told?.status === 502) refusal = new HubError('origin-unavailable', told.reason);
        continue;
      }
      try {
        return {
          kind: 'found',
          value: await consume(this.#bodyOf(Buffer.from(told)), `https://upstream-${at}.example`, signal),
          origin: `https://upstream-${at}.example`,
        };
      } catch (error) {
        if (!(error instanceof HubError) || !['checksum-mismatch', 'zip-invalid', 'upstream-invalid'].includes(error.code)) throw error;
        invalid ??= error;
      }
    }
    if (invalid !== undefined) throw invalid;
    if (refusal !== undefined) throw refusal;
    return { kind: 'absent', reason: `not found: ${request.resource}` };
  }

  #bodyOf(bytes: Buffer): OriginBody {
    const sent = (count: number): void => {
      this.sentBytes += count;
    };
    return {
      sizeBytes: bytes.length,
      async *[Symbol.asyncIterator]() {
        for (let at = 0; at < bytes.length; at += pieceBytes) {
          const piece = bytes.subarray(at, at + pieceBytes);
          sent(piece.length);
          yield piece;
        }
      },
    };
  }

  states(): readonly UpstreamState[] {
    return this.upstreams.map((_, at) => ({
      name: `https://upstream-${at}.example`,
      breaker: this.#down ? 'open' : 'closed',
      latencyMs: undefined,
      concurrencyLimit: 64,
      lastFault: undefined,
    }));
  }
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** Records of a checksum database, believed as they are. */
export class FakeDatabase implements ChecksumDatabase, ChecksumRelay {
  readonly name: string = databaseName;
  readonly records: Map<string, { zipHash: string; modHash: string }> = new Map();
  lookups = 0;
  down = false;

  record(module: SyntheticModule): void {
    this.records.set(`${module.path}@${module.version}`, module);
  }

  async lookup(module: string, version: string): Promise<ProvedRecord | undefined> {
    this.lookups += 1;
    if (this.down) throw new HubError('database-unavailable', `${this.name} cannot be reached`);
    const record = this.records.get(`${module}@${version}`);
    if (record === undefined) return undefined;
    const { zipHash, modHash } = record;
    return { database: this.name, recordId: 7, treeSize: 1000, zipHash, modHash, text: '' };
  }

  async latest(): Promise<string> {
    return 'a signed note\n';
  }

  async lookupAnswer(module: string, version: string): Promise<string | undefined> {
    const record = await this.lookup(module, version);
    return record && `${record.recordId}\n`;
  }

  async tile(): Promise<Buffer | undefined> {
    return undefined;
  }

  async state(): Promise<{ treeSize: number | undefined; frozen: string | undefined }> {
    return { treeSize: 1000, frozen: undefined };
  }
}

export class FakeClock {
  wall: number = 1_800_000_000_000;
  monotonic: number = 5_000;

  wallMs(): number {
    return this.wall;
  }

  monotonicMs(): number {
    return this.monotonic;
  }

  /** Time passes, on both clocks. */
  pass(ms: number): void {
    this.wall += ms;
    this.monotonic += ms;
  }
}

export interface BenchOptions {
  readonly store?: BlobStore;
  readonly metadata?: Metadata;
  readonly origin?: ScriptedOrigin;
  readonly database?: FakeDatabase;
  readonly prover?: ZipProver;
  readonly clock?: FakeClock;
  readonly verify?: 'require' | 'off';
  readonly rules?: readonly NameRule[];
  readonly names?: PrivateNames;
  readonly sources?: HomesParts['sources'];
  readonly storeFaults?: StoreFaults;
  readonly metadataFaults?: MetadataFaults;
  readonly waitMs?: number;
  readonly memoryBytesMax?: number;
  readonly ownDatabases?: StationParts['ownDatabases'];
}

export interface StationBench extends AsyncDisposable {
  readonly station: HubStation;
  /** In memory, unless the options say otherwise. */
  readonly store: MemoryStore;
  readonly metadata: Metadata;
  readonly origin: ScriptedOrigin;
  readonly database: FakeDatabase;
  readonly prover: ZipProver;
  readonly clock: FakeClock;
  readonly events: Events;
  /** Each event as `name outcome…`, in order. */
  readonly seen: string[];
  ask(path: string, options?: { fill?: boolean; signal?: AbortSignal }): Promise<Answered>;
}

export interface Answered extends Omit<Served, 'kind' | 'blob' | 'bytes'> {
  readonly bytes: Buffer;
}

/** What the options bring stays with who brought it. */
export async function openBench(options: BenchOptions = {}): Promise<StationBench> {
  await using stack = new AsyncDisposableStack();
  const clock = options.clock ?? new FakeClock();
  const store =
    (options.store as MemoryStore | undefined) ?? stack.use(createMemoryStore(options.storeFaults && { faults: options.storeFaults }));
  const metadata =
    options.metadata ??
    stack.use(
      await openSqliteMetadata({
        file: ':memory:',
        log: silentLog,
        clock,
        sharedMs: () => clock.monotonic,
        ...(options.metadataFaults && { faults: options.metadataFaults }),
      }),
    );
  const prover = options.prover ?? stack.use(createZipProver({ threadsMax: 1 }));
  const origin = options.origin ?? new ScriptedOrigin();
  const database = options.database ?? new FakeDatabase();
  const policy = createNamePolicy(options.rules ?? []);
  if (!policy.ok) throw new Error(policy.reason);
  const seen: string[] = [];
  const events = noting(seen);
  const station = stack.use(
    createStation({
      store,
      metadata,
      homes: createHomes({ names: options.names ?? noPrivateNames, upstreams: origin, sources: options.sources ?? [] }),
      upstreams: origin,
      prover,
      databases: [database],
      ownDatabases: options.ownDatabases ?? [],
      policy: policy.value,
      verdicts: new Verdicts({ jobs: metadata, clock }),
      verify: options.verify ?? 'require',
      events,
      log: silentLog,
      clock,
      freshness: { listMs: 60_000, negativeMs: 60_000 },
      limits: { waitMs: options.waitMs ?? 20_000, memoryBytesMax: options.memoryBytesMax ?? 1 << 20, prefetchSlots: 0 },
    }),
  );
  const owned = stack.move();
  return {
    station,
    store,
    metadata,
    origin,
    database,
    prover,
    clock,
    events,
    seen,
    ask: (path, { fill = true, signal = new AbortController().signal } = {}) => ask(station, path, fill, signal),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function ask(station: HubStation, path: string, fill: boolean, signal: AbortSignal): Promise<Answered> {
  const request = parseProxyRequest(`/${path}`, [databaseName, ownDatabaseName]);
  if (!request.ok) throw new Error(request.reason);
  return bytesOf(await station.answer(request.value, { fill }, signal));
}

async function bytesOf(served: Served): Promise<Answered> {
  if (served.kind === 'bytes') return served;
  await using blob = served.blob;
  const bytes = Buffer.alloc(blob.sizeBytes);
  for (let filled = 0; filled < bytes.length; ) {
    const count = await blob.read(bytes.subarray(filled), bytes.length - filled, filled);
    if (count === 0) throw new Error('the blob ended early');
    filled += count;
  }
  return { ...served, bytes };
}

function noting(seen: string[]): Events {
  return {
    ...silentEvents,
    filled: ({ kind, outcome }) => seen.push(`filled ${kind} ${outcome}`),
    cached: ({ kind, outcome }) => seen.push(`cached ${kind} ${outcome}`),
    verificationFailed: ({ reason }) => seen.push(`verification failed ${reason}`),
    drifted: ({ kind, module, version }) => seen.push(`drift ${kind} ${module}@${version}`),
    fileSetAside: ({ key }) => seen.push(`set aside ${key}`),
  };
}

export function keyOf(module: SyntheticModule, file: 'info' | 'mod' | 'zip'): Parameters<BlobStore['open']>[0] {
  return `modules/${escaped(module.path)}/@v/${escaped(module.version)}.${file}` as Parameters<BlobStore['open']>[0];
}
