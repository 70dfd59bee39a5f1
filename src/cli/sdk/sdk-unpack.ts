/**
 * Unpacks archives of Go that somebody else has made. Nothing of it is believed: only regular files and folders below `go/`, by the rules for names in
 * module zips, none twice, no more and no larger than an SDK is. Files are made anew and never written through, so no link can lead elsewhere.
 */
import { type Hash as Digest, createHash } from 'node:crypto';
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, crc32, inflateRawSync } from 'node:zlib';
import { HubError, messageOf } from '../../base/errors.ts';
import { checkFilePath, foldKey } from '../../protocol/file-path.ts';
import type { HashedFile } from '../../protocol/dirhash.ts';
import { SDK_ROOT } from '../../protocol/go-release.ts';
import { TAR_BLOCK_BYTES, TAR_META_BYTES_MAX, parsePax, parseTarHeader, tarPadding } from '../../protocol/tar-format.ts';
import { LOCAL_HEADER_BYTES_MAX, checkLocalHeader, readZipDirectory } from '../../protocol/zip-format.ts';
import { doing } from '../name-index.ts';

export interface UnpackRequest {
  /** Of the archive. */
  readonly path: string;
  readonly form: 'tar.gz' | 'zip';
  /** Where `go/` of the archive goes; there already, and empty. Undefined: everything is read and checked, and nothing written. */
  readonly into: string | undefined;
  readonly onFile: (count: number) => void;
}

export interface UnpackedSdk {
  /** Below `go/`. */
  readonly files: readonly HashedFile[];
  readonly sizeBytes: number;
}

const FILES_MAX = 100_000;
const CONTENT_BYTES_MAX = 1024 * 1024 * 1024;
/** Of one file in a zip, which is inflated at once. */
const ZIP_FILE_BYTES_MAX = 128 * 1024 * 1024;

/** @throws {HubError} zip-invalid for an archive that is damaged or against the rules, storage-full, storage-fault, or the signal's reason */
export async function unpackSdk(request: UnpackRequest, signal: AbortSignal): Promise<UnpackedSdk> {
  const tree = new SdkTree(request);
  if (request.form === 'zip') await unpackZip(request.path, tree, signal);
  else await unpackTar(request.path, tree, signal);
  return { files: tree.files, sizeBytes: tree.sizeBytes };
}

/** What was unpacked so far, within its bounds. */
class SdkTree {
  readonly files: HashedFile[] = [];
  sizeBytes = 0;
  readonly #request: UnpackRequest;
  readonly #names = new Set<string>();
  readonly #folders = new Set<string>();

  constructor(request: UnpackRequest) {
    this.#request = request;
  }

