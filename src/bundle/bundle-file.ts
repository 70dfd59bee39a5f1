/**
 * A bundle as a file: a plain tar whose first entry is the signed head, whose second is the manifest, and whose other entries are the files that
 * the manifest says it carries, in its order. So head and manifest say of every byte where it is: the length of the whole is known at once, each
 * file is read from its place without reading the others, and headers and padding are compared with what they have to be.
 */
import { createHash, hash } from 'node:crypto';
import { HubError } from '../base/errors.ts';
import { type BundleHead, createdMs, openBundleHead } from '../protocol/bundle-head.ts';
import { type BundleItem, bundleItem, type ManifestEntry, parseManifest } from '../protocol/bundle-manifest.ts';
import { decodeUtf8, NOTE_BYTES_MAX, type VerifierKey } from '../protocol/note.ts';
import { paddingOf, sizeInHeader, TAR_BLOCK_BYTES, TAR_END, tarHeader } from '../protocol/tar-header.ts';
import { BundleParts } from './bundle-parts.ts';

export const HEAD_NAME = 'goyi-bundle';
export const MANIFEST_NAME = 'manifest';

const CHUNK_BYTES = 1024 * 1024;

/** A file of a bundle, and what it is. */
export interface BundleEntry extends ManifestEntry {
  readonly item: BundleItem;
  /** Of its header; undefined when another bundle has it. */
  readonly position: number | undefined;
}

export interface OpenBundleOptions {
  readonly file: string;
  /** Who may have signed it. */
  readonly keys: readonly VerifierKey[];
  /** Head and manifest are enough: all that is wanted is to know what there is. Files cannot be read then. */
  readonly listOnly?: boolean;
}

/** @throws {HubError} bundle-invalid, not-found, storage-fault */
export async function openBundle({ file, keys, listOnly = false }: OpenBundleOptions): Promise<BundleFile> {
  const parts = await BundleParts.open(file);
  try {
    return await BundleFile.open(parts, { file, keys, listOnly });
  } catch (error) {
    await parts[Symbol.asyncDispose]();
    throw error;
  }
}

export class BundleFile implements AsyncDisposable {
  readonly file: string;
  readonly head: BundleHead;
  readonly digest: string;
  readonly key: VerifierKey;
  /** In the order of their names. */
  readonly entries: readonly BundleEntry[];
  readonly sizeBytes: number;
  readonly #parts: BundleParts;
  readonly #timeSeconds: number;
  readonly #byName: ReadonlyMap<string, BundleEntry>;

  private constructor(file: string, parts: BundleParts, opened: Omit<Opened, 'timeSeconds'> & { entries: readonly BundleEntry[] }) {
    const { head, digest, key, entries } = opened;
    this.file = file;
    this.head = head;
    this.digest = digest;
    this.key = key;
    this.entries = entries;
    this.sizeBytes = parts.sizeBytes;
    this.#parts = parts;
    this.#timeSeconds = timeOf(head);
    this.#byName = new Map(entries.map((entry) => [entry.name, entry]));
  }

  static async open(parts: BundleParts, { file, keys, listOnly }: Required<OpenBundleOptions>): Promise<BundleFile> {
    const refuse = (reason: string): HubError => new HubError('bundle-invalid', `the bundle ${file} is refused: ${reason}`);
    const opened = await readHead(parts, keys, refuse);
    const { head } = opened;
    const framed = new FramedReader(parts, timeOf(head), refuse);
    const start = framed.end({ name: HEAD_NAME, sizeBytes: opened.noteBytes }, 0);
    const manifest = { name: MANIFEST_NAME, sizeBytes: head.manifestBytes };
    const bytes = await framed.whole(manifest, start);
    if (hash('sha256', bytes) !== head.manifestSha256) throw refuse('its manifest is not the one that was signed');
    const lines = parseManifest(bytes.toString('latin1'));
    if (!lines.ok) throw refuse(lines.reason);
    let position = framed.end(manifest, start);
    let [files, sizeBytes] = [0, 0];
    const entries: BundleEntry[] = [];
    for (const line of lines.value) {
      const item = bundleItem(head.database, line);
      if (!item.ok) throw refuse(item.reason);
      entries.push({ ...line, item: item.value, position: line.carried ? position : undefined });
      if (!line.carried) continue;
      position = framed.end(line, position);
      files += 1;
      sizeBytes += line.sizeBytes;
    }
    if (files !== head.files || sizeBytes !== head.sizeBytes) throw refuse('its manifest has other files than its head says');
    if (listOnly) return new BundleFile(file, parts, { ...opened, entries });
    const expected = position + TAR_END.length;
    if (parts.sizeBytes < expected)
      throw refuse(`it is cut: ${parts.sizeBytes} of ${expected} bytes are there; copy it again, all parts of it`);
    if (parts.sizeBytes > expected) throw refuse(`it has ${parts.sizeBytes - expected} bytes more than it should`);
    if (!(await parts.read(position, TAR_END.length)).equals(TAR_END)) throw refuse('its end is not that of an archive');
    return new BundleFile(file, parts, { ...opened, entries });
  }

  find(name: string): BundleEntry | undefined {
    return this.#byName.get(name);
  }

