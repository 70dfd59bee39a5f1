import type { DatabaseSync } from 'node:sqlite';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import { bootOf, Leases } from './leases.ts';
import type { JobAdded, JobEnd, JobRow, JobsLeft, NewJob, Verdict } from './jobs.ts';
import type {
  AnswerRow,
  Drift,
  FileRow,
  FillFailure,
  ForkEvidence,
  HeadRow,
  ImportChange,
  KeptFile,
  LeaseAttempt,
  Wish,
} from './metadata.ts';
import type { NewAccessToken } from './access-tokens.ts';
import type { AuditEntry } from './audit-trail.ts';
import type { OwnAppended, OwnEntry, OwnTile } from './own-log.ts';
import { AccessWrites } from './sqlite-access.ts';
import { JobWrites } from './sqlite-jobs.ts';
import { OwnLogWrites } from './sqlite-own-logs.ts';
import { fileOf, headOf, integer, valuesOfFile } from './sqlite-rows.ts';
import { Prepared } from './sqlite-prepared.ts';

/** More queries than this are not kept: the oldest go. Looked after at the first answer of a process, and every so many answers. */
const queriesMax = 10_000;
const queriesLookEvery = 256;

/** The same for drifts: an origin can offer other bytes at every request. */
const driftsMax = 10_000;
const driftsLookEvery = 64;

/** And for wishes, which come in batches. */
const wishesMax = 10_000;

type Uses = readonly { readonly key: BlobKey; readonly count: number; readonly lastUsedAtMs: number }[];

/**
 * The writes of metadata, each inside a transaction that somebody else begins and commits.
 * Arguments and results cross a thread, so they are plain data, and times are handed in by the caller.
 */
export class SqliteWrites {
  readonly #prepared: Prepared;
  readonly #leases: Leases;
  readonly #boot: string;
  readonly #ownLogs: OwnLogWrites;
  readonly #access: AccessWrites;
  readonly #jobs: JobWrites;
  readonly #owner: string;
  #answersRecorded = 0;
  #driftsRecorded = 0;

  constructor(database: DatabaseSync, owner: string) {
    this.#prepared = new Prepared(database);
    this.#leases = new Leases(this.#prepared, owner);
    this.#boot = bootOf(owner);
    this.#ownLogs = new OwnLogWrites(this.#prepared);
    this.#access = new AccessWrites(this.#prepared);
    this.#jobs = new JobWrites(this.#prepared, owner);
    this.#owner = owner;
  }

