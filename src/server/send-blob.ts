import type { ServerResponse } from 'node:http';
import { HubError } from '../base/errors.ts';
import type { OpenBlob } from '../store/blob-store.ts';
import type { Exchange } from './exchange.ts';
import type { ServerLimits } from './limits.ts';
import type { ByteRange } from './preconditions.ts';

/**
 * The buffers that large answers are read into. There are at most `chunkBuffersMax` of `chunkBytes`; who finds none gets a small one of its own,
 * so that readers who do not read slow nobody else down and memory stays bounded by the number of connections.
 */
export class ChunkBuffers {
  readonly #limits: Pick<ServerLimits, 'chunkBytes' | 'chunkBuffersMax' | 'spareChunkBytes'>;
  readonly #free: Buffer[] = [];
  #made = 0;

  constructor(limits: Pick<ServerLimits, 'chunkBytes' | 'chunkBuffersMax' | 'spareChunkBytes'>) {
    this.#limits = limits;
  }

  /** A buffer for an answer of `sizeBytes`, which may be larger or smaller than that. To be given back or, while somebody may still read it, lost. */
  take(sizeBytes: number): Buffer {
    const { chunkBytes, chunkBuffersMax, spareChunkBytes } = this.#limits;
    if (sizeBytes <= spareChunkBytes) return Buffer.allocUnsafe(sizeBytes);
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made >= chunkBuffersMax) return Buffer.allocUnsafeSlow(spareChunkBytes);
    this.#made += 1;
    return Buffer.allocUnsafeSlow(chunkBytes);
  }

  giveBack(buffer: Buffer): void {
    if (buffer.length === this.#limits.chunkBytes) this.#free.push(buffer);
  }

  /** For a buffer that a broken connection may still refer to: the collector frees it. */
  lose(buffer: Buffer): void {
    if (buffer.length === this.#limits.chunkBytes) this.#made -= 1;
  }
}

/**
 * Sends a range of a blob as the body: reads into one buffer, and reads on only when the connection has taken it. `begin` sends the head;
 * it is called after the first read, so that a file that cannot be read at all is a clean error. The caller disposes of the blob.
 * @throws {HubError} storage-fault or what the read threw, canceled when the client is gone; after `begin` the caller must then destroy the connection
 */
export async function sendBlob(
  exchange: Exchange,
  blob: OpenBlob,
  range: ByteRange,
  buffers: ChunkBuffers,
  begin: () => void,
): Promise<void> {
  const { res } = exchange;
  const buffer = buffers.take(range.end - range.start);
  let isTaken = true;
  try {
    for (let position = range.start; position < range.end; ) {
      const length = Math.min(buffer.length, range.end - position);
      const count = await readFully(blob, buffer, length, position);
      const isFirst = position === range.start;
      position += count;
      if (res.destroyed) throw new HubError('canceled', 'the client left');
      if (isFirst) begin();
      isTaken = false;
      await write(res, buffer.subarray(0, count), position === range.end);
      isTaken = true;
      exchange.sentBytes += count;
    }
  } finally {
    if (isTaken) buffers.giveBack(buffer);
    else buffers.lose(buffer);
  }
}

/** Sends bytes that are in memory, a slice at a time: progress of a slow reader shows at the end of each slice. The head is already set. */
export async function sendBytes(exchange: Exchange, bytes: Uint8Array, chunkBytes: number): Promise<void> {
  for (let position = 0; position < bytes.length; position += chunkBytes) {
    const slice = bytes.subarray(position, position + chunkBytes);
    await write(exchange.res, slice, position + chunkBytes >= bytes.length);
    exchange.sentBytes += slice.length;
  }
}

async function readFully(blob: OpenBlob, buffer: Buffer, length: number, position: number): Promise<number> {
  let count = await blob.read(buffer, length, position);
  while (count > 0 && count < length) {
    const more = await blob.read(buffer.subarray(count), length - count, position + count);
    if (more === 0) break;
    count += more;
  }
  if (count < length) throw new HubError('storage-fault', `a stored file ended after ${position + count} of ${blob.sizeBytes} bytes`);
  return count;
}

/** Resolves when the kernel has taken the chunk; its memory may then be used again. */
function write(res: ServerResponse, chunk: Uint8Array, isLast: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    // A write on a connection that breaks is never called back.
    const onClose = (): void => reject(new HubError('canceled', 'the client left'));
    res.once('close', onClose);
    const onWritten = (error?: Error | null): void => {
      res.removeListener('close', onClose);
      if (error) reject(new HubError('canceled', 'the client left', { cause: error }));
      else resolve();
    };
    if (isLast) res.end(chunk, onWritten);
    else res.write(chunk, onWritten);
  });
}
