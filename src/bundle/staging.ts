import { createHash, hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HubError, messageOf } from '../base/errors.ts';
import type { ProxySource } from './proxy-source.ts';
import type { StoredFile, StoredFiles } from './stored-files.ts';

interface Asked {
  readonly resource: string;
  readonly sizeMaxBytes: number;
}

/**
 * Files on the way into a bundle, under their names. What a store on this machine has is left there, and read from there; everything else lies below a
 * folder, where a run after one that was cut finds it.
 */
export class Staging {
  readonly folder: string;
  readonly #source: ProxySource;
  readonly #store: StoredFiles | undefined;
  readonly #stored = new Map<string, { readonly file: StoredFile; readonly asked: Asked; readonly signal: AbortSignal }>();

  constructor(folder: string, source: ProxySource, store?: StoredFiles) {
    this.folder = folder;
    this.#source = source;
    this.#store = store;
  }

  path(name: string): string {
    return this.#stored.get(name)?.file.path ?? join(this.folder, name);
  }

  /** What is known of a file that lies in the store: it need not be proved again, and has to be compared with this when it is read. */
  stored(name: string): StoredFile | undefined {
    return this.#stored.get(name)?.file;
  }

  /** Bytes of a whole file; undefined when it is not here. */
  async sizeOf(name: string): Promise<number | undefined> {
    const stored = this.stored(name) ?? (await this.#store?.find(name));
    if (stored !== undefined) return stored.sizeBytes;
    return stat(join(this.folder, name)).then(
      (stats) => stats.size,
      () => undefined,
    );
  }

  /** Whether there is such a file; it is here then. @throws {HubError} as {@link ProxySource.download} */
  async fetch(name: string, asked: Asked, signal: AbortSignal): Promise<boolean> {
    if (this.#stored.has(name)) return true;
    const file = await this.#store?.find(name);
    if (file !== undefined && file.sizeBytes <= asked.sizeMaxBytes) {
      this.#stored.set(name, { file, asked, signal });
      return true;
    }
    return this.#download(name, asked, signal);
  }

  async #download(name: string, { resource, sizeMaxBytes }: Asked, signal: AbortSignal): Promise<boolean> {
    const path = join(this.folder, name);
    if ((await stat(path).catch(() => undefined)) !== undefined) return true;
    const part = `${path}.part`;
    try {
      await mkdir(dirname(path), { recursive: true });
      if (!(await this.#source.download(resource, { path: part, sizeMaxBytes }, signal))) return false;
      await rename(part, path);
      return true;
    } catch (error) {
      if (error instanceof HubError || signal.aborted) throw error;
      throw diskError(`store ${path}`, error);
    }
  }

  /** A small one. @throws {HubError} as {@link fetch}, when the store has it no longer as it was */
  async read(name: string): Promise<Buffer> {
    const stored = this.stored(name);
    if (stored !== undefined) {
      const bytes = await readFile(stored.path).catch(() => undefined);
      if (bytes !== undefined && hash('sha256', bytes) === stored.sha256) return bytes;
      await this.#refuse(name);
    }
    try {
      return await readFile(this.path(name));
    } catch (error) {
      throw diskError(`read ${this.path(name)}`, error);
    }
  }

  /**
   * Reads everything that was left in the store, and has fetched what is not as it was proved. Answers the names of that, with the fault where it could not be had.
   * @throws the signal's reason
   */
  async refuseChanged(): Promise<ReadonlyMap<string, unknown>> {
    const changed = new Map<string, unknown>();
    for (const [name, { file, signal }] of this.#stored) {
      signal.throwIfAborted();
      if ((await digestOf(file.path)) === file.sha256) continue;
      changed.set(name, undefined);
      await this.#refuse(name).catch((error: unknown) => changed.set(name, error));
    }
    return changed;
  }

  async #refuse(name: string): Promise<void> {
    const stored = this.#stored.get(name);
    if (stored === undefined) return;
    this.#stored.delete(name);
    await this.#store?.refuse(name, stored.file);
    if (!(await this.#download(name, stored.asked, stored.signal)))
      throw new HubError('not-found', `the stored file was changed, and ${this.#source.name} does not have it`);
  }

  async remove(name: string): Promise<void> {
    if (!this.#stored.delete(name)) await rm(this.path(name), { force: true });
  }

  async clear(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Undefined when it cannot be read. */
async function digestOf(path: string): Promise<string | undefined> {
  const sha256 = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) sha256.update(chunk as Buffer);
    return sha256.digest('hex');
  } catch {
    return undefined;
  }
}

/** Whole, or as it was. @throws {HubError} storage-full, storage-fault */
export async function replaceFile(path: string, bytes: string | Buffer, mode?: number): Promise<void> {
  const fresh = `${path}.new`;
  try {
    await writeFile(fresh, bytes, { mode });
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => {});
    throw diskError(`write ${path}`, error);
  }
}

export function diskError(doing: string, error: unknown): HubError {
  if (error instanceof HubError) return error;
  const errno = (error as NodeJS.ErrnoException).code;
  const full = errno === 'ENOSPC' || errno === 'EDQUOT';
  return new HubError(full ? 'storage-full' : 'storage-fault', `cannot ${doing}: ${messageOf(error)}`, { cause: error });
}
