/**
 * Reads the tar that `git archive` writes, entry by entry, holding no more than the chunk that just came: ustar headers, and the extended headers
 * (`x`) that git puts before names, link targets and sizes which do not fit. Everything else in a tar is refused, because git does not write it.
 */
import { HubError } from '../../base/errors.ts';

export interface TarEntry {
  /** The bytes of its path. */
  readonly name: Buffer;
  readonly kind: 'file' | 'other';
  readonly sizeBytes: number;
  /** Of a file, to be read to the end before the next entry is asked for. */
  readonly body: AsyncIterable<Buffer>;
}

const BLOCK = 512;
const EXTENDED_BYTES_MAX = 1024 * 1024;

/** @throws {HubError} upstream-invalid for what is no such tar, or what `chunks` throws */
export async function* readTar(chunks: AsyncIterable<Buffer>): AsyncGenerator<TarEntry, void, undefined> {
  const reader = new ChunkReader(chunks);
  try {
    let extended: ReadonlyMap<string, Buffer> = new Map();
    for (;;) {
      const header = await reader.take(BLOCK);
      if (header === undefined || header.every((byte) => byte === 0)) break;
      if (header.toString('latin1', 257, 262) !== 'ustar') throw malformed();
      const type = header.toString('latin1', 156, 157);
      const sizeBytes = sizeOf(header, extended);
      if (type === 'x' || type === 'g') {
        const records = await reader.takeAll(sizeBytes, EXTENDED_BYTES_MAX);
        await reader.skip(padding(sizeBytes));
        if (type === 'x') extended = readRecords(records);
        continue;
      }
      if (!/^[025]$/.test(type)) throw malformed();
      const isFile = type === '0';
      const left = { bytes: isFile ? sizeBytes : 0 };
      yield { name: nameOf(header, extended), kind: isFile ? 'file' : 'other', sizeBytes, body: reader.body(left) };
      await reader.skip(left.bytes + padding(isFile ? sizeBytes : 0));
      extended = new Map();
    }
    await reader.drain();
  } finally {
    await reader.close();
  }
}

/** Chunks cut to what is asked for. */
class ChunkReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Undefined at the end, if that comes before the first byte. */
  async take(sizeBytes: number): Promise<Buffer | undefined> {
    if (this.#rest.length === 0 && !(await this.#more())) return undefined;
    return this.takeAll(sizeBytes, sizeBytes);
  }

  async takeAll(sizeBytes: number, sizeBytesMax: number): Promise<Buffer> {
    if (sizeBytes > sizeBytesMax) throw malformed();
    const parts: Buffer[] = [];
    for (let left = sizeBytes; left > 0; ) {
      const part = await this.#next(left);
      parts.push(part);
      left -= part.length;
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  async *body(left: { bytes: number }): AsyncGenerator<Buffer, void, undefined> {
    while (left.bytes > 0) {
      const part = await this.#next(left.bytes);
      left.bytes -= part.length;
      yield part;
    }
  }

  async skip(sizeBytes: number): Promise<void> {
    for (let left = sizeBytes; left > 0; ) left -= (await this.#next(left)).length;
  }

  /** To the end of the source, so that it can say whether it ended well. */
  async drain(): Promise<void> {
    while (await this.#more());
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #next(sizeBytesMax: number): Promise<Buffer> {
    if (this.#rest.length === 0 && !(await this.#more())) throw malformed();
    const part = this.#rest.subarray(0, sizeBytesMax);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  async #more(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return false;
      this.#rest = value;
      if (value.length > 0) return true;
    }
  }
}

function nameOf(header: Buffer, extended: ReadonlyMap<string, Buffer>): Buffer {
  const long = extended.get('path');
  if (long !== undefined) return long;
  const name = untilZero(header.subarray(0, 100));
  const prefix = untilZero(header.subarray(345, 500));
  return prefix.length === 0 ? Buffer.from(name) : Buffer.concat([prefix, Buffer.from('/'), name]);
}

function sizeOf(header: Buffer, extended: ReadonlyMap<string, Buffer>): number {
  const text = extended.get('size')?.toString('latin1') ?? '';
  const size = text === '' ? Number.parseInt(header.toString('latin1', 124, 136), 8) : Number(text);
  if (!Number.isSafeInteger(size) || size < 0) throw malformed();
  return size;
}

/** `LENGTH KEY=VALUE\n`, the length counting the whole record. */
function readRecords(bytes: Buffer): ReadonlyMap<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const [digits = '', length = ''] = /^(\d{1,9}) /.exec(bytes.toString('latin1', at, at + 10)) ?? [];
    const equals = bytes.indexOf('=', at);
    const end = at + Number(length);
    if (length === '' || end > bytes.length || equals < 0 || equals >= end) throw malformed();
    records.set(bytes.toString('latin1', at + digits.length, equals), Buffer.from(bytes.subarray(equals + 1, end - 1)));
    at = end;
  }
  return records;
}

function untilZero(bytes: Buffer): Buffer {
  const zero = bytes.indexOf(0);
  return zero < 0 ? bytes : bytes.subarray(0, zero);
}

function padding(sizeBytes: number): number {
  return (BLOCK - (sizeBytes % BLOCK)) % BLOCK;
}

function malformed(): HubError {
  return new HubError('upstream-invalid', 'git archive wrote a tar that cannot be read');
}
