/**
 * A bundle as a file: a plain tar whose first entry is the signed head, whose second is the manifest, and whose other entries are the files that
 * the manifest says it carries, in its order. So head and manifest say of every byte where it is: the length of the whole is known at once, each
 * file is read from its place without reading the others, and headers and padding are compared with what they have to be.
 */
import { createHash, hash } from 'node:crypto';
import { HubError } from '../base/errors.ts';
import { type BundleHead, createdMs, databasesOf, type OpenedHead, openBundleHead } from '../protocol/bundle-head.ts';
import { openSm2, parseSm3Sums, type Sm2Part } from '../protocol/bundle-sm2.ts';
import { type BundleItem, bundleItem, type ManifestEntry, parseManifest } from '../protocol/bundle-manifest.ts';
import { decodeUtf8, NOTE_BYTES_MAX, type VerifierKey } from '../protocol/note.ts';
import { type Sm2VerifierKey, sm3 } from '../protocol/sm2.ts';
import { paddingOf, sizeInHeader, TAR_BLOCK_BYTES, TAR_END, tarHeader } from '../protocol/tar-header.ts';
import { BundleParts } from './bundle-parts.ts';

export const HEAD_NAME = 'goyi-bundle';
export const MANIFEST_NAME = 'manifest';
export const SM3_SUMS_NAME = 'manifest.sm3';

const CHUNK_BYTES = 1024 * 1024;

/** A file of a bundle, and what it is. */
export interface BundleEntry extends ManifestEntry {
  readonly item: BundleItem;
  /** Of its header; undefined when another bundle has it. */
  readonly position: number | undefined;
}

/** Whose SM2 signatures count, and whether there has to be one. */
export interface Sm2Trust {
  readonly keys: readonly Sm2VerifierKey[];
  readonly required: boolean;
}

const noSm2: Sm2Trust = { keys: [], required: false };

export interface OpenBundleOptions {
  readonly file: string;
  /** Who may have signed it. */
  readonly keys: readonly VerifierKey[];
  readonly sm2?: Sm2Trust;
  /** Head and manifest are enough: all that is wanted is to know what there is. Files cannot be read then. */
  readonly listOnly?: boolean;
}

