/**
 * The last head that each own database has signed, kept apart from the data folder: a log that was restored from a backup is found to be older
 * than what clients have seen, and is not signed again in another way.
 *
 * The heads of all processes are lines of one file, written at its end (O_APPEND, one call) and synced: one flush of the disk a head, no lock, no
 * thread. The order of the lines is the order of things: of two heads of one size the first counts, a smaller one after a larger one never does.
 * So a process writes its line, syncs, and reads what stands before it.
 *
 * When `heads-N.txt` has grown long, `heads-N+1.txt` is begun. Nothing is lost between the two, because of the order in which everybody goes:
 *
 * - A head counts as remembered only if after it was written there was no newer file; else it is written again, in the newer one.
 * - Who goes to a newer file first reads the older ones, which by the rule above hold everything that was remembered in them, and writes on what the
 *   newer one lacks before anything of its own. Only then are the older ones removed.
 */
import type { FileHandle } from 'node:fs/promises';
import { codeOf, HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { HeadFiles, type HeadFileOperations, realHeadFileOperations } from './head-files.ts';
import { checkHead, formatHeadLine, parseHeadLines, type SignedHead } from './head-lines.ts';
import { fileError, makePrivateFolder, syncFolder } from './private-folder.ts';

export type { SignedHead } from './head-lines.ts';

export interface SignedHeads extends AsyncDisposable {
  /**
   * Durable and monotonic over all processes when it resolves. A head that is smaller than one remembered changes nothing.
   * @throws {HubError} log-forked when a head of the same size with another root is remembered; storage-full, storage-fault, overloaded
   */
  remember(head: SignedHead): Promise<void>;
  /** The largest that any process has written. @throws {HubError} storage-fault */
  last(name: string): Promise<SignedHead | undefined>;
}

export interface SignedHeadsOptions {
  /** A file longer than this is followed by the next. */
  readonly fileBytesMax?: number;
  readonly operations?: HeadFileOperations;
}

/**
 * Opens the heads in a folder beside the data folder, made when it is not there; any number of processes of one machine may do so at once.
 * @throws {HubError} config-invalid when others may write in the folder; storage-fault when the file is damaged; storage-full
 */
export async function openSignedHeads(folder: string, options: SignedHeadsOptions = {}): Promise<SignedHeads> {
  await makePrivateFolder(folder);
  const heads = new HeadLog(new HeadFiles(folder), options);
  await heads.open();
  return heads;
}

const FILE_BYTES_MAX = 1024 * 1024;
const WAITING_MAX = 10_000;
/** To be overtaken by a newer file even twice takes a process that stood still for thousands of heads of others. */
const ATTEMPTS_MAX = 20;

interface Waiting {
  readonly head: SignedHead;
  resolve(): void;
  reject(error: HubError): void;
}

type Heads = Map<string, SignedHead>;

class HeadLog implements SignedHeads {
  readonly #files: HeadFiles;
  readonly #fileBytesMax: number;
  readonly #operations: HeadFileOperations;
  #handle: FileHandle | undefined;
  #generation = 0;
  /** How far the file has been read. */
  #offset = 0;
  /** What the lines up to there say. */
  #said: Heads = new Map();
  /** The largest heads of which this process knows that they are on the disk. */
  #durable: Heads = new Map();
  /** Lines of all files read that are neither blank nor whole. */
  #broken = 0;
  /** After a failed sync nobody knows what of a file is on the disk, and a later sync may say that all of it is: a new file is needed. */
  #suspect = false;
  #waiting: Waiting[] = [];
  /** One thing at a time; the last one, done or failed. */
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(files: HeadFiles, { fileBytesMax = FILE_BYTES_MAX, operations = realHeadFileOperations }: SignedHeadsOptions) {
    this.#files = files;
    this.#fileBytesMax = fileBytesMax;
    this.#operations = operations;
  }

  async open(): Promise<void> {
    try {
      await this.#inTurn(() => this.#goToNewest());
    } catch (error) {
      // A hub starts on a full disk and serves what it has; new heads then wait for room.
      this.#suspect = true;
      if (codeOf(error) === 'storage-full') return;
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }

  async remember(head: SignedHead): Promise<void> {
    checkHead(head);
    if (this.#closed) throw new HubError('storage-fault', 'the signed heads are closed');
    const durable = this.#durable.get(head.name);
    if (durable !== undefined && head.treeSize <= durable.treeSize) {
      if (contradicts(head, durable)) throw forked(head);
      return;
    }
    if (this.#waiting.length >= WAITING_MAX) {
      throw new HubError('overloaded', `more than ${WAITING_MAX} signed heads wait to be remembered`);
    }
    // Those that come while a round waits for the disk share the next one.
    if (this.#waiting.length === 0) void this.#inTurn(() => this.#round()).catch(() => {});
    await new Promise<void>((resolve, reject) => this.#waiting.push({ head, resolve, reject }));
  }

  last(name: string): Promise<SignedHead | undefined> {
    return this.#inTurn(async () => {
      const generations = await this.#files.list();
      // To look writes nothing: on a disk that is full, what a newer file lacks cannot be written on there.
      if (this.#suspect || generations.at(-1) !== this.#generation) return (await this.#readAll(generations.reverse())).heads.get(name);
      await this.#readOn();
      return this.#said.get(name);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#turn;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work).catch((error: unknown) => {
      throw fileError(`keep the signed heads in ${this.#files.folder}`, error);
    });
    this.#turn = done.catch(() => {});
    return done;
  }

  async #round(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    try {
      const heads = batch.map(({ head }) => head);
      const isForked = await this.#write([...merged(new Map(), heads).values()]);
      for (const waiting of batch) {
        if (isForked(waiting.head)) waiting.reject(forked(waiting.head));
        else waiting.resolve();
      }
    } catch (error) {
      this.#suspect = true;
      const failure = fileError(`remember a signed head in ${this.#files.folder}`, error);
      for (const waiting of batch) waiting.reject(failure);
    }
    if (this.#offset > this.#fileBytesMax) await this.#beginNext().catch(() => (this.#suspect = true));
  }

  /** When it resolves, what is said has these heads or larger ones and is on the disk. Answers how to tell which heads contradict others. */
  async #write(heads: readonly SignedHead[]): Promise<(head: SignedHead) => boolean> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      if (this.#suspect) await this.#beginNext();
      const before = new Map(this.#said);
      const larger = heads.filter((head) => isLarger(head, before));
      await this.#append(larger);
      if ((await this.#newest()) !== this.#generation) {
        await this.#goToNewest();
        continue;
      }
      const refused = await this.#readOn(larger);
      const accepted = larger.filter((head) => !refused.includes(head));
      this.#durable = merged(before, accepted);
      return (head) =>
        refused.some((other) => isSame(head, other)) ||
        contradicts(head, before.get(head.name)) ||
        contradicts(head, this.#said.get(head.name)) ||
        heads.some((other) => contradicts(head, other));
    }
    throw new HubError('storage-fault', `more processes write in ${this.#files.folder} than can take turns`);
  }

  async #beginNext(): Promise<void> {
    await this.#files.make(this.#generation + 1);
    await this.#goToNewest();
  }

  /** Goes to the newest file, and takes along what the older ones say. */
  async #goToNewest(): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const generations = await this.#files.list();
      const newest = generations.pop();
      if (newest === undefined) {
        await this.#files.make(this.#generation + 1);
        continue;
      }
      // In this order: who removed an older file had first written on what it says, in a file that is only read after it.
      const older = await this.#readAll(generations.reverse());
      const handle = await this.#files.open(newest);
      if (handle === undefined) continue;
      await this.#handle?.close();
      this.#handle = handle;
      this.#generation = newest;
      this.#offset = 0;
      this.#said = new Map();
      this.#suspect = false;
      await this.#takeAlong(older);
      return;
    }
    throw new HubError('storage-fault', `the files in ${this.#files.folder} change faster than they can be read`);
  }

  /** The newest first. */
  async #readAll(generations: readonly number[]): Promise<FilesRead> {
    // Of two heads of one size the one in the newer file counts: see #takeAlong.
    let heads: Heads = new Map(this.#durable);
    const empty: number[] = [];
    let broken = 0;
    for (const generation of generations) {
      const bytes = await this.#files.read(generation);
      if (bytes === undefined) continue;
      const lines = parseHeadLines(bytes);
      const said: Heads = new Map();
      for (const head of lines.heads) follow(said, head);
      heads = merged(heads, said.values());
      broken += lines.broken;
      if (lines.heads.length === 0) empty.push(generation);
    }
    return { generations, heads, empty, broken };
  }

  async #takeAlong({ generations, heads, empty, broken }: FilesRead): Promise<void> {
    this.#broken = broken;
    await this.#readOn();
    if (this.#broken > 0 && this.#said.size === 0 && heads.size === 0) throw this.#damaged();
    // Of a disk that is full: every attempt would leave one more.
    for (const generation of empty) await this.#files.remove(generation);
    const before = new Map(this.#said);
    const lacking = [...heads.values()].filter((head) => isLarger(head, before));
    await this.#append(lacking);
    await syncFolder(this.#files.folder);
    const refused = await this.#readOn(lacking);
    this.#durable = merged(
      before,
      lacking.filter((head) => !refused.includes(head)),
    );
    for (const generation of generations) await this.#files.remove(generation);
  }

  async #newest(): Promise<number> {
    return (await this.#files.list()).at(-1) ?? 0;
  }

  /** Syncs in any case: what others have written before is then on the disk as well. */
  async #append(heads: readonly SignedHead[]): Promise<void> {
    const handle = this.#opened();
    const bytes = Buffer.from(heads.map(formatHeadLine).join(''));
    if (bytes.length > 0 && (await this.#operations.write(handle, bytes)) < bytes.length) {
      throw new HubError('storage-full', `there is no room for a signed head in ${this.#files.folder}`);
    }
    await this.#operations.sync(handle);
  }

  /** Follows the lines written since the last time; answers those of `mine` that were refused, and fails if one of them is not there. */
  async #readOn(mine: readonly SignedHead[] = []): Promise<readonly SignedHead[]> {
    const bytes = await this.#files.readFrom(this.#opened(), this.#offset, this.#generation);
    const { heads, broken, readBytes } = parseHeadLines(bytes);
    this.#offset += readBytes;
    this.#broken += broken;
    const refused: SignedHead[] = [];
    const missing = new Set(mine);
    for (const head of heads) {
      const isRefused = !follow(this.#said, head);
      for (const own of mine) {
        if (!isSame(own, head)) continue;
        missing.delete(own);
        if (isRefused) refused.push(own);
      }
    }
    if (missing.size > 0)
      throw new HubError('storage-fault', `a signed head that was written is not in ${this.#files.nameOf(this.#generation)}`);
    return refused;
  }

  #opened(): FileHandle {
    invariant(this.#handle !== undefined, 'the signed heads are open');
    return this.#handle;
  }

  #damaged(): HubError {
    const file = this.#files.nameOf(this.#generation);
    return new HubError(
      'storage-fault',
      `the signed heads in ${file} are damaged: put its copy from the newest backup in its place, or move it away to go on without the memory of what was signed`,
    );
  }
}

interface FilesRead {
  readonly generations: readonly number[];
  readonly heads: Heads;
  /** Files that say nothing. */
  readonly empty: readonly number[];
  /** Lines that are neither blank nor whole. */
  readonly broken: number;
}

/** One more line; false when a head of the same size with another root came before it. */
function follow(said: Heads, head: SignedHead): boolean {
  if (isLarger(head, said)) said.set(head.name, head);
  return !contradicts(head, said.get(head.name));
}

/** The largest of each name; of two of one size the first. */
function merged(first: Heads, more: Iterable<SignedHead>): Heads {
  const heads = new Map(first);
  for (const head of more) follow(heads, head);
  return heads;
}

function isLarger(head: SignedHead, than: Heads): boolean {
  return head.treeSize > (than.get(head.name)?.treeSize ?? -1);
}

function contradicts(a: SignedHead, b: SignedHead | undefined): boolean {
  return b !== undefined && a.name === b.name && a.treeSize === b.treeSize && a.root !== b.root;
}

function isSame(a: SignedHead, b: SignedHead): boolean {
  return a.name === b.name && a.treeSize === b.treeSize && a.root === b.root;
}

function forked({ name, treeSize }: SignedHead): HubError {
  return new HubError(
    'log-forked',
    `${name} has signed another tree of ${treeSize} records: a second log with the same key must not go on`,
  );
}
