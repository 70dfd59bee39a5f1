import { resolve } from 'node:path';
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { BlobKey } from '../base/blob-key.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { CHAIN_START } from '../protocol/audit-chain.ts';
import type { JobAdded, JobEnd, JobRow, JobsLeft, NewJob, Standing, Verdict, VerdictRow } from './jobs.ts';
import { bootOf, newLeaseOwner } from './leases.ts';
import type {
  ModuleKind,
  AnswerRow,
  Drift,
  DriftRow,
  FileRow,
  FillFailure,
  ForkEvidence,
  HeadRow,
  ImportChange,
  IndexEntry,
  KeptBytes,
  KeptFile,
  LeaseAttempt,
  Metadata,
  UnusedFile,
  Wish,
  WishRow,
} from './metadata.ts';
import type { TokenHash } from '../protocol/access-token.ts';
import type { AccessTokenRow, NewAccessToken } from './access-tokens.ts';
import type { AuditBounds, AuditEntry, AuditRow } from './audit-trail.ts';
import type { OwnAppended, OwnEntry, OwnHead, OwnRecord, OwnTile, OwnTree } from './own-log.ts';
import { errorOfFailure, metadataError } from './sqlite-errors.ts';
import { connect, memoryFile, openDatabase } from './sqlite-open.ts';
import { Prepared, type Row } from './sqlite-prepared.ts';
import { accessTokenOf, auditBoundsOf, auditRowOf } from './sqlite-access.ts';
import { candidates, jobOf, standingOf, verdictRowOf } from './sqlite-jobs.ts';
import { ownHeadOf, ownRecordOf, ownTileOf, treeOf } from './sqlite-own-logs.ts';
import { answerOf, blob, driftOf, fileOf, forkOf, headOf, indexEntryOf, integer, keptOf, text, wishOf } from './sqlite-rows.ts';
import type { StatementName } from './sqlite-statements.ts';
import { SqliteWriter } from './sqlite-writer.ts';
import { InlineWriterHost, ThreadWriterHost, type WriterHost } from './sqlite-writer-host.ts';
import type { SqliteWrites, WriteCall, WriteName } from './sqlite-writes.ts';

/** Called before a write is handed in and after it was committed; what it throws is what the write throws. For tests. */
export type MetadataFaults = (point: 'before' | 'after', write: WriteName) => void;

export interface SqliteMetadataOptions {
  /** The database file, made when it is not there; `:memory:` for one that lives as long as the object. */
  readonly file: string;
  readonly log: Log;
  /** Wall clock of the index feed. */
  readonly clock?: Pick<Clock, 'wallMs'>;
  /** Milliseconds since a point that all processes of the machine share, never going back; a failed lease is kept on it. */
  readonly sharedMs?: () => number;
  /** The process whose life the leases hang on, as `ownIdentity` writes it; default: this one. */
  readonly owner?: string;
  readonly faults?: MetadataFaults;
}

/**
 * Metadata in one SQLite file (WAL) that any number of processes of one machine use at once. Reads run here, in microseconds and beside any writer;
 * writes run in a thread that commits them in groups, so that neither the disk nor another process's lock ever stops this thread.
 * @throws {HubError} storage-full, storage-fault with the way out when the file is damaged or from a newer goyi
 */
export async function openSqliteMetadata(options: SqliteMetadataOptions): Promise<Metadata> {
  const file = options.file === memoryFile ? memoryFile : resolve(options.file);
  const database = await openDatabase(file);
  const owner = newLeaseOwner(options.owner);
  if (file === memoryFile)
    return new SqliteMetadata({ ...options, owner, file, database, host: new InlineWriterHost(new SqliteWriter(database, owner)) });
  const reader = openReader(file, database);
  options.log.debug('the metadata is open', { file });
  return new SqliteMetadata({ ...options, owner, file, database: reader, host: new ThreadWriterHost({ file, owner }) });
}

/**
 * The reader is opened before any other connection ends, and closed after the writer. A connection that may not write leaves the log and its
 * shared index (`-wal`, `-shm`) where they are when it ends: a hub that starts again on a disk that is full finds them and can read.
 */
function openReader(file: string, first: DatabaseSync): DatabaseSync {
  try {
    const reader = connect(file, { readOnly: true });
    reader.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get();
    return reader;
  } catch (error) {
    throw metadataError(file, 'read the metadata', error);
  } finally {
    first.close();
  }
}

class SqliteMetadata implements Metadata {
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #reads: Prepared;
  readonly #host: WriterHost;
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #sharedMs: () => number;
  readonly #faults: MetadataFaults;
  readonly #boot: string;

