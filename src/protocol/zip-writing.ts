/**
 * Headers of zips made of entries that are compressed already: no descriptors, no extra fields, regular files with a Unix mode.
 * Everything is below 4 GiB and 65,535 entries, so that no zip64 is needed. The same input makes the same bytes.
 *
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3)
 */
export interface ZipFileToWrite {
  /** ASCII. */
  readonly name: string;
  readonly method: 'stored' | 'deflated';
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly modifiedSeconds: number;
}

export const ZIP_ENTRIES_MAX = 65_534;
export const ZIP_BYTES_MAX: number = 2 ** 32 - 2;

const VERSION_NEEDED = 20;
const MADE_BY_UNIX = (3 << 8) | VERSION_NEEDED;
const REGULAR_FILE = 0o100000;

export function formatLocalHeader(file: ZipFileToWrite): Buffer {
  const header = Buffer.alloc(30 + file.name.length);
  header.writeUInt32LE(0x04034b50, 0);
  writeCommon(header, 4, file);
  header.write(file.name, 30, 'latin1');
  return header;
}

export function formatCentralHeader(file: ZipFileToWrite, offset: number): Buffer {
  const header = Buffer.alloc(46 + file.name.length);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(MADE_BY_UNIX, 4);
  writeCommon(header, 6, file);
  header.writeUInt32LE(((REGULAR_FILE | file.mode) << 16) >>> 0, 38);
  header.writeUInt32LE(offset, 42);
  header.write(file.name, 46, 'latin1');
  return header;
}

export function formatZipEnd(end: { readonly entries: number; readonly directoryBytes: number; readonly offset: number }): Buffer {
  const record = Buffer.alloc(22);
  record.writeUInt32LE(0x06054b50, 0);
  record.writeUInt16LE(end.entries, 8);
  record.writeUInt16LE(end.entries, 10);
  record.writeUInt32LE(end.directoryBytes, 12);
  record.writeUInt32LE(end.offset, 16);
  return record;
}

/** From `version needed` to the length of the extra field, which both headers have in the same order. */
function writeCommon(header: Buffer, at: number, file: ZipFileToWrite): void {
  const { date, time } = dosTime(file.modifiedSeconds);
  header.writeUInt16LE(VERSION_NEEDED, at);
  header.writeUInt16LE(file.method === 'stored' ? 0 : 8, at + 4);
  header.writeUInt16LE(time, at + 6);
  header.writeUInt16LE(date, at + 8);
  header.writeUInt32LE(file.crc32, at + 10);
  header.writeUInt32LE(file.compressedBytes, at + 14);
  header.writeUInt32LE(file.sizeBytes, at + 18);
  header.writeUInt16LE(file.name.length, at + 22);
}

/** In UTC; its years begin with 1980. */
function dosTime(seconds: number): { readonly date: number; readonly time: number } {
  const day = new Date(seconds * 1_000);
  return {
    date: ((day.getUTCFullYear() - 1980) << 9) | ((day.getUTCMonth() + 1) << 5) | day.getUTCDate(),
    time: (day.getUTCHours() << 11) | (day.getUTCMinutes() << 5) | (day.getUTCSeconds() >> 1),
  };
}
