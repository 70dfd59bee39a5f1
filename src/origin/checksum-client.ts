import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import { HubError, codeOf, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { invariant } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import { SingleFlight } from '../base/single-flight.ts';
import { LOOKUP_BYTES_MAX, formatLookupAnswer, parseChecksumRecord, parseLookupAnswer, recordHash } from '../protocol/checksum-record.ts';
import { isDatabaseName, lookupKey } from '../protocol/layout.ts';
import { type ModulePath, escapePath, parseModulePath } from '../protocol/module-path.ts';
import type { VerifierKey } from '../protocol/note.ts';
import type { TileName } from '../protocol/proxy-request.ts';
import { HASH_BYTES } from '../protocol/tree-hash.ts';
import { widthInTree } from '../protocol/tile.ts';
import { type Version, checkPathVersion, escapeVersion } from '../protocol/version.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { DataTiles } from './checksum-data-tile.ts';
import type { ChecksumDatabase, LookupOptions, ProvedRecord } from './checksum-database.ts';
import { type HeadMetadata, HeadKeeper, type KnownRecord, type Standing } from './checksum-head.ts';
import { type Effort, type Runner, TransportRace } from './checksum-race.ts';
import type { ChecksumRelay } from './checksum-relay.ts';
import { TileSource } from './checksum-tiles.ts';
import type { ChecksumTransport } from './checksum-transport.ts';

export interface ChecksumLimits {
  /** A transport that does not answer for so long is joined by the next. */
  readonly hedgeMs: number;
  /** The end of any search for one thing over all transports. */
  readonly raceMs: number;
  /** A transport that faulted or lied is asked after the others for so long. */
  readonly demotedMs: number;
  /** Head and fork are read from metadata again after so long. */
  readonly syncMs: number;
  /** How long `latest` waits for a refresh before it answers with what is kept. */
  readonly refreshWaitMs: number;
  /** After a refresh that failed the next one waits so long. */
  readonly refreshBackOffMs: number;
  /** For a client whose own head is ahead of ours: a tile beyond the tree makes us look for a newer one, at most this often. */
  readonly beyondMs: number;
  /** How long a record's absence is believed; 0: not at all. */
  readonly absentMs: number;
  readonly tileCacheBytes: number;
  readonly recordCacheBytes: number;
}

export const CHECKSUM_LIMITS: ChecksumLimits = {
  absentMs: 0,
  hedgeMs: 1500,
  raceMs: 60_000,
  demotedMs: 60_000,
  syncMs: 1000,
  refreshWaitMs: 3000,
  refreshBackOffMs: 10_000,
  beyondMs: 2000,
  tileCacheBytes: 8 * 1024 * 1024,
  recordCacheBytes: 4 * 1024 * 1024,
};

export interface ChecksumDatabaseOptions {
  readonly name: string;
  readonly key: VerifierKey;
  /** In the order of preference, asked anew for each request: the configuration may change. */
  readonly transports: () => readonly ChecksumTransport[];
  readonly store: BlobStore;
  readonly metadata: HeadMetadata;
  readonly events: Events;
  readonly log: Log;
  readonly clock: Clock;
  /** How old `latest` may be before it is fetched again. */
  readonly freshnessMs: number;
  readonly limits?: Partial<ChecksumLimits>;
}

/**
 * One checksum database: records for the hub's own proofs, and the same database relayed to clients. Several may share a store and metadata.
 * Disposing of it ends what is under way; store and metadata stay open.
 */
export function createChecksumDatabase(options: ChecksumDatabaseOptions): ChecksumDatabase & ChecksumRelay & AsyncDisposable {
  return new ChecksumClient(options);
}

/** A module version with checked names. */
interface Subject {
  readonly module: ModulePath;
  readonly version: Version;
}

interface Found {
  readonly record: KnownRecord;
  readonly standing: Standing;
}

class ChecksumClient implements ChecksumDatabase, ChecksumRelay, AsyncDisposable {
  readonly name: string;
  readonly #options: ChecksumDatabaseOptions;
  readonly #limits: ChecksumLimits;
  readonly #source: TileSource;
  readonly #head: HeadKeeper;
  readonly #dataTiles: DataTiles;
  readonly #lookups = new SingleFlight<Found | undefined>();
  /** What every transport said is not there: bounded, and in memory only, so that a flood of inventions costs nobody but the inventor. */
  readonly #absentUntilMs = new LRUCache<string, number>({ max: 10_000 });

  constructor(options: ChecksumDatabaseOptions) {
    const { name, key, transports, store, metadata, events, log, clock } = options;
    invariant(isDatabaseName(name) && key.name === name, `the key of the checksum database ${name} is one of ${key.name}`);
    const limits = { ...CHECKSUM_LIMITS, ...options.limits };
    this.name = name;
    this.#options = options;
    this.#limits = limits;
    const race = new TransportRace({ database: name, transports, clock, events, ...limits });
    this.#source = new TileSource({ database: name, store, race, events, log });
    this.#head = new HeadKeeper({ name, key, source: this.#source, metadata, events, clock, limits });
    this.#dataTiles = new DataTiles(name, this.#source);
  }

  async lookup(module: string, version: string, options: LookupOptions, signal: AbortSignal): Promise<ProvedRecord | undefined> {
    const found = await this.#find(checkSubject(module, version), { ...options, online: true }, signal);
    if (found === undefined) return undefined;
    const { recordId, zipHash, modHash, text } = found.record;
    return { database: this.name, recordId, treeSize: found.standing.tree.head.size, zipHash, modHash, text };
  }

  async lookupAnswer(module: string, version: string, options: { cachedOnly: boolean }, signal: AbortSignal): Promise<string | undefined> {
    const found = await this.#find(checkSubject(module, version), relayEffort(options), signal);
    // Under our head, whatever note the record came with: all answers share one tree, whose tiles we have.
    return found && formatLookupAnswer({ ...found.record, note: found.standing.tree.head.note });
  }

  async latest(options: { cachedOnly: boolean }, signal: AbortSignal): Promise<string> {
    const effort = relayEffort(options);
    await this.#head.current(effort, signal);
    await this.#refresh(this.#options.freshnessMs, effort, signal);
    // Read again from metadata, so that no answer is older than another process's last one.
    return (await this.#head.sync(effort, signal)).tree.head.note;
  }

  async tile(tile: TileName, options: { cachedOnly: boolean }, signal: AbortSignal): Promise<Buffer | undefined> {
    const effort = relayEffort(options);
    const { level, index, width } = tile;
    const hashLevel = level === 'data' ? 0 : level;
    let { tree } = await this.#head.current(effort, signal);
    if (widthInTree(tree.head.size, hashLevel, index) < width) {
      await this.#refresh(this.#limits.beyondMs, effort, signal);
      ({ tree } = await this.#head.sync(effort, signal));
    }
    if (width < 1 || widthInTree(tree.head.size, hashLevel, index) < width) return undefined;
    if (level === 'data') return this.#dataTiles.tile({ index, width }, tree, effort, signal);
    return (await tree.tile({ level, index }, effort, signal)).subarray(0, width * HASH_BYTES);
  }

  state(): Promise<{ readonly treeSize: number | undefined; readonly frozen: string | undefined }> {
    return this.#head.state();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new HubError('canceled', 'the hub is stopping');
    this.#source.race.stop(reason);
    this.#lookups.abortAll(reason);
  }

  /** A newer head if one comes in time; otherwise what is kept is as true as it was. */
  async #refresh(maxAgeMs: number, effort: Effort, signal: AbortSignal): Promise<void> {
    const waited = new AbortController();
    const timer = setTimeout(
      () => waited.abort(new HubError('origin-timeout', 'the refresh goes on without us')),
      this.#limits.refreshWaitMs,
    );
    try {
      await this.#head.refresh(maxAgeMs, effort, AbortSignal.any([signal, waited.signal]));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof HubError)) throw error;
      this.#options.log.info('the head of a checksum database could not be refreshed', { database: this.name, reason: error.message });
    } finally {
      clearTimeout(timer);
    }
  }

  async #find(subject: Subject, effort: Effort, signal: AbortSignal): Promise<Found | undefined> {
    const standing = await this.#head.current(effort, signal);
    const name = `${subject.module}@${subject.version}`;
    const record = standing.lineage.records.get(name);
    if (record !== undefined) return { record, standing };
    if ((this.#absentUntilMs.get(name) ?? 0) > this.#options.clock.monotonicMs()) return undefined;
    return this.#lookups.do(
      `${name} ${effort.online}`,
      async (inner) => {
        const found = (await this.#recall(subject, effort, inner)) ?? (await this.#fetch(subject, effort, inner));
        if (found === undefined) this.#absentUntilMs.set(name, this.#options.clock.monotonicMs() + this.#limits.absentMs);
        else found.standing.lineage.records.set(name, found.record);
        return found;
      },
      signal,
    );
  }

  /** The stored answer, proved again: the store is believed no more than a transport. */
  async #recall(subject: Subject, effort: Effort, signal: AbortSignal): Promise<Found | undefined> {
    const key = lookupKey(this.name, subject.module, subject.version);
    const bytes = await this.#source.read(key, LOOKUP_BYTES_MAX);
    if (bytes === undefined) return undefined;
    const answer = parseLookupAnswer(bytes);
    const hashes = answer.ok ? parseChecksumRecord(answer.value.text, subject.module, subject.version) : answer;
    if (!answer.ok || !hashes.ok) {
      await this.#source.setAsideKey(key, hashes.ok ? 'it is not a record' : hashes.reason);
      return undefined;
    }
    const { recordId, text } = answer.value;
    let standing = await this.#head.current(effort, signal);
    if (recordId >= standing.tree.head.size) standing = await this.#head.sync(effort, signal);
    if (recordId >= standing.tree.head.size) return undefined;
    if (!recordHash(text).equals(await standing.tree.leaf(recordId, effort, signal))) {
      await this.#source.setAsideKey(key, 'the record is not in the log');
      return undefined;
    }
    return { record: { recordId, text, ...hashes.value }, standing };
  }

  async #fetch(subject: Subject, effort: Effort, signal: AbortSignal): Promise<Found | undefined> {
    const what = `the record of ${subject.module}@${subject.version}`;
    const found = await this.#source.race.run(what, effort, (runner) => this.#fetchFrom(runner, subject, effort), signal);
    if (found === undefined) return undefined;
    const { record, standing } = found;
    const answer = formatLookupAnswer({ ...record, note: standing.tree.head.note });
    await this.#source.tolerate(`store ${what}`, () =>
      this.#source.replace(lookupKey(this.name, subject.module, subject.version), Buffer.from(answer)),
    );
    return found;
  }

  /** Only the text that hashes to a proved leaf counts, and only if it is the record that was asked for. */
  async #fetchFrom(runner: Runner, { module, version }: Subject, effort: Effort): Promise<Found | undefined> {
    const body = await runner.get(`lookup/${escapePath(module)}@${escapeVersion(version)}`, LOOKUP_BYTES_MAX);
    if (body === undefined) return undefined;
    const refuse = (reason: string): never => {
      throw new HubError('log-invalid', `the answer for ${module}@${version} is refused: ${reason}`);
    };
    const answer = parseLookupAnswer(body);
    if (!answer.ok) return refuse(answer.reason);
    const { recordId, text } = answer.value;
    const hashes = parseChecksumRecord(text, module, version);
    if (!hashes.ok) return refuse(hashes.reason);
    const note = this.#head.open(answer.value.note);
    if (!note.ok) return refuse(note.reason);
    if (recordId >= note.value.size) return refuse(`its tree of ${note.value.size} records cannot have record ${recordId}`);
    const standing = await this.#head.absorb(note.value, effort, runner.signal).catch(async (error: unknown) => {
      // The head cannot be moved, for want of space say; what lies under the kept one can be proved all the same.
      if (codeOf(error) !== 'storage-full' && codeOf(error) !== 'storage-fault') throw error;
      const kept = await this.#head.current(effort, runner.signal);
      if (recordId >= kept.tree.head.size) throw error;
      this.#options.log.warn('the head of a checksum database cannot be moved forward', { database: this.name, reason: messageOf(error) });
      return kept;
    });
    const leaf = await standing.tree.leaf(recordId, effort, runner.signal);
    if (!recordHash(text).equals(leaf)) return refuse(`record ${recordId} of the log is another`);
    return { record: { recordId, text, ...hashes.value }, standing };
  }
}

function relayEffort({ cachedOnly }: { readonly cachedOnly: boolean }): Effort {
  return { priority: 'waited-for', online: !cachedOnly };
}

/** @throws {HubError} bad-request */
function checkSubject(module: string, version: string): Subject {
  const path = parseModulePath(module);
  if (!path.ok) throw new HubError('bad-request', `${JSON.stringify(module)} is no module path: ${path.reason}`);
  const checked = checkPathVersion(path.value, version);
  if (!checked.ok) throw new HubError('bad-request', `${JSON.stringify(version)} is no version of ${module}: ${checked.reason}`);
  return { module: path.value, version: checked.value };
}
