/**
 * Writes a bundle. Names and sizes are known before a byte is written, so every file has its place: large ones are copied there by threads that hash them on
 * the way, several at once; small ones are gathered between them; the head comes last, when all digests are known to be right. Until then what
 * lies on the disk is no bundle.
 */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { HubError } from '../base/errors.ts';
import { type BundleHead, createdMs, formatBundleHead, parseBundleHead } from '../protocol/bundle-head.ts';
import { formatManifest, MANIFEST_ENTRIES_MAX, type ManifestEntry } from '../protocol/bundle-manifest.ts';
import { formatSm3Sums, signBySm2 } from '../protocol/bundle-sm2.ts';
import { type SignerKey, signNote } from '../protocol/note.ts';
import { type Sm2SignerKey, sm3 } from '../protocol/sm2.ts';
import { paddingOf, TAR_END, tarHeader } from '../protocol/tar-header.ts';
import { HEAD_NAME, MANIFEST_NAME, SM3_SUMS_NAME } from './bundle-file.ts';
import { DraftParts } from './draft-parts.ts';
import { FileCopier } from './file-copier.ts';
import { diskError, replaceFile } from './staging.ts';

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
  /** Signs it by SM2 as well. */
  readonly sm2?: Sm2SignerKey | undefined;
  /** Of one part; undefined: one file. */
  readonly partBytesMax: number | undefined;
  readonly onBytes: (sizeBytes: number) => void;
}

export interface WrittenBundle {
  readonly head: BundleHead;
  readonly files: readonly string[];
  readonly sizeBytes: number;
}

/** Copies at once; more would only make the disk jump. */
const THREADS_MAX = Math.min(4, Math.max(2, availableParallelism()));
/** Larger files are copied by a thread. */
const SMALL_BYTES_MAX = 64 * 1024;
const GATHERED_BYTES_MAX = 1024 * 1024;

/**
 * Writes a bundle beside its name, synced, and gives it its name last.
 * @throws {HubError} storage-full; storage-fault, also when a file is not the one that its entry tells any more; or the signal's reason
 */
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
  const readable = parseBundleHead(formatBundleHead(head));
  if (!readable.ok) throw new HubError('too-large', `${options.file} could not be read again: ${readable.reason}`);
  if (content.entries.length > MANIFEST_ENTRIES_MAX)
    throw new HubError('too-large', `${options.file} would list more than ${MANIFEST_ENTRIES_MAX} files`);
  const timeSeconds = (createdMs(head) ?? 0) / 1000;
  const startOf = (sm3OfFile: (name: string) => string): Buffer =>
    formatStart({ head, manifest, timeSeconds, signer: options.signer, sm2: options.sm2 && { signer: options.sm2, carried, sm3OfFile } });
  // Digests are not known yet; their length is.
  const startBytes = startOf(() => NO_SM3).length;
  const sizeBytes = carried.reduce((sum, entry) => sum + framedBytes({ ...entry, timeSeconds }), startBytes) + TAR_END.length;
  const { file, partBytesMax } = options;
  await using out = await DraftParts.open({ file, partBytesMax, sizeBytes });
  const writer = new FilesWriter(out, { ...options, content, timeSeconds });
  await writer.write(carried, startBytes, signal);
  const start = startOf((name) => writer.sm3.get(name) ?? NO_SM3);
  await out.write(0, start);
  options.onBytes(start.length);
  const files = await out.finish();
  // What the next delta needs of it, for those who give the bundle away.
  await replaceFile(`${file}.manifest`, Buffer.concat([start, TAR_END]));
  return { head, files, sizeBytes };
}

const NO_SM3 = '0'.repeat(64);

interface Start {
  readonly head: BundleHead;
  readonly manifest: Buffer;
  readonly timeSeconds: number;
  readonly signer: SignerKey;
  readonly sm2:
    | { readonly signer: Sm2SignerKey; readonly carried: readonly ManifestEntry[]; readonly sm3OfFile: (name: string) => string }
    | undefined;
}

/** Head, manifest and, with SM2, the list of SM3 digests. */
function formatStart({ head, manifest, timeSeconds, signer, sm2 }: Start): Buffer {
  const headText = formatBundleHead(head);
  const sums = sm2 && Buffer.from(formatSm3Sums(sm2.carried.map(({ name }) => ({ name, sm3: sm2.sm3OfFile(name) }))));
  const digests = sums && { manifest: sm3(manifest), sums: sm3(sums), sumsBytes: sums.length };
  const text = sm2 === undefined || digests === undefined ? headText : signBySm2(headText, digests, sm2.signer);
  return Buffer.concat([
    ...framed({ name: HEAD_NAME, timeSeconds }, Buffer.from(signNote(text, signer))),
    ...framed({ name: MANIFEST_NAME, timeSeconds }, manifest),
    ...(sums === undefined ? [] : framed({ name: SM3_SUMS_NAME, timeSeconds }, sums)),
  ]);
}

