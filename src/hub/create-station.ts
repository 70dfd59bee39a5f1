import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import { unreachable } from '../base/invariant.ts';
import type { DriftRow, IndexEntry, Metadata } from '../meta/metadata.ts';
import type { ChecksumDatabase } from '../origin/checksum-database.ts';
import type { ChecksumRelay } from '../origin/checksum-relay.ts';
import type { ModuleOrigin } from '../origin/module-origin.ts';
import type { ZipProver } from '../origin/zip-prover.ts';
import type { NamePolicy } from '../policy/name-policy.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { ProxyRequest } from '../protocol/proxy-request.ts';
import { isPseudoVersion } from '../protocol/pseudo-version.ts';
import type { Version } from '../protocol/version.ts';
import { parseVersionInfo } from '../protocol/version-info.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { type Changing, ChangingAnswers } from './changing-answers.ts';
import type { OwnRecords } from './evidence.ts';
import { Filler } from './fill.ts';
import { type Homes, isAsked, isPrivateHome } from './homes.ts';
import { KnownAbsence } from './known-absence.ts';
import { ListFiles } from './list-files.ts';
import { LookAhead } from './look-ahead.ts';
import { artefactOf, ModuleFiles } from './module-files.ts';
import { ModuleQueries } from './module-queries.ts';
import { publishModule, type Published, type PublishRequest } from './publish.ts';
import { PrivateVersions } from './private-versions.ts';
import type { Served } from './served.ts';
import { type Artefact, chunksOf, StoredFiles } from './stored-files.ts';
import type { AnswerOptions, Readiness, Station, Wanted } from './station.ts';
import { Turns } from './turns.ts';
import { Usage } from './usage.ts';
import { openWishes, type Wishes } from './wishes.ts';
import { VerdictGuard } from './verdict-guard.ts';
import type { Verdicts } from './verdicts.ts';
import { warm, type WarmCounts, type WarmParts, type WarmRequest, type WarmWatch } from './warm.ts';

export interface StationParts {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  /** Where modules come from, and the upstreams among it with their states. */
  readonly homes: Homes;
  readonly upstreams: Pick<ModuleOrigin, 'states'>;
  readonly prover: ZipProver;
  /** The first proves public modules; all are relayed below `/sumdb/`. */
  readonly databases: readonly (ChecksumDatabase & ChecksumRelay)[];
  /** Those that this hub signs. */
  readonly ownDatabases: readonly (OwnRecords & ChecksumRelay)[];
  /** Of a hub without upstreams: takes note of what it has not. */
  readonly wishes?: Wishes | undefined;
  /** What others found wrong with them, in sentences. */
  readonly alarms?: () => readonly string[];
  readonly policy: NamePolicy;
  /** Of versions of private modules. */
  readonly verdicts: Pick<Verdicts, 'of' | 'now' | 'admit' | 'blocked'>;
  readonly verify: 'require' | 'off';
  readonly events: Events;
  readonly log: Log;
  readonly clock: Clock;
  readonly freshness: { readonly listMs: number; readonly negativeMs: number };
  readonly limits: { readonly waitMs: number; readonly memoryBytesMax: number; readonly prefetchSlots: number };
}

/** The hub with what its operation needs: `scrub` and `gc` work through the same parts as requests. */
export interface HubStation extends Station, AsyncDisposable {
  readonly filler: Filler;
  readonly lists: ListFiles;
  readonly ahead: Pick<LookAhead, 'waiting'>;
  /** For logs of our own, and for whoever archives. */
  readonly privateVersions: PrivateVersions;
  /** Lets go of the files in memory, for a hub that nobody uses just now. */
  releaseMemory(): void;
}

/** The hub: whoever owns it disposes of it first, then of what it was given. */
export function createStation(parts: StationParts): HubStation {
  return new StationImpl(parts);
}

class StationImpl implements HubStation {
  readonly #parts: StationParts;
  readonly #relays: ReadonlyMap<string, ChecksumRelay>;
  readonly #turns: Turns;
  readonly #usage: Usage;
  readonly lists: ListFiles;
  readonly filler: Filler;
  readonly ahead: LookAhead;
  readonly privateVersions: PrivateVersions;
  readonly #stored: StoredFiles;
  readonly #files: ModuleFiles;
  readonly #answers: ChangingAnswers;
  readonly #guard: VerdictGuard;
  readonly #queries: ModuleQueries;
  readonly #warmParts: WarmParts;

