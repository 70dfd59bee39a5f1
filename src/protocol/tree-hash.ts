/**
 * The Merkle tree of a transparent log: a leaf is `sha256(0x00 ‖ record)`, a node `sha256(0x01 ‖ left ‖ right)`, the empty tree
 * `sha256("")`; a tree of n leaves divides at the largest power of two below n. RFC 6962 §2.1, https://research.swtch.com/tlog
 */
import { hash } from 'node:crypto';
import { invariant } from '../base/invariant.ts';

/** Bytes of one hash. */
export const HASH_BYTES = 32;

export const EMPTY_ROOT: Buffer = hash('sha256', '', 'buffer');

export function leafHash(record: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(1 + record.length);
  input[0] = 0;
  input.set(record, 1);
  return hash('sha256', input, 'buffer');
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(1 + 2 * HASH_BYTES);
  input[0] = 1;
  input.set(left, 1);
  input.set(right, 1 + HASH_BYTES);
  return hash('sha256', input, 'buffer');
}

/** The root of a whole subtree from the hashes of its leaves, one after the other; their count is a power of two. */
export function subtreeHash(leaves: Uint8Array): Buffer {
  const count = leaves.length / HASH_BYTES;
  invariant(count >= 1 && (count & (count - 1)) === 0, `a whole subtree cannot have ${count} leaves`);
  let row: Uint8Array[] = [];
  for (let at = 0; at < leaves.length; at += HASH_BYTES) row.push(leaves.subarray(at, at + HASH_BYTES));
  while (row.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < row.length; i += 2) above.push(nodeHash(row[i]!, row[i + 1]!));
    row = above;
  }
  return Buffer.from(row[0]!);
}
