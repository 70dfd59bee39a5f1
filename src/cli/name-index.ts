import { hash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { appendFile, copyFile, mkdir, open, readFile, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { HubError, messageOf } from '../base/errors.ts';
import type { NameIndex } from '../hub/audit-log.ts';

const FILES = 256;
/** Of the hash of a name, beside the byte that says which file: 88 bits in all, so that no two names of one log share it by chance. */
const HASH_BYTES = 10;
const ID_BYTES = 6;
const ENTRY_BYTES = HASH_BYTES + ID_BYTES;
/** Of entries in memory before they are written, a file. */
const BUFFER_ENTRIES = 256;
/** A folder that no state names and that is so old was left by a killed audit. */
const ORPHAN_MS = 7 * 24 * 3_600_000;

/**
 * The names of a log's records on the disk, 16 bytes each, spread over 256 files by their hash, so that one file after the other can be looked
 * through for repetitions: memory stays at a 256th of the log. A folder of it is never changed once a state names it: an audit that goes on
 * copies it first, so that one that is killed has spoilt nothing.
 */
export class FolderNameIndex implements NameIndex, AsyncDisposable {
  readonly folder: string;
  readonly #buffers: Buffer[] = Array.from({ length: FILES }, () => Buffer.alloc(BUFFER_ENTRIES * ENTRY_BYTES));
  readonly #used = new Uint32Array(FILES);
  #isKept = false;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** An empty one in a folder of its own, or one that goes on from another. @throws {HubError} storage-fault, storage-full */
  static async open(prefix: string, from?: string): Promise<FolderNameIndex> {
    const folder = `${prefix}.names-${randomBytes(6).toString('hex')}`;
    const index = new FolderNameIndex(folder);
    await doing(`make the index ${folder}`, async () => {
      await removeOrphans(prefix, from);
      await mkdir(folder, { recursive: true });
      if (from === undefined) return;
      for (const name of await readdir(from)) await copyFile(join(from, name), join(folder, name), constants.COPYFILE_FICLONE);
    });
    return index;
  }

  async add(name: string, recordId: number): Promise<void> {
    const digest = hash('sha256', name, 'buffer');
    const file = digest[0]!;
    const buffer = this.#buffers[file]!;
    const at = this.#used[file]! * ENTRY_BYTES;
    digest.copy(buffer, at, 1, 1 + HASH_BYTES);
    buffer.writeUIntBE(recordId, at + HASH_BYTES, ID_BYTES);
    this.#used[file]! += 1;
    if (this.#used[file] === BUFFER_ENTRIES) await this.#write(file);
  }

  async *repeats(signal: AbortSignal): AsyncGenerator<{ readonly first: number; readonly again: number }> {
    for (let file = 0; file < FILES; file += 1) {
      signal.throwIfAborted();
      await this.#write(file);
      const entries = await doing(`read the index ${this.folder}`, () => readFile(this.#path(file)).catch(ignoreAbsence));
      const seen = new Map<string, number>();
      for (let at = 0; entries !== undefined && at < entries.length; at += ENTRY_BYTES) {
        const key = entries.toString('latin1', at, at + HASH_BYTES);
        const recordId = entries.readUIntBE(at + HASH_BYTES, ID_BYTES);
        const first = seen.get(key);
        if (first === undefined) seen.set(key, recordId);
        else yield { first, again: recordId };
      }
    }
  }

  /** Makes it durable and lets it outlive this object: a state is about to name it. @throws {HubError} storage-fault, storage-full */
  async keep(): Promise<void> {
    await doing(`write the index ${this.folder}`, async () => {
      for (let file = 0; file < FILES; file += 1) await this.#write(file);
      for (const name of await readdir(this.folder)) await sync(join(this.folder, name));
      await sync(this.folder);
    });
    this.#isKept = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isKept) await rm(this.folder, { recursive: true, force: true });
  }

  async #write(file: number): Promise<void> {
    const entries = this.#buffers[file]!.subarray(0, this.#used[file]! * ENTRY_BYTES);
    if (entries.length === 0) return;
    await doing(`write the index ${this.folder}`, () => appendFile(this.#path(file), entries));
    this.#used[file] = 0;
  }

  #path(file: number): string {
    return join(this.folder, file.toString(16).padStart(2, '0'));
  }
}

/** How many names a folder holds. */
export async function countNames(folder: string): Promise<number> {
  let sizeBytes = 0;
  for (const name of await readdir(folder).catch(() => [])) sizeBytes += (await stat(join(folder, name))).size;
  return sizeBytes / ENTRY_BYTES;
}

async function removeOrphans(prefix: string, named: string | undefined): Promise<void> {
  const folder = dirname(prefix);
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (!name.startsWith(`${basename(prefix)}.names-`) || path === named) continue;
    if (Date.now() - (await stat(path)).mtimeMs > ORPHAN_MS) await rm(path, { recursive: true, force: true });
  }
}

async function sync(path: string): Promise<void> {
  await using handle = await open(path, 'r');
  await handle.sync();
}

function ignoreAbsence(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

/** @throws {HubError} storage-full, storage-fault */
export async function doing<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new HubError(code === 'ENOSPC' || code === 'EDQUOT' ? 'storage-full' : 'storage-fault', `cannot ${what}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
