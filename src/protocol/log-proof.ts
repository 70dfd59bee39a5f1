/**
 * A proof that a checksum database has a record, as a text that can be checked for ever with nothing but the database's key:
 *
 *     c2sp.org/tlog-proof@v1
 *     extra <base64 of the record's text>
 *     index <the record's number>
 *     <the hashes of the inclusion proof, base64, a line each, from the leaf's sibling upward>
 *
 *     <signed note of the tree, with whatever cosignatures it had>
 *
 * The format leaves it open what `extra` is and says that nobody may trust it; here it is what the leaf is the hash of, so that the proof
 * itself vouches for it. A proof of something else has no `extra` or another, and is refused. Files are called `….tlog-proof`.
 *
 * https://c2sp.org/tlog-proof
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ChecksumRecord, type SignedTree, openChecksumRecord, openTreeNote, parseCount, recordHash } from './checksum-record.ts';
import { type VerifierKey, decodeBase64, decodeUtf8 } from './note.ts';
import { provesInclusion } from './tree-proof.ts';
import { formatHashes, parseHashes } from './witness-request.ts';

/** More is no proof of a checksum record. */
export const LOG_PROOF_BYTES_MAX: number = 128 * 1024;

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';

/** A proof taken apart; nothing in it is believed yet. */
export interface LogProof {
  readonly recordId: number;
  /** The record's, with its last newline. */
  readonly text: string;
  readonly hashes: readonly Buffer[];
  readonly note: string;
}

export function formatLogProof({ recordId, text, hashes, note }: LogProof): string {
  return `${FIRST_LINE}\nextra ${Buffer.from(text).toString('base64')}\nindex ${recordId}\n${formatHashes(hashes)}\n${note}`;
}

export function parseLogProof(bytes: Uint8Array): Parsed<LogProof> {
  if (bytes.length > LOG_PROOF_BYTES_MAX) return refused(`the file is longer than ${LOG_PROOF_BYTES_MAX} bytes`);
  const whole = decodeUtf8(bytes);
  if (whole === undefined) return refused('the file is not UTF-8');
  const divide = whole.indexOf('\n\n');
  const [first, extra = '', index = '', ...lines] = whole.slice(0, Math.max(0, divide)).split('\n');
  if (first !== FIRST_LINE) return refused(`the file does not begin with ${FIRST_LINE}`);
  if (!extra.startsWith('extra ')) return refused('the proof has no record in its line extra');
  const record = decodeBase64(extra.slice('extra '.length));
  const text = record === undefined ? undefined : decodeUtf8(record);
  if (text === undefined || text === '') return refused('the line extra of the proof is no base64 of a text');
  const recordId = index.startsWith('index ') ? parseCount(index.slice('index '.length)) : undefined;
  if (recordId === undefined) return refused('the proof has no line of the form index NUMBER');
  const hashes = parseHashes(lines);
  return hashes.ok ? parsed({ recordId, text, hashes: hashes.value, note: whole.slice(divide + 2) }) : hashes;
}

/** The record and the tree that has it, if the proof holds under `key`. */
export function checkLogProof(proof: LogProof, key: VerifierKey): Parsed<{ readonly record: ChecksumRecord; readonly tree: SignedTree }> {
  const tree = openTreeNote(proof.note, key);
  if (!tree.ok) return tree;
  const { recordId, text, hashes } = proof;
  const { size, root } = tree.value;
  if (recordId >= size) return refused(`the signed tree of ${size} records has no record ${recordId}`);
  if (!provesInclusion({ recordId, treeSize: size, leaf: recordHash(text), root, proof: hashes }))
    return refused(`the hashes do not lead from record ${recordId} to the root of the signed tree`);
  const record = openChecksumRecord(text);
  return record.ok ? parsed({ record: record.value, tree: tree.value }) : record;
}
