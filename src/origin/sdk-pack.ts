/**
 * Makes the archive of an SDK out of the zip of its toolchain module: names below `go/`, `go.mod` files under their own names, modes as the go
 * command sets them, every time that of the release. Each entry is inflated no further than its declared size, checked by CRC-32 and hashed, so
 * that the archive is known to hold what the module's hash stands for.
 *
 * For Windows the compressed data is copied as it is, so that the archive depends on nothing but the module; a tar.gz is compressed anew, and the same
 * module makes the same bytes as long as zlib stays the same. Memory: the zip's directory and a few MiB, whatever the sizes are.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, crc32, createDeflateRaw, createInflateRaw, inflateRawSync } from 'node:zlib';
import { HubError, messageOf } from '../base/errors.ts';
import { hashFiles, type HashedFile } from '../protocol/dirhash.ts';
import { SDK_ROOT, isExecutable, sdkFileOf } from '../protocol/go-release.ts';
import { MODULE_ZIP_LIMITS, checkModuleZip } from '../protocol/module-zip.ts';
import { TAR_END, formatTarHeader, tarPadding } from '../protocol/tar-format.ts';
import { LOCAL_HEADER_BYTES_MAX, type ZipDirectory, type ZipEntry, checkLocalHeader, readZipDirectory } from '../protocol/zip-format.ts';
import { ZIP_ENTRIES_MAX, type ZipFileToWrite, formatCentralHeader, formatLocalHeader, formatZipEnd } from '../protocol/zip-writing.ts';
import type { PackedSdk, SdkToPack } from './sdk-packer.ts';
import { type OpenFile, openFile } from './zip-file.ts';

/** What is larger is inflated piece by piece. */
const AT_ONCE_BYTES_MAX = 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
/** Before 1.21 no time stands in VERSION. */
const NO_TIME_SECONDS = Date.UTC(1980, 0, 1) / 1_000;
const VERSION_BYTES_MAX = 4 * 1024;

interface Content {
  readonly entry: ZipEntry;
  /** Below `go/`. */
  readonly name: string;
  readonly mode: number;
}

interface Job {
  readonly sdk: SdkToPack;
  readonly file: OpenFile;
  readonly directory: ZipDirectory;
  readonly contents: readonly Content[];
  readonly modifiedSeconds: number;
  readonly hashed: HashedFile[];
}

/** @throws {HubError} zip-invalid, upstream-invalid, storage-fault, and what the sink throws */
export async function packSdk(sdk: SdkToPack, sink: (piece: Uint8Array) => Promise<void>): Promise<PackedSdk> {
  const file = openFile(sdk.localPath);
  try {
    const job = openJob(sdk, file);
    const sha256 = createHash('sha256');
    for await (const piece of inPieces(sdk.form === 'zip' ? zipBytes(job) : gzipBytes(job))) {
      sha256.update(piece);
      await sink(piece);
    }
    const h1 = hashFiles(job.hashed);
    if (!h1.ok) throw invalid(sdk, h1.reason);
    return { sha256: sha256.digest('hex'), h1: h1.value };
  } finally {
    file.close();
  }
}

function openJob(sdk: SdkToPack, file: OpenFile): Job {
  const directory = readZipDirectory(file, MODULE_ZIP_LIMITS);
  if (!directory.ok) throw invalid(sdk, directory.reason);
  const checked = checkModuleZip(sdk, directory.value.entries);
  if (!checked.ok) throw invalid(sdk, checked.reason);
  const prefix = `${sdk.module}@${sdk.version}/`;
  const contents = directory.value.entries
    .filter(({ kind }) => kind === 'file')
    .map((entry) => {
      const name = sdkFileOf(entry.name.slice(prefix.length));
      if (name === undefined) throw noSdk(sdk, `${entry.name} has no place in an SDK`);
      return { entry, name, mode: isExecutable(name) ? 0o755 : 0o644 };
    });
  if (contents.length > ZIP_ENTRIES_MAX) throw noSdk(sdk, `it has more than ${ZIP_ENTRIES_MAX} files`);
  if (new Set(contents.map(({ name }) => name)).size !== contents.length) throw noSdk(sdk, 'two of its files have the same name in an SDK');
  const version = contents.find(({ name }) => name === 'VERSION')?.entry;
  if (version === undefined || version.sizeBytes > VERSION_BYTES_MAX) throw noSdk(sdk, 'it has no VERSION');
  const job = { sdk, file, directory: directory.value, contents, modifiedSeconds: NO_TIME_SECONDS, hashed: [] };
  return { ...job, modifiedSeconds: releaseSeconds(inflateWhole(job, version).toString('latin1')) };
}

