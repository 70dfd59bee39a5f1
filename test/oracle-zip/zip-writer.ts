/** Writes zips byte by byte, right by default and wrong wherever a recipe says so. */
import { crc32, deflateRawSync } from 'node:zlib';

/** Fields of a local or central header; what is left out is what the content says. */
export interface HeaderFields {
  signature?: number;
  versionMade?: number;
  flags?: number;
  method?: number;
  crc32?: number;
  compressedBytes?: number;
  sizeBytes?: number;
  name?: string | Buffer;
  extra?: Buffer;
  comment?: string;
  disk?: number;
  attributes?: number;
  offset?: number;
}

export interface EntryRecipe {
  name: string | Buffer;
  content?: string | Buffer;
  /** Compressed bytes instead of the right ones. */
  data?: Buffer;
  stored?: boolean;
  /** As the go command writes: sizes after the data. 24 for the zip64 form, 12 for the form without a signature. */
  descriptor?: boolean | 12 | 16 | 24;
  descriptorFields?: { signature?: number; crc32?: number; compressedBytes?: number; sizeBytes?: number };
  /** Fields of both headers, then of each. */
  both?: HeaderFields;
  local?: HeaderFields;
  central?: HeaderFields;
  /** Bytes before the local header that belong to no entry. */
  before?: Buffer;
  /** In the file but not in the directory. */
  unlisted?: boolean;
  /** In the directory but not in the file. */
  absent?: boolean;
}

export interface EndFields {
  disk?: number;
  records?: number;
  recordsHere?: number;
  sizeBytes?: number;
  offset?: number;
  commentBytes?: number;
}

export interface ZipRecipe {
  entries: EntryRecipe[];
  beforeDirectory?: Buffer;
  afterDirectory?: Buffer;
  /** The directory's entries in another order than the file's. */
  reversed?: boolean;
  end?: EndFields;
  comment?: string | Buffer;
  after?: Buffer;
  /** Adds zip64 end records, with fields of their own. */
  zip64?: { records?: bigint; sizeBytes?: bigint; offset?: bigint; at?: bigint; disks?: number; recordBytes?: bigint; signature?: number };
}

export function writeZip(recipe: ZipRecipe): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  const push = (bytes: Buffer): void => {
    parts.push(bytes);
    at += bytes.length;
  };
  for (const entry of recipe.entries) {
    const content = Buffer.from(entry.content ?? '');
    const data = entry.data ?? (entry.stored ? content : deflateRawSync(content));
    const name = Buffer.from(entry.name);
    push(entry.before ?? Buffer.alloc(0));
    const flags = (entry.descriptor ? 0x8 : 0) | (name.some((byte) => byte >= 0x80) ? 0x800 : 0);
    const fields = {
      flags,
      method: entry.stored ? 0 : 8,
      crc32: crc32(content),
      compressedBytes: data.length,
      sizeBytes: content.length,
      name,
      offset: at,
    };
    const unknown = entry.descriptor ? { crc32: 0, compressedBytes: 0, sizeBytes: 0 } : {};
    if (!entry.unlisted) directory.push(centralHeader({ ...fields, ...entry.both, ...entry.central }));
    if (entry.absent) continue;
    push(localHeader({ ...fields, ...unknown, ...entry.both, ...entry.local }));
    push(data);
    if (entry.descriptor) push(dataDescriptor({ ...fields, ...entry.descriptorFields }, entry.descriptor));
  }
  push(recipe.beforeDirectory ?? Buffer.alloc(0));
  const offset = at;
  const central = Buffer.concat(recipe.reversed ? directory.toReversed() : directory);
  push(central);
  push(recipe.afterDirectory ?? Buffer.alloc(0));
  if (recipe.zip64 !== undefined) push(zip64End(recipe.zip64, { records: directory.length, sizeBytes: central.length, offset, at }));
  push(endRecord({ records: directory.length, sizeBytes: central.length, offset, ...recipe.end }, Buffer.from(recipe.comment ?? '')));
  push(recipe.after ?? Buffer.alloc(0));
  return Buffer.concat(parts);
}

