/**
 * The zip container, read so that there is one reading only.
 *
 * A zip says most things twice, and leaves room between them: a file that two programs read differently can be checked by one and run by the
 * other. Everything the go command writes obeys the rules below, and so do other common writers; archive/zip, which reads the zips in the end,
 * accepts more. Whatever is accepted here is read by archive/zip in exactly the same way.
 *
 * - The entries lie back to back from byte 0, in the order of the central directory, which follows at once, then (if needed) the zip64 records,
 *   the end record, and nothing else. So nothing overlaps, hides between or before or behind.
 * - Local header, central header and data descriptor agree on name, method, flags, sizes and CRC-32.
 * - Methods: stored and deflated. Flags: deflate level, data descriptor, UTF-8. No encryption, one disk, no entry comments; a name with bytes
 *   beyond ASCII is valid UTF-8 and has the UTF-8 flag; no extra field that renames.
 * - zip64 records stand where the go command looks for them, and say what the 32-bit ones say wherever those say anything.
 * - An archive comment, such as the commit that `git archive` writes, is printable ASCII, so no second end record hides in it.
 * - A name that ends in a slash is a directory, has no content, and no attribute says otherwise; symbolic links and devices are told apart.
 *
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3 to 4.5), https://pkg.go.dev/archive/zip
 */
import { isUtf8 } from 'node:buffer';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ZipSource, locateDirectory } from './zip-end.ts';
import { readZip64Sizes } from './zip-extra.ts';

export interface ZipLimits {
  readonly entriesMax: number;
  readonly directoryBytesMax: number;
  readonly nameBytesMax: number;
}

export interface ZipEntry {
  /** Whole, as it stands in the file; a directory's ends in a slash. */
  readonly name: string;
  readonly kind: 'file' | 'directory' | 'irregular';
  readonly method: 'stored' | 'deflated';
  readonly flags: number;
  readonly crc32: number;
  readonly compressedBytes: number;
  /** Declared size of the content; readers stop there. */
  readonly sizeBytes: number;
  /** Where the local header begins. */
  readonly offset: number;
  /** From the local header to the end of the data descriptor, where the next entry or the directory begins. */
  readonly spanBytes: number;
  /** Where the name stands in {@link ZipDirectory.bytes}. */
  readonly nameAt: number;
  readonly nameBytes: number;
}

export interface ZipDirectory {
  readonly entries: readonly ZipEntry[];
  /** The central directory as it stands in the file. */
  readonly bytes: Buffer;
}

const CENTRAL_SIGNATURE = 0x02014b50;
const CENTRAL_HEADER_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_HEADER_BYTES = 30;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
const DESCRIPTOR_BYTES = 16;
const DESCRIPTOR64_BYTES = 24;

/** A local header with the longest name and extra fields: what {@link checkLocalHeader} may need to see. */
export const LOCAL_HEADER_BYTES_MAX: number = LOCAL_HEADER_BYTES + 2 * 0xffff;

const FLAG_DESCRIPTOR = 0x8;
const FLAG_UTF8 = 0x800;
const FLAGS_LEVEL = 0x6;
const FLAGS_KNOWN = FLAG_DESCRIPTOR | FLAG_UTF8 | FLAGS_LEVEL;

const METHOD_STORED = 0;
const METHOD_DEFLATED = 8;

/** Reads the end records and the central directory. Local headers are left to {@link checkLocalHeader}, which has to pass for every entry. */
export function readZipDirectory(source: ZipSource, limits: ZipLimits): Parsed<ZipDirectory> {
  const located = locateDirectory(source, { ...limits, headerBytes: CENTRAL_HEADER_BYTES });
  if (!located.ok) return located;
  const { records, offset, sizeBytes } = located.value;
  const bytes = Buffer.allocUnsafeSlow(sizeBytes);
  source.read(bytes, offset);
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < records; i++) {
    const header = readCentralHeader(bytes, at, limits);
    if (!header.ok) return refused(`entry ${i + 1} of the central directory: ${header.reason}`);
    const { entry } = header.value;
    entries.push(entry);
    at = header.value.end;
  }
  if (at !== sizeBytes) return refused('central directory has more bytes than its entries');
  const fault = layOut(entries, offset);
  return fault === undefined ? parsed({ entries, bytes }) : refused(fault);
}

