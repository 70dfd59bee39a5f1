import type { BlobKey } from '../base/blob-key.ts';
import type { ErrorCode } from '../base/errors.ts';
import type { ArtefactKind } from '../base/events.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { Jobs } from './jobs.ts';
import type { OwnLogs } from './own-log.ts';

/** How a stored file was proved, or that it was not (`verify: off`; `.info` files, which no database covers). */
export type Proof =
  | {
      readonly kind: 'checksum-database';
      readonly database: string;
      readonly treeSize: number;
      readonly recordId: number;
      readonly provedAtMs: number;
    }
  /** Of a private module: made or taken in by this hub, whose row is the first record of its hash. Such a file never stands for a public module, nor the other way round. */
  | { readonly kind: 'private' }
  | { readonly kind: 'none' };

export type ModuleKind = 'public' | 'private';

/** One stored artefact: what it is, what its bytes are, where they came from and what proves them. */
export interface FileRow {
  readonly key: BlobKey;
  readonly kind: ArtefactKind;
  /** Module path and version as people write them (not escaped). */
  readonly module: string;
  readonly version: string;
  readonly sizeBytes: number;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
  readonly fingerprint: string;
  /** `h1:…` of the zip, or of the go.mod for kind `mod`; undefined for `.info`. */
  readonly h1: string | undefined;
  /** Which upstream served it, without credentials. */
  readonly origin: string;
  readonly proof: Proof;
  /** Milliseconds since the epoch. */
  readonly storedAtMs: number;
}

export interface UnusedFile extends FileRow {
  /** Milliseconds since the epoch; the time of storing when it was never used since. */
  readonly lastUsedAtMs: number;
}

/**
 * An answer that changes: a list, `@latest`, a query's result. Kept so that it can be served stale when every upstream is down.
 * Lists and `@latest` are as many as there are modules and stay; of queries (`….info`) some ten thousand do, the oldest go.
 */
export interface AnswerRow {
  /** e.g. `rsc.io/quote/@v/list`, escaped as in the URL. */
  readonly name: string;
  readonly body: string;
  readonly origin: string;
  /** Wall clock, milliseconds since the epoch, of the last confirmation by an upstream. */
  readonly fetchedAtMs: number;
}

/** The newest tree of a checksum database that was verified, as it was signed. */
export interface HeadRow {
  readonly database: string;
  readonly treeSize: number;
  /** Base64 of the 32-byte root. */
  readonly root: string;
  /** The whole signed note. */
  readonly note: string;
}

/** What changes at once when a bundle is taken in. */
export interface ImportChange {
  readonly rows: readonly FileRow[];
  /** Each with the size of the tree of the kept one; undefined: there is none. */
  readonly heads: readonly { readonly next: HeadRow; readonly expectedTreeSize: number | undefined }[];
  readonly settings: Readonly<Record<string, string>>;
}

/** Two signed notes that contradict each other, kept until an operator decides. */
export interface ForkEvidence {
  readonly database: string;
  readonly keptNote: string;
  readonly contradictingNote: string;
  readonly detail: string;
  readonly seenAtMs: number;
}

/** Why a fill that another process ran did not succeed, so that those who waited get the same answer. */
export interface FillFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

export type LeaseAttempt =
  | { readonly kind: 'acquired' }
  /** Somebody alive holds it: ask again soon. `ours`: this very Metadata does, which may never have heard that it got it, or failed to give it back. */
  | { readonly kind: 'held'; readonly ours: boolean }
  /** It ended in a failure a moment ago. */
  | { readonly kind: 'failed'; readonly failure: FillFailure };

/** A small file that was placed in the store and not settled there yet. */
export interface KeptFile {
  readonly key: BlobKey;
  /** Tells one placing of a key from the next; milliseconds since the epoch. */
  readonly keptAtMs: number;
}

export interface KeptBytes extends KeptFile {
  readonly bytes: Uint8Array;
  /** The machine has been started again since, or it is another one: what its memory had not written is lost. */
  readonly bootIsOver: boolean;
}

/** An origin offered other bytes for a version than those on record. They were refused; this is what is left of them. */
export interface Drift {
  readonly module: string;
  readonly version: string;
  readonly kind: 'mod' | 'zip';
  readonly recordedHash: string;
  readonly offeredHash: string;
  /** Who offered, without credentials. */
  readonly origin: string;
}

/** The same offer by the same origin is one row. Some ten thousand stay, those seen last. */
export interface DriftRow extends Drift {
  readonly id: number;
  /** Milliseconds since the epoch. */
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly count: number;
}

/** Something that was asked for while it could not be fetched. */
export interface Wish {
  readonly module: string;
  /** A canonical version, a query (`master`), or empty: any version. */
  readonly version: string;
  readonly count: number;
}

