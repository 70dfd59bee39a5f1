import { access, constants, type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { HubError } from '../base/errors.ts';
import { PARTS_MAX, partName } from './bundle-parts.ts';
import { diskError } from './staging.ts';

export interface DraftOptions {
  readonly file: string;
  /** Of one part; undefined: one file. */
  readonly partBytesMax: number | undefined;
  /** Of all parts together. */
  readonly sizeBytes: number;
}

/** Where bytes of the whole lie in the files that it is written into. */
export interface DraftPlace {
  readonly path: string;
  readonly position: number;
  readonly sizeBytes: number;
}

/** So much is written before the disk is told to begin, so that it does not begin only at the end. */
const UNSYNCED_BYTES_MAX = 32 * 1024 * 1024;

/** What would fail when everything has been fetched fails now. @throws {HubError} storage-fault */
export async function prepareToWrite(file: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await access(dirname(file), constants.W_OK | constants.X_OK);
    if ((await stat(file).catch(() => undefined))?.isDirectory() === true)
      throw new HubError('storage-fault', `${file} is a folder, and is to be a file`);
  } catch (error) {
    throw diskError(`write ${file}`, error);
  }
}

async function removeOlder(file: string, parts: number): Promise<void> {
  await rm(file, { force: true });
  await removeFrom(parts + 1, (number) => partName(file, number));
}

/** As far as there are such files one after the other. */
async function removeFrom(first: number, nameOf: (number: number) => string): Promise<void> {
  for (let number = first; number <= PARTS_MAX; number += 1) {
    const path = nameOf(number);
    if ((await stat(path).catch(() => undefined)) === undefined) return;
    await rm(path);
  }
}

/** A file, or the parts of one, that is written in any order beside its name. Disposed of before `finish`, it leaves nothing. */
export class DraftParts implements AsyncDisposable {
  readonly #options: DraftOptions;
  readonly #drafts: { readonly path: string; readonly handle: FileHandle }[] = [];
  readonly #touched = new Set<FileHandle>();
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;
  #fault: unknown;
  #named = false;

  private constructor(options: DraftOptions) {
    this.#options = options;
  }

  /** @throws {HubError} storage-full, storage-fault */
  static async open(options: DraftOptions): Promise<DraftParts> {
    const parts = new DraftParts(options);
    try {
      await parts.#open();
      return parts;
    } catch (error) {
      await parts[Symbol.asyncDispose]();
      throw diskError(`write ${options.file}`, error);
    }
  }

  async #open(): Promise<void> {
    const { file, sizeBytes } = this.#options;
    const count = Math.ceil(sizeBytes / this.#partBytes);
    if (count > PARTS_MAX) throw new HubError('bad-request', `${file} would have ${count} parts, more than ${PARTS_MAX}: make them larger`);
    for (let i = 0; i < count; i += 1) {
      const path = `${partName(file, i + 1)}.part`;
      const handle = await open(path, 'w');
      this.#drafts.push({ path, handle });
      await handle.truncate(Math.min(this.#partBytes, sizeBytes - i * this.#partBytes));
    }
    // What a killed run left of a longer bundle.
    await removeFrom(count + 1, (number) => `${partName(file, number)}.part`);
  }

  get #partBytes(): number {
    return this.#options.partBytesMax ?? Math.max(1, this.#options.sizeBytes);
  }

  /** For who writes by himself; {@link written} is told of it. */
  places(position: number, sizeBytes: number): readonly DraftPlace[] {
    const places: DraftPlace[] = [];
    for (let done = 0; done < sizeBytes; ) {
      const index = Math.floor((position + done) / this.#partBytes);
      const inPart = position + done - index * this.#partBytes;
      const count = Math.min(sizeBytes - done, this.#partBytes - inPart);
      places.push({ path: this.#draft(index).path, position: inPart, sizeBytes: count });
      done += count;
    }
    return places;
  }

  /** @throws {HubError} storage-full, storage-fault */
  async write(position: number, bytes: Buffer): Promise<void> {
    let done = 0;
    for (const place of this.places(position, bytes.length)) {
      const { handle } = this.#draft(Math.floor((position + done) / this.#partBytes));
      try {
        for (let at = 0; at < place.sizeBytes; )
          at += (await handle.write(bytes, done + at, place.sizeBytes - at, place.position + at)).bytesWritten;
      } catch (error) {
        throw diskError(`write ${this.#options.file}`, error);
      }
      done += place.sizeBytes;
    }
    this.written(position, bytes.length);
  }

  /** @throws {HubError} storage-full, storage-fault: of bytes written before these */
  written(position: number, sizeBytes: number): void {
    this.#refuseFault();
    for (let index = Math.floor(position / this.#partBytes); index * this.#partBytes < position + sizeBytes; index += 1)
      this.#touched.add(this.#draft(index).handle);
    this.#unsyncedBytes += sizeBytes;
    if (this.#unsyncedBytes < UNSYNCED_BYTES_MAX || this.#syncing !== undefined) return;
    const handles = [...this.#touched];
    this.#touched.clear();
    this.#unsyncedBytes = 0;
    this.#syncing = (async () => {
      for (const handle of handles) await handle.datasync();
    })()
      .catch((error: unknown) => {
        this.#fault ??= error;
      })
      .finally(() => {
        this.#syncing = undefined;
      });
  }

  /** Makes it durable and gives it its name, or each part its own. Answers them. @throws {HubError} storage-full, storage-fault */
  async finish(): Promise<readonly string[]> {
    const { file, partBytesMax } = this.#options;
    try {
      await this.#syncing;
      this.#refuseFault();
      for (const { handle } of this.#drafts) await handle.sync();
      await this.#close();
      const names = this.#drafts.map((_, i) => (partBytesMax === undefined ? file : partName(file, i + 1)));
      // What an older and longer bundle of this name left would be read as a part of this one, or instead of it.
      if (partBytesMax !== undefined) await removeOlder(file, names.length);
      // The first part last: without it there is no bundle.
      for (const i of [...names.keys()].toReversed()) await rename(this.#draft(i).path, names[i] as string);
      this.#named = true;
      return names;
    } catch (error) {
      throw diskError(`write ${file}`, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#syncing;
    await this.#close().catch(() => {});
    if (!this.#named) for (const { path } of this.#drafts) await rm(path, { force: true });
  }

  #refuseFault(): void {
    if (this.#fault !== undefined) throw diskError(`write ${this.#options.file}`, this.#fault);
  }

  #draft(index: number): { readonly path: string; readonly handle: FileHandle } {
    const draft = this.#drafts[index];
    if (draft === undefined) throw new RangeError(`there is no part ${index}`);
    return draft;
  }

  async #close(): Promise<void> {
    for (const { handle } of this.#drafts) await handle.close();
  }
}