/** Gives each entry its span, if the entries follow each other from byte 0 up to the directory. */
function layOut(entries: Mutable<ZipEntry>[], directoryOffset: number): string | undefined {
  const first = entries[0]?.offset ?? directoryOffset;
  if (first !== 0) return 'bytes before the first entry';
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Mutable<ZipEntry>;
    const next = entries[i + 1]?.offset ?? directoryOffset;
    entry.spanBytes = next - entry.offset;
    if (entry.spanBytes < LOCAL_HEADER_BYTES + entry.nameBytes + entry.compressedBytes)
      return `entry ${quote(entry.name)}: overlaps what follows, or entries are out of order`;
  }
  return undefined;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function readCentralHeader(bytes: Buffer, at: number, limits: ZipLimits): Parsed<{ entry: ZipEntry; end: number }> {
  if (at + CENTRAL_HEADER_BYTES > bytes.length) return refused('cut short');
  if (bytes.readUInt32LE(at) !== CENTRAL_SIGNATURE) return refused('no header where one belongs');
  const flags = bytes.readUInt16LE(at + 8);
  const method = bytes.readUInt16LE(at + 10);
  const nameBytes = bytes.readUInt16LE(at + 28);
  const extraBytes = bytes.readUInt16LE(at + 30);
  const nameAt = at + CENTRAL_HEADER_BYTES;
  const extraAt = nameAt + nameBytes;
  const end = extraAt + extraBytes;
  if (nameBytes === 0 || nameBytes > limits.nameBytesMax)
    return refused(`name has ${nameBytes} bytes, allowed are 1 to ${limits.nameBytesMax}`);
  if (end > bytes.length) return refused('cut short');
  const name = readName(bytes.subarray(nameAt, extraAt), flags);
  if (!name.ok) return name;
  const fault = (reason: string): Parsed<never> => refused(`${quote(name.value)}: ${reason}`);
  if ((flags & ~FLAGS_KNOWN) !== 0) return fault(`unsupported flags 0x${flags.toString(16)}, such as encryption`);
  if (method !== METHOD_STORED && method !== METHOD_DEFLATED) return fault(`unsupported compression method ${method}`);
  if (bytes.readUInt16LE(at + 32) !== 0) return fault('has a comment');
  if (bytes.readUInt16LE(at + 34) !== 0) return fault('lies on another disk');
  const sizes = readZip64Sizes(bytes.subarray(extraAt, end), [
    bytes.readUInt32LE(at + 24),
    bytes.readUInt32LE(at + 20),
    bytes.readUInt32LE(at + 42),
  ]);
  if (!sizes.ok) return fault(sizes.reason);
  const [sizeBytes = 0, compressedBytes = 0, offset = 0] = sizes.value.sizes;
  const crc32 = bytes.readUInt32LE(at + 16);
  if (method === METHOD_STORED && sizeBytes !== compressedBytes) return fault('stored with two different sizes');
  if (method === METHOD_DEFLATED && compressedBytes === 0) return fault('deflated to nothing');
  const kind = readKind(name.value, { creator: bytes[at + 5] as number, attributes: bytes.readUInt32LE(at + 38) });
  if (!kind.ok) return fault(kind.reason);
  if (kind.value === 'directory' && (sizeBytes !== 0 || crc32 !== 0)) return fault('is a directory with content');
  const entry: ZipEntry = {
    name: name.value,
    kind: kind.value,
    method: method === METHOD_STORED ? 'stored' : 'deflated',
    flags,
    crc32,
    compressedBytes,
    sizeBytes,
    offset,
    spanBytes: 0,
    nameAt,
    nameBytes,
  };
  return parsed({ entry, end });
}

function readName(bytes: Buffer, flags: number): Parsed<string> {
  let union = 0;
  for (let i = 0; i < bytes.length; i++) union |= bytes[i] as number;
  if (union < 0x80) return parsed(bytes.toString('latin1'));
  if ((flags & FLAG_UTF8) === 0) return refused('name is beyond ASCII but not declared to be UTF-8');
  return isUtf8(bytes) ? parsed(bytes.toString('utf8')) : refused('name is not valid UTF-8');
}

// The high byte of "version made by": systems whose attributes hold a Unix file mode in their upper half.
const CREATOR_UNIX = 3;
const CREATOR_MACOS = 19;
const DOS_DIRECTORY = 0x10;

