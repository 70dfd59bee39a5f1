/**
 * Proves one module zip in one pass: structure and names from the central directory first, then every byte of the file in order, through one
 * reused buffer. Each entry is inflated no further than its declared size, checked by CRC-32 and hashed; the file's own SHA-256 is made of the same reads.
 * Memory: the directory, and some 1.5 MiB whatever the sizes are.
 */
import { type Hash, createHash, hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type ErrorCode, HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { Parsed } from '../base/parsed.ts';
import { type HashedFile, hashFiles } from '../protocol/dirhash.ts';
import { MODULE_ZIP_BYTES_MAX, MODULE_ZIP_LIMITS, checkModuleZip } from '../protocol/module-zip.ts';
import {
  LOCAL_HEADER_BYTES_MAX,
  type ZipDirectory,
  type ZipEntry,
  checkDescriptor,
  checkLocalHeader,
  readZipDirectory,
} from '../protocol/zip-format.ts';
import { type CopyFile, type OpenFile, openCopy, openFile } from './zip-file.ts';
import { type Inflate, createInflate } from './zip-inflater.ts';
import type { ProvedZip, ZipToProve } from './zip-prover.ts';

export type ZipJob = ZipToProve;

/** What a thread answers: errors lose their class and code on the way between threads. */
export type ZipAnswer =
  | { readonly kind: 'proved'; readonly zip: ProvedZip }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

/** What a thread makes once and uses for every job. */
export interface ProveTools {
  readonly inflate: Inflate;
  readonly buffer: Buffer;
}

export function createProveTools(): ProveTools {
  return { inflate: createInflate(), buffer: Buffer.allocUnsafeSlow(BUFFER_BYTES) };
}

// Has to hold the headers of an entry; larger reads are no quicker.
const BUFFER_BYTES = 1024 * 1024;

/**
 * Reads the file to its end, synchronously but for what `inflate` waits for: meant for a thread of its own.
 * @throws {HubError} zip-invalid with the rule that was broken; storage-fault when the file cannot be read
 */
export async function proveZip(job: ZipJob, tools: ProveTools): Promise<ProvedZip> {
  const file = openFile(job.localPath, job.within);
  let copy: CopyFile | undefined;
  try {
    copy = job.copyTo === undefined ? undefined : openCopy(job.copyTo);
    if (file.sizeBytes > MODULE_ZIP_BYTES_MAX) throw invalid(job, `zip is larger than ${MODULE_ZIP_BYTES_MAX} bytes`);
    const directory = valueOf(job, readZipDirectory(file, MODULE_ZIP_LIMITS));
    valueOf(job, checkModuleZip(job, directory.entries));
    const sm3 = job.withSm3 === true ? createHash('sm3') : undefined;
    const reader = new SequentialReader(file, { buffer: tools.buffer, copy, sm3 });
    const files: HashedFile[] = [];
    const goModName = job.keepGoMod === true ? `${job.module}@${job.version}/go.mod` : undefined;
    let goMod: Uint8Array | undefined;
    for (const entry of directory.entries) {
      const content: Buffer[] | undefined = entry.name === goModName ? [] : undefined;
      const digest = new ContentDigest(entry.sizeBytes, content);
      const fault = await proveEntry(entry, { directory, reader, digest, inflate: tools.inflate });
      if (fault !== undefined) throw invalid(job, `${JSON.stringify(entry.name)}: ${fault}`);
      files.push({ name: entry.name, sha256: digest.sha256() });
      if (content !== undefined) goMod = Buffer.concat(content);
    }
    const h1 = valueOf(job, hashFiles(files));
    const proved = { h1, sha256: reader.finish(), sizeBytes: file.sizeBytes, entries: files.length };
    return { ...proved, ...(goModName !== undefined && { goMod }), ...(sm3 !== undefined && { sm3: sm3.digest('hex') }) };
  } finally {
    copy?.close();
    file.close();
  }
}

function invalid(job: ZipJob, reason: string): HubError {
  return new HubError('zip-invalid', `zip of ${job.module}@${job.version}: ${reason}`);
}

function valueOf<T>(job: ZipJob, outcome: Parsed<T>): T {
  if (!outcome.ok) throw invalid(job, outcome.reason);
  return outcome.value;
}

interface EntryParts {
  readonly directory: ZipDirectory;
  readonly reader: SequentialReader;
  readonly inflate: Inflate;
  readonly digest: ContentDigest;
}

/** Reads the entry's span whole. Answers what is wrong with it. */
async function proveEntry(entry: ZipEntry, { directory, reader, inflate, digest }: EntryParts): Promise<string | undefined> {
  const layout = checkLocalHeader(reader.peek(Math.min(entry.spanBytes, LOCAL_HEADER_BYTES_MAX)), entry, directory);
  if (!layout.ok) return layout.reason;
  const { dataAt, descriptorBytes } = layout.value;
  reader.take(dataAt);
  const { compressedBytes, sizeBytes } = entry;
  if (entry.method === 'stored') {
    for (const chunk of reader.chunks(compressedBytes)) digest.add(chunk);
  } else {
    const outcome = inflate({ chunks: reader.chunks(compressedBytes), compressedBytes, sizeBytes }, (part) => digest.add(part));
    const fault = outcome instanceof Promise ? await outcome : outcome;
    if (fault !== undefined) return fault;
  }
  if (digest.crc32 !== entry.crc32) return 'CRC-32 differs from the content';
  return descriptorBytes === 0 ? undefined : checkDescriptor(reader.take(descriptorBytes), entry);
}

/** CRC-32 and SHA-256 of a content that comes in parts; when in one part, as nearly always, without making a hash object. */
class ContentDigest {
  readonly #sizeBytes: number;
  readonly #copy: Buffer[] | undefined;
  #crc32 = 0;
  #whole = SHA256_OF_NOTHING;
  #parts: Hash | undefined;

  /** `copy` gets a copy of every part. */
  constructor(sizeBytes: number, copy: Buffer[] | undefined) {
    this.#sizeBytes = sizeBytes;
    this.#copy = copy;
  }

  add(part: Buffer): void {
    this.#copy?.push(Buffer.from(part));
    this.#crc32 = crc32(part, this.#crc32);
    if (part.length === this.#sizeBytes) this.#whole = hash('sha256', part, 'hex');
    else (this.#parts ??= createHash('sha256')).update(part);
  }

  get crc32(): number {
    return this.#crc32;
  }

  sha256(): string {
    return this.#parts?.digest('hex') ?? this.#whole;
  }
}

const SHA256_OF_NOTHING = hash('sha256', '', 'hex');

/** The file from its first byte to its last through the one buffer, hashed on the way. What is handed out is valid until the next call. */
class SequentialReader {
  readonly #file: OpenFile;
  readonly #buffer: Buffer;
  readonly #sha256 = createHash('sha256');
  readonly #sm3: Hash | undefined;
  readonly #copy: CopyFile | undefined;
  /** What is read and not yet taken: from `at` up to `end` in the buffer; the file's bytes from `position` on are still to be read. */
  #at = 0;
  #end = 0;
  #position = 0;

  constructor(file: OpenFile, { buffer, copy, sm3 }: { buffer: Buffer; copy: CopyFile | undefined; sm3: Hash | undefined }) {
    this.#file = file;
    this.#buffer = buffer;
    this.#copy = copy;
    this.#sm3 = sm3;
  }

  /** The next `length` bytes, which stay. Not more than the buffer holds. */
  peek(length: number): Buffer {
    if (this.#end - this.#at < length) this.#fill();
    invariant(this.#end - this.#at >= length, 'a zip entry ends within the file and its headers fit in the buffer');
    return this.#buffer.subarray(this.#at, this.#at + length);
  }

  take(length: number): Buffer {
    const bytes = this.peek(length);
    this.#at += length;
    return bytes;
  }

  *chunks(length: number): Generator<Buffer> {
    for (let left = length; left > 0; ) {
      if (this.#at === this.#end) this.#fill();
      const chunk = this.take(Math.min(left, this.#end - this.#at));
      left -= chunk.length;
      yield chunk;
    }
  }

  /** Reads on to the end. Answers the SHA-256 of the file. */
  finish(): string {
    while (this.#position < this.#file.sizeBytes) {
      this.#at = this.#end;
      this.#fill();
    }
    return this.#sha256.digest('hex');
  }

  #fill(): void {
    this.#buffer.copyWithin(0, this.#at, this.#end);
    this.#end -= this.#at;
    this.#at = 0;
    const target = this.#buffer.subarray(this.#end, this.#end + this.#file.sizeBytes - this.#position);
    this.#file.read(target, this.#position);
    this.#sha256.update(target);
    this.#sm3?.update(target);
    this.#copy?.append(target);
    this.#position += target.length;
    this.#end += target.length;
  }
}
