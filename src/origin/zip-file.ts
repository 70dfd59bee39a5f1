import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { HubError, messageOf } from '../base/errors.ts';
import type { ZipSource } from '../protocol/zip-end.ts';

/** A zip on the disk, read synchronously: for threads of their own. */
export interface OpenFile extends ZipSource {
  close(): void;
}

/** `within`: the part of the file that is the zip. @throws {HubError} storage-fault, as does every read */
export function openFile(path: string, within?: { readonly position: number; readonly sizeBytes: number }): OpenFile {
  const start = within?.position ?? 0;
  const fault = (error: unknown): HubError =>
    new HubError('storage-fault', `reading a zip to check it: ${messageOf(error)}`, { cause: error });
  let descriptor: number;
  let sizeBytes: number;
  try {
    descriptor = openSync(path, 'r');
    sizeBytes = within?.sizeBytes ?? fstatSync(descriptor).size;
  } catch (error) {
    throw fault(error);
  }
  const read = (target: Uint8Array, position: number): void => {
    try {
      for (let done = 0; done < target.length; ) {
        const count = readSync(descriptor, target, done, target.length - done, start + position + done);
        if (count === 0) throw new Error('the file ended early');
        done += count;
      }
    } catch (error) {
      throw fault(error);
    }
  };
  return { sizeBytes, read, close: () => closeSync(descriptor) };
}

/** A file that gets a copy of what is read, from its beginning on. */
export interface CopyFile {
  append(bytes: Uint8Array): void;
  close(): void;
}

/** @throws {HubError} storage-full, storage-fault, as does every write */
export function openCopy(path: string): CopyFile {
  const fault = (error: unknown): HubError => {
    const errno = (error as NodeJS.ErrnoException).code;
    const full = errno === 'ENOSPC' || errno === 'EDQUOT';
    return new HubError(full ? 'storage-full' : 'storage-fault', `copying a zip while it is checked: ${messageOf(error)}`, {
      cause: error,
    });
  };
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r+');
  } catch (error) {
    throw fault(error);
  }
  const append = (bytes: Uint8Array): void => {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done, bytes.length - done, null);
    } catch (error) {
      throw fault(error);
    }
  };
  return { append, close: () => closeSync(descriptor) };
}
