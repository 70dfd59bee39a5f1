import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ErrorCode, HubError, messageOf } from '../base/errors.ts';

/** A failure as it crosses from the writer thread: an Error loses its fields on the way. */
export type Failure =
  | { readonly kind: 'hub'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'sqlite'; readonly result: number; readonly message: string };

/** Primary result codes. https://sqlite.org/rescode.html */
const result = { busy: 5, locked: 6, ioError: 10, corrupt: 11, full: 13, cannotOpen: 14, notDatabase: 26 } as const;

export function failureOf(error: unknown): Failure {
  if (error instanceof HubError) return { kind: 'hub', code: error.code, message: error.message };
  return { kind: 'sqlite', result: resultOf(error), message: messageOf(error) };
}

/** The extended result code, 0 for an error that is not SQLite's. */
function resultOf(error: unknown): number {
  const errcode: unknown = error instanceof Error && 'errcode' in error ? error.errcode : 0;
  return typeof errcode === 'number' ? errcode : 0;
}

export function isBusy(error: unknown): boolean {
  const primary = resultOf(error) & 0xff;
  return primary === result.busy || primary === result.locked;
}

/** Whether the file itself is broken, or none of SQLite's. */
export function isDamaged(error: unknown): boolean {
  const primary = resultOf(error) & 0xff;
  return primary === result.corrupt || primary === result.notDatabase;
}

/** What SQLite said as an error of ours: what happened, to which file, and the way out where there is one. */
export function metadataError(file: string, doing: string, error: unknown): HubError {
  const failure = failureOf(error);
  if (error instanceof HubError) return error;
  return errorOfFailure(file, doing, failure, error);
}

export function errorOfFailure(file: string, doing: string, failure: Failure, cause?: unknown): HubError {
  if (failure.kind === 'hub') return new HubError(failure.code, failure.message, { cause });
  const what = `cannot ${doing} in ${file}: ${failure.message}`;
  switch (failure.result & 0xff) {
    case result.full:
      return new HubError('storage-full', what, { cause });
    case result.busy:
    case result.locked:
      return new HubError('storage-fault', `${what} (another process holds it for too long)`, { cause });
    case result.corrupt:
    case result.notDatabase:
      return new HubError('storage-fault', `${what}; ${wayOut(file)}`, { cause });
    case result.ioError:
    case result.cannotOpen:
      return new HubError(diskIsFull(file) ? 'storage-full' : 'storage-fault', what, { cause });
    default:
      return new HubError('storage-fault', what, { cause });
  }
}

function wayOut(file: string): string {
  return `the file is damaged: stop the hub, move ${file}, ${file}-wal and ${file}-shm elsewhere and start again; stored modules are proved anew, the remembered heads of the checksum databases begin anew; a checksum database of the hub's own cannot begin anew, so put back a backup of the file where there is one`;
}

/** A full disk also shows as an I/O error (no room for the shared index of the log) or as a file that cannot be made (no inodes). */
function diskIsFull(file: string): boolean {
  try {
    const space = statfsSync(dirname(file));
    return space.bavail === 0 || (space.files > 0 && space.ffree === 0);
  } catch {
    return false;
  }
}
