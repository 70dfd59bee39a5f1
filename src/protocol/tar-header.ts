/**
 * The frame of a plain tar archive, written in exactly one way: regular files alone, mode 0644, no owner, one time for all, names in ustar's two
 * fields where they fit and in a pax record before the header where they do not. Since every byte of a frame follows from name, size and time,
 * a reader compares the bytes and nothing can hide in them. https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
 */
import { invariant } from '../base/invariant.ts';

export const TAR_BLOCK_BYTES = 512;

/** Two empty blocks. */
export const TAR_END: Buffer = Buffer.alloc(2 * TAR_BLOCK_BYTES);

/** Eleven octal digits. */
export const TAR_ENTRY_BYTES_MAX: number = 8 ** 11 - 1;

export interface TarEntry {
  /** Printable ASCII. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Since the epoch. */
  readonly timeSeconds: number;
}

/** What stands before the content of a file: one block, or three. */
export function tarHeader({ name, sizeBytes, timeSeconds }: TarEntry): Buffer {
  invariant(sizeBytes <= TAR_ENTRY_BYTES_MAX && /^[\x21-\x7e]+$/.test(name), 'a bundle holds no such entry');
  const split = splitName(name);
  if (split !== undefined) return block({ ...split, sizeBytes, timeSeconds, type: '0' });
  const record = paxRecord('path', name);
  const content = Buffer.alloc(record.length + paddingOf(record.length));
  content.write(record, 'latin1');
  return Buffer.concat([
    block({ prefix: '', name: '././@PaxHeader', sizeBytes: record.length, timeSeconds, type: 'x' }),
    content,
    block({ prefix: '', name: name.slice(0, 100), sizeBytes, timeSeconds, type: '0' }),
  ]);
}

/** Zero bytes after a content of this length. */
export function paddingOf(sizeBytes: number): number {
  return (TAR_BLOCK_BYTES - (sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
}

/** The size that a header block names; undefined when it names none. Nothing else in the block is looked at. */
export function sizeInHeader(header: Uint8Array): number | undefined {
  const digits = /^([0-7]{11})\0$/.exec(Buffer.from(header.subarray(124, 136)).toString('latin1'))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 8);
}

function splitName(name: string): { readonly prefix: string; readonly name: string } | undefined {
  if (name.length <= 100) return { prefix: '', name };
  const slash = name.indexOf('/', name.length - 101);
  return slash > 0 && slash <= 155 ? { prefix: name.slice(0, slash), name: name.slice(slash + 1) } : undefined;
}

/** Its own length, in decimal, counts in the length that it begins with. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

function block({ prefix, name, sizeBytes, timeSeconds, type }: TarEntry & { readonly prefix: string; readonly type: '0' | 'x' }): Buffer {
  const header = Buffer.alloc(TAR_BLOCK_BYTES);
  header.write(name, 0, 100, 'latin1');
  header.write('0000644\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  header.write(`${octal(sizeBytes, 11)}\0`, 124, 'latin1');
  header.write(`${octal(timeSeconds, 11)}\0`, 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write(type, 156, 'latin1');
  header.write('ustar\0' + '00', 257, 'latin1');
  header.write('0000000\0', 329, 'latin1');
  header.write('0000000\0', 337, 'latin1');
  header.write(prefix, 345, 155, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return header;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}