function framed(entry: { readonly name: string; readonly timeSeconds: number }, bytes: Buffer): readonly Buffer[] {
  return [tarHeader({ ...entry, sizeBytes: bytes.length }), bytes, Buffer.alloc(paddingOf(bytes.length))];
}

function framedBytes(entry: Pick<ManifestEntry, 'name' | 'sizeBytes'> & { readonly timeSeconds: number }): number {
  return tarHeader(entry).length + entry.sizeBytes + paddingOf(entry.sizeBytes);
}

interface FilesOptions extends Pick<WriteOptions, 'onBytes' | 'sm2'> {
  readonly content: BundleContent;
  readonly timeSeconds: number;
}

class FilesWriter {
  readonly #out: DraftParts;
  readonly #options: FilesOptions;
  /** By name, where it is signed by SM2. */
  readonly sm3: Map<string, string> = new Map();
  /** Small things that follow each other, from `#position` on. */
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #position = 0;

  constructor(out: DraftParts, options: FilesOptions) {
    this.#out = out;
    this.#options = options;
  }

  /** Everything behind the manifest, up to the end of the archive. */
  async write(entries: readonly ManifestEntry[], position: number, outer: AbortSignal): Promise<void> {
    await using copier = new FileCopier({ threadsMax: THREADS_MAX, queueMax: THREADS_MAX });
    const failed = new AbortController();
    const signal = AbortSignal.any([outer, failed.signal]);
    const running = new Set<Promise<void>>();
    this.#position = position;
    try {
      for (const entry of entries) {
        signal.throwIfAborted();
        await this.#gather(tarHeader({ ...entry, timeSeconds: this.#options.timeSeconds }));
        const source = await this.#source(entry);
        if (Buffer.isBuffer(source)) await this.#gather(source);
        else {
          await this.#flush();
          const copying = this.#copy(entry, { from: source.path, copier }, signal)
            .catch((error: unknown) => failed.abort(error))
            .finally(() => running.delete(copying));
          running.add(copying);
          this.#position += entry.sizeBytes;
          while (running.size > THREADS_MAX) await Promise.race(running);
        }
        await this.#gather(Buffer.alloc(paddingOf(entry.sizeBytes)));
      }
      await this.#gather(TAR_END);
      await this.#flush();
    } finally {
      await Promise.all(running);
    }
    signal.throwIfAborted();
  }

  async #source(entry: ManifestEntry): Promise<Buffer | { readonly path: string }> {
    const source = this.#options.content.source(entry.name);
    if (!Buffer.isBuffer(source) && entry.sizeBytes > SMALL_BYTES_MAX) return source;
    const bytes = Buffer.isBuffer(source) ? source : await readSmall(source.path);
    if (bytes.length !== entry.sizeBytes || hash('sha256', bytes) !== entry.sha256) throw changed(entry);
    if (this.#options.sm2 !== undefined) this.sm3.set(entry.name, sm3(bytes));
    return bytes;
  }

  async #copy(entry: ManifestEntry, { from, copier }: { from: string; copier: FileCopier }, signal: AbortSignal): Promise<void> {
    const { sizeBytes } = entry;
    const position = this.#position;
    const to = this.#out.places(position, sizeBytes);
    const algorithms = this.#options.sm2 === undefined ? (['sha256'] as const) : (['sha256', 'sm3'] as const);
    const { digests } = await copier.copy({ from, sizeBytes, to, algorithms }, signal);
    if (digests[0] !== entry.sha256) throw changed(entry);
    if (digests[1] !== undefined) this.sm3.set(entry.name, digests[1]);
    this.#out.written(position, sizeBytes);
    this.#options.onBytes(sizeBytes);
  }

  async #gather(bytes: Buffer): Promise<void> {
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes > GATHERED_BYTES_MAX) await this.#flush();
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#gathered);
    await this.#out.write(this.#position, bytes);
    this.#options.onBytes(bytes.length);
    this.#position += bytes.length;
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }
}

async function readSmall(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw diskError(`read ${path}`, error);
  }
}

function changed({ name }: ManifestEntry): HubError {
  return new HubError('storage-fault', `${name} has changed since it was proved`);
}
