import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { OwnEntry, OwnRecord } from '../meta/own-log.ts';
import type { SignedHeads } from '../meta/signed-heads.ts';
import type { ChecksumDatabase } from '../origin/checksum-database.ts';
import type { ChecksumRelay } from '../origin/checksum-relay.ts';
import { type RecordHashes, formatChecksumRecord, formatLookupAnswer } from '../protocol/checksum-record.ts';
import { type ModulePath, parseModulePath } from '../protocol/module-path.ts';
import type { SignerKey } from '../protocol/note.ts';
import type { TileName } from '../protocol/proxy-request.ts';
import { widthInTree } from '../protocol/tile.ts';
import { type Version, checkPathVersion } from '../protocol/version.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { noteDrift } from './drift.ts';
import { OwnAppender } from './own-appender.ts';
import { OwnHeads, type ShownHead } from './own-heads.ts';
import { OwnShelf } from './own-shelf.ts';
import { OwnTiles } from './own-tiles.ts';

/** Modules that never come from a public upstream. */
export interface PrivateModules {
  isPrivate(module: ModulePath): boolean;
  /** The hashes of the version as this hub builds it; undefined when there is no such version. */
  hash(module: ModulePath, version: Version, signal: AbortSignal): Promise<RecordHashes | undefined>;
}

/** Of a hub that has none. */
export const noPrivateModules: PrivateModules = { isPrivate: () => false, hash: () => Promise.resolve(undefined) };

export interface OwnDatabaseParts {
  readonly name: string;
  readonly signer: SignerKey;
  /** Which modules get a record: every one, or only private ones. */
  readonly sign: 'all' | 'private';
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly signedHeads: SignedHeads;
  /** The public database in which records of public modules are proved. */
  readonly proving: Pick<ChecksumDatabase, 'name' | 'lookup'>;
  readonly privateModules: PrivateModules;
  readonly events: Events;
  readonly log: Log;
  readonly clock: Clock;
  readonly limits?: {
    readonly tileCacheBytes?: number;
    readonly recordCacheBytes?: number;
    /** Without a new record for so long the log counts as calm, and what readers of the plain files need is written. */
    readonly calmMs?: number;
  };
}

/** Clients look up in bursts: after so long without a look-up nobody is waited for. */
const lookUpsMs = 10_000;
const defaultRecordCacheBytes = 4 * 1024 * 1024;

/**
 * Opens a checksum database of our own, when what clients were shown of it is still true.
 * @throws {HubError} log-forked when its metadata is older than the last signed head, or contradicts it; storage-fault, storage-full
 */