  readonly #onZipStored = ({ module, version }: Artefact): void => {
    if (!isPseudoVersion(version)) this.lists.refresh(module);
  };

  constructor(parts: StationParts) {
    this.#parts = parts;
    const { store, metadata, homes, prover, events, clock, log, limits, freshness } = parts;
    const isPrivate = (module: ModulePath): boolean => isPrivateHome(homes.of(module));
    this.#relays = new Map([...parts.databases, ...parts.ownDatabases].map((database) => [database.name, database]));
    this.#turns = new Turns({ metadata, log });
    this.#usage = new Usage({ metadata, clock, log });
    this.lists = new ListFiles({ store, metadata, log, kindOf: (module) => (isPrivate(module) ? 'private' : 'public') });
    const stored = new StoredFiles({
      store,
      metadata,
      events,
      memoryBytesMax: limits.memoryBytesMax,
      requireProof: parts.verify === 'require',
      isPrivate,
    });
    this.#stored = stored;
    const database = parts.verify === 'off' ? undefined : parts.databases[0];
    this.filler = new Filler({
      store,
      metadata,
      stored,
      homes,
      prover,
      database,
      ownDatabases: parts.ownDatabases,
      events,
      log,
      clock,
      onZipStored: this.#onZipStored,
    });
    this.privateVersions = new PrivateVersions({ homes, stored, filler: this.filler, metadata, ownDatabases: parts.ownDatabases });
    const fileLimits = { waitMs: limits.waitMs, negativeMs: freshness.negativeMs };
    this.ahead = new LookAhead({
      fill: async (artefact, signal) => {
        await this.filler.fill(artefact, 'prefetch', signal);
        return (await metadata.file(artefact.key))?.sizeBytes ?? 0;
      },
      events,
      readMod: (artefact) => smallBytes(stored.open(artefact)),
      isStored: (artefact) => stored.has(artefact),
      admits: (module, version) => isAsked(homes.of(module)) && parts.policy.verdict(module, version).kind === 'allow',
      isMade: isPrivate,
      clock,
      slots: limits.prefetchSlots,
    });
    const { filler, ahead, privateVersions } = this;
    this.#files = new ModuleFiles({ stored, filler, usage: this.#usage, ahead, clock, homes, privateVersions, limits: fileLimits });
    this.#guard = new VerdictGuard(parts);
    this.#answers = new ChangingAnswers({ metadata, clock, freshness });
    this.#queries = new ModuleQueries({
      answers: this.#answers,
      metadata,
      homes,
      verdicts: parts.verdicts,
      file: (...args) => this.#smallText(...args),
    });
    this.#warmParts = this.#openWarmParts();
  }

  #openWarmParts(): WarmParts {
    return {
      fill: async (artefact, signal) => {
        if (!isAsked(this.#parts.homes.of(artefact.module))) throw await this.privateVersions.missing(artefact);
        await this.#guard.admit(artefact.module, artefact.version);
        await this.filler.fill(artefact, 'prefetch', signal);
      },
      receivedBytes: (artefact) => this.filler.receivedBytes(artefact),
      isStored: (artefact) => this.#stored.has(artefact),
      row: (artefact) => this.#parts.metadata.file(artefact.key),
      readMod: (artefact, bytesMax) => wholeBytes(this.#stored.open(artefact), bytesMax),
      admit: (module, version) => this.#admit(module, version),
      used: (artefact) => this.#usage.count(artefact.key),
    };
  }

  async answer(request: ProxyRequest, options: AnswerOptions, signal: AbortSignal): Promise<Served> {
    const { events } = this.#parts;
    const kind = cacheKind(request);
    try {
      const served = await this.#answer(request, options, signal);
      events.cached({ kind, outcome: served.outcome });
      return served;
    } catch (error) {
      if (error instanceof KnownAbsence) events.cached({ kind, outcome: 'negative' });
      if (options.fill && codeOf(error) === 'not-found') this.#missed(request);
      throw error;
    }
  }

  #missed(request: ProxyRequest): void {
    const { wishes, homes } = this.#parts;
    if (wishes !== undefined && 'module' in request && !isPrivateHome(homes.of(request.module))) wishes.missed(request);
  }

  async wishes(): Promise<Wanted> {
    const { wishes, metadata, databases } = this.#parts;
    await wishes?.flush();
    const heads = await Promise.all(databases.map(({ name }) => metadata.head(name)));
    return { heads: heads.filter((head) => head !== undefined), wishes: await openWishes(metadata, (module) => this.#isPrivate(module)) };
  }

  index(sinceUs: number, limit: number): Promise<readonly IndexEntry[]> {
    return this.#parts.metadata.indexSince(sinceUs, limit);
  }

  drifts(limit: number, before?: number): Promise<readonly DriftRow[]> {
    return this.#parts.metadata.drifts(limit, before);
  }

  warm(request: WarmRequest, watch: WarmWatch, signal: AbortSignal): Promise<WarmCounts> {
    return warm(this.#warmParts, request, watch, signal);
  }

  publish(request: PublishRequest, signal: AbortSignal): Promise<Published> {
    this.#admit(request.module, request.version);
    return publishModule({ ...this.#parts, stored: this.#stored, turns: this.#turns, onZipStored: this.#onZipStored }, request, signal);
  }

  async readiness(): Promise<Readiness> {
    const { store, upstreams: origins, verify } = this.#parts;
    const [storeHealth, metadata, databaseStates] = await Promise.all([
      store.health(),
      this.#metadataHealth(),
      Promise.all(
        [...this.#relays.values()].map(async (database) => ({
          name: database.name,
          ...(await database.state().catch(() => ({ treeSize: undefined, frozen: undefined }))),
        })),
      ),
    ]);
    const upstreams = origins.states();
    const degraded = [
      ...(storeHealth.readable ? [] : [`the store cannot be read: ${storeHealth.reason ?? 'unknown reason'}`]),
      ...(storeHealth.writable
        ? []
        : [`the store cannot be written, so only what is stored is served: ${storeHealth.reason ?? 'unknown reason'}`]),
      ...(metadata.reachable ? [] : [`metadata is not reachable: ${metadata.reason ?? 'unknown reason'}`]),
      ...(upstreams.length > 0 && upstreams.every(({ breaker }) => breaker === 'open')
        ? ['no upstream answers: only what is stored is served']
        : []),
      ...upstreams
        .filter(({ breaker }) => breaker !== 'closed')
        .map(({ name, lastFault }) => `the upstream ${name} does not answer: ${lastFault ?? 'unknown reason'}`),
      ...databaseStates.flatMap(({ name, frozen }) => (frozen === undefined ? [] : [`the checksum database ${name} is frozen: ${frozen}`])),
      ...(this.#parts.alarms?.() ?? []),
      ...(verify === 'off' ? ['verification is off: what is stored now is not proved'] : []),
    ];
    return {
      ready: storeHealth.readable && metadata.reachable,
      store: storeHealth,
      metadata,
      upstreams,
      databases: databaseStates,
      verify,
      degraded,
    };
  }

  releaseMemory(): void {
    this.#stored.releaseMemory();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#answers.stop();
    await this.ahead[Symbol.asyncDispose]();
    await this.filler[Symbol.asyncDispose]();
    await this.lists[Symbol.asyncDispose]();
    await this.#usage[Symbol.asyncDispose]();
    await this.#turns[Symbol.asyncDispose]();
  }

  async #answer(request: ProxyRequest, options: AnswerOptions, signal: AbortSignal): Promise<Served> {
    switch (request.kind) {
      case 'file':
        this.#admit(request.module, request.version);
        return this.#file(request, options, signal);
      case 'list':
        this.#admit(request.module);
        this.ahead.listed(request.module);
        return changing(await this.#queries.list(request.module, options, signal), 'text/plain; charset=utf-8');
      case 'latest':
        this.#admit(request.module);
        return changing(await this.#resolved(request.module, 'latest', options, signal), 'application/json');
      case 'query':
        this.#admit(request.module);
        return changing(await this.#resolved(request.module, request.query, options, signal), 'application/json');
      case 'sumdb-supported':
        this.#relay(request.database);
        return text('', 'hit');
      case 'sumdb-latest':
        return text(await this.#relay(request.database).latest({ cachedOnly: !options.fill }, signal), 'hit');
      case 'sumdb-lookup': {
        this.#admit(request.module, request.version);
        const isForeign = this.#isOfForeignLog(request.database, request.module);
        await this.#guard.admit(request.module, request.version);
        const body = await this.#relay(request.database).lookupAnswer(
          request.module,
          request.version,
          { cachedOnly: !options.fill || isForeign },
          signal,
        );
        if (body === undefined)
          throw new HubError('not-found', `${request.database} has no record of ${request.module}@${request.version}`);
        return text(body, 'hit');
      }
      case 'sumdb-tile': {
        const { level, index, width } = request.tile;
        const bytes = await this.#relay(request.database).tile(request.tile, { cachedOnly: !options.fill }, signal);
        if (bytes === undefined)
          throw new HubError('not-found', `${request.database} has no such tile: level ${level}, index ${index}, width ${width}`);
        return {
          kind: 'bytes',
          bytes,
          contentType: 'application/octet-stream',
          immutable: true,
          etag: `"${level}-${index}-${width}"`,
          outcome: 'hit',
        };
      }
      default:
        return unreachable(request);
    }
  }

  /** A query must not lead around the policy: what it stands for is judged as if it had been asked for by name. */
  async #resolved(module: ModulePath, query: string, options: AnswerOptions, signal: AbortSignal): Promise<Changing> {
    const answer = await this.#queries.query(module, query, options, signal);
    const info = parseVersionInfo(Buffer.from(answer.body));
    if (info.ok) {
      this.#admit(module, info.value.version);
      await this.#guard.admit(module, info.value.version);
    }
    return answer;
  }

  /** @throws {HubError} policy-denied with the rule's reason, which is the first line that the go command prints */
  #admit(module: ModulePath, version?: Version): void {
    const verdict = this.#parts.policy.verdict(module, version);
    if (verdict.kind === 'deny')
      throw new HubError('policy-denied', `${module}${version === undefined ? '' : `@${version}`} is blocked by policy: ${verdict.reason}`);
  }

  /**
   * A look-up tells a name: those of the company's own are for its own logs. A log that another hub signs answers with what a bundle brought of it, and is not asked.
   * @throws {HubError} not-found
   */
  #isOfForeignLog(database: string, module: ModulePath): boolean {
    const { databases, ownDatabases } = this.#parts;
    if (!this.#isPrivate(module) || ownDatabases.some(({ name }) => name === database)) return false;
    if (databases[0]?.name === database)
      throw new HubError(
        'not-found',
        `${module} is private, so ${database} is not asked about it: set GONOSUMDB, or GOSUMDB to a database of this hub`,
      );
    return true;
  }

  #isPrivate(module: ModulePath): boolean {
    return isPrivateHome(this.#parts.homes.of(module));
  }

  #file({ module, version, file }: ProxyRequest & { kind: 'file' }, options: AnswerOptions, signal: AbortSignal): Promise<Served> {
    const serve = (): Promise<Served> => this.#files.serve(artefactOf(file, module, version), options, signal);
    return options.isGate === true ? serve() : this.#guard.serve(module, version, serve);
  }

  #relay(name: string): ChecksumRelay {
    const relay = this.#relays.get(name);
    if (relay === undefined) throw new HubError('not-found', `the checksum database ${name} is not configured here`);
    return relay;
  }

  async #smallText(
    kind: 'info' | 'mod',
    module: ModulePath,
    version: Version,
    options: AnswerOptions,
    signal: AbortSignal,
  ): Promise<string> {
    const served = await this.#files.serve(artefactOf(kind, module, version), options, signal);
    if (served.kind === 'bytes') return served.bytes.toString('utf8');
    await served.blob[Symbol.asyncDispose]();
    return ''; // A go.mod of more than 256 kB is a real one; an .info that long was refused when it was filled.
  }

  async #metadataHealth(): Promise<{ reachable: boolean; reason?: string }> {
    try {
      await this.#parts.metadata.setting('health');
      return { reachable: true };
    } catch (error) {
      return { reachable: false, reason: messageOf(error) };
    }
  }
}