/** @throws {HubError} bundle-invalid, not-found, storage-fault */
export async function openBundle({ file, keys, sm2 = noSm2, listOnly = false }: OpenBundleOptions): Promise<BundleFile> {
  const parts = await BundleParts.open(file);
  try {
    return await BundleFile.open(parts, { file, keys, sm2, listOnly });
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
  /** Who is said to have signed it by SM2; with the key when that was verified, and then SM3 counts as SHA-256 does. */
  readonly sm2: Sm2Signature | undefined;
  /** In the order of their names. */
  readonly entries: readonly BundleEntry[];
  readonly sizeBytes: number;
  readonly #parts: BundleParts;
  readonly #sm3: ReadonlyMap<string, string> | undefined;
  readonly #timeSeconds: number;
  readonly #byName: ReadonlyMap<string, BundleEntry>;

  private constructor(file: string, parts: BundleParts, opened: Content) {
    const { head, digest, key, sm2, sm3Sums, entries } = opened;
    this.file = file;
    this.head = head;
    this.digest = digest;
    this.key = key;
    this.sm2 = sm2;
    this.#sm3 = sm2?.verified === undefined ? undefined : sm3Sums;
    this.entries = entries;
    this.sizeBytes = parts.sizeBytes;
    this.#parts = parts;
    this.#timeSeconds = timeOf(head);
    this.#byName = new Map(entries.map((entry) => [entry.name, entry]));
  }

  static async open(parts: BundleParts, { file, keys, sm2: trust, listOnly }: Required<OpenBundleOptions>): Promise<BundleFile> {
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
    const signature = verifySm2(opened.sm2, trust, refuse);
    const sums = opened.sm2 && (await readSm3Sums(framed, { part: opened.sm2, at: framed.end(manifest, start) }, bytes, refuse));
    let position = sums?.end ?? framed.end(manifest, start);
    let [files, sizeBytes] = [0, 0];
    const entries: BundleEntry[] = [];
    const databases = databasesOf(head);
    for (const line of lines.value) {
      const item = bundleItem(databases, line);
      if (!item.ok) throw refuse(item.reason);
      entries.push({ ...line, item: item.value, position: line.carried ? position : undefined });
      if (!line.carried) continue;
      position = framed.end(line, position);
      files += 1;
      sizeBytes += line.sizeBytes;
    }
    if (files !== head.files || sizeBytes !== head.sizeBytes) throw refuse('its manifest has other files than its head says');
    const carried = entries.filter((entry) => entry.carried);
    const sm3Sums = sums && parseSm3Sums(sums.text, carried);
    if (sm3Sums?.ok === false) throw refuse(sm3Sums.reason);
    const content: Content = { ...opened, sm2: signature, sm3Sums: sm3Sums?.value, entries };
    if (listOnly) return new BundleFile(file, parts, content);
    const expected = position + TAR_END.length;
    if (parts.sizeBytes < expected)
      throw refuse(`it is cut: ${parts.sizeBytes} of ${expected} bytes are there; copy it again, all parts of it`);
    if (parts.sizeBytes > expected) throw refuse(`it has ${parts.sizeBytes - expected} bytes more than it should`);
    if (!(await parts.read(position, TAR_END.length)).equals(TAR_END)) throw refuse('its end is not that of an archive');
    return new BundleFile(file, parts, content);
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
   * The same in pieces, which count only when the stream has come to its end. With `digest: 'given'` the reader compares the SHA-256 by itself.
   * @throws {HubError} bundle-invalid, storage-fault
   */
  async *stream(entry: BundleEntry, digest: 'computed' | 'given' = 'computed'): AsyncGenerator<Buffer> {
    if (entry.position === undefined) throw this.refused(`${entry.name} is not in it, but in a bundle before it`);
    const framed = new FramedReader(this.#parts, this.#timeSeconds, (reason) => this.refused(reason));
    const hashed = digest === 'computed' ? createHash('sha256') : undefined;
    const hashedBySm3 = this.#sm3 && createHash('sm3');
    for await (const chunk of framed.stream(entry, entry.position)) {
      hashed?.update(chunk);
      hashedBySm3?.update(chunk);
      yield chunk;
    }
    if (hashed !== undefined && hashed.digest('hex') !== entry.sha256) throw this.differs(entry);
    if (hashedBySm3 !== undefined && hashedBySm3.digest('hex') !== this.#sm3?.get(entry.name)) throw this.differs(entry);
  }

  /** A part of a carried file, not compared with anything: for who compared the whole before. */
  async slice(entry: BundleEntry, from: number, length: number): Promise<Buffer> {
    if (entry.position === undefined) throw this.refused(`${entry.name} is not in it, but in a bundle before it`);
    const start = entry.position + tarHeader({ ...entry, timeSeconds: this.#timeSeconds }).length;
    return this.#parts.read(start + from, Math.min(length, entry.sizeBytes - from));
  }

  /** The SM3 that a carried file has to have; undefined where SM3 does not count. */
  sm3Of({ name }: Pick<BundleEntry, 'name'>): string | undefined {
    return this.#sm3?.get(name);
  }

  /**
   * Where the content of a carried file lies, for who reads and compares it without this object; its frame has been compared then. Undefined when it
   * lies in two parts. @throws {HubError} bundle-invalid, storage-fault
   */
  async place(entry: BundleEntry): Promise<{ readonly path: string; readonly position: number } | undefined> {
    if (entry.position === undefined) throw this.refused(`${entry.name} is not in it, but in a bundle before it`);
    const framed = new FramedReader(this.#parts, this.#timeSeconds, (reason) => this.refused(reason));
    return this.#parts.locate(await framed.content(entry, entry.position), entry.sizeBytes);
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

export interface Sm2Signature {
  /** `NAME+HASH` */
  readonly key: string;
  /** Undefined: by a key that is not trusted here. */
  readonly verified: Sm2VerifierKey | undefined;
}

interface Opened extends OpenedHead {
  readonly noteBytes: number;
}

interface Content extends Omit<OpenedHead, 'sm2'> {
  readonly sm2: Sm2Signature | undefined;
  readonly sm3Sums: ReadonlyMap<string, string> | undefined;
  readonly entries: readonly BundleEntry[];
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

function verifySm2(part: Sm2Part | undefined, { keys, required }: Sm2Trust, refuse: Refuse): Sm2Signature | undefined {
  if (part === undefined) {
    if (required) throw refuse('it has no SM2 signature, which is required here');
    return undefined;
  }
  const verified = openSm2(part, keys);
  if (!verified.ok) throw refuse(verified.reason);
  if (required && verified.value === undefined) throw refuse(`its SM2 signature is by ${part.key}, which is not trusted here`);
  return { key: part.key, verified: verified.value };
}

interface SumsPlace {
  readonly part: Sm2Part;
  readonly at: number;
}

/** The list itself is compared whoever signed it: no byte of a bundle is one that nobody looks at. */
async function readSm3Sums(
  framed: FramedReader,
  { part, at }: SumsPlace,
  manifest: Buffer,
  refuse: Refuse,
): Promise<{ readonly text: string; readonly end: number }> {
  const entry = { name: SM3_SUMS_NAME, sizeBytes: part.sumsBytes };
  const bytes = await framed.whole(entry, at);
  if (sm3(manifest) !== part.manifest || sm3(bytes) !== part.sums) throw refuse('its SM3 digests are not those that were signed');
  return { text: bytes.toString('latin1'), end: framed.end(entry, at) };
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

  /** Where the content begins, what is around it compared. */
  async content(entry: { readonly name: string; readonly sizeBytes: number }, position: number): Promise<number> {
    const header = this.#header(entry);
    const [start, end] = [position + header.length, position + header.length + entry.sizeBytes];
    if (!(await this.#parts.read(position, header.length)).equals(header)) throw this.#refuse(`the frame of ${entry.name} was changed`);
    const padding = await this.#parts.read(end, paddingOf(entry.sizeBytes));
    if (padding.some((byte) => byte !== 0)) throw this.#refuse(`what follows ${entry.name} was changed`);
    return start;
  }

  #header(entry: { readonly name: string; readonly sizeBytes: number }): Buffer {
    return tarHeader({ name: entry.name, sizeBytes: entry.sizeBytes, timeSeconds: this.#timeSeconds });
  }
}

function timeOf(head: BundleHead): number {
  return (createdMs(head) ?? 0) / 1000;
}
