/**
 * Inflates the entries of zips, one after the other, on the calling thread, and never past the declared size.
 *
 * A closure has tens of thousands of small files: making a zlib engine and an output buffer for each costs more than inflating it and leaves
 * garbage by the hundred megabytes. So one engine and one buffer are used again and again. Node has `reset()` for that, but no public call that inflates into a
 * given buffer: `writeSync` of the engine's handle is what its own `inflateRawSync` calls. Where a future Node does not have it as expected
 * (tried once with a known stream), the public calls do the same, more slowly.
 */
import { type InflateRaw, constants, createInflateRaw } from 'node:zlib';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface Deflated {
  /** The compressed bytes in order; each chunk is valid until the next is asked for. */
  readonly chunks: Iterable<Buffer>;
  readonly compressedBytes: number;
  /** The declared size. */
  readonly sizeBytes: number;
}

/** Answers what is wrong with the stream, or undefined when it is whole, ends with its last byte, and has the declared size. Parts given to `sink` are valid during the call. */
export type Inflate = (stream: Deflated, sink: (part: Buffer) => void) => Promise<string | undefined> | string | undefined;

const OUTPUT_BYTES = 256 * 1024;
const TOO_LONG = 'content is larger than declared';
const TOO_SHORT = 'content is smaller than declared';
const TRAILING = 'bytes after the end of the compressed data';

/** The quick way if this Node has it, else the public one. */
export function createInflate(): Inflate {
  try {
    const inflate = createReusingInflate();
    // "goyi", four times, the last three as one repetition.
    const known = Buffer.from('4bcfafcc4c47c200', 'hex');
    let out = '';
    const fault = inflate({ chunks: [known], compressedBytes: known.length, sizeBytes: 16 }, (part) => (out += part.toString('latin1')));
    if (fault === undefined && out === 'goyigoyigoyigoyi') return inflate;
  } catch {
    // Not the Node that is known here.
  }
  return inflateByPublicCalls;
}

interface EngineParts {
  readonly _handle: {
    writeSync(
      flush: number,
      input: Buffer,
      inputAt: number,
      inputBytes: number,
      output: Buffer,
      outputAt: number,
      outputBytes: number,
    ): void;
  };
  /** After a write: bytes left in the output, bytes left in the input. */
  readonly _writeState: Uint32Array;
}

export function createReusingInflate(): (stream: Deflated, sink: (part: Buffer) => void) => string | undefined {
  const output = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  let engine: (InflateRaw & EngineParts) | undefined;
  return ({ chunks, compressedBytes, sizeBytes }, sink) => {
    engine ??= createEngine();
    engine.reset();
    let inputLeft = compressedBytes;
    let outputLeft = sizeBytes;
    for (const chunk of chunks) {
      inputLeft -= chunk.length;
      const flush = inputLeft === 0 ? constants.Z_FINISH : constants.Z_NO_FLUSH;
      for (let unread = chunk.length; ; ) {
        // One byte more than declared, so that a longer stream shows, and so that a stream that ends has room left.
        const room = Math.min(OUTPUT_BYTES, outputLeft + 1);
        engine._handle.writeSync(flush, chunk, chunk.length - unread, unread, output, 0, room);
        if (engine.errored !== null) {
          const { message } = engine.errored;
          engine = undefined;
          return `compressed data is damaged: ${message}`;
        }
        const roomLeft = engine._writeState[0] as number;
        unread = engine._writeState[1] as number;
        outputLeft -= room - roomLeft;
        if (outputLeft < 0) return TOO_LONG;
        if (room > roomLeft) sink(output.subarray(0, room - roomLeft));
        // Room left means that zlib wants input, or that the stream is over: then it takes no more.
        if (roomLeft > 0) break;
      }
      if ((engine._writeState[1] as number) > 0) return TRAILING;
    }
    return outputLeft === 0 ? undefined : TOO_SHORT;
  };
}

function createEngine(): InflateRaw & EngineParts {
  // Faults are read from `errored` where they happen; the event comes later and has nobody to tell.
  return createInflateRaw().on('error', () => {}) as InflateRaw & EngineParts;
}

/** The same with documented calls only. */
export const inflateByPublicCalls: Inflate = async ({ chunks, compressedBytes, sizeBytes }, sink) => {
  const engine = createInflateRaw({ chunkSize: OUTPUT_BYTES });
  let outputLeft = sizeBytes;
  try {
    // The stream holds on to chunks that it has not come to, so they are copied.
    const copies = function* (): Generator<Buffer> {
      for (const chunk of chunks) yield Buffer.from(chunk);
    };
    await pipeline(Readable.from(copies()), engine, async (parts: AsyncIterable<Buffer>) => {
      for await (const part of parts) {
        outputLeft -= part.length;
        if (outputLeft < 0) return;
        sink(part);
      }
    });
  } catch (error) {
    if (outputLeft >= 0) return `compressed data is damaged: ${(error as Error).message}`;
  }
  if (outputLeft < 0) return TOO_LONG;
  if (outputLeft > 0) return TOO_SHORT;
  return engine.bytesWritten === compressedBytes ? undefined : TRAILING;
};
