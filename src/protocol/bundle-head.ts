/**
 * What the creator of a bundle signs: a note (`note.ts`) whose text is
 *
 *     goyi bundle 1
 *     created 2026-11-25T21:00:00Z
 *     source http://hub.corp.example
 *     database sum.golang.org
 *     tree 45678901 BASE64               records and root of the database's tree under which everything public is proved
 *     own hub.corp.example/sumdb 123 BASE64    the same of the log of the hub outside, which proves private modules; or: none
 *     parent 6f1e…                       or: none
 *     manifest 9c0a… 123456              SHA-256 and bytes of the manifest
 *     carries 1234 files, 56789012 bytes
 *
 * The digest of a bundle is the SHA-256 of this text, so that it names manifest, time and parent together: the fields cannot be mixed with those of
 * another bundle, a bundle cannot be passed off as newer than it is, and how much has to be read is known before it is read (the attacks that The
 * Update Framework lists). https://theupdateframework.io/docs/security/
 */
import { hash } from 'node:crypto';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type Sm2Part, splitSm2 } from './bundle-sm2.ts';
import { isDatabaseName } from './layout.ts';
import { type VerifierKey, verifyNote } from './note.ts';

/** Name of the key that signs bundles: who it is tells the hash in the key. */
export const BUNDLE_KEY_NAME = 'goyi-bundle';

/** Of one manifest; some four hundred thousand files. */
export const MANIFEST_BYTES_MAX: number = 64 * 1024 * 1024;
export const SOURCE_LENGTH_MAX = 500;

/** A tree of a checksum database. */
export interface TreeName {
  readonly size: number;
  /** Base64 of 32 bytes. */
  readonly root: string;
}

/** A tree, and whose it is. */
export interface DatabaseTree extends TreeName {
  readonly database: string;
}

export interface BundleHead {
  /** To the second, in UTC: `2026-11-25T21:00:00Z`. */
  readonly created: string;
  /** Where the files are from; one printable word. */
  readonly source: string;
  /** The checksum database that proves them. */
  readonly database: string;
  readonly tree: TreeName;
  /** The log that the hub outside signs, which proves private modules. */
  readonly own: DatabaseTree | undefined;
  /** Digest of the bundle that this one adds to. */
  readonly parent: string | undefined;
  readonly manifestSha256: string;
  readonly manifestBytes: number;
  /** Files that the bundle itself has, and their bytes together. */
  readonly files: number;
  readonly sizeBytes: number;
}

const FIRST_LINE = 'goyi bundle 1';

export function formatBundleHead(head: BundleHead): string {
  const { created, source, database, tree, own, parent, manifestSha256, manifestBytes, files, sizeBytes } = head;
  return [
    FIRST_LINE,
    `created ${created}`,
    `source ${source}`,
    `database ${database}`,
    `tree ${tree.size} ${tree.root}`,
    `own ${own === undefined ? 'none' : `${own.database} ${own.size} ${own.root}`}`,
    `parent ${parent ?? 'none'}`,
    `manifest ${manifestSha256} ${manifestBytes}`,
    `carries ${files} files, ${sizeBytes} bytes`,
    '',
  ].join('\n');
}

const pattern = new RegExp(
  [
    `^${FIRST_LINE}`,
    String.raw`created (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)`,
    String.raw`source ([\x21-\x7e]{1,${SOURCE_LENGTH_MAX}})`,
    String.raw`database (\S{1,255})`,
    String.raw`tree (\d{1,16}) ([A-Za-z0-9+/]{43}=)`,
    String.raw`own (?:none|(\S{1,255}) (\d{1,16}) ([A-Za-z0-9+/]{43}=))`,
    'parent (none|[0-9a-f]{64})',
    String.raw`manifest ([0-9a-f]{64}) (\d{1,9})`,
    String.raw`carries (\d{1,9}) files, (\d{1,15}) bytes`,
    '$',
  ].join(String.raw`\n`),
);

/** Inverts {@link formatBundleHead}, to the byte. */
export function parseBundleHead(text: string): Parsed<BundleHead> {
  const fields = pattern.exec(text) ?? [];
  const [, created = '', source = '', database = '', size, root = '', ownName, ownSize, ownRoot = '', ...rest] = fields;
  const [parent = '', manifestSha256 = '', manifestBytes, files, sizeBytes] = rest;
  if (created === '')
    return refused(text.startsWith('goyi bundle ') ? 'it is of a newer kind than this goyi knows' : 'it is no bundle of goyi');
  const head: BundleHead = {
    created,
    source,
    database,
    tree: { size: Number(size), root },
    own: ownName === undefined ? undefined : { database: ownName, size: Number(ownSize), root: ownRoot },
    parent: parent === 'none' ? undefined : parent,
    manifestSha256,
    manifestBytes: Number(manifestBytes),
    files: Number(files),
    sizeBytes: Number(sizeBytes),
  };
  if (!databasesOf(head).every(isDatabaseName) || isBelow(ownName, database) || isBelow(database, ownName))
    return refused('its head names no checksum databases that can stand beside each other');
  if (createdMs(head) === undefined || formatBundleHead(head) !== text) return refused('its head is malformed');
  if (head.manifestBytes > MANIFEST_BYTES_MAX) return refused(`its manifest is longer than ${MANIFEST_BYTES_MAX} bytes`);
  return parsed(head);
}

/** One would have its files among those of the other; names are folders, and a disk may ignore case. */
function isBelow(name: string | undefined, other: string | undefined): boolean {
  return name !== undefined && other !== undefined && `${name}/`.toLowerCase().startsWith(`${other}/`.toLowerCase());
}

/** Whose records it has. */
export function databasesOf({ database, own }: Pick<BundleHead, 'database' | 'own'>): readonly string[] {
  return own === undefined ? [database] : [database, own.database];
}

/** Milliseconds since the epoch; undefined for a day that no calendar has. */
export function createdMs({ created }: Pick<BundleHead, 'created'>): number | undefined {
  const ms = Date.parse(created);
  return Number.isNaN(ms) || formatCreated(ms) !== created ? undefined : ms;
}

export function formatCreated(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** 64 lower-case hex digits. */
export function bundleDigest(headText: string): string {
  return hash('sha256', headText);
}

/** A head that was signed, and by whom. */
export interface OpenedHead {
  readonly head: BundleHead;
  readonly key: VerifierKey;
  readonly digest: string;
  /** What SM2 says of it, not verified yet. */
  readonly sm2: Sm2Part | undefined;
}

/** The head, if one of these keys signed it. */
export function openBundleHead(note: string, keys: readonly VerifierKey[]): Parsed<OpenedHead> {
  let reason = 'no key is trusted to sign bundles';
  for (const key of keys) {
    const verified = verifyNote(note, key);
    if (!verified.ok) {
      reason = verified.reason;
      continue;
    }
    // Bytes that nobody signed, such as more signatures, would be bytes that anybody can change.
    if (verified.value.note !== note) return refused('the note has more in it than its one signature');
    const parts = splitSm2(verified.value.text);
    if (!parts.ok) return parts;
    const { headText, sm2 } = parts.value;
    const head = parseBundleHead(headText);
    return head.ok ? parsed({ head: head.value, key, digest: bundleDigest(headText), sm2 }) : head;
  }
  return refused(reason);
}
