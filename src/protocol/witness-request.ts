/**
 * What a log asks of a witness, `POST …/add-checkpoint`: the size of the tree that the witness is thought to have cosigned last, a
 * consistency proof from it, a blank line, and the signed note of the new tree.
 *
 *     old 20852014
 *     PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
 *
 *     go.sum database tree
 *     20852163
 *     …
 *
 * Numbers are decimal without leading zeros, hashes standard base64, at most 63 of them. A body is at most 64 KiB, which leaves room for the
 * long signatures of other witnesses. When the witness has another size it answers 409 with that size on a line, as `text/x.tlog.size`.
 *
 * https://c2sp.org/tlog-witness
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { parseCount } from './checksum-record.ts';
import { decodeBase64, decodeUtf8 } from './note.ts';
import { PROOF_HASHES_MAX } from './tree-proof.ts';
import { HASH_BYTES } from './tree-hash.ts';

export const WITNESS_BODY_BYTES_MAX: number = 64 * 1024;

/** Of the answer 409. */
export const TREE_SIZE_TYPE = 'text/x.tlog.size';

export interface WitnessRequest {
  readonly olderSize: number;
  readonly proof: readonly Buffer[];
  /** Nothing in it is believed yet. */
  readonly note: string;
}

export function formatWitnessRequest({ olderSize, proof, note }: WitnessRequest): string {
  return `old ${olderSize}\n${formatHashes(proof)}\n${note}`;
}

export function parseWitnessRequest(body: Uint8Array): Parsed<WitnessRequest> {
  if (body.length > WITNESS_BODY_BYTES_MAX) return refused(`the body is longer than ${WITNESS_BODY_BYTES_MAX} bytes`);
  const text = decodeUtf8(body);
  if (text === undefined) return refused('the body is not UTF-8');
  const divide = text.indexOf('\n\n');
  if (divide < 0) return refused('the body has no blank line before its note');
  const [first = '', ...lines] = text.slice(0, divide).split('\n');
  const olderSize = first.startsWith('old ') ? parseCount(first.slice('old '.length)) : undefined;
  if (olderSize === undefined) return refused('the body does not begin with a line of the form old SIZE');
  const proof = parseHashes(lines);
  return proof.ok ? parsed({ olderSize, proof: proof.value, note: text.slice(divide + 2) }) : proof;
}

/** The size in an answer 409. */
export function parseTreeSize(body: string): Parsed<number> {
  const size = body.endsWith('\n') ? parseCount(body.slice(0, -1)) : undefined;
  return size === undefined ? refused('the answer is no size of a tree') : parsed(size);
}

/** A line of base64 for each. */
export function formatHashes(hashes: readonly Uint8Array[]): string {
  return hashes.map((hash) => `${Buffer.from(hash).toString('base64')}\n`).join('');
}

export function parseHashes(lines: readonly string[]): Parsed<Buffer[]> {
  if (lines.length > PROOF_HASHES_MAX) return refused(`the proof has more than ${PROOF_HASHES_MAX} hashes`);
  const hashes: Buffer[] = [];
  for (const line of lines) {
    const hash = decodeBase64(line);
    if (hash?.length !== HASH_BYTES) return refused('a line of the proof is no hash');
    hashes.push(hash);
  }
  return parsed(hashes);
}
