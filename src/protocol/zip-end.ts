/**
 * The records at the end of a zip, which say where the central directory lies. The last end record of the file counts, as for every reader;
 * it has to end the file (with a comment of printable ASCII, in which no other end record can hide), and the directory has to end just before it.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';

/** Bytes at any position. */
export interface ZipSource {
  readonly sizeBytes: number;
  /** Fills `target` whole with the bytes from `position` on, which are there, or throws. */
  read(target: Uint8Array, position: number): void;
}

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 0xffff;
const LOCATOR64_SIGNATURE = 0x07064b50;
const LOCATOR64_BYTES = 20;
const END64_SIGNATURE = 0x06064b50;
const END64_BYTES = 56;

export interface DirectoryPlace {
  readonly records: number;
  readonly offset: number;
  readonly sizeBytes: number;
}

interface EndLimits {
  readonly entriesMax: number;
  readonly directoryBytesMax: number;
  readonly headerBytes: number;
}

/** Finds the central directory and makes sure that it can hold its entries within the limits before anything is allocated for it. */
export function locateDirectory(source: ZipSource, limits: EndLimits): Parsed<DirectoryPlace> {
  const tail = Buffer.allocUnsafe(Math.min(source.sizeBytes, END64_BYTES + LOCATOR64_BYTES + END_BYTES + COMMENT_BYTES_MAX));
  source.read(tail, source.sizeBytes - tail.length);
  const endAt = findEnd(tail);
  if (!endAt.ok) return endAt;
  const end = tail.subarray(endAt.value);
  const before = tail.subarray(0, endAt.value);
  const place = hasLocator64(before) ? readEnd64({ before, end, endOffset: source.sizeBytes - end.length }) : readEnd(end);
  if (!place.ok) return place;
  const { records, offset, sizeBytes } = place.value;
  const directoryEnd = source.sizeBytes - end.length - (hasLocator64(before) ? LOCATOR64_BYTES + END64_BYTES : 0);
  if (offset + sizeBytes !== directoryEnd) return refused('central directory does not lie just before the end record');
  if (records > limits.entriesMax) return refused(`more than ${limits.entriesMax} entries`);
  if (sizeBytes > limits.directoryBytesMax) return refused(`central directory is longer than ${limits.directoryBytesMax} bytes`);
  if (records * limits.headerBytes > sizeBytes) return refused('central directory is too short for its entries');
  return place;
}

function findEnd(tail: Buffer): Parsed<number> {
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (tail[at] !== 0x50 || tail.readUInt32LE(at) !== END_SIGNATURE) continue;
    const comment = tail.subarray(at + END_BYTES);
    if (comment.length !== tail.readUInt16LE(at + 20)) return refused('bytes after the end record, or its comment is cut short');
    return comment.every((byte) => byte >= 0x20 && byte < 0x7f) ? parsed(at) : refused('comment is not printable ASCII');
  }
  return refused('no end record: not a zip, or cut short');
}

function hasLocator64(before: Buffer): boolean {
  return before.length >= LOCATOR64_BYTES && before.readUInt32LE(before.length - LOCATOR64_BYTES) === LOCATOR64_SIGNATURE;
}

function readEnd(end: Buffer): Parsed<DirectoryPlace> {
  const records = end.readUInt16LE(10);
  if (end.readUInt32LE(4) !== 0 || end.readUInt16LE(8) !== records) return refused('spans several disks');
  return parsed({ records, sizeBytes: end.readUInt32LE(12), offset: end.readUInt32LE(16) });
}

/** Whenever the bytes before the end record are a zip64 locator, it counts: some readers go by it even when the end record alone would do. */
function readEnd64({ before, end, endOffset }: { before: Buffer; end: Buffer; endOffset: number }): Parsed<DirectoryPlace> {
  const locator = before.subarray(before.length - LOCATOR64_BYTES);
  const at = before.length - LOCATOR64_BYTES - END64_BYTES;
  const offset64 = endOffset - LOCATOR64_BYTES - END64_BYTES;
  if (locator.readUInt32LE(4) !== 0 || locator.readUInt32LE(16) !== 1) return refused('spans several disks');
  if (at < 0 || locator.readBigUInt64LE(8) !== BigInt(offset64)) return refused('zip64 end record does not lie just before its locator');
  const wide = before.subarray(at, at + END64_BYTES);
  if (wide.readUInt32LE(0) !== END64_SIGNATURE || wide.readBigUInt64LE(4) !== BigInt(END64_BYTES - 12))
    return refused('malformed zip64 end record');
  const records = Number(wide.readBigUInt64LE(32));
  const sizeBytes = Number(wide.readBigUInt64LE(40));
  const offset = Number(wide.readBigUInt64LE(48));
  if (wide.readBigUInt64LE(16) !== 0n || end.readUInt32LE(4) !== 0 || wide.readBigUInt64LE(24) !== wide.readBigUInt64LE(32))
    return refused('spans several disks');
  const agree =
    sameOrLeftTo64(end.readUInt16LE(8), records, 0xffff) &&
    sameOrLeftTo64(end.readUInt16LE(10), records, 0xffff) &&
    sameOrLeftTo64(end.readUInt32LE(12), sizeBytes, 0xffffffff) &&
    sameOrLeftTo64(end.readUInt32LE(16), offset, 0xffffffff);
  return agree ? parsed({ records, sizeBytes, offset }) : refused('end record and zip64 end record disagree');
}

function sameOrLeftTo64(narrow: number, wide: number, leftTo64: number): boolean {
  return narrow === wide || narrow === leftTo64;
}
