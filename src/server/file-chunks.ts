import { HubError } from '../base/errors.ts';
import type { OpenBlob } from '../store/blob-store.ts';
import type { ServerLimits } from './limits.ts';
import type { ByteRange } from './preconditions.ts';

/** A stretch of a stored file in memory. Its bytes do not change while somebody holds it. */
export interface FileChunk {
  readonly startBytes: number;
  /** Of the file only; the last chunk of a file is shorter than its buffer. */
  readonly bytes: Buffer;
}

interface Held extends FileChunk {
  /** The whole buffer that `bytes` is a part of. */
  readonly buffer: Buffer;
  /** By which others find it; undefined for one that its caller has alone. */
  readonly name: string | undefined;
  holders: number;
  /** Rejects when it could not be read; undefined once it is there. */
  ready: Promise<void> | undefined;
}

type ChunkLimits = Pick<ServerLimits, 'chunkBytes' | 'chunkBuffersMax' | 'spareChunkBytes'>;

/**
 * The chunks that large answers are sent from, shared by all who are sent the same file: a herd of clients costs one read of each chunk, and a file
 * that is asked for again soon costs none. A chunk belongs to a fingerprint, so that one of a file that was touched is never found again.
 * There are at most `chunkBuffersMax` of them. One that nobody holds stays until its buffer is needed for another. Which one goes is left to chance:
 * the longest unused would always be the one that is needed next, as large files are read from end to end. Who finds all of them held gets a
 * small one of its own, so that readers who do not read slow nobody else down.
 */
export class FileChunks {
  readonly #limits: ChunkLimits;
  /** By fingerprint and number. */
  readonly #held = new Map<string, Held>();
  /** Buffers that exist: those held here, and those that are still on their way to a client though they are not to be found any more. */
  #made = 0;

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
  }

  /**
   * A chunk with the bytes from `position` on, to be given back or lost by the caller, who keeps `blob` open until it is there.
   * `range` is all that the caller is going to send: a small one is not worth a chunk that others share.
   * @throws {HubError} storage-fault and what the read threw
   */
  async take(blob: OpenBlob, position: number, range: ByteRange): Promise<FileChunk> {
    const { chunkBytes, spareChunkBytes } = this.#limits;
    const number = Math.floor(position / chunkBytes);
    const name = `${blob.fingerprint} ${number}`;
    let held = this.#held.get(name);
    if (held === undefined) {
      const buffer = range.end - range.start > spareChunkBytes ? this.#room() : undefined;
      if (buffer === undefined) return takeSpare(blob, position, Math.min(spareChunkBytes, range.end - position));
      const startBytes = number * chunkBytes;
      const bytes = buffer.subarray(0, Math.min(chunkBytes, blob.sizeBytes - startBytes));
      held = { name, startBytes, buffer, bytes, holders: 0, ready: undefined };
      held.ready = this.#read(blob, held);
      this.#held.set(name, held);
    }
    held.holders += 1;
    if (held.ready === undefined) return held;
    try {
      await held.ready;
      return held;
    } catch (error) {
      this.lose(held);
      throw error;
    }
  }

  giveBack(chunk: FileChunk): void {
    const held = chunk as Held;
    held.holders -= 1;
    if (held.name !== undefined && held.holders === 0 && !this.#isFindable(held.name, held)) this.#made -= 1;
  }

  /** For a chunk that a broken connection may still refer to: it is not read into again, and goes when nobody holds it. */
  lose(chunk: FileChunk): void {
    const held = chunk as Held;
    if (held.name !== undefined && this.#isFindable(held.name, held)) this.#held.delete(held.name);
    this.giveBack(held);
  }

  /** Lets go of all that nobody holds. */
  forget(): void {
    for (const [name, { holders }] of this.#held) {
      if (holders > 0) continue;
      this.#held.delete(name);
      this.#made -= 1;
    }
  }

  #isFindable(name: string, held: Held): boolean {
    return this.#held.get(name) === held;
  }

  #room(): Buffer | undefined {
    if (this.#made < this.#limits.chunkBuffersMax) {
      this.#made += 1;
      return Buffer.allocUnsafeSlow(this.#limits.chunkBytes);
    }
    const free = [...this.#held].filter(([, { holders }]) => holders === 0);
    const chosen = free[Math.floor(Math.random() * free.length)];
    if (chosen === undefined) return undefined;
    const [name, { buffer }] = chosen;
    this.#held.delete(name);
    return buffer;
  }

  #read(blob: OpenBlob, held: Held): Promise<void> | undefined {
    const { bytes, startBytes } = held;
    if (blob.readNow(bytes, bytes.length, startBytes) === bytes.length) return undefined;
    return readFully(blob, bytes, startBytes).then(() => {
      held.ready = undefined;
    });
  }
}

async function takeSpare(blob: OpenBlob, startBytes: number, sizeBytes: number): Promise<Held> {
  const buffer = Buffer.allocUnsafe(sizeBytes);
  await readFully(blob, buffer, startBytes);
  return { name: undefined, startBytes, buffer, bytes: buffer, holders: 1, ready: undefined };
}

/** Fills `into` from `position` on. @throws {HubError} storage-fault when the file ends before that, and what the read threw */
async function readFully(blob: OpenBlob, into: Buffer, position: number): Promise<void> {
  for (let filled = 0; filled < into.length; ) {
    const count = await blob.read(filled === 0 ? into : into.subarray(filled), into.length - filled, position + filled);
    if (count === 0) throw new HubError('storage-fault', `a stored file ended after ${position + filled} of ${blob.sizeBytes} bytes`);
    filled += count;
  }
}
