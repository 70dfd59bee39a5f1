/**
 * Writes a module zip from front to back while its files come in. Deflating happens on the threads of libuv but for tiny files, small ones several at once; no more
 * than {@link PENDING_BYTES_MAX} and one chunk of a large file are held, whatever the module's size. The same files give the same bytes.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32, createDeflateRaw, deflateRaw, deflateRawSync } from 'node:zlib';
import { HubError } from '../../base/errors.ts';
import { MODULE_ZIP_BYTES_MAX } from '../../protocol/module-zip.ts';
import { createSizeCheck } from '../../protocol/module-zip-plan.ts';
import { type WrittenFile, zipCentralHeader, zipDescriptor, zipEnd, zipLocalHeader } from '../../protocol/zip-records.ts';

export interface ZipInput {
  /** Below the module's root. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly body: AsyncIterable<Buffer>;
}

/** Of files that are deflated at once: a fraction of a millisecond, and less than the way to another thread and back. */
const TINY_BYTES_MAX: number = 8 * 1024;
/** Of files whose content is held whole. */
const SMALL_BYTES_MAX: number = 1024 * 1024;
const PENDING_BYTES_MAX: number = 4 * 1024 * 1024;
const PENDING_MAX = 64;
const CHUNK_BYTES: number = 64 * 1024;

interface Deflated {
  readonly name: Buffer;
  readonly crc32: number;
  readonly sizeBytes: number;
  readonly bytes: Buffer | Promise<Buffer>;
}

/** `prefix` is `PATH@VERSION/`. @throws {HubError} zip-invalid for sizes against the rules, or what the files throw */
export function writeModuleZip(prefix: string, files: AsyncIterable<ZipInput>): AsyncGenerator<Buffer, void, undefined> {
  return inLargeChunks(zipPieces(prefix, files));
}

/** Hundreds of files fit in one chunk: whoever takes them has something to do for each. */
async function* inLargeChunks(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = [];
  let partBytes = 0;
  for await (const piece of pieces) {
    parts.push(piece);
    partBytes += piece.length;
    if (partBytes < CHUNK_BYTES) continue;
    yield parts.length === 1 ? piece : Buffer.concat(parts);
    parts = [];
    partBytes = 0;
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}

async function* zipPieces(prefix: string, files: AsyncIterable<ZipInput>): AsyncGenerator<Buffer, void, undefined> {
  const writer = new ZipWriter();
  const checkSize = createSizeCheck();
  const pending: Deflated[] = [];
  let pendingBytes = 0;
  const flush = async function* (downToBytes: number): AsyncGenerator<Buffer, void, undefined> {
    while (pending.length > 0 && (pendingBytes > downToBytes || pending.length >= PENDING_MAX || downToBytes === 0)) {
      const file = pending.shift() as Deflated;
      pendingBytes -= file.sizeBytes;
      yield* writer.small(file);
    }
  };
  try {
    for await (const { path, sizeBytes, body } of files) {
      const fault = checkSize(path, sizeBytes);
      if (fault !== undefined) throw new HubError('zip-invalid', fault);
      const name = Buffer.from(prefix + path);
      if (sizeBytes <= SMALL_BYTES_MAX) {
        const content = await readWhole(body, sizeBytes);
        pending.push({
          name,
          crc32: crc32(content),
          sizeBytes,
          bytes: sizeBytes <= TINY_BYTES_MAX ? deflateRawSync(content) : deflate(content),
        });
        pendingBytes += sizeBytes;
        yield* flush(PENDING_BYTES_MAX);
      } else {
        yield* flush(0);
        yield* writer.large(name, body);
      }
    }
    yield* flush(0);
    yield* writer.end();
  } finally {
    // Of what nobody reads any more, failures are nobody's either.
    for (const { bytes } of pending) if (bytes instanceof Promise) bytes.catch(() => {});
  }
}

class ZipWriter {
  readonly #written: WrittenFile[] = [];
  #offset = 0;

  async *small(file: Deflated): AsyncGenerator<Buffer, void, undefined> {
    const offset = this.#offset;
    const compressed = await file.bytes;
    const facts = { crc32: file.crc32, compressedBytes: compressed.length, sizeBytes: file.sizeBytes };
    yield this.#count(zipLocalHeader(file.name));
    yield this.#count(compressed);
    yield this.#count(zipDescriptor(facts));
    this.#written.push({ name: file.name, offset, ...facts });
  }

  async *large(name: Buffer, body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    const offset = this.#offset;
    yield this.#count(zipLocalHeader(name));
    let checksum = 0;
    let sizeBytes = 0;
    const seen = async function* (): AsyncGenerator<Buffer, void, undefined> {
      for await (const chunk of body) {
        checksum = crc32(chunk, checksum);
        sizeBytes += chunk.length;
        yield chunk;
      }
    };
    const deflater = createDeflateRaw({ chunkSize: CHUNK_BYTES });
    const fed = pipeline(Readable.from(seen(), { objectMode: true, highWaterMark: 1 }), deflater);
    fed.catch(() => {});
    let compressedBytes = 0;
    for await (const chunk of deflater as AsyncIterable<Buffer>) {
      compressedBytes += chunk.length;
      yield this.#count(chunk);
    }
    await fed;
    const facts = { crc32: checksum, compressedBytes, sizeBytes };
    yield this.#count(zipDescriptor(facts));
    this.#written.push({ name, offset, ...facts });
  }

  *end(): Generator<Buffer, void, undefined> {
    const offset = this.#offset;
    for (const file of this.#written) yield this.#count(zipCentralHeader(file));
    yield this.#count(zipEnd({ files: this.#written.length, offset, sizeBytes: this.#offset - offset }));
  }

  #count(bytes: Buffer): Buffer {
    this.#offset += bytes.length;
    if (this.#offset > MODULE_ZIP_BYTES_MAX) throw new HubError('zip-invalid', `module zip is larger than ${MODULE_ZIP_BYTES_MAX} bytes`);
    return bytes;
  }
}

async function readWhole(body: AsyncIterable<Buffer>, sizeBytes: number): Promise<Buffer> {
  const content = Buffer.allocUnsafe(sizeBytes);
  let at = 0;
  for await (const chunk of body) at += chunk.copy(content, at);
  return content;
}

function deflate(content: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    deflateRaw(content, (error, result) => (error === null ? resolve(result) : reject(error)));
  });
}