export function localHeader(fields: HeaderFields): Buffer {
  const { signature = 0x04034b50, flags = 0, method = 0, extra = Buffer.alloc(0) } = fields;
  const name = Buffer.from(fields.name ?? '');
  const header = Buffer.alloc(30);
  header.writeUInt32LE(signature, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt32LE(fields.crc32 ?? 0, 14);
  header.writeUInt32LE(fields.compressedBytes ?? 0, 18);
  header.writeUInt32LE(fields.sizeBytes ?? 0, 22);
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, name, extra]);
}

export function centralHeader(fields: HeaderFields): Buffer {
  const { signature = 0x02014b50, versionMade = 20, flags = 0, method = 0, extra = Buffer.alloc(0), comment = '' } = fields;
  const name = Buffer.from(fields.name ?? '');
  const header = Buffer.alloc(46);
  header.writeUInt32LE(signature, 0);
  header.writeUInt16LE(versionMade, 4);
  header.writeUInt16LE(20, 6);
  header.writeUInt16LE(flags, 8);
  header.writeUInt16LE(method, 10);
  header.writeUInt32LE(fields.crc32 ?? 0, 16);
  header.writeUInt32LE(fields.compressedBytes ?? 0, 20);
  header.writeUInt32LE(fields.sizeBytes ?? 0, 24);
  header.writeUInt16LE(name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt16LE(comment.length, 32);
  header.writeUInt16LE(fields.disk ?? 0, 34);
  header.writeUInt32LE(fields.attributes ?? 0, 38);
  header.writeUInt32LE(fields.offset ?? 0, 42);
  return Buffer.concat([header, name, extra, Buffer.from(comment)]);
}

function dataDescriptor(
  fields: { signature?: number; crc32: number; compressedBytes: number; sizeBytes: number },
  form: true | 12 | 16 | 24,
): Buffer {
  const descriptor = Buffer.alloc(form === 24 ? 24 : 16);
  descriptor.writeUInt32LE(fields.signature ?? 0x08074b50, 0);
  descriptor.writeUInt32LE(fields.crc32, 4);
  descriptor.writeUInt32LE(fields.compressedBytes, 8);
  descriptor.writeUInt32LE(fields.sizeBytes, form === 24 ? 16 : 12);
  return form === 12 ? descriptor.subarray(4) : descriptor;
}

export function endRecord(fields: EndFields, comment: Buffer): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(fields.disk ?? 0, 4);
  end.writeUInt16LE(fields.disk ?? 0, 6);
  end.writeUInt16LE(Math.min(fields.recordsHere ?? fields.records ?? 0, 0xffff), 8);
  end.writeUInt16LE(Math.min(fields.records ?? 0, 0xffff), 10);
  end.writeUInt32LE(fields.sizeBytes ?? 0, 12);
  end.writeUInt32LE(fields.offset ?? 0, 16);
  end.writeUInt16LE(fields.commentBytes ?? comment.length, 20);
  return Buffer.concat([end, comment]);
}

export function zip64End(
  recipe: NonNullable<ZipRecipe['zip64']>,
  real: { records: number; sizeBytes: number; offset: number; at: number },
): Buffer {
  const records = Buffer.alloc(76);
  records.writeUInt32LE(recipe.signature ?? 0x06064b50, 0);
  records.writeBigUInt64LE(recipe.recordBytes ?? 44n, 4);
  records.writeUInt16LE(45, 12);
  records.writeUInt16LE(45, 14);
  records.writeBigUInt64LE(recipe.records ?? BigInt(real.records), 24);
  records.writeBigUInt64LE(recipe.records ?? BigInt(real.records), 32);
  records.writeBigUInt64LE(recipe.sizeBytes ?? BigInt(real.sizeBytes), 40);
  records.writeBigUInt64LE(recipe.offset ?? BigInt(real.offset), 48);
  records.writeUInt32LE(0x07064b50, 56);
  records.writeBigUInt64LE(recipe.at ?? BigInt(real.at), 64);
  records.writeUInt32LE(recipe.disks ?? 1, 72);
  return records;
}

/** One extra field. */
export function extraField(id: number, ...numbers: bigint[]): Buffer {
  const field = Buffer.alloc(4 + 8 * numbers.length);
  field.writeUInt16LE(id, 0);
  field.writeUInt16LE(8 * numbers.length, 2);
  for (const [i, number] of numbers.entries()) field.writeBigUInt64LE(number, 4 + 8 * i);
  return field;
}
