import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { crc32, inflateRawSync } from 'node:zlib';
import { HubError, messageOf } from '../base/errors.ts';
import {
  checkDescriptor,
  checkLocalHeader,
  readZipDirectory,
  type ZipDirectory,
  type ZipEntry,
  type ZipLimits,
} from '../protocol/zip-format.ts';

/** A zip on the disk, of which single small files are read. Its owner disposes of it. */
export class ZipReader implements Disposable {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #directory: ZipDirectory;

  private constructor(path: string, descriptor: number, directory: ZipDirectory) {
    this.#path = path;
    this.#descriptor = descriptor;
    this.#directory = directory;
  }

  /** @throws {HubError} zip-invalid, storage-fault */
  static open(path: string, limits: ZipLimits): ZipReader {
    let descriptor: number;
    try {
      descriptor = openSync(path, 'r');
    } catch (error) {
      throw new HubError('storage-fault', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
    }
    try {
      const read = (target: Uint8Array, position: number): void => readInto({ descriptor, path }, target, position);
      const directory = readZipDirectory({ sizeBytes: fstatSync(descriptor).size, read }, limits);
      if (!directory.ok) throw new HubError('zip-invalid', `${path}: ${directory.reason}`);
      return new ZipReader(path, descriptor, directory.value);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  get entries(): readonly ZipEntry[] {
    return this.#directory.entries;
  }

  /** The content of an entry, compared with what the zip says of it. @throws {HubError} zip-invalid, storage-fault */
  read(entry: ZipEntry, sizeMaxBytes: number): Buffer {
    const refuse = (reason: string): HubError => new HubError('zip-invalid', `${entry.name} in ${this.#path}: ${reason}`);
    if (entry.sizeBytes > sizeMaxBytes || entry.spanBytes > 2 * sizeMaxBytes + OVERHEAD_BYTES_MAX)
      throw refuse(`it has ${entry.sizeBytes} bytes, more than the ${sizeMaxBytes} that are allowed`);
    const span = Buffer.allocUnsafe(entry.spanBytes);
    readInto({ descriptor: this.#descriptor, path: this.#path }, span, entry.offset);
    const layout = checkLocalHeader(span, entry, this.#directory);
    if (!layout.ok) throw refuse(layout.reason);
    const { dataAt, descriptorBytes } = layout.value;
    const dataEnd = dataAt + entry.compressedBytes;
    const fault = descriptorBytes === 0 ? undefined : checkDescriptor(span.subarray(dataEnd, dataEnd + descriptorBytes), entry);
    if (fault !== undefined) throw refuse(fault);
    const content = entry.method === 'stored' ? span.subarray(dataAt, dataEnd) : inflated(span.subarray(dataAt, dataEnd), entry, refuse);
    if (content.length !== entry.sizeBytes || crc32(content) !== entry.crc32) throw refuse('its content is not what the zip says');
    return content;
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

/** Two headers with the longest names and extra fields. */
const OVERHEAD_BYTES_MAX = 4 * 0x1_0000;

function inflated(data: Buffer, { sizeBytes }: ZipEntry, refuse: (reason: string) => HubError): Buffer {
  try {
    return inflateRawSync(data, { maxOutputLength: Math.max(sizeBytes, 1) });
  } catch (error) {
    throw refuse(messageOf(error));
  }
}

function readInto(
  { descriptor, path }: { readonly descriptor: number; readonly path: string },
  target: Uint8Array,
  position: number,
): void {
  try {
    for (let done = 0; done < target.length; ) {
      const count = readSync(descriptor, target, done, target.length - done, position + done);
      if (count === 0) throw new Error('the file ended early');
      done += count;
    }
  } catch (error) {
    throw new HubError('storage-fault', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}