function readKind(name: string, made: { creator: number; attributes: number }): Parsed<ZipEntry['kind']> {
  const named = name.endsWith('/') ? 'directory' : 'file';
  const unixType = made.creator === CREATOR_UNIX || made.creator === CREATOR_MACOS ? made.attributes >>> 28 : 0;
  if (unixType !== 0 && unixType !== 0x8 && unixType !== 0x4) return parsed('irregular');
  const typed = unixType === 0x4 || (made.attributes & DOS_DIRECTORY) !== 0 ? 'directory' : unixType === 0x8 ? 'file' : named;
  return typed === named ? parsed(named) : refused(`is a ${named} by its name and a ${typed} by its attributes`);
}

/** Where an entry's data lies in its span. */
export interface EntryLayout {
  readonly dataAt: number;
  /** 0, 16 or 24: to be given to {@link checkDescriptor}, when not 0, after the data. */
  readonly descriptorBytes: number;
}

/**
 * Checks the local header against the entry of the directory, and that header, data and descriptor fill the span.
 * `span` begins with the local header and has the whole span, or at least {@link LOCAL_HEADER_BYTES_MAX} bytes of it.
 */
export function checkLocalHeader(span: Buffer, entry: ZipEntry, directory: ZipDirectory): Parsed<EntryLayout> {
  if (span.readUInt32LE(0) !== LOCAL_SIGNATURE) return refused('no local header where the directory says');
  const flags = span.readUInt16LE(6);
  if (flags !== entry.flags) return refused('local header has other flags than the directory');
  const method = span.readUInt16LE(8);
  if (method !== (entry.method === 'stored' ? METHOD_STORED : METHOD_DEFLATED))
    return refused('local header has another method than the directory');
  const nameBytes = span.readUInt16LE(26);
  const dataAt = LOCAL_HEADER_BYTES + nameBytes + span.readUInt16LE(28);
  const { nameAt } = entry;
  const extraAt = LOCAL_HEADER_BYTES + nameBytes;
  if (dataAt > span.length) return refused('local header is longer than its entry');
  if (directory.bytes.compare(span, LOCAL_HEADER_BYTES, extraAt, nameAt, nameAt + entry.nameBytes) !== 0)
    return refused('local header has another name than the directory');
  const sizes = readZip64Sizes(span.subarray(extraAt, dataAt), [span.readUInt32LE(22), span.readUInt32LE(18)]);
  if (!sizes.ok) return refused(`local header: ${sizes.reason}`);
  const [sizeBytes = 0, compressedBytes = 0] = sizes.value.sizes;
  const crc32 = span.readUInt32LE(14);
  const described = (flags & FLAG_DESCRIPTOR) !== 0;
  const agrees = (local: number, central: number): boolean => local === central || (described && local === 0);
  if (!agrees(sizeBytes, entry.sizeBytes) || !agrees(compressedBytes, entry.compressedBytes))
    return refused('local header has other sizes than the directory');
  if (!agrees(crc32, entry.crc32)) return refused('local header has another CRC-32 than the directory');
  const descriptorBytes = !described ? 0 : sizes.value.zip64 ? DESCRIPTOR64_BYTES : DESCRIPTOR_BYTES;
  if (dataAt + entry.compressedBytes + descriptorBytes !== entry.spanBytes)
    return refused('header, data and descriptor do not end where the next entry begins');
  return parsed({ dataAt, descriptorBytes });
}

/** Checks the data descriptor that follows the data. Answers what is wrong with it. */
export function checkDescriptor(descriptor: Buffer, entry: ZipEntry): string | undefined {
  if (descriptor.readUInt32LE(0) !== DESCRIPTOR_SIGNATURE) return 'no data descriptor after the data';
  const wide = descriptor.length === DESCRIPTOR64_BYTES;
  const compressedBytes = wide ? descriptor.readBigUInt64LE(8) : descriptor.readUInt32LE(8);
  const sizeBytes = wide ? descriptor.readBigUInt64LE(16) : descriptor.readUInt32LE(12);
  const agrees =
    descriptor.readUInt32LE(4) === entry.crc32 &&
    Number(compressedBytes) === entry.compressedBytes &&
    Number(sizeBytes) === entry.sizeBytes;
  return agrees ? undefined : 'data descriptor differs from the directory';
}

function quote(name: string): string {
  return JSON.stringify(name.length <= 200 ? name : `${name.slice(0, 200)}…`);
}