/** The second line of VERSION: `time 2026-08-28T16:20:06Z`. */
function releaseSeconds(version: string): number {
  const text = /^time (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\r?$/m.exec(version)?.[1];
  const seconds = text === undefined ? Number.NaN : Date.parse(text) / 1_000;
  return seconds >= NO_TIME_SECONDS && seconds < Date.UTC(2100, 0, 1) / 1_000 ? seconds : NO_TIME_SECONDS;
}

async function* gzipBytes(job: Job): AsyncGenerator<Buffer> {
  // Written here and not by zlib, whose header names the operating system.
  yield Buffer.from('1f8b08000000000000ff', 'hex');
  let sum = 0;
  let sizeBytes = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const part of tarBytes(job)) {
      sum = crc32(part, sum);
      sizeBytes += part.length;
      yield part;
    }
  };
  const deflate = createDeflateRaw({ level: constants.Z_DEFAULT_COMPRESSION, chunkSize: 256 * 1024 });
  const pumping = pipeline(Readable.from(counted(), { objectMode: true, highWaterMark: 1 }), deflate);
  // What fails in there ends the reading below as well, which tells it.
  pumping.catch(() => {});
  for await (const part of deflate) yield part as Buffer;
  await pumping;
  const end = Buffer.alloc(8);
  end.writeUInt32LE(sum, 0);
  end.writeUInt32LE(sizeBytes >>> 0, 4);
  yield end;
}

async function* tarBytes(job: Job): AsyncGenerator<Buffer> {
  for (const { entry, name, mode } of job.contents) {
    const { sizeBytes } = entry;
    const header = formatTarHeader({ name: SDK_ROOT + name, sizeBytes, mode, modifiedSeconds: job.modifiedSeconds });
    if (header === undefined) throw noSdk(job.sdk, `the name ${name} does not fit in an archive`);
    yield header;
    yield* contentOf(job, entry);
    const padding = tarPadding(sizeBytes);
    if (padding > 0) yield TAR_END.subarray(0, padding);
  }
  yield TAR_END;
}

async function* zipBytes(job: Job): AsyncGenerator<Buffer> {
  const headers: Buffer[] = [];
  let offset = 0;
  for (const { entry, name, mode } of job.contents) {
    const { method, compressedBytes, sizeBytes } = entry;
    const file: ZipFileToWrite = {
      name: SDK_ROOT + name,
      method,
      crc32: entry.crc32,
      compressedBytes,
      sizeBytes,
      mode,
      modifiedSeconds: job.modifiedSeconds,
    };
    if (!/^[\x20-\x7e]+$/.test(name)) throw noSdk(job.sdk, `the name ${name} does not fit in an archive`);
    for await (const _ of contentOf(job, entry)) continue;
    const header = formatLocalHeader(file);
    yield header;
    yield* compressedOf(job, entry);
    headers.push(formatCentralHeader(file, offset));
    offset += header.length + compressedBytes;
  }
  const directory = Buffer.concat(headers);
  yield directory;
  yield formatZipEnd({ entries: headers.length, directoryBytes: directory.length, offset });
}

