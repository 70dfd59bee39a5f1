/**
 * What a checksum database says, taken apart.
 *
 * A tree note's text is `go.sum database tree`, the number of records, the base64 of the root, each on a line; further lines are allowed
 * and mean nothing, but a line that reads like a hash is refused: older go commands would take it for one, and the hub hands notes on. The
 * answer to a look-up is the record's number, its text, a blank line and a signed note:
 *
 *     942
 *     rsc.io/quote v1.5.2 h1:…
 *     rsc.io/quote v1.5.2/go.mod h1:…
 *
 *     <signed note of a tree that has the record>
 *
 * Only the record's text is in the log. Lines of the note must never count as hashes (CVE-2026-56864), and a true record of something
 * else is no answer (CVE-2026-42501): a record is accepted only when it is exactly the two lines of the module and version asked for.
 *
 * https://go.dev/design/25530-sumdb, https://pkg.go.dev/golang.org/x/mod/sumdb/tlog
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ModulePath, parseModulePath } from './module-path.ts';
import { type VerifierKey, decodeBase64, decodeUtf8, verifyNote } from './note.ts';
import { HASH_BYTES, leafHash } from './tree-hash.ts';
import { type Version, checkPathVersion } from './version.ts';

/** An answer to a look-up longer than this is refused. */
export const LOOKUP_BYTES_MAX: number = 64 * 1024;

/** A tree of the log, as its database signed it. */
export interface SignedTree {
  readonly size: number;
  readonly root: Buffer;
  /** The signed note, with the signature of its database alone. */
  readonly note: string;
}

/** An answer to a look-up taken apart; nothing in it is believed yet. */
export interface LookupAnswer {
  readonly recordId: number;
  /** With its last newline: what the leaf is the hash of. */
  readonly text: string;
  readonly note: string;
}

/** The hashes of one module version, each `h1:` and the base64 of 32 bytes. */
export interface RecordHashes {
  readonly zipHash: string;
  readonly modHash: string;
}

export interface ChecksumRecord extends RecordHashes {
  readonly module: ModulePath;
  readonly version: Version;
}

/** The origin line that every Go checksum database has. */
export const TREE_LINE = 'go.sum database tree';

/** The first three lines of a tree note's text. */
export function parseTreeNote(text: string): Parsed<{ readonly size: number; readonly root: Buffer }> {
  const [first, size, root, ...rest] = text.split('\n');
  if (first !== TREE_LINE || size === undefined || root === undefined || rest.length === 0)
    return refused('the text is no tree of a checksum database');
  const records = parseCount(size);
  if (records === undefined) return refused('the size of the tree is no number');
  const bytes = decodeBase64(root);
  if (bytes?.length !== HASH_BYTES) return refused('the root of the tree is no hash');
  if (rest.some((line) => / h[0-9]+:/.test(line))) return refused('the tree note has lines that pretend to be records');
  return parsed({ size: records, root: bytes });
}

/** The text of a tree note, to be signed. */
export function formatTreeNote(tree: { readonly size: number; readonly root: Uint8Array }): string {
  return `${TREE_LINE}\n${tree.size}\n${Buffer.from(tree.root).toString('base64')}\n`;
}

/** The tree, if `key` signed the note. */
export function openTreeNote(note: string, key: VerifierKey): Parsed<SignedTree> {
  const verified = verifyNote(note, key);
  if (!verified.ok) return verified;
  const tree = parseTreeNote(verified.value.text);
  return tree.ok ? parsed({ ...tree.value, note: verified.value.note }) : tree;
}

export function parseLookupAnswer(body: Uint8Array): Parsed<LookupAnswer> {
  if (body.length > LOOKUP_BYTES_MAX) return refused(`the answer is longer than ${LOOKUP_BYTES_MAX} bytes`);
  const answer = decodeUtf8(body);
  if (answer === undefined) return refused('the answer is not UTF-8');
  const line = answer.indexOf('\n');
  const recordId = parseCount(answer.slice(0, Math.max(0, line)));
  if (recordId === undefined) return refused('the answer does not begin with the number of a record');
  // The text has no blank line, so the first one ends it.
  const end = answer.indexOf('\n\n', line + 1);
  if (end < 0) return refused('the answer has no blank line after its record');
  return parsed({ recordId, text: answer.slice(line + 1, end + 1), note: answer.slice(end + 2) });
}

export function formatLookupAnswer({ recordId, text, note }: LookupAnswer): string {
  return `${recordId}\n${text}\n${note}`;
}

/** The two hashes of exactly this module version (neither escaped), and of nothing else. */
export function parseChecksumRecord(text: string, module: string, version: string): Parsed<RecordHashes> {
  const [zip, mod, end, ...rest] = text.split('\n');
  if (zip === undefined || mod === undefined || end !== '' || rest.length > 0) return refused('the record is not two lines');
  const zipHash = hashAfter(`${module} ${version} `, zip);
  const modHash = hashAfter(`${module} ${version}/go.mod `, mod);
  if (zipHash === undefined || modHash === undefined) return refused(`the record is not that of ${module}@${version}`);
  return parsed({ zipHash, modHash });
}

/** The record of whatever module version it is of, if it is well formed: two lines, a valid name, a canonical version, two hashes. */
export function openChecksumRecord(text: string): Parsed<ChecksumRecord> {
  const [name = '', plain = ''] = text.split(' ', 2);
  const module = parseModulePath(name);
  if (!module.ok) return module;
  const version = checkPathVersion(module.value, plain);
  if (!version.ok) return version;
  const hashes = parseChecksumRecord(text, name, plain);
  return hashes.ok ? parsed({ module: module.value, version: version.value, ...hashes.value }) : hashes;
}

export function formatChecksumRecord(record: { readonly module: string; readonly version: string } & RecordHashes): string {
  const { module, version, zipHash, modHash } = record;
  return `${module} ${version} ${zipHash}\n${module} ${version}/go.mod ${modHash}\n`;
}

/** The record's hash in level 0 of the log. */
export function recordHash(text: string): Buffer {
  return leafHash(Buffer.from(text));
}

/** Decimal digits as the log writes them: no sign, no leading zero, exact. */
export function parseCount(digits: string): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(digits)) return undefined;
  const count = Number(digits);
  return Number.isSafeInteger(count) ? count : undefined;
}

function hashAfter(prefix: string, line: string): string | undefined {
  if (!line.startsWith(prefix)) return undefined;
  const hash = line.slice(prefix.length);
  return hash.startsWith('h1:') && decodeBase64(hash.slice('h1:'.length))?.length === HASH_BYTES ? hash : undefined;
}
