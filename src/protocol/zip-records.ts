/**
 * The records of a zip that is written from front to back: as archive/zip's writer makes them, so that they are the same bytes for the same files.
 * Every file is deflated and followed by a data descriptor; no times, no attributes, no extra fields, no folders. Names beyond ASCII are
 * flagged as UTF-8. Sizes and offsets stay below 2^32, as those of module zips do; only the number of files may need the zip64 end record.
 *
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
import { invariant } from '../base/invariant.ts';

export interface WrittenFile {
  readonly name: Buffer;
  readonly crc32: number;
  readonly compressedBytes: number;
  readonly sizeBytes: number;
  /** Where its local header begins. */
  readonly offset: number;
}

const VERSION_DEFLATE = 20;
const VERSION_ZIP64 = 45;
const METHOD_DEFLATED = 8;
const FLAG_DESCRIPTOR = 0x8;
const FLAG_UTF8 = 0x800;

export function zipLocalHeader(name: Buffer): Buffer {
  const header = Buffer.alloc(30 + name.length);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(VERSION_DEFLATE, 4);
  header.writeUInt16LE(flagsOf(name), 6);
  header.writeUInt16LE(METHOD_DEFLATED, 8);
  header.writeUInt16LE(name.length, 26);
  name.copy(header, 30);
  return header;
}

export function zipDescriptor({ crc32, compressedBytes, sizeBytes }: Omit<WrittenFile, 'name' | 'offset'>): Buffer {
  invariant(compressedBytes < 0xffffffff && sizeBytes < 0xffffffff, 'a file of a module zip needs no zip64 sizes');
  const descriptor = Buffer.alloc(16);
  descriptor.writeUInt32LE(0x08074b50, 0);
  descriptor.writeUInt32LE(crc32, 4);
  descriptor.writeUInt32LE(compressedBytes, 8);
  descriptor.writeUInt32LE(sizeBytes, 12);
  return descriptor;
}

export function zipCentralHeader(file: WrittenFile): Buffer {
  invariant(file.offset < 0xffffffff, 'a module zip needs no zip64 offsets');
  const header = Buffer.alloc(46 + file.name.length);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(VERSION_DEFLATE, 4);
  header.writeUInt16LE(VERSION_DEFLATE, 6);
  header.writeUInt16LE(flagsOf(file.name), 8);
  header.writeUInt16LE(METHOD_DEFLATED, 10);
  header.writeUInt32LE(file.crc32, 16);
  header.writeUInt32LE(file.compressedBytes, 20);
  header.writeUInt32LE(file.sizeBytes, 24);
  header.writeUInt16LE(file.name.length, 28);
  header.writeUInt32LE(file.offset, 42);
  file.name.copy(header, 46);
  return header;
}

/** `offset` and `sizeBytes` are the central directory's. */
export function zipEnd({
  files,
  offset,
  sizeBytes,
}: {
  readonly files: number;
  readonly offset: number;
  readonly sizeBytes: number;
}): Buffer {
  const isWide = files >= 0xffff;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(isWide ? 0xffff : files, 8);
  end.writeUInt16LE(isWide ? 0xffff : files, 10);
  end.writeUInt32LE(isWide ? 0xffffffff : sizeBytes, 12);
  end.writeUInt32LE(isWide ? 0xffffffff : offset, 16);
  return isWide ? Buffer.concat([wideEnd({ files, offset, sizeBytes }), end]) : end;
}

function wideEnd({ files, offset, sizeBytes }: { readonly files: number; readonly offset: number; readonly sizeBytes: number }): Buffer {
  const record = Buffer.alloc(56 + 20);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE(VERSION_ZIP64, 12);
  record.writeUInt16LE(VERSION_ZIP64, 14);
  record.writeBigUInt64LE(BigInt(files), 24);
  record.writeBigUInt64LE(BigInt(files), 32);
  record.writeBigUInt64LE(BigInt(sizeBytes), 40);
  record.writeBigUInt64LE(BigInt(offset), 48);
  record.writeUInt32LE(0x07064b50, 56);
  record.writeBigUInt64LE(BigInt(offset + sizeBytes), 64);
  record.writeUInt32LE(1, 72);
  return record;
}

function flagsOf(name: Buffer): number {
  return FLAG_DESCRIPTOR | (name.some((byte) => byte >= 0x80) ? FLAG_UTF8 : 0);
}
