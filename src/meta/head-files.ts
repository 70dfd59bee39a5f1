import { constants } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HubError } from '../base/errors.ts';
import { errnoOf } from './private-folder.ts';

/** The calls that can find a disk full or broken: the seam where tests let it be. */
export interface HeadFileOperations {
  /** Answers how many bytes were taken. */
  readonly write: (handle: FileHandle, bytes: Buffer) => Promise<number>;
  readonly sync: (handle: FileHandle) => Promise<void>;
}

export const realHeadFileOperations: HeadFileOperations = {
  write: async (handle, bytes) => (await handle.write(bytes)).bytesWritten,
  sync: (handle) => handle.datasync(),
};

/** Far beyond the size at which the next file is begun. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

/** The files `heads-1.txt`, `heads-2.txt` … of a folder. */
export class HeadFiles {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  nameOf(generation: number): string {
    return join(this.folder, `heads-${generation}.txt`);
  }

  /** Ascending. */
  async list(): Promise<number[]> {
    const generations = (await readdir(this.folder)).flatMap((name) => /^heads-([1-9]\d{0,8})\.txt$/.exec(name)?.[1] ?? []);
    return generations.map(Number).sort((a, b) => a - b);
  }

  /** Makes an empty file unless there is one. */
  async make(generation: number): Promise<void> {
    try {
      await (await open(this.nameOf(generation), 'wx', 0o600)).close();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }

  /** For reading, and for writing at its end wherever that is by then. Undefined when it is gone. */
  async open(generation: number): Promise<FileHandle | undefined> {
    const flags = constants.O_RDWR | constants.O_APPEND | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
    try {
      return await open(this.nameOf(generation), flags);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** The whole of it; undefined when it is gone. */
  async read(generation: number): Promise<Buffer | undefined> {
    const name = this.nameOf(generation);
    try {
      if ((await stat(name)).size > FILE_BYTES_MAX) throw tooLong(name);
      return await readFile(name);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** What stands in an open file from `offset` on. */
  async readFrom(handle: FileHandle, offset: number, generation: number): Promise<Buffer> {
    const { size } = await handle.stat();
    if (size > FILE_BYTES_MAX) throw tooLong(this.nameOf(generation));
    const buffer = Buffer.alloc(Math.max(0, size - offset));
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, offset + length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return buffer.subarray(0, length);
  }

  async remove(generation: number): Promise<void> {
    await rm(this.nameOf(generation), { force: true });
  }
}

function tooLong(name: string): HubError {
  return new HubError('storage-fault', `${name} is too long for a file of signed heads`);
}
