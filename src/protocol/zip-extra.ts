/**
 * Extra fields of zip headers: a list of (id, length, bytes). Only two matter to a reader of sizes and names: zip64's, which holds what does
 * not fit in 32 bits, and Info-ZIP's Unicode path, by which some readers rename the entry and others do not.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';

const ZIP64_ID = 0x0001;
const UNICODE_PATH_ID = 0x7075;
const IN_ZIP64 = 0xffffffff;

/**
 * The numbers of a header, each taken from the zip64 field exactly if the header says so (0xffffffff), in the header's order.
 * Refuses a malformed list, a renaming field, a zip64 field that holds more or less than asked for, and numbers past 2^53.
 */
export function readZip64Sizes(extra: Buffer, declared: readonly number[]): Parsed<{ sizes: readonly number[]; zip64: boolean }> {
  const absent = declared.filter((size) => size === IN_ZIP64).length;
  let wide: Buffer | undefined;
  let at = 0;
  while (at < extra.length) {
    if (at + 4 > extra.length) return refused('malformed extra fields');
    const id = extra.readUInt16LE(at);
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (end > extra.length) return refused('malformed extra fields');
    if (id === UNICODE_PATH_ID) return refused('extra field that gives another name');
    if (id === ZIP64_ID) {
      if (wide !== undefined) return refused('two zip64 fields');
      wide = extra.subarray(at + 4, end);
    }
    at = end;
  }
  const field = wide;
  if (field === undefined) return absent === 0 ? parsed({ sizes: declared, zip64: false }) : refused('zip64 field is missing');
  if (field.length !== 8 * absent || absent === 0) return refused('zip64 field does not hold just the sizes that belong in it');
  let next = 0;
  const sizes = declared.map((size) => {
    if (size !== IN_ZIP64) return size;
    next += 8;
    return Number(field.readBigUInt64LE(next - 8));
  });
  return sizes.every(Number.isSafeInteger) ? parsed({ sizes, zip64: true }) : refused('size or offset beyond any file');
}
