/**
 * How a signed head is written down: a line of its own, `DIGEST JSON`, where DIGEST is the first 16 hex digits of the SHA-256 of the JSON.
 * Every line has a newline on both sides, so that what a crash left half-written spoils itself alone; blank lines and lines whose digest does not
 * fit count as never written.
 */
import { hash } from 'node:crypto';
import { invariant } from '../base/invariant.ts';
import { decodeBase64, NOTE_BYTES_MAX } from '../protocol/note.ts';

/** The newest tree that a database of our own has signed. */
export interface SignedHead {
  readonly name: string;
  readonly treeSize: number;
  /** Base64 of the 32-byte root. */
  readonly root: string;
  /** The whole signed note. */
  readonly note: string;
}

export interface HeadLines {
  readonly heads: readonly SignedHead[];
  /** Neither blank nor whole. */
  readonly broken: number;
  /** How many bytes were looked at: what follows the last newline may still be on its way. */
  readonly readBytes: number;
}

/** Fails for what no tree and no signer can be. */
export function checkHead({ treeSize, root, note }: SignedHead): void {
  invariant(Number.isSafeInteger(treeSize) && treeSize >= 0, 'a tree has a size');
  invariant(decodeBase64(root)?.length === 32, 'a root is 32 bytes in base64');
  invariant(Buffer.byteLength(note) <= NOTE_BYTES_MAX, 'a note is not longer than a note may be');
}

export function formatHeadLine({ name, treeSize, root, note }: SignedHead): string {
  const json = JSON.stringify({ name, treeSize, root, note });
  return `\n${digestOf(json)} ${json}\n`;
}

/** Every whole line of `bytes` in their order. Inverts {@link formatHeadLine}. */
export function parseHeadLines(bytes: Buffer): HeadLines {
  const readBytes = bytes.lastIndexOf(0x0a) + 1;
  const lines = bytes.toString('utf8', 0, readBytes).split('\n');
  const written = lines.filter((line) => line !== '');
  const heads = written.flatMap((line) => parseHeadLine(line) ?? []);
  return { heads, broken: written.length - heads.length, readBytes };
}

function parseHeadLine(line: string): SignedHead | undefined {
  const json = line.slice(DIGEST_LENGTH + 1);
  if (line.slice(0, DIGEST_LENGTH + 1) !== `${digestOf(json)} `) return undefined;
  // The digest fits, so this is what was written.
  return JSON.parse(json) as SignedHead;
}

const DIGEST_LENGTH = 16;

function digestOf(json: string): string {
  return hash('sha256', json).slice(0, DIGEST_LENGTH);
}
