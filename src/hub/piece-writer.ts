import type { StagedBlob } from '../store/blob-store.ts';

const pieceBytes = 128 * 1024;

/** Writes what comes in small chunks to a staged file in large pieces: each write costs a change of threads, and a network's chunks are some 40 kB. */
export class PieceWriter {
  readonly staged: StagedBlob;
  readonly #piece: Buffer = Buffer.allocUnsafe(pieceBytes);
  #filled = 0;

  constructor(staged: StagedBlob) {
    this.staged = staged;
  }

  /** The memory of `chunk` may be used again once this has resolved. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      const count = Math.min(chunk.length - at, pieceBytes - this.#filled);
      this.#piece.set(chunk.subarray(at, at + count), this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === pieceBytes) await this.flush();
    }
  }

  async flush(): Promise<void> {
    const filled = this.#filled;
    this.#filled = 0;
    if (filled > 0) await this.staged.append(this.#piece.subarray(0, filled));
  }
}