  constructor(options: SqliteMetadataOptions & { owner: string; database: DatabaseSync; host: WriterHost }) {
    this.#file = options.file;
    this.#database = options.database;
    this.#reads = new Prepared(options.database);
    this.#host = options.host;
    this.#clock = options.clock ?? systemClock;
    this.#sharedMs = options.sharedMs ?? machineMs;
    this.#faults = options.faults ?? (() => {});
    this.#boot = bootOf(options.owner);
  }

  async file(key: BlobKey): Promise<FileRow | undefined> {
    return this.#one('file', fileOf, key);
  }

  async recordFile(row: FileRow, bytes?: Uint8Array): Promise<void> {
    const nowUs = this.#clock.wallMs() * 1000;
    // A copy, because what crosses to the thread takes all of the memory along that it is a part of.
    await (bytes === undefined ? this.#write('recordFile', row, nowUs) : this.#write('recordFile', row, nowUs, new Uint8Array(bytes)));
  }

  async recordImport(change: ImportChange): Promise<boolean> {
    return await this.#write('recordImport', change, this.#clock.wallMs() * 1000);
  }

  async keep(key: BlobKey, bytes: Uint8Array): Promise<void> {
    await this.#write('keep', key, new Uint8Array(bytes), this.#clock.wallMs());
  }

  async keptUntil(cutoffMs: number, { newestMax, limit }: { newestMax: number; limit: number }): Promise<readonly KeptFile[]> {
    return this.#many('keptUntil', keptOf, Math.floor(cutoffMs), bounded(newestMax), bounded(limit));
  }

  async keptAfter(key: BlobKey | undefined, limit: number): Promise<readonly KeptBytes[]> {
    const kept = (row: Row): KeptBytes => ({
      ...keptOf(row),
      bytes: blob(row, 'bytes'),
      // Where no start can be told from another, each may be the next.
      bootIsOver: this.#boot === '0' || text(row, 'boot') !== this.#boot,
    });
    return this.#many('keptAfter', kept, key ?? '', bounded(limit));
  }

  async settled(files: readonly KeptFile[]): Promise<void> {
    await this.#write('settled', files);
  }

  async recordFingerprint(key: BlobKey, fingerprint: string): Promise<void> {
    await this.#write('recordFingerprint', key, fingerprint);
  }

  async forgetFile(key: BlobKey, fingerprint?: string): Promise<void> {
    await this.#write('forgetFile', key, fingerprint);
  }

  async filesAfter(key: BlobKey | undefined, limit: number): Promise<readonly FileRow[]> {
    return this.#many('filesAfter', fileOf, key ?? '', bounded(limit));
  }

  async storedVersions(module: string, of: ModuleKind): Promise<readonly string[]> {
    const versions = this.#one(
      'storedVersions',
      (row) => (row['versions'] === null ? '' : text(row, 'versions')),
      module,
      of === 'private' ? 1 : 0,
    );
    return versions === undefined || versions === '' ? [] : versions.split('\n');
  }

