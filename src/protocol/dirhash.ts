/**
 * Directory hashes as they stand in go.sum and in the checksum database.
 *
 * - `h1:` + base64(SHA-256 of the summary); the summary has, for each file in byte order of the UTF-8 names, one line
 *   `<64 hex digits of the content's SHA-256>  <name>\n`. A zip's names are whole (`PATH@VERSION/rel`); a go.mod file is hashed as one file named `go.mod`.
 * - A name with a newline would stand as two lines, so that two different zips had one hash. Such a name is refused before anything is hashed.
 *
 * https://pkg.go.dev/golang.org/x/mod/sumdb/dirhash, https://go.dev/ref/mod#go-sum-files
 */
import { createHash, hash } from 'node:crypto';
import type { Branded } from '../base/brand.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';

/** `h1:` and the base64 of 32 bytes in its one canonical spelling. */
export type Hash = Branded<string, 'Hash'>;

export interface HashedFile {
  /** Well-formed Unicode text, as it stands in the zip. */
  readonly name: string;
  /** SHA-256 of the content, 64 lower-case hex digits. */
  readonly sha256: string;
}

// 43 digits carry 258 bits for 256: the last digit's two low bits must be zero, or one hash had four spellings.
const CANONICAL_H1 = /^h1:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** Accepts `h1:` hashes only, each in one spelling. */
export function parseHash(text: string): Parsed<Hash> {
  return CANONICAL_H1.test(text) ? parsed(text as Hash) : refused('hash is not h1: and the base64 of 32 bytes');
}

/** The hash of a go.mod file, as in `PATH VERSION/go.mod h1:…`. */
export function hashGoMod(bytes: Uint8Array): Hash {
  return goModHashOfDigest(hash('sha256', bytes, 'hex'));
}

/** The same, from the SHA-256 of the file: 64 lower-case hex digits. */
export function goModHashOfDigest(sha256: string): Hash {
  return `h1:${hash('sha256', `${sha256}  go.mod\n`, 'base64')}` as Hash;
}

/** The hash over all files of a zip, given in any order (`dirhash.Hash1`). Refuses a name with a newline. */
export function hashFiles(files: readonly HashedFile[]): Parsed<Hash> {
  const summary = createHash('sha256');
  let lines = '';
  for (const { name, sha256 } of inByteOrder(files)) {
    if (name.includes('\n')) return refused(`file name ${JSON.stringify(name)} has a newline`);
    lines += `${sha256}  ${name}\n`;
    if (lines.length >= SUMMARY_PART_LENGTH) {
      summary.update(lines);
      lines = '';
    }
  }
  return parsed(`h1:${summary.update(lines).digest('base64')}` as Hash);
}

const SUMMARY_PART_LENGTH = 64 * 1024;

/**
 * JavaScript compares UTF-16 units. That is the order of UTF-8 bytes except between letters beyond U+FFFF, which are written with units below
 * U+E000, and those from U+E000 on: only when there is one of the former are bytes compared.
 */
function inByteOrder(files: readonly HashedFile[]): readonly HashedFile[] {
  if (files.some(({ name }) => /[\ud800-\udfff]/.test(name))) {
    const keyed = files.map((file) => ({ file, bytes: Buffer.from(file.name) }));
    return keyed.toSorted((a, b) => Buffer.compare(a.bytes, b.bytes)).map(({ file }) => file);
  }
  for (let i = 1; i < files.length; i++) {
    if ((files[i] as HashedFile).name < (files[i - 1] as HashedFile).name)
      return files.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }
  return files;
}