/** The content of an entry, checked and hashed by the time it has ended. */
async function* contentOf(job: Job, entry: ZipEntry): AsyncGenerator<Buffer> {
  if (entry.sizeBytes <= AT_ONCE_BYTES_MAX && entry.compressedBytes <= AT_ONCE_BYTES_MAX) {
    const content = inflateWhole(job, entry);
    job.hashed.push({ name: entry.name, sha256: createHash('sha256').update(content).digest('hex') });
    if (content.length > 0) yield content;
    return;
  }
  const sha256 = createHash('sha256');
  let sum = 0;
  let sizeBytes = 0;
  for await (const part of entry.method === 'stored' ? compressedOf(job, entry) : inflated(job, entry)) {
    sizeBytes += part.length;
    if (sizeBytes > entry.sizeBytes) throw invalid(job.sdk, `${entry.name}: content is larger than declared`);
    sum = crc32(part, sum);
    sha256.update(part);
    yield part;
  }
  if (sizeBytes !== entry.sizeBytes || sum !== entry.crc32) throw invalid(job.sdk, `${entry.name}: content is not what was declared`);
  job.hashed.push({ name: entry.name, sha256: sha256.digest('hex') });
}

async function* inflated(job: Job, entry: ZipEntry): AsyncGenerator<Buffer> {
  const inflate = createInflateRaw({ chunkSize: 256 * 1024 });
  const pumping = pipeline(Readable.from(compressedOf(job, entry), { objectMode: true, highWaterMark: 1 }), inflate);
  pumping.catch(() => {});
  try {
    for await (const part of inflate) yield part as Buffer;
    await pumping;
  } catch (error) {
    throw error instanceof HubError ? error : invalid(job.sdk, `${entry.name}: compressed data is damaged: ${messageOf(error)}`);
  }
}

function inflateWhole(job: Pick<Job, 'sdk' | 'file' | 'directory'>, entry: ZipEntry): Buffer {
  const { sdk, file } = job;
  const bytes = Buffer.allocUnsafe(entry.compressedBytes);
  file.read(bytes, dataAtOf(job, entry));
  let content = bytes;
  if (entry.method === 'deflated') {
    try {
      content = inflateRawSync(bytes, { maxOutputLength: Math.max(entry.sizeBytes, 1) });
    } catch (error) {
      throw invalid(sdk, `${entry.name}: compressed data is damaged: ${messageOf(error)}`);
    }
  }
  if (content.length !== entry.sizeBytes || crc32(content) !== entry.crc32)
    throw invalid(sdk, `${entry.name}: content is not what was declared`);
  return content;
}

function* compressedOf(job: Job, entry: ZipEntry): Generator<Buffer> {
  const start = dataAtOf(job, entry);
  for (let done = 0; done < entry.compressedBytes; ) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, entry.compressedBytes - done));
    job.file.read(piece, start + done);
    done += piece.length;
    yield piece;
  }
}

function dataAtOf({ sdk, file, directory }: Pick<Job, 'sdk' | 'file' | 'directory'>, entry: ZipEntry): number {
  const span = Buffer.allocUnsafe(Math.min(entry.spanBytes, LOCAL_HEADER_BYTES_MAX));
  file.read(span, entry.offset);
  const layout = checkLocalHeader(span, entry, directory);
  if (!layout.ok) throw invalid(sdk, `${entry.name}: ${layout.reason}`);
  return entry.offset + layout.value.dataAt;
}

/** The same bytes in pieces of one size, but for the last; each is a buffer of its own. */
async function* inPieces(parts: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(PIECE_BYTES);
  let filled = 0;
  for await (const part of parts) {
    for (let at = 0; at < part.length; ) {
      const count = Math.min(part.length - at, PIECE_BYTES - filled);
      piece.set(part.subarray(at, at + count), filled);
      filled += count;
      at += count;
      if (filled < PIECE_BYTES) continue;
      yield piece;
      piece = new Uint8Array(PIECE_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield piece.slice(0, filled);
}

function invalid({ module, version }: SdkToPack, reason: string): HubError {
  return new HubError('zip-invalid', `zip of ${module}@${version}: ${reason}`);
}

function noSdk({ module, version }: SdkToPack, reason: string): HubError {
  return new HubError('upstream-invalid', `${module}@${version} is no SDK of Go: ${reason}`);
}
