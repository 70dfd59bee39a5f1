import type { ErrorCode } from './errors.ts';

export type ArtefactKind = 'info' | 'mod' | 'zip';

/** How a request was answered from the hub's point of view. */
export type CacheOutcome = 'hit' | 'stale' | 'miss' | 'negative';

/**
 * Everything an operator can see, each as one call that writes its log line (where there is one) and bumps its counter.
 * Labels take few values: never a module path. `server/telemetry.ts` is the real one; `silentEvents` is for tests.
 */
export interface Events {
  /** One answer from an upstream or a database's transport; `upstream` is the configured name, `seconds` to the first byte. */
  upstreamAnswered(e: {
    upstream: string;
    outcome: 'found' | 'absent' | 'refused' | 'fault' | 'canceled';
    seconds: number;
    detail?: string;
  }): void;
  upstreamBytes(e: { upstream: string; sizeBytes: number }): void;
  breakerMoved(e: { upstream: string; state: 'closed' | 'open' | 'half-open'; reason: string }): void;
  /** How many exchanges at once an upstream may have from now on, and what has taught the hub so. */
  limitMoved(e: { upstream: string; limit: number; cause: 'start' | 'answered' | 'pressed' | 'strained' }): void;
  /** A large body came in pieces over several streams; `gave-up`: at least its end came over one, because more were of no use or not to be had. */
  bodySplit(e: { upstream: string; outcome: 'split' | 'gave-up' }): void;
  filled(e: {
    kind: ArtefactKind;
    outcome: 'stored' | ErrorCode;
    seconds: number;
    sizeBytes: number;
    module: string;
    version: string;
    origin: string;
  }): void;
  cached(e: { kind: ArtefactKind | 'list' | 'latest' | 'query' | 'lookup' | 'tile'; outcome: CacheOutcome }): void;
  /** Bytes, a record or a log that do not verify. Always an error line: somebody lies or something is broken. */
  verificationFailed(e: { reason: ErrorCode; subject: string; detail: string }): void;
  /** An origin offered other bytes for a version than those on record: they were refused. Always a warning line. */
  drifted(e: { module: string; version: string; kind: 'mod' | 'zip'; recordedHash: string; offeredHash: string; origin: string }): void;
  /** A file was fetched before anybody asked for it, or one of those was asked for: what was fetched and never used is waste. */
  lookedAhead(e: { outcome: 'fetched' | 'used'; sizeBytes: number }): void;
  headAdvanced(e: { database: string; treeSize: number }): void;
  /** A stored file differed from what was sealed and was set aside. */
  fileSetAside(e: { key: string; reason: string }): void;
  storageDegraded(e: { reason: string }): void;
  /** A webhook was answered; what could not be stored is not among it. */
  hookAnswered(e: { kind: string; outcome: 'taken' | 'repeated' | 'ignored' | 'unauthorized' | 'malformed' }): void;
  /** A job was tried. `again`: it failed for now, and will be tried again. */
  jobTried(e: {
    kind: string;
    subject: string;
    outcome: 'done' | 'failed' | 'again';
    attempts: number;
    seconds: number;
    detail: string;
  }): void;
  /** The gate decided about a version, or found it decided. */
  gated(e: { module: string; version: string; verdict: 'archive' | 'block' | 'released'; reason: string }): void;
}

const ignore = (): void => {};

export const silentEvents: Events = {
  upstreamAnswered: ignore,
  upstreamBytes: ignore,
  breakerMoved: ignore,
  limitMoved: ignore,
  bodySplit: ignore,
  filled: ignore,
  cached: ignore,
  verificationFailed: ignore,
  drifted: ignore,
  lookedAhead: ignore,
  headAdvanced: ignore,
  fileSetAside: ignore,
  storageDegraded: ignore,
  hookAnswered: ignore,
  jobTried: ignore,
  gated: ignore,
};