async function smallBytes(opening: Promise<Served | undefined>): Promise<Buffer | undefined> {
  const served = await opening;
  if (served?.kind === 'blob') await served.blob[Symbol.asyncDispose]();
  return served?.kind === 'bytes' ? served.bytes : undefined;
}

/** Whatever its size up to `bytesMax`, which what is served from memory may be below. */
async function wholeBytes(opening: Promise<Served | undefined>, bytesMax: number): Promise<Buffer | undefined> {
  const served = await opening;
  if (served === undefined) return undefined;
  if (served.kind === 'bytes') return served.bytes.length <= bytesMax ? served.bytes : undefined;
  await using blob = served.blob;
  if (blob.sizeBytes > bytesMax) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of chunksOf(blob)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function cacheKind(request: ProxyRequest): 'info' | 'mod' | 'zip' | 'list' | 'latest' | 'query' | 'lookup' | 'tile' {
  switch (request.kind) {
    case 'file':
      return request.file;
    case 'list':
    case 'latest':
    case 'query':
      return request.kind;
    case 'sumdb-tile':
      return 'tile';
    default:
      return 'lookup';
  }
}

function changing(answer: Changing, contentType: Served['contentType']): Served {
  const { body, ageSeconds, stale, outcome } = answer;
  return { kind: 'bytes', bytes: Buffer.from(body), contentType, immutable: false, ageSeconds, stale, outcome };
}

function text(body: string, outcome: Served['outcome']): Served {
  return { kind: 'bytes', bytes: Buffer.from(body), contentType: 'text/plain; charset=utf-8', immutable: false, outcome };
}