  /** The bytes of a carried file, its frame and digest compared. @throws {HubError} bundle-invalid, storage-fault */
  async read(entry: BundleEntry): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.stream(entry)) chunks.push(chunk);
    return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  }

  /**
   * The same in pieces, which count only when the stream has come to its end. With `digest: 'given'` the reader compares the digest by itself.
   * @throws {HubError} bundle-invalid, storage-fault
   */
  async *stream(entry: BundleEntry, digest: 'computed' | 'given' = 'computed'): AsyncGenerator<Buffer> {
    if (entry.position === undefined) throw this.refused(`${entry.name} is not in it, but in a bundle before it`);
    const framed = new FramedReader(this.#parts, this.#timeSeconds, (reason) => this.refused(reason));
    const hashed = digest === 'computed' ? createHash('sha256') : undefined;
    for await (const chunk of framed.stream(entry, entry.position)) {
      hashed?.update(chunk);
      yield chunk;
    }
    if (hashed !== undefined && hashed.digest('hex') !== entry.sha256) throw this.differs(entry);
  }

  /** A part of a carried file, not compared with anything: for who compared the whole before. */
  async slice(entry: BundleEntry, from: number, length: number): Promise<Buffer> {
    if (entry.position === undefined) throw this.refused(`${entry.name} is not in it, but in a bundle before it`);
    const start = entry.position + tarHeader({ ...entry, timeSeconds: this.#timeSeconds }).length;
    return this.#parts.read(start + from, Math.min(length, entry.sizeBytes - from));
  }

  differs({ name }: Pick<BundleEntry, 'name'>): HubError {
    return this.refused(`${name} is not the file that was signed`);
  }

  refused(reason: string): HubError {
    return new HubError('bundle-invalid', `the bundle ${this.file} is refused: ${reason}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts[Symbol.asyncDispose]();
  }
}

interface Opened {
  readonly head: BundleHead;
  readonly digest: string;
  readonly key: VerifierKey;
  readonly noteBytes: number;
}

type Refuse = (reason: string) => HubError;

async function readHead(parts: BundleParts, keys: readonly VerifierKey[], refuse: Refuse): Promise<Opened> {
  const first = await parts.read(0, TAR_BLOCK_BYTES);
  const noteBytes = first.length === TAR_BLOCK_BYTES ? sizeInHeader(first) : undefined;
  if (noteBytes === undefined || noteBytes > NOTE_BYTES_MAX || !first.toString('latin1').startsWith(`${HEAD_NAME}\0`))
    throw refuse('it does not begin as a bundle of goyi does');
  const note = decodeUtf8(await parts.read(TAR_BLOCK_BYTES, noteBytes));
  const opened = note === undefined ? undefined : openBundleHead(note, keys);
  if (opened?.ok !== true) throw refuse(opened?.reason ?? 'its head is not UTF-8');
  const frame = new FramedReader(parts, timeOf(opened.value.head), refuse);
  await frame.whole({ name: HEAD_NAME, sizeBytes: noteBytes }, 0);
  return { ...opened.value, noteBytes };
}

/** Reads entries whose name and size are known, and compares everything around their content. */
class FramedReader {
  readonly #parts: BundleParts;
  readonly #timeSeconds: number;
  readonly #refuse: Refuse;

  constructor(parts: BundleParts, timeSeconds: number, refuse: Refuse) {
    this.#parts = parts;
    this.#timeSeconds = timeSeconds;
    this.#refuse = refuse;
  }

  /** Where the next entry begins. */
  end(entry: { readonly name: string; readonly sizeBytes: number }, position: number): number {
    return position + this.#header(entry).length + entry.sizeBytes + paddingOf(entry.sizeBytes);
  }

  async whole(entry: { readonly name: string; readonly sizeBytes: number }, position: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.stream(entry, position)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  async *stream(entry: { readonly name: string; readonly sizeBytes: number }, position: number): AsyncGenerator<Buffer> {
    const header = this.#header(entry);
    const { sizeBytes } = entry;
    const padded = sizeBytes + paddingOf(sizeBytes);
    for (let at = 0; at < header.length + padded; ) {
      const bytes = await this.#parts.read(position + at, Math.min(CHUNK_BYTES, header.length + padded - at));
      if (bytes.length === 0) throw this.#refuse(`it is cut in the middle of ${entry.name}`);
      const contentFrom = Math.max(0, header.length - at);
      const contentTo = Math.max(contentFrom, Math.min(bytes.length, header.length + sizeBytes - at));
      if (at === 0 && !bytes.subarray(0, header.length).equals(header)) throw this.#refuse(`the frame of ${entry.name} was changed`);
      if (bytes.subarray(contentTo).some((byte) => byte !== 0)) throw this.#refuse(`what follows ${entry.name} was changed`);
      at += bytes.length;
      if (contentTo > contentFrom) yield bytes.subarray(contentFrom, contentTo);
    }
  }

  #header(entry: { readonly name: string; readonly sizeBytes: number }): Buffer {
    return tarHeader({ name: entry.name, sizeBytes: entry.sizeBytes, timeSeconds: this.#timeSeconds });
  }
}

function timeOf(head: BundleHead): number {
  return (createdMs(head) ?? 0) / 1000;
}
