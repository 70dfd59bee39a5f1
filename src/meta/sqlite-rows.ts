import type { SQLInputValue } from 'node:sqlite';
import type { BlobKey } from '../base/blob-key.ts';
import type { ArtefactKind } from '../base/events.ts';
import { invariant } from '../base/invariant.ts';
import type { AnswerRow, DriftRow, FileRow, ForkEvidence, HeadRow, IndexEntry, KeptFile, Proof, WishRow } from './metadata.ts';
import type { Row } from './sqlite-prepared.ts';

/** In the order of the statement `upsertFile`. */
export function valuesOfFile(row: FileRow): SQLInputValue[] {
  const proof = row.proof.kind === 'checksum-database' ? row.proof : undefined;
  return [
    row.key,
    row.kind,
    row.module,
    row.version,
    row.sizeBytes,
    row.sha256,
    row.fingerprint,
    row.h1 ?? null,
    row.origin,
    proof?.database ?? null,
    proof?.treeSize ?? null,
    proof?.recordId ?? null,
    proof === undefined ? null : Math.floor(proof.provedAtMs),
    Math.floor(row.storedAtMs),
    row.proof.kind === 'private' ? 1 : 0,
  ];
}

export function fileOf(row: Row): FileRow {
  return {
    key: text(row, 'key') as BlobKey,
    kind: text(row, 'kind') as ArtefactKind,
    module: text(row, 'module'),
    version: text(row, 'version'),
    sizeBytes: integer(row, 'size_bytes'),
    sha256: text(row, 'sha256'),
    fingerprint: text(row, 'fingerprint'),
    h1: row['h1'] === null ? undefined : text(row, 'h1'),
    origin: text(row, 'origin'),
    proof: proofOf(row),
    storedAtMs: integer(row, 'stored_at_ms'),
  };
}

function proofOf(row: Row): Proof {
  if (integer(row, 'private') === 1) return { kind: 'private' };
  if (row['proof_database'] === null) return { kind: 'none' };
  return {
    kind: 'checksum-database',
    database: text(row, 'proof_database'),
    treeSize: integer(row, 'proof_tree_size'),
    recordId: integer(row, 'proof_record_id'),
    provedAtMs: integer(row, 'proved_at_ms'),
  };
}

export function answerOf(row: Row): AnswerRow {
  return {
    name: text(row, 'name'),
    body: text(row, 'body'),
    origin: text(row, 'origin'),
    fetchedAtMs: integer(row, 'fetched_at_ms'),
  };
}

export function headOf(row: Row): HeadRow {
  return {
    database: text(row, 'checksum_database'),
    treeSize: integer(row, 'tree_size'),
    root: text(row, 'root'),
    note: text(row, 'note'),
  };
}

export function forkOf(row: Row): ForkEvidence {
  return {
    database: text(row, 'checksum_database'),
    keptNote: text(row, 'kept_note'),
    contradictingNote: text(row, 'contradicting_note'),
    detail: text(row, 'detail'),
    seenAtMs: integer(row, 'seen_at_ms'),
  };
}

export function driftOf(row: Row): DriftRow {
  return {
    id: integer(row, 'id'),
    module: text(row, 'module'),
    version: text(row, 'version'),
    kind: text(row, 'kind') as DriftRow['kind'],
    recordedHash: text(row, 'recorded_hash'),
    offeredHash: text(row, 'offered_hash'),
    origin: text(row, 'origin'),
    firstSeenMs: integer(row, 'first_seen_ms'),
    lastSeenMs: integer(row, 'last_seen_ms'),
    count: integer(row, 'count'),
  };
}

export function wishOf(row: Row): WishRow {
  return {
    module: text(row, 'module'),
    version: text(row, 'version'),
    firstSeenMs: integer(row, 'first_seen_ms'),
    lastSeenMs: integer(row, 'last_seen_ms'),
    count: integer(row, 'count'),
  };
}

export function indexEntryOf(row: Row): IndexEntry {
  return { module: text(row, 'module'), version: text(row, 'version'), storedAtUs: integer(row, 'stored_at_us') };
}

export function keptOf(row: Row): KeptFile {
  return { key: text(row, 'key') as BlobKey, keptAtMs: integer(row, 'kept_at_ms') };
}

export function blob(row: Row, column: string): Uint8Array {
  const value = row[column];
  invariant(value instanceof Uint8Array, `column ${column} is no blob`);
  return value;
}

/** Tables are STRICT, so a column of another type is a slip in the statement. */
export function text(row: Row, column: string): string {
  const value = row[column];
  invariant(typeof value === 'string', `column ${column} is no text`);
  return value;
}

export function integer(row: Row, column: string): number {
  const value = row[column];
  invariant(typeof value === 'number', `column ${column} is no integer`);
  return value;
}
