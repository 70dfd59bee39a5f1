/**
 * The headers of tar archives, as far as archives of Go need them.
 *
 * - Written: ustar, regular files only, owner and group 0, numbers in octal, a name beyond 100 bytes divided at a slash into prefix (at most 155)
 *   and name. The same input makes the same bytes.
 * - Read: ustar and what other writers add to it: pax headers, of which `path` and `size` count, and GNU long names. Everything that is no regular
 *   file and no folder is told apart, so that an unpacker can refuse it.
 *
 * https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html (ustar and pax interchange formats)
 */
import { invariant } from '../base/invariant.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';

export const TAR_BLOCK_BYTES = 512;

/** Two blocks of zeros. */
export const TAR_END: Buffer = Buffer.alloc(2 * TAR_BLOCK_BYTES);

/** A pax header or a long name that is longer is refused. */
export const TAR_META_BYTES_MAX: number = 64 * 1024;

export interface TarFile {
  /** ASCII. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly modifiedSeconds: number;
}

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const SIZE_BYTES_MAX = 8 ** 11 - 1;

/** Undefined for a name that does not fit. */
export function formatTarHeader({ name, sizeBytes, mode, modifiedSeconds }: TarFile): Buffer | undefined {
  invariant(sizeBytes <= SIZE_BYTES_MAX && modifiedSeconds >= 0, 'sizes and times fit in their fields');
  const divided = divide(name);
  if (divided === undefined) return undefined;
  const header = Buffer.alloc(TAR_BLOCK_BYTES);
  header.write(divided.name, 0, 'latin1');
  header.write(octal(mode, 7), 100, 'latin1');
  header.write(octal(0, 7), 108, 'latin1');
  header.write(octal(0, 7), 116, 'latin1');
  header.write(octal(sizeBytes, 11), 124, 'latin1');
  header.write(octal(modifiedSeconds, 11), 136, 'latin1');
  header.write('        0', 148, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  header.write(octal(0, 7), 329, 'latin1');
  header.write(octal(0, 7), 337, 'latin1');
  header.write(divided.prefix, 345, 'latin1');
  header.write(`${sumOf(header).toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1');
  return header;
}

/** Zeros that follow a file of that size. */
export function tarPadding(sizeBytes: number): number {
  return (TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
}

function divide(name: string): { readonly prefix: string; readonly name: string } | undefined {
  if (!/^[\x20-\x7e]+$/.test(name)) return undefined;
  if (name.length <= NAME_BYTES) return { prefix: '', name };
  const at = name.indexOf('/', name.length - NAME_BYTES - 1);
  if (at <= 0 || at > PREFIX_BYTES || at === name.length - 1) return undefined;
  return { prefix: name.slice(0, at), name: name.slice(at + 1) };
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\u0000`;
}

/** What a header begins. `path` and `size` of a pax header before it are for the caller to put in place. */
export interface TarEntry {
  readonly kind: 'file' | 'folder' | 'pax' | 'pax-global' | 'long-name' | 'irregular';
  readonly name: string;
  readonly sizeBytes: number;
  readonly mode: number;
}

/** Undefined for a block of zeros, of which two end an archive. */
export function parseTarHeader(block: Buffer): Parsed<TarEntry | undefined> {
  invariant(block.length === TAR_BLOCK_BYTES, 'a header is one block');
  if (block.every((byte) => byte === 0)) return parsed(undefined);
  const sum = numberAt(block, 148, 8);
  if (sum === undefined || sum !== sumOf(block)) return refused('a header has a wrong sum');
  const sizeBytes = numberAt(block, 124, 12);
  const mode = numberAt(block, 100, 8);
  if (sizeBytes === undefined || mode === undefined) return refused('a header has a number that is none');
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\u0000';
  const prefix = isUstar ? textAt(block, 345, PREFIX_BYTES) : '';
  const name = textAt(block, 0, NAME_BYTES);
  const kind = kinds[String.fromCharCode(block[156] ?? 0)] ?? 'irregular';
  return parsed({ kind, name: prefix === '' ? name : `${prefix}/${name}`, sizeBytes, mode });
}

const kinds: Readonly<Record<string, TarEntry['kind']>> = {
  '0': 'file',
  '\u0000': 'file',
  '5': 'folder',
  x: 'pax',
  g: 'pax-global',
  L: 'long-name',
};

/** `path` and `size` of a pax header's records. */
export function parsePax(bytes: Buffer): Parsed<{ readonly path?: string; readonly sizeBytes?: number }> {
  let path: string | undefined;
  let sizeBytes: number | undefined;
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(0x20, at);
    const lengthText = bytes.toString('latin1', at, Math.max(at, blank));
    const length = Number(lengthText);
    if (!/^[1-9]\d{0,6}$/.test(lengthText) || at + length > bytes.length || bytes[at + length - 1] !== 0x0a)
      return refused('a pax header is damaged');
    const [key, ...rest] = bytes.toString('utf8', blank + 1, at + length - 1).split('=');
    if (key === 'path') path = rest.join('=');
    if (key === 'size') {
      if (!/^\d{1,15}$/.test(rest.join('='))) return refused('a pax header has a size that is none');
      sizeBytes = Number(rest.join('='));
    }
    at += length;
  }
  return parsed({ ...(path !== undefined && { path }), ...(sizeBytes !== undefined && { sizeBytes }) });
}

function textAt(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString('utf8', at, end === -1 ? at + length : Math.min(end, at + length));
}

/** Octal only: the binary form is for sizes that no archive of Go has. */
function numberAt(block: Buffer, at: number, length: number): number | undefined {
  const text = block
    .toString('latin1', at, at + length)
    .replaceAll('\u0000', ' ')
    .trim();
  return /^[0-7]{1,11}$/.test(text) ? Number.parseInt(text, 8) : text === '' ? 0 : undefined;
}

/** With the sum itself taken as blanks. */
function sumOf(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < TAR_BLOCK_BYTES; i += 1) if (i < 148 || i >= 156) sum += block[i] as number;
  return sum;
}