  recordFile(row: FileRow, nowUs: number, bytes?: Uint8Array): void {
    if (bytes !== undefined) this.keep(row.key, bytes, nowUs / 1000);
    const stored = this.#prepared.get('upsertFile', ...valuesOfFile(row));
    this.#prepared.run('touchFile', stored === undefined ? null : integer(stored, 'id'), Math.floor(row.storedAtMs));
    if (row.kind === 'info' || this.#prepared.get('isIndexed', row.module, row.version) !== undefined) return;
    this.#prepared.run('insertIndexEntry', Math.floor(nowUs), row.module, row.version);
  }

  recordImport({ rows, heads, settings }: ImportChange, nowUs: number): boolean {
    // What refuses comes before what writes.
    for (const { next, expectedTreeSize } of heads) if (!this.#mayAdvance(next, expectedTreeSize)) return false;
    if (rows.some((row) => this.#contradicts(row))) return false;
    for (const { next } of heads) this.#writeHead(next);
    for (const row of rows) this.recordFile(row, nowUs);
    for (const [name, value] of Object.entries(settings)) this.recordSetting(name, value);
    return true;
  }

  /** Somebody stored the same private version with other content meanwhile: what was served once stays what it is. */
  #contradicts({ key, proof, h1 }: FileRow): boolean {
    if (proof.kind !== 'private' || h1 === undefined) return false;
    const found = this.#prepared.get('file', key);
    const kept = found && fileOf(found);
    return kept?.proof.kind === 'private' && kept.h1 !== undefined && kept.h1 !== h1;
  }

  keep(key: BlobKey, bytes: Uint8Array, nowMs: number): void {
    this.#prepared.run('upsertKept', key, bytes, this.#boot, Math.floor(nowMs));
  }

  settled(files: readonly KeptFile[]): void {
    for (const { key, keptAtMs } of files) this.#prepared.run('deleteKeptAs', key, keptAtMs);
  }

  recordFingerprint(key: BlobKey, fingerprint: string): void {
    this.#prepared.run('updateFingerprint', fingerprint, key);
  }

  forgetFile(key: BlobKey, fingerprint: string | undefined): void {
    if (fingerprint === undefined) this.#prepared.run('deleteFile', key);
    else this.#prepared.run('deleteFileAs', key, fingerprint);
    this.#prepared.run('deleteKeptOfNone', key, key);
  }

  recordUses(uses: Uses): void {
    for (const { key, count, lastUsedAtMs } of uses) this.#prepared.run('addUses', count, Math.floor(lastUsedAtMs), key);
  }

  recordAnswer(row: AnswerRow): void {
    this.#prepared.run('upsertAnswer', row.name, row.body, row.origin, Math.floor(row.fetchedAtMs));
    this.#answersRecorded += 1;
    if (this.#answersRecorded % queriesLookEvery !== 1) return;
    const beyond = this.#prepared.get('queryBeyond', queriesMax);
    if (beyond !== undefined) this.#prepared.run('deleteQueriesUntil', integer(beyond, 'fetched_at_ms'));
  }

  advanceHead(next: HeadRow, expectedTreeSize: number | undefined): boolean {
    if (!this.#mayAdvance(next, expectedTreeSize)) return false;
    this.#writeHead(next);
    return true;
  }

  #writeHead({ database, treeSize, root, note }: HeadRow): void {
    this.#prepared.run('upsertHead', database, treeSize, root, note);
  }

  #mayAdvance(next: HeadRow, expectedTreeSize: number | undefined): boolean {
    if (this.#prepared.get('fork', next.database) !== undefined) {
      throw new HubError('log-forked', `the head of ${next.database} is frozen: two signed heads contradict each other`);
    }
    const row = this.#prepared.get('head', next.database);
    const kept = row === undefined ? undefined : headOf(row);
    if (kept?.treeSize !== expectedTreeSize) return false;
    return kept === undefined || next.treeSize > kept.treeSize || (next.treeSize === kept.treeSize && next.root === kept.root);
  }

  recordFork(evidence: ForkEvidence): void {
    this.#prepared.run(
      'insertFork',
      evidence.database,
      evidence.keptNote,
      evidence.contradictingNote,
      evidence.detail,
      Math.floor(evidence.seenAtMs),
    );
  }

  clearFork(database: string, forgetHead: boolean): void {
    this.#prepared.run('deleteFork', database);
    if (forgetHead) this.#prepared.run('deleteHead', database);
  }

  appendOwn(log: string, entries: readonly OwnEntry[], sizeMin: number): OwnAppended {
    return this.#ownLogs.append(log, entries, sizeMin);
  }

  dropOwnTiles(log: string, tiles: readonly Pick<OwnTile, 'level' | 'index'>[]): void {
    this.#ownLogs.dropTiles(log, tiles);
  }

  recordDrift({ module, version, kind, recordedHash, offeredHash, origin }: Drift, nowMs: number): boolean {
    const now = Math.floor(nowMs);
    const row = this.#prepared.get('upsertDrift', module, version, kind, recordedHash, offeredHash, origin, now, now);
    this.#forgetOldDrifts();
    return row !== undefined && integer(row, 'count') === 1;
  }

  #forgetOldDrifts(): void {
    this.#driftsRecorded += 1;
    if (this.#driftsRecorded % driftsLookEvery !== 1) return;
    const beyond = this.#prepared.get('driftBeyond', driftsMax);
    if (beyond !== undefined) this.#prepared.run('deleteDriftsUntil', integer(beyond, 'last_seen_ms'));
  }

  appendAudit(entries: readonly AuditEntry[]): void {
    this.#access.append(entries);
  }

  cutAudit(keepMax: number, nowMs: number): number {
    return this.#access.cut(keepMax, nowMs);
  }

  addAccessToken(token: NewAccessToken, told: AuditEntry): boolean {
    return this.#access.addToken(token, told);
  }

  revokeAccessToken(name: string, told: AuditEntry): 'revoked' | 'already' | 'absent' {
    return this.#access.revokeToken(name, told);
  }

  recordTokenUses(uses: readonly { readonly id: number; readonly lastUsedAtMs: number }[]): void {
    this.#access.recordUses(uses);
  }

  addJob(job: NewJob, nowMs: number, nonce: string | undefined): JobAdded {
    return this.#jobs.add(job, nowMs, nonce);
  }

  claimJobs(nowMs: number, limit: number, except: JobsLeft | undefined): JobRow[] {
    return this.#jobs.claim(nowMs, limit, except);
  }

  endJob(id: number, end: JobEnd, nowMs: number): boolean {
    return this.#jobs.end(id, end, nowMs);
  }

  holdVersion(...args: Parameters<JobWrites['hold']>): void {
    this.#jobs.hold(...args);
  }

  recordVerdict(...args: Parameters<JobWrites['recordVerdict']>): Verdict {
    return this.#jobs.recordVerdict(...args);
  }

  releaseVerdict(row: Parameters<JobWrites['release']>[0], nowMs: number, told: AuditEntry | undefined): boolean {
    const isReleased = this.#jobs.release(row, nowMs);
    if (isReleased && told !== undefined) this.#access.append([told]);
    return isReleased;
  }

  recordWishes(wishes: readonly Wish[], nowMs: number): void {
    const now = Math.floor(nowMs);
    for (const { module, version, count } of wishes) this.#prepared.run('upsertWish', module, version, now, now, count);
    const beyond = this.#prepared.get('wishBeyond', wishesMax);
    if (beyond !== undefined) this.#prepared.run('deleteWishesUntil', integer(beyond, 'last_seen_ms'));
  }

  forgetWishes(wishes: readonly Pick<Wish, 'module' | 'version'>[]): void {
    for (const { module, version } of wishes) this.#prepared.run('deleteWish', module, version);
  }

  recordSetting(name: string, value: string): void {
    this.#prepared.run('upsertSetting', name, value);
  }

  acquireLease(key: string, nowMs: number): LeaseAttempt {
    return this.#leases.acquire(key, nowMs);
  }

  releaseLease(key: string, failure: (FillFailure & { readonly failureTtlMs: number }) | undefined, nowMs: number): void {
    this.#leases.release(key, failure, nowMs);
  }

  /** And the jobs that were begun and not ended: whoever comes next does them. */
  releaseLeases(): void {
    this.#leases.releaseAll();
    this.#prepared.run('returnJobsOf', this.#owner);
  }
}

export type WriteName = keyof SqliteWrites;

/** One call of a method of {@link SqliteWrites} as plain data. */
export type WriteCall = { [K in WriteName]: { readonly name: K; readonly args: Parameters<SqliteWrites[K]> } }[WriteName];

/** These need to outlive a process, not a power cut: they are committed without waiting for the disk. */
export function isSoft(name: WriteName): boolean {
  return soft.has(name);
}

/** Tiles that the store has are dropped softly too: if one comes back it is put there once more. So are ends of jobs: one that comes back is done once more. */
const soft: ReadonlySet<WriteName> = new Set([
  'recordUses',
  'settled',
  'acquireLease',
  'releaseLease',
  'releaseLeases',
  'dropOwnTiles',
  'recordTokenUses',
  'claimJobs',
  'endJob',
]);
