import { constants } from 'node:fs';
import { mkdir, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { HubError, messageOf } from '../base/errors.ts';

const GROUP_AND_OTHERS = 0o077;
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/** Windows gives access by lists, which Node does not show: there a folder is as private as the one above it. */
const hasModes = process.platform !== 'win32';

/**
 * Makes the folder for its owner alone (0700) and what is missing above it; their entries are durable when it resolves.
 * @throws {HubError} config-invalid when others may replace what is in it; storage-full, storage-fault
 */
export async function makePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Any folder on the way may have been made a moment ago, by this process or another. Those of others may not be opened.
    await syncFolder(folder);
    for (let path = resolve(folder); path !== dirname(path); path = dirname(path)) await syncFolder(dirname(path)).catch(() => {});
    if (hasModes) refuseExposedFolder(folder, await stat(folder));
  } catch (error) {
    throw fileError(`make the folder ${folder}`, error);
  }
}

function refuseExposedFolder(folder: string, { mode, uid }: { readonly mode: number; readonly uid: number }): void {
  if (!isTrusted(uid)) throw new HubError('config-invalid', `the folder ${folder} belongs to another user, who could replace a key in it`);
  if ((mode & WRITABLE_BY_OTHERS) !== 0 && (mode & STICKY) === 0) {
    throw new HubError(
      'config-invalid',
      `other users may write in the folder ${folder} and could replace a key in it: run chmod 700 ${quoted(folder)}`,
    );
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows has no way to sync a folder: its journal keeps the order of changes by itself.
  if (process.platform === 'win32') return;
  await using handle = await open(folder, constants.O_RDONLY | (constants.O_DIRECTORY ?? 0));
  await handle.sync();
}

/** Why a file with a secret in it is not used, or undefined: what group or others may do with it, or that it is somebody else's. */
export function exposureOf(file: string, { mode, uid }: { readonly mode: number; readonly uid: number }): string | undefined {
  if (!hasModes) return undefined;
  if ((mode & GROUP_AND_OTHERS) !== 0) {
    const octal = (mode & 0o7777).toString(8).padStart(4, '0');
    return `other users may read or write ${file} (its mode is ${octal}): run chmod 600 ${quoted(file)}`;
  }
  return isTrusted(uid) ? undefined : `${file} belongs to another user: run chown to the one that runs the hub`;
}

/** Whether the file, symbolic links followed, lies in the folder or would lie there. */
export async function isInside(file: string, folder: string): Promise<boolean> {
  const way = relative(await realFolder(resolve(folder)), await realFolder(dirname(resolve(file))));
  return way === '' || (!/^\.\.(?:[/\\]|$)/.test(way) && !isAbsolute(way));
}

/** What of it does not exist yet is taken as it is written. */
async function realFolder(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    return path === dirname(path) ? path : join(await realFolder(dirname(path)), basename(path));
  }
}

/** What the operating system said as an error of ours; errors of ours pass unchanged. */
export function fileError(doing: string, error: unknown): HubError {
  if (error instanceof HubError) return error;
  const errno = errnoOf(error);
  const code = errno === 'ENOSPC' || errno === 'EDQUOT' ? 'storage-full' : 'storage-fault';
  return new HubError(code, `cannot ${doing}: ${messageOf(error)}`, { cause: error });
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** Root may read what belongs to anybody; everybody trusts root. */
function isTrusted(uid: number): boolean {
  const own = process.geteuid?.() ?? 0;
  return own === 0 || uid === own || uid === 0;
}

/** As a shell takes it. */
function quoted(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