/** Some ten thousand stay, those asked for last. */
export interface WishRow extends Wish {
  /** Milliseconds since the epoch. */
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

export interface IndexEntry {
  readonly module: string;
  readonly version: string;
  /** Microseconds since the epoch, strictly growing over the feed. */
  readonly storedAtUs: number;
}

/**
 * Facts shared by every worker and replica. Writes are durable when they resolve, except leases and usage, which only need to outlive a process.
 * @throws {HubError} storage-full or storage-fault from every method when the database fails
 */
export interface Metadata extends OwnLogs, AccessTokens, AuditTrail, Jobs, AsyncDisposable {
  file(key: BlobKey): Promise<FileRow | undefined>;
  /**
   * Adds or replaces the row; the first `mod` or `zip` of a version enters it into the index feed, once and for ever. Concurrent calls share a transaction.
   * With `bytes` the file was only placed: they are kept as by {@link keep}, in the same transaction.
   */
  recordFile(row: FileRow, bytes?: Uint8Array): Promise<void>;
  /** Keeps the bytes of a small file that was placed in the store, until it is settled there. */
  keep(key: BlobKey, bytes: Uint8Array): Promise<void>;
  /** What was placed at or before that time, and what is older than the `newestMax` youngest, oldest first. */
  keptUntil(cutoffMs: number, options: { newestMax: number; limit: number }): Promise<readonly KeptFile[]>;
  /** Everything kept, in key order after a key (exclusive). */
  keptAfter(key: BlobKey | undefined, limit: number): Promise<readonly KeptBytes[]>;
  /** They are on the disk; what was placed anew since then stays kept. */
  settled(files: readonly KeptFile[]): Promise<void>;
  /** The file was found unchanged by digest after somebody touched it. */
  recordFingerprint(key: BlobKey, fingerprint: string): Promise<void>;
  /** The bytes kept of it go as well. With a fingerprint only the row that has it goes: by then another process may have stored the file anew. */
  forgetFile(key: BlobKey, fingerprint?: string): Promise<void>;
  /** Rows in key order after a key (exclusive), for the scrubber. */
  filesAfter(key: BlobKey | undefined, limit: number): Promise<readonly FileRow[]>;
  /** Stored versions of one module that have a `zip`, in no particular order: those that were stored while it was of that kind. */
  storedVersions(module: string, of: ModuleKind): Promise<readonly string[]>;
  totals(): Promise<{ readonly files: number; readonly sizeBytes: number; readonly versions: number }>;

  /** Adds to the count of uses and moves `last used` forward. */
  recordUses(uses: readonly { readonly key: BlobKey; readonly count: number; readonly lastUsedAtMs: number }[]): Promise<void>;
  /** Files of public modules whose last use (or storing) is before the cutoff, oldest first; `after` is the last one of the page before. */
  filesUnusedSince(cutoffMs: number, limit: number, after?: Pick<UnusedFile, 'key' | 'lastUsedAtMs'>): Promise<readonly UnusedFile[]>;

  /** Everything of an import in one transaction, or nothing: false when a kept head is not the expected one any more, or a private version is here with other content. @throws {HubError} as {@link advanceHead} */
  recordImport(change: ImportChange): Promise<boolean>;

  answer(name: string): Promise<AnswerRow | undefined>;
  recordAnswer(row: AnswerRow): Promise<void>;

  head(database: string): Promise<HeadRow | undefined>;
  /** Compare-and-swap: succeeds only while the kept head still has `expectedTreeSize` (undefined: there is none). Never moves back. Durable. @throws {HubError} log-forked as well, while a fork is kept */
  advanceHead(next: HeadRow, expectedTreeSize: number | undefined): Promise<boolean>;
  /** Keeps the evidence; from now on `fork` answers it and nothing of this database is believed. The first evidence stays. */
  recordFork(evidence: ForkEvidence): Promise<void>;
  fork(database: string): Promise<ForkEvidence | undefined>;
  /** An operator decided: the evidence is removed and, if `forgetHead`, so is the head. */
  clearFork(database: string, options: { forgetHead: boolean }): Promise<void>;

  /** One holder a key among all living processes; a dead owner's lease is void at once. */
  acquireLease(key: string): Promise<LeaseAttempt>;
  /** Whether somebody has it, dead or alive: a cheap look, for hints only. */
  isLeaseHeld(key: string): Promise<boolean>;
  /** A failure is remembered for `failureTtlMs`, so that the herd that waited fails together instead of one after another. */
  releaseLease(key: string, failure?: FillFailure & { readonly failureTtlMs: number }): Promise<void>;

  /** Entries stored at or after `sinceUs`, oldest first; none that the gate blocked or has not decided. What may be seen later counts as stored then. */
  indexSince(sinceUs: number, limit: number): Promise<readonly IndexEntry[]>;

  /** Answers whether this offer is seen for the first time. */
  recordDrift(drift: Drift, nowMs: number): Promise<boolean>;
  /** The newest first, in the order of their first sight; `before` is the `id` of the last one of the page before. */
  drifts(limit: number, before?: number): Promise<readonly DriftRow[]>;

  /** Adds to what was asked for before. */
  recordWishes(wishes: readonly Wish[], nowMs: number): Promise<void>;
  /** In the order of modules and versions. */
  wishes(limit: number): Promise<readonly WishRow[]>;
  forgetWishes(wishes: readonly Pick<Wish, 'module' | 'version'>[]): Promise<void>;

  setting(name: string): Promise<string | undefined>;
  recordSetting(name: string, value: string): Promise<void>;
}
