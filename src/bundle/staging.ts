import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HubError, messageOf } from '../base/errors.ts';
import type { ProxySource } from './proxy-source.ts';

/** Files on the way into a bundle, under their names below a folder: what a run that was cut has fetched, the next one finds. */
export class Staging {
  readonly folder: string;
  readonly #source: ProxySource;

  constructor(folder: string, source: ProxySource) {
    this.folder = folder;
    this.#source = source;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Bytes of a whole file; undefined when it is not here. */
  async sizeOf(name: string): Promise<number | undefined> {
    return stat(this.path(name)).then(
      (stats) => stats.size,
      () => undefined,
    );
  }

  /** Whether there is such a file; it is here then. @throws {HubError} as {@link ProxySource.download} */
  async fetch(name: string, { resource, sizeMaxBytes }: { resource: string; sizeMaxBytes: number }, signal: AbortSignal): Promise<boolean> {
    if ((await this.sizeOf(name)) !== undefined) return true;
    const path = this.path(name);
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

  async read(name: string): Promise<Buffer> {
    try {
      return await readFile(this.path(name));
    } catch (error) {
      throw diskError(`read ${this.path(name)}`, error);
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.path(name), { force: true });
  }

  async clear(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

export function diskError(doing: string, error: unknown): HubError {
  if (error instanceof HubError) return error;
  const errno = (error as NodeJS.ErrnoException).code;
  const full = errno === 'ENOSPC' || errno === 'EDQUOT';
  return new HubError(full ? 'storage-full' : 'storage-fault', `cannot ${doing}: ${messageOf(error)}`, { cause: error });
}
