import type { ServerResponse } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import type { OpenBlob } from '../store/blob-store.ts';
import type { Exchange } from './exchange.ts';
import type { FileChunks } from './file-chunks.ts';
import type { ServerLimits } from './limits.ts';
import type { ByteRange } from './preconditions.ts';

export interface BlobSender {
  readonly limits: Pick<ServerLimits, 'chunkBytes' | 'firstWriteBytes'>;
  readonly chunks: FileChunks;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** A write that takes longer than this is followed by a smaller one, so that a slow client's progress is seen. */
const slowWriteMs = 1_000;

/**
 * Sends a range of a blob as the body, and reads on only when the connection has taken what was read. `begin` sends the head;
 * it is called after the first read, so that a file that cannot be read at all is a clean error. The caller disposes of the blob.
 * @throws {HubError} storage-fault or what the read threw, canceled when the client is gone; after `begin` the caller must then destroy the connection
 */
export async function sendBlob(
  sender: BlobSender,
  exchange: Exchange,
  { blob, range, begin }: { readonly blob: OpenBlob; readonly range: ByteRange; readonly begin: () => void },
): Promise<void> {
  const { res } = exchange;
  const { chunks, clock, limits } = sender;
  let writeBytes = limits.firstWriteBytes;
  for (let position = range.start; position < range.end; ) {
    const chunk = await chunks.take(blob, position, range);
    const endOfChunk = Math.min(range.end, chunk.startBytes + chunk.bytes.length);
    let isTaken = true;
    try {
      while (position < endOfChunk) {
        if (res.destroyed) throw new HubError('canceled', 'the client left');
        const end = Math.min(endOfChunk, position + writeBytes);
        if (position === range.start) begin();
        const startedMs = clock.monotonicMs();
        isTaken = false;
        await write(res, chunk.bytes.subarray(position - chunk.startBytes, end - chunk.startBytes), end === range.end);
        isTaken = true;
        exchange.sentBytes += end - position;
        position = end;
        writeBytes = nextWriteBytes(limits, writeBytes, clock.monotonicMs() - startedMs);
      }
    } finally {
      if (isTaken) chunks.giveBack(chunk);
      else chunks.lose(chunk);
    }
    // A fast reader of what is in memory would keep the thread for itself.
    if (position < range.end) await turnOfLoop();
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

/** Begins small and doubles, so that little is on its way to a client whose speed is not known. */
function nextWriteBytes({ firstWriteBytes, chunkBytes }: BlobSender['limits'], writeBytes: number, tookMs: number): number {
  return tookMs > slowWriteMs ? Math.max(firstWriteBytes, writeBytes / 2) : Math.min(chunkBytes, writeBytes * 2);
}

function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
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