  /** Of a file: its name below `go/`. @throws {HubError} zip-invalid */
  admit(name: string, sizeBytes: number): string {
    const below = name.slice(SDK_ROOT.length);
    const checked = name.startsWith(SDK_ROOT) ? checkFilePath(below) : undefined;
    if (checked?.ok !== true) throw this.invalid(`the name ${JSON.stringify(name.slice(0, 200))} has no place in an SDK`);
    const key = foldKey(below);
    if (this.#names.has(key)) throw this.invalid(`${below} stands in it twice`);
    this.#names.add(key);
    this.sizeBytes += sizeBytes;
    if (this.#names.size > FILES_MAX || this.sizeBytes > CONTENT_BYTES_MAX) throw this.invalid('it is larger than an SDK can be');
    return below;
  }

  async write(name: string, executable: boolean, parts: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    const sha256 = createHash('sha256');
    const { into, onFile } = this.#request;
    if (into === undefined) for await (const part of parts) sha256.update(part);
    else await this.#writeInto(join(into, name), executable, { parts, sha256 });
    this.files.push({ name, sha256: sha256.digest('hex') });
    onFile(this.files.length);
  }

  async #writeInto(
    path: string,
    executable: boolean,
    { parts, sha256 }: { readonly parts: AsyncIterable<Buffer> | Iterable<Buffer>; readonly sha256: Digest },
  ): Promise<void> {
    const folder = dirname(path);
    if (!this.#folders.has(folder)) await doing(`make ${folder}`, () => mkdir(folder, { recursive: true }));
    this.#folders.add(folder);
    const file: FileHandle = await doing(`make ${path}`, () => open(path, 'wx', executable ? 0o755 : 0o644));
    try {
      for await (const part of parts) {
        sha256.update(part);
        await doing(`write ${path}`, () => file.writeFile(part));
      }
    } finally {
      await file.close();
    }
  }

  invalid(reason: string): HubError {
    return new HubError('zip-invalid', `${this.#request.path} is refused: ${reason}`);
  }
}

async function unpackTar(path: string, tree: SdkTree, signal: AbortSignal): Promise<void> {
  const gunzip = createGunzip({ chunkSize: 256 * 1024 });
  const pumping = pipeline(createReadStream(path, { highWaterMark: 256 * 1024 }), gunzip, { signal });
  pumping.catch(() => {});
  try {
    await readEntries(new ByteReader(gunzip), tree, signal);
    await pumping;
  } catch (error) {
    gunzip.destroy();
    if (signal.aborted) throw signal.reason;
    if (error instanceof HubError) throw error;
    throw tree.invalid(messageOf(error));
  }
}

async function readEntries(reader: ByteReader, tree: SdkTree, signal: AbortSignal): Promise<void> {
  let next: { path?: string; sizeBytes?: number } = {};
  for (;;) {
    signal.throwIfAborted();
    const block = await reader.take(TAR_BLOCK_BYTES);
    const header = parseTarHeader(block);
    if (!header.ok) throw tree.invalid(header.reason);
    // What follows the end is padding, read so that the checksum behind it is looked at.
    if (header.value === undefined) return reader.toEnd();
    const { kind, mode } = header.value;
    const sizeBytes = kind === 'file' ? (next.sizeBytes ?? header.value.sizeBytes) : header.value.sizeBytes;
    const name = next.path ?? header.value.name;
    switch (kind) {
      case 'pax':
      case 'long-name':
      case 'pax-global': {
        if (sizeBytes > TAR_META_BYTES_MAX) throw tree.invalid('it has a header that is too long');
        const bytes = await reader.take(sizeBytes);
        await reader.take(tarPadding(sizeBytes));
        if (kind === 'long-name') next = { ...next, path: bytes.toString('utf8').replace(/\0+$/, '') };
        const records = kind === 'pax' ? parsePax(bytes) : undefined;
        if (records?.ok === false) throw tree.invalid(records.reason);
        if (records?.ok === true) next = { ...next, ...records.value };
        continue;
      }
      case 'folder':
        if (sizeBytes !== 0) throw tree.invalid(`the folder ${name} has content`);
        break;
      case 'file':
        await tree.write(tree.admit(name, sizeBytes), (mode & 0o111) !== 0, reader.parts(sizeBytes));
        await reader.take(tarPadding(sizeBytes));
        break;
      case 'irregular':
        throw tree.invalid(`${JSON.stringify(name)} is neither a file nor a folder`);
    }
    next = {};
  }
}

/** A stream of chunks, taken in lengths that the reader wants. @throws Error when it ends too early */
class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for await (const part of this.parts(length)) parts.push(part);
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  async *parts(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#fill())) throw new Error('it ends too early');
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  async toEnd(): Promise<void> {
    while (await this.#fill()) continue;
  }

  async #fill(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#rest = next.value;
    return true;
  }
}

async function unpackZip(path: string, tree: SdkTree, signal: AbortSignal): Promise<void> {
  const descriptor = openSync(path, 'r');
  try {
    const sizeBytes = fstatSync(descriptor).size;
    const read = (target: Uint8Array, position: number): void => {
      for (let done = 0; done < target.length; ) {
        const count = readSync(descriptor, target, done, target.length - done, position + done);
        if (count === 0) throw tree.invalid('it ends too early');
        done += count;
      }
    };
    const limits = { entriesMax: FILES_MAX, directoryBytesMax: 24 * 1024 * 1024, nameBytesMax: 4096 };
    const directory = readZipDirectory({ sizeBytes, read }, limits);
    if (!directory.ok) throw tree.invalid(directory.reason);
    for (const entry of directory.value.entries) {
      signal.throwIfAborted();
      if (entry.kind === 'directory') continue;
      if (entry.kind === 'irregular') throw tree.invalid(`${JSON.stringify(entry.name)} is neither a file nor a folder`);
      if (entry.sizeBytes > ZIP_FILE_BYTES_MAX || entry.compressedBytes > ZIP_FILE_BYTES_MAX)
        throw tree.invalid(`${entry.name} is too large`);
      const name = tree.admit(entry.name, entry.sizeBytes);
      const span = Buffer.allocUnsafe(Math.min(entry.spanBytes, LOCAL_HEADER_BYTES_MAX));
      read(span, entry.offset);
      const layout = checkLocalHeader(span, entry, directory.value);
      if (!layout.ok) throw tree.invalid(`${entry.name}: ${layout.reason}`);
      const bytes = Buffer.allocUnsafe(entry.compressedBytes);
      read(bytes, entry.offset + layout.value.dataAt);
      const content = entry.method === 'stored' ? bytes : inflateRawSync(bytes, { maxOutputLength: Math.max(1, entry.sizeBytes) });
      if (content.length !== entry.sizeBytes || crc32(content) !== entry.crc32) throw tree.invalid(`${entry.name} is damaged`);
      // Archives for Windows have no modes that count.
      await tree.write(name, false, [content]);
    }
  } catch (error) {
    if (error instanceof HubError || signal.aborted) throw error;
    throw tree.invalid(messageOf(error));
  } finally {
    closeSync(descriptor);
  }
}