  async totals(): Promise<{ files: number; sizeBytes: number; versions: number }> {
    const totals = this.#one('totals', (row) => ({
      files: integer(row, 'files'),
      sizeBytes: integer(row, 'size_bytes'),
      versions: integer(row, 'versions'),
    }));
    return totals ?? { files: 0, sizeBytes: 0, versions: 0 };
  }

  async recordUses(uses: readonly { key: BlobKey; count: number; lastUsedAtMs: number }[]): Promise<void> {
    // In pieces, so that a lease does not wait behind a day of counting.
    for (let at = 0; at < uses.length; at += usesAtOnceMax) await this.#write('recordUses', uses.slice(at, at + usesAtOnceMax));
  }

  async filesUnusedSince(
    cutoffMs: number,
    limit: number,
    after?: Pick<UnusedFile, 'key' | 'lastUsedAtMs'>,
  ): Promise<readonly UnusedFile[]> {
    const unused = (row: Row): UnusedFile => ({ ...fileOf(row), lastUsedAtMs: integer(row, 'last_used_at_ms') });
    return this.#many(
      'filesUnusedSince',
      unused,
      cutoffMs,
      after?.lastUsedAtMs ?? Number.MIN_SAFE_INTEGER,
      after?.key ?? '',
      bounded(limit),
    );
  }

  async answer(name: string): Promise<AnswerRow | undefined> {
    return this.#one('answer', answerOf, name);
  }

  async recordAnswer(row: AnswerRow): Promise<void> {
    await this.#write('recordAnswer', row);
  }

  async head(database: string): Promise<HeadRow | undefined> {
    return this.#one('head', headOf, database);
  }

  async advanceHead(next: HeadRow, expectedTreeSize: number | undefined): Promise<boolean> {
    return await this.#write('advanceHead', next, expectedTreeSize);
  }

  async recordFork(evidence: ForkEvidence): Promise<void> {
    await this.#write('recordFork', evidence);
  }

  async fork(database: string): Promise<ForkEvidence | undefined> {
    return this.#one('fork', forkOf, database);
  }

  async clearFork(database: string, options: { forgetHead: boolean }): Promise<void> {
    await this.#write('clearFork', database, options.forgetHead);
  }

  async acquireLease(key: string): Promise<LeaseAttempt> {
    return await this.#write('acquireLease', key, this.#sharedMs());
  }

  async isLeaseHeld(key: string): Promise<boolean> {
    return this.#one('lease', (row) => row['failure_code'] === null, key) ?? false;
  }

  async releaseLease(key: string, failure?: FillFailure & { readonly failureTtlMs: number }): Promise<void> {
    await this.#write('releaseLease', key, failure, this.#sharedMs());
  }

  async indexSince(sinceUs: number, limit: number): Promise<readonly IndexEntry[]> {
    return this.#many('indexSince', indexEntryOf, sinceUs, bounded(limit));
  }

  async ownHead(log: string): Promise<OwnHead | undefined> {
    return this.#one('ownHead', ownHeadOf, log);
  }

  async ownTree(log: string): Promise<OwnTree | undefined> {
    const rows = this.#many('ownTree', (row) => row, log);
    return rows.length === 0 ? undefined : treeOf(rows);
  }

  async ownRecord(log: string, module: string, version: string): Promise<OwnRecord | undefined> {
    return this.#one('ownRecord', ownRecordOf, log, module, version);
  }

  async ownRecords(log: string, from: number, limit: number): Promise<readonly OwnRecord[]> {
    return this.#many('ownRecords', ownRecordOf, log, from, bounded(limit));
  }

  async appendOwn(log: string, entries: readonly OwnEntry[], sizeMin: number): Promise<OwnAppended> {
    return await this.#write('appendOwn', log, entries, sizeMin);
  }

  async ownTiles(log: string, limit: number): Promise<readonly OwnTile[]> {
    return this.#many('ownTiles', ownTileOf, log, bounded(limit));
  }

  async ownTile(log: string, level: number, index: number): Promise<Uint8Array | undefined> {
    return this.#one('ownTile', (row) => blob(row, 'hashes'), log, level, index);
  }

  async dropOwnTiles(log: string, tiles: readonly Pick<OwnTile, 'level' | 'index'>[]): Promise<void> {
    if (tiles.length > 0) await this.#write('dropOwnTiles', log, tiles);
  }

  async recordDrift(drift: Drift, nowMs: number): Promise<boolean> {
    return await this.#write('recordDrift', drift, nowMs);
  }

  async drifts(limit: number, before: number = Number.MAX_SAFE_INTEGER): Promise<readonly DriftRow[]> {
    return this.#many('drifts', driftOf, before, bounded(limit));
  }

  async accessToken(hash: TokenHash): Promise<AccessTokenRow | undefined> {
    return this.#one('accessToken', accessTokenOf, hash);
  }

  async accessTokens(afterId: number, limit: number): Promise<readonly AccessTokenRow[]> {
    return this.#many('accessTokens', accessTokenOf, afterId, bounded(limit));
  }

  async hasAccessTokens(): Promise<boolean> {
    return (await this.accessTokens(0, 1)).length > 0;
  }

  async addAccessToken(token: NewAccessToken, told: AuditEntry): Promise<boolean> {
    return await this.#write('addAccessToken', token, told);
  }

  async revokeAccessToken(name: string, told: AuditEntry): Promise<'revoked' | 'already' | 'absent'> {
    return await this.#write('revokeAccessToken', name, told);
  }

  async recordTokenUses(uses: readonly { readonly id: number; readonly lastUsedAtMs: number }[]): Promise<void> {
    if (uses.length > 0) await this.#write('recordTokenUses', uses);
  }

  async appendAudit(entries: readonly AuditEntry[]): Promise<void> {
    if (entries.length > 0) await this.#write('appendAudit', entries);
  }

  async auditEntries(afterId: number, limit: number): Promise<readonly AuditRow[]> {
    return this.#many('auditEntries', auditRowOf, afterId, bounded(limit));
  }

  async auditBounds(): Promise<AuditBounds> {
    return this.#one('auditBounds', auditBoundsOf) ?? { cut: CHAIN_START, head: CHAIN_START };
  }

  async cutAudit(keepMax: number, nowMs: number): Promise<number> {
    return await this.#write('cutAudit', keepMax, nowMs);
  }

  async addJob(job: NewJob, { nowMs, nonce }: { nowMs: number; nonce?: string }): Promise<JobAdded> {
    return await this.#write('addJob', job, nowMs, nonce);
  }

  async hasDueJob(nowMs: number): Promise<boolean> {
    return this.#read('dueJobs', () => candidates(this.#reads, { nowMs: Math.floor(nowMs), limit: 1 }).length > 0);
  }

  async claimJobs(nowMs: number, limit: number, except?: JobsLeft): Promise<readonly JobRow[]> {
    return await this.#write('claimJobs', nowMs, bounded(limit), except);
  }

  async endJob(id: number, end: JobEnd, nowMs: number): Promise<boolean> {
    return await this.#write('endJob', id, end, nowMs);
  }

  async jobs(limit: number, before: number = Number.MAX_SAFE_INTEGER): Promise<readonly JobRow[]> {
    return this.#many('jobs', jobOf, before, bounded(limit));
  }

  async waitingJobs(): Promise<number> {
    return this.#one('countWaitingJobs', (row) => integer(row, 'waiting')) ?? 0;
  }

  async verdict(module: string, version: string): Promise<Standing | undefined> {
    return this.#one('verdict', standingOf, module, version);
  }

  async holdVersion(row: Parameters<Metadata['holdVersion']>[0], nowMs: number): Promise<void> {
    await this.#write('holdVersion', row, nowMs);
  }

  async blockedVersions(module: string): Promise<readonly string[]> {
    return this.#many('blockedVersions', (row) => text(row, 'version'), module);
  }

  async recordVerdict(row: Parameters<Metadata['recordVerdict']>[0], nowMs: number): Promise<Verdict> {
    return await this.#write('recordVerdict', row, nowMs);
  }

  async releaseVerdict(...[row, nowMs, told]: Parameters<Metadata['releaseVerdict']>): Promise<boolean> {
    return await this.#write('releaseVerdict', row, nowMs, told);
  }

  async blockedVerdicts(limit: number, before: number = Number.MAX_SAFE_INTEGER): Promise<readonly VerdictRow[]> {
    return this.#many('blockedVerdicts', verdictRowOf, before, bounded(limit));
  }

  async recordWishes(wishes: readonly Wish[], nowMs: number): Promise<void> {
    await this.#write('recordWishes', wishes, nowMs);
  }

  async wishes(limit: number): Promise<readonly WishRow[]> {
    return this.#many('wishes', wishOf, bounded(limit));
  }

  async forgetWishes(wishes: readonly Pick<Wish, 'module' | 'version'>[]): Promise<void> {
    await this.#write('forgetWishes', wishes);
  }

  async setting(name: string): Promise<string | undefined> {
    return this.#one('setting', (row) => text(row, 'value'), name);
  }

  async recordSetting(name: string, value: string): Promise<void> {
    await this.#write('recordSetting', name, value);
  }

  /** Finishes the writes under way and gives back this owner's leases. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
    if (this.#database.isOpen) this.#database.close();
  }

  #one<T>(name: StatementName, convert: (row: Row) => T, ...values: SQLInputValue[]): T | undefined {
    return this.#read(name, () => {
      const row = this.#reads.get(name, ...values);
      return row === undefined ? undefined : convert(row);
    });
  }

  #many<T>(name: StatementName, convert: (row: Row) => T, ...values: SQLInputValue[]): T[] {
    return this.#read(name, () => this.#reads.all(name, ...values).map(convert));
  }

  #read<T>(name: StatementName, work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw metadataError(this.#file, `read ${name}`, error);
    }
  }

  async #write<K extends WriteName>(name: K, ...args: Parameters<SqliteWrites[K]>): Promise<ReturnType<SqliteWrites[K]>> {
    this.#faults('before', name);
    const outcome = await this.#host.submit({ name, args } as WriteCall);
    if (!outcome.ok) throw errorOfFailure(this.#file, name, outcome.failure);
    this.#faults('after', name);
    return outcome.value as ReturnType<SqliteWrites[K]>;
  }
}

/** In a large store each is two pages of its own to write: a hundred take a few milliseconds, which a fill can wait, and a thousand a tenth of a second. */
const usesAtOnceMax = 100;

/** SQLite takes a negative limit for none at all. */
function bounded(limit: number): number {
  return Math.max(0, Math.floor(limit));
}

/** Counts from the start of the machine, the same for every process; `performance.now` begins anew in each. */
function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
