import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, writeFile } from 'node:fs/promises';
import { HubError, messageOf } from '../base/errors.ts';
import { type BundleHead, createdMs, formatBundleHead } from '../protocol/bundle-head.ts';
import { formatManifest, type ManifestEntry } from '../protocol/bundle-manifest.ts';
import { type SignerKey, signNote } from '../protocol/note.ts';
import { paddingOf, TAR_END, tarHeader } from '../protocol/tar-header.ts';
import { hash } from 'node:crypto';
import { HEAD_NAME, MANIFEST_NAME } from './bundle-file.ts';
import { partName } from './bundle-parts.ts';

/** What is to be a bundle. */
export interface BundleContent {
  readonly head: Omit<BundleHead, 'manifestSha256' | 'manifestBytes' | 'files' | 'sizeBytes'>;
  /** In the order of their names; carried ones are read with `source`. */
  readonly entries: readonly ManifestEntry[];
  /** Bytes in memory, or a file that has them. */
  readonly source: (name: string) => Buffer | { readonly path: string };
}

export interface WriteOptions {
  readonly file: string;
  readonly signer: SignerKey;
  /** Of one part; undefined: one file. */
  readonly partBytesMax: number | undefined;
  readonly onBytes: (sizeBytes: number) => void;
}

export interface WrittenBundle {
  readonly head: BundleHead;
  readonly files: readonly string[];
  readonly sizeBytes: number;
}

/** Writes a bundle beside its name, synced, and gives it its name last. @throws {HubError} storage-full, storage-fault, or the signal's reason */
export async function writeBundle(content: BundleContent, options: WriteOptions, signal: AbortSignal): Promise<WrittenBundle> {
  const manifest = Buffer.from(formatManifest(content.entries));
  const carried = content.entries.filter((entry) => entry.carried);
  const head: BundleHead = {
    ...content.head,
    manifestSha256: hash('sha256', manifest),
    manifestBytes: manifest.length,
    files: carried.length,
    sizeBytes: carried.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  };
  const timeSeconds = (createdMs(head) ?? 0) / 1000;
  const note = Buffer.from(signNote(formatBundleHead(head), options.signer));
  await using out = new PartsWriter(options);
  try {
    const start = Buffer.concat([
      ...framed({ name: HEAD_NAME, timeSeconds }, note),
      ...framed({ name: MANIFEST_NAME, timeSeconds }, manifest),
    ]);
    await out.write(start);
    for (const { name, sizeBytes } of carried) {
      signal.throwIfAborted();
      const source = content.source(name);
      if (Buffer.isBuffer(source)) await writeEntry(out, { name, timeSeconds }, source);
      else await copyEntry(out, { name, timeSeconds, sizeBytes }, source.path);
    }
    await out.write(TAR_END);
    const files = await out.finish();
    // What the next delta needs of it, for those who give the bundle away.
    await writeFile(`${options.file}.manifest`, Buffer.concat([start, TAR_END]));
    return { head, files, sizeBytes: out.sizeBytes };
  } catch (error) {
    if (error instanceof HubError || signal.aborted) throw error;
    const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
    throw new HubError(full ? 'storage-full' : 'storage-fault', `cannot write ${options.file}: ${messageOf(error)}`, { cause: error });
  }
}

async function writeEntry(out: PartsWriter, entry: { name: string; timeSeconds: number }, bytes: Buffer): Promise<void> {
  for (const piece of framed(entry, bytes)) await out.write(piece);
}

function framed(entry: { readonly name: string; readonly timeSeconds: number }, bytes: Buffer): readonly Buffer[] {
  return [tarHeader({ ...entry, sizeBytes: bytes.length }), bytes, Buffer.alloc(paddingOf(bytes.length))];
}

async function copyEntry(out: PartsWriter, entry: { name: string; timeSeconds: number; sizeBytes: number }, path: string): Promise<void> {
  await out.write(tarHeader(entry));
  let sizeBytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    await out.write(chunk as Buffer);
    sizeBytes += (chunk as Buffer).length;
  }
  if (sizeBytes !== entry.sizeBytes) throw new HubError('storage-fault', `${path} has changed while the bundle was written`);
  await out.write(Buffer.alloc(paddingOf(sizeBytes)));
}

/** Gathers small pieces, so that a file of many small entries is not a system call for each. */
class PartsWriter implements AsyncDisposable {
  readonly #options: WriteOptions;
  readonly #drafts: string[] = [];
  readonly #buffer = Buffer.allocUnsafe(1024 * 1024);
  #buffered = 0;
  #handle: FileHandle | undefined;
  #partBytes = 0;
  #written = 0;
  #named = false;

  constructor(options: WriteOptions) {
    this.#options = options;
  }

  get sizeBytes(): number {
    return this.#written;
  }

  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const count = bytes.copy(this.#buffer, this.#buffered, at);
      this.#buffered += count;
      at += count;
      if (this.#buffered === this.#buffer.length) await this.#flush();
    }
  }

  async finish(): Promise<readonly string[]> {
    await this.#flush();
    await this.#close();
    const { file, partBytesMax } = this.#options;
    const names = this.#drafts.map((_, i) => (partBytesMax === undefined ? file : partName(file, i + 1)));
    // The first part last: without it there is no bundle.
    for (const i of [...names.keys()].toReversed()) await rename(this.#drafts[i] as string, names[i] as string);
    this.#named = true;
    return names;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle?.close();
    if (!this.#named) for (const draft of this.#drafts) await rm(draft, { force: true });
  }

  async #flush(): Promise<void> {
    for (let at = 0; at < this.#buffered; ) {
      const { partBytesMax = Number.POSITIVE_INFINITY } = this.#options;
      if (this.#handle === undefined || this.#partBytes === partBytesMax) await this.#next();
      const count = Math.min(this.#buffered - at, partBytesMax - this.#partBytes);
      await this.#handle?.writeFile(this.#buffer.subarray(at, at + count));
      at += count;
      this.#partBytes += count;
      this.#written += count;
      this.#options.onBytes(count);
    }
    this.#buffered = 0;
  }

  async #next(): Promise<void> {
    await this.#close();
    const draft = `${partName(this.#options.file, this.#drafts.length + 1)}.part`;
    this.#handle = await open(draft, 'w');
    this.#drafts.push(draft);
    this.#partBytes = 0;
  }

  async #close(): Promise<void> {
    await this.#handle?.sync();
    await this.#handle?.close();
    this.#handle = undefined;
  }
}
