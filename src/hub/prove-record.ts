import { HubError } from '../base/errors.ts';
import { type SignedTree, openTreeNote, parseChecksumRecord, parseLookupAnswer, recordHash } from '../protocol/checksum-record.ts';
import type { LogProof } from '../protocol/log-proof.ts';
import { type VerifierKey, decodeUtf8, parseNote } from '../protocol/note.ts';
import type { HashTile } from '../protocol/tile.ts';
import { hashRanges, inclusionRanges, provesInclusion } from '../protocol/tree-proof.ts';
import type { LogReader } from '../origin/log-reader.ts';
import { Findings } from './audit-findings.ts';
import { AuditTree } from './audit-tree.ts';

export interface ProveRequest {
  readonly reader: LogReader;
  readonly key: VerifierKey;
  /** Neither escaped. */
  readonly module: string;
  readonly version: string;
}

/**
 * Asks a log for a record and makes a proof of it that holds without the log, with the note that has the most signatures: witnesses often sign
 * `latest` only.
 * @throws {HubError} not-found when there is no such record; log-invalid when what the log answers does not verify; upstream-refused, origin-unavailable, origin-timeout
 */
export async function proveRecord({ reader, key, module, version }: ProveRequest, signal: AbortSignal): Promise<LogProof> {
  const what = `the record of ${module}@${version}`;
  const answer = await reader.lookup(module, version, signal);
  if (answer.kind === 'refused') throw new HubError('upstream-refused', `${reader.origin} does not give us ${what} (${answer.status})`);
  if (answer.kind === 'absent') throw new HubError('not-found', `${reader.origin} has no record of ${module}@${version}`);
  const lookup = parseLookupAnswer(answer.bytes);
  if (!lookup.ok) throw new HubError('log-invalid', `${what}: ${lookup.reason}`);
  const { recordId, text } = lookup.value;
  const record = parseChecksumRecord(text, module, version);
  if (!record.ok) throw new HubError('log-invalid', record.reason);
  const own = openTreeNote(lookup.value.note, key);
  if (!own.ok) throw new HubError('log-invalid', `${what}: ${own.reason}`);
  if (recordId >= own.value.size) throw new HubError('log-invalid', `the tree that was given with ${what} does not have it`);
  const latest = await readLatest(reader, key, signal);
  const isBetter = latest !== undefined && latest.tree.size > recordId && signaturesOf(latest.note) > signaturesOf(lookup.value.note);
  const { tree, note } = isBetter ? latest : { tree: own.value, note: lookup.value.note };

  const hashes = await readProof({ reader, recordId, tree }, signal);
  if (!provesInclusion({ recordId, treeSize: tree.size, root: tree.root, leaf: recordHash(text), proof: hashes }))
    throw new HubError('log-invalid', `${what} is not record ${recordId} of the signed tree of ${tree.size} records`);
  return { recordId, text, hashes, note };
}

async function readLatest(
  reader: LogReader,
  key: VerifierKey,
  signal: AbortSignal,
): Promise<{ readonly tree: SignedTree; readonly note: string } | undefined> {
  const answer = await reader.latest(signal);
  const note = answer.kind === 'found' ? decodeUtf8(answer.bytes) : undefined;
  const tree = note === undefined ? undefined : openTreeNote(note, key);
  return note !== undefined && tree?.ok === true ? { tree: tree.value, note } : undefined;
}

function signaturesOf(note: string): number {
  const taken = parseNote(note);
  return taken.ok ? taken.value.signatures.length : 0;
}

/** @throws {HubError} log-invalid */
async function readProof(
  { reader, recordId, tree: head }: { readonly reader: LogReader; readonly recordId: number; readonly tree: SignedTree },
  signal: AbortSignal,
): Promise<Buffer[]> {
  const findings = new Findings();
  const tree = await AuditTree.open({ head, reader, findings, readsRecords: false }, signal);
  const read = async ({ level, index }: HashTile): Promise<Buffer> => {
    const bytes = await tree?.tile(level, index, signal);
    if (bytes === undefined) throw new HubError('log-invalid', findings.list[0]?.what ?? 'the tiles of the log do not verify');
    return bytes;
  };
  if (tree === undefined) throw new HubError('log-invalid', findings.list[0]?.what ?? 'the tiles of the log do not verify');
  return hashRanges(inclusionRanges(recordId, head.size), head.size, read);
}