export async function openOwnDatabase(parts: OwnDatabaseParts): Promise<OwnDatabase> {
  const database = new OwnDatabase(parts);
  try {
    await database.compareWithShown();
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
  return database;
}

/**
 * A checksum database that this hub signs: a log of the two hashes of each module version, once and for ever. Records of public modules are taken
 * from a public database, proved in it and without fetching the module; those of private modules are the hashes of what this hub builds. What
 * cannot be proved gets no record. Any number of processes append to one log and show it.
 *
 * The order that keeps every crash safe: record, tiles and head are durable in one transaction ({@link OwnAppender}); then the head is remembered
 * beside the data folder and only then its note is shown ({@link OwnHeads}); full tiles and what readers of plain files need are put into the
 * store behind the answers ({@link OwnShelf}).
 */
export class OwnDatabase implements ChecksumRelay, AsyncDisposable {
  readonly name: string;
  readonly #parts: OwnDatabaseParts;
  readonly #heads: OwnHeads;
  readonly #tiles: OwnTiles;
  readonly #appender: OwnAppender;
  readonly #shelf: OwnShelf;
  readonly #records: LRUCache<string, OwnRecord>;
  readonly #flights = new SingleFlight<OwnRecord | undefined>();
  /** When somebody last asked for a record. */
  #lookedUpMs = Number.NEGATIVE_INFINITY;

  constructor(parts: OwnDatabaseParts) {
    const { name, signer, metadata, signedHeads, store, events, log, clock, limits = {} } = parts;
    this.name = name;
    this.#parts = parts;
    this.#heads = new OwnHeads({ name, signer, metadata, signedHeads, events });
    const { tileCacheBytes, recordCacheBytes = defaultRecordCacheBytes, calmMs } = limits;
    this.#tiles = new OwnTiles({ name, store, metadata, events, log, ...(tileCacheBytes !== undefined && { cacheBytes: tileCacheBytes }) });
    this.#shelf = new OwnShelf({ name, store, metadata, log, clock, heads: this.#heads, ...(calmMs !== undefined && { calmMs }) });
    this.#appender = new OwnAppender({
      name,
      metadata,
      sizeMin: () => this.#heads.shownSize,
      onAppended: () => this.#appended(),
    });
    this.#records = new LRUCache({
      maxSize: recordCacheBytes,
      // A string takes up to two bytes a character.
      sizeCalculation: (record, key) => 2 * (key.length + record.module.length + record.version.length) + 400,
    });
  }

  /** Whether metadata still has all that was shown to anybody. @throws as {@link openOwnDatabase} */
  async compareWithShown(): Promise<void> {
    const { name, metadata, signedHeads, log } = this.#parts;
    const last = await signedHeads.last(name);
    const size = (await metadata.ownHead(name))?.size ?? 0;
    if (last === undefined && size > 0)
      log.warn('nobody remembers what was shown of the checksum database of this hub; it goes on from what its metadata has', {
        database: name,
        treeSize: size,
      });
    const shown = last?.treeSize ?? 0;
    if (shown > size) {
      throw new HubError(
        'log-forked',
        `the checksum database ${name} of this hub was put back: its metadata has ${size} records, and a tree of ${shown} was signed and shown; going on would be a fork that stops every client. ${wayOut}`,
      );
    }
    if (last !== undefined && (await this.#tiles.rootAt(shown, new AbortController().signal)).toString('base64') !== last.root) {
      throw new HubError(
        'log-forked',
        `the metadata contradicts what was shown of the checksum database ${name} of this hub: its first ${shown} records make another tree than the one that was signed. ${wayOut}`,
      );
    }
    await this.#heads.newest();
    this.#shelf.wake();
  }

  async latest(): Promise<string> {
    return (await this.#heads.newest()).note;
  }

  /** The newest head, with its note as {@link latest} answers it. @throws as {@link latest} */
  newestHead(): Promise<ShownHead> {
    return this.#heads.newest();
  }

  /** Appends what can be proved and has no record yet, unless `cachedOnly`. @throws {HubError} not-cached, what proving or building throws, and as {@link latest} */
  async lookupAnswer(module: string, version: string, options: { cachedOnly: boolean }, signal: AbortSignal): Promise<string | undefined> {
    const subject = checkSubject(module, version);
    if (!this.#signs(subject.module)) return undefined;
    this.#lookedUpMs = this.#parts.clock.monotonicMs();
    const record = (await this.#recorded(subject)) ?? (options.cachedOnly ? undefined : await this.#find(subject, signal));
    if (record === undefined && options.cachedOnly)
      throw new HubError('not-cached', `${this.name} has no record of ${module}@${version} yet, and the request forbids making one`);
    if (record === undefined) return undefined;
    const { note } = await this.#heads.covering(record.id + 1);
    return formatLookupAnswer({ recordId: record.id, text: formatChecksumRecord(record), note });
  }

  async tile(tile: TileName, _options: { cachedOnly: boolean }, signal: AbortSignal): Promise<Buffer | undefined> {
    const { level, index, width } = tile;
    const has = (size: number): boolean => width > 0 && widthInTree(size, level === 'data' ? 0 : level, index) >= width;
    // Another process may have shown a larger tree.
    if (!has(this.#heads.shownSize) && !has((await this.#heads.newest()).size)) return undefined;
    this.#heads.refuseIfFrozen();
    return this.#tiles.tile(tile, signal);
  }

  async state(): Promise<{ readonly treeSize: number | undefined; readonly frozen: string | undefined }> {
    return { treeSize: this.#heads.shownSize, frozen: this.#heads.frozen };
  }

  /** What the log has of a version, for whoever is about to store bytes of it. @throws {HubError} storage-fault */
  async recorded(module: ModulePath, version: Version): Promise<OwnRecord | undefined> {
    return this.#recorded({ module, version });
  }

  /**
   * Appends what the public database proved of a module that is being stored; does nothing when this database has no public modules. The write is handed in
   * before this returns, so that it shares a transaction with what is handed in at the same moment. @throws {HubError} as {@link OwnAppender.append}
   */
  async recordProved(module: ModulePath, version: Version, proved: RecordHashes & { readonly database: string }): Promise<void> {
    if (this.#parts.sign !== 'all' || this.#isPrivate(module) || this.#records.has(`${module}@${version}`)) return;
    const { zipHash, modHash, database } = proved;
    await this.#append({ module, version, zipHash, modHash, provedBy: database });
  }

  /** Gives a private version its record when it has none; does nothing for a public module. @throws as {@link lookupAnswer} */
  async recordBuilt(module: ModulePath, version: Version, signal: AbortSignal): Promise<void> {
    if (!this.#isPrivate(module)) return;
    const subject = { module, version };
    if ((await this.#recorded(subject)) === undefined) await this.#find(subject, signal);
  }

  /** As {@link OwnHeads.attachCosignatures}. */
  attachCosignatures(treeSize: number, lines: readonly string[]): boolean {
    const head = this.#heads.attachCosignatures(treeSize, lines);
    if (head !== undefined) this.#shelf.cosigned(head);
    return head !== undefined;
  }

  get waiting(): number {
    return this.#appender.waiting;
  }

  /** Resolves when what lies in the store is up to date. For tests and orderly ends. */
  async settled(): Promise<void> {
    await this.#appender.settled();
    await this.#shelf.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new HubError('canceled', 'the hub is stopping');
    this.#flights.abortAll(reason);
    this.#tiles.stop(reason);
    await this.#appender.settled();
    await this.#shelf[Symbol.asyncDispose]();
  }

  /** While clients look things up, the head that the next of them needs is remembered before it asks. */
  #appended(): void {
    this.#shelf.wake();
    if (this.#parts.clock.monotonicMs() - this.#lookedUpMs > lookUpsMs) return;
    this.#heads
      .newest()
      .catch((error: unknown) => this.#parts.log.debug('the head could not be remembered yet', { reason: messageOf(error) }));
  }

  #isPrivate(module: ModulePath): boolean {
    return this.#parts.privateModules.isPrivate(module);
  }

  #signs(module: ModulePath): boolean {
    return this.#parts.sign === 'all' || this.#isPrivate(module);
  }

  async #recorded({ module, version }: Subject): Promise<OwnRecord | undefined> {
    const key = `${module}@${version}`;
    const known = this.#records.get(key);
    if (known !== undefined) return known;
    const record = await this.#parts.metadata.ownRecord(this.name, module, version);
    if (record !== undefined) this.#records.set(key, record);
    return record;
  }

  /** Whatever takes long is done once for all who ask, and goes on when they leave. */
  #find(subject: Subject, signal: AbortSignal): Promise<OwnRecord | undefined> {
    const { module, version } = subject;
    return this.#flights.do(
      `${module}@${version}`,
      async (inner) => {
        const entry = this.#isPrivate(module) ? await this.#build(subject, inner) : await this.#prove(subject, inner);
        return entry && this.#append(entry);
      },
      signal,
    );
  }

  async #build({ module, version }: Subject, signal: AbortSignal): Promise<OwnEntry | undefined> {
    const hashes = await this.#parts.privateModules.hash(module, version, signal);
    return hashes && { module, version, zipHash: hashes.zipHash, modHash: hashes.modHash, provedBy: undefined };
  }

  async #prove({ module, version }: Subject, signal: AbortSignal): Promise<OwnEntry | undefined> {
    const proved = await this.#parts.proving.lookup(module, version, { priority: 'waited-for' }, signal);
    return proved && { module, version, zipHash: proved.zipHash, modHash: proved.modHash, provedBy: proved.database };
  }

  /** The first record stays, whatever is proved or built later. */
  async #append(entry: OwnEntry): Promise<OwnRecord> {
    this.#heads.refuseIfFrozen();
    const record = await this.#appender.append(entry).catch((error: unknown) => {
      throw codeOf(error) === 'log-forked' ? this.#heads.freeze(messageOf(error)) : error;
    });
    this.#records.set(`${record.module}@${record.version}`, record);
    const { module, version } = record;
    const origin = entry.provedBy ?? 'built here';
    if (record.zipHash !== entry.zipHash)
      await noteDrift(this.#parts, { module, version, kind: 'zip', recordedHash: record.zipHash, offeredHash: entry.zipHash, origin });
    if (record.modHash !== entry.modHash)
      await noteDrift(this.#parts, { module, version, kind: 'mod', recordedHash: record.modHash, offeredHash: entry.modHash, origin });
    return record;
  }
}

const wayOut =
  'Put back a backup of the metadata that has those records; when there is none, begin a new database: another ownDatabase.name with another key, and its GOSUMDB line for every client';

interface Subject {
  readonly module: ModulePath;
  readonly version: Version;
}

/** @throws {HubError} bad-request */
function checkSubject(module: string, version: string): Subject {
  const path = parseModulePath(module);
  if (!path.ok) throw new HubError('bad-request', `${JSON.stringify(module)} is no module path: ${path.reason}`);
  const checked = checkPathVersion(path.value, version);
  if (!checked.ok) throw new HubError('bad-request', `${JSON.stringify(version)} is no version of ${module}: ${checked.reason}`);
  return { module: path.value, version: checked.value };
}
