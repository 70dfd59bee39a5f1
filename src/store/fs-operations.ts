import { type BigIntStats, constants, fstatSync, type StatsFs } from 'node:fs';
import { type FileHandle, link, mkdir, open, rename, rmdir, statfs, unlink } from 'node:fs/promises';
import { type ErrorCode, HubError, messageOf } from '../base/errors.ts';

/** The system calls by which a file-system store changes or opens something: the seam where tests let a disk be full or broken. */
export interface FsOperations {
  readonly open: (path: string, flags: number, mode?: number) => Promise<FileHandle>;
  /** Answers how many bytes were taken, which may be fewer than offered. */
  readonly write: (handle: FileHandle, chunk: Uint8Array, position: number) => Promise<number>;
  readonly sync: (handle: FileHandle) => Promise<void>;
  readonly link: (existing: string, added: string) => Promise<void>;
  readonly rename: (from: string, to: string) => Promise<void>;
  readonly unlink: (path: string) => Promise<void>;
  readonly mkdir: (path: string) => Promise<void>;
  readonly rmdir: (path: string) => Promise<void>;
  readonly statfs: (path: string) => Promise<StatsFs>;
}

export const realOperations: FsOperations = {
  open: (path, flags, mode) => open(path, flags, mode),
  write: async (handle, chunk, position) => (await handle.write(chunk, 0, chunk.length, position)).bytesWritten,
  sync: (handle) => handle.sync(),
  link: (existing, added) => link(existing, added),
  rename: (from, to) => rename(from, to),
  unlink: (path) => unlink(path),
  mkdir: (path) => mkdir(path),
  rmdir: (path) => rmdir(path),
  statfs: (path) => statfs(path),
};

/** For reading: never through a planted symbolic link, never blocked by a planted named pipe. */
export const readFlags: number = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** For a file that must not have been there. */
export const createFlags: number = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);

/** Inode, size, mtime and ctime in nanoseconds: what a file is known by until somebody touches it. */
export function fingerprintOf(stats: BigIntStats): string {
  return `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

/** Asks about an open file on the calling thread: its inode is in memory, and a hop to another thread costs twenty times the call. */
export function statOpen(handle: FileHandle): BigIntStats {
  return fstatSync(handle.fd, { bigint: true });
}

export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** There is no such file, whatever the reason: no name of this length can exist, or what should be a folder is a file. */
export function isAbsence(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ENAMETOOLONG' || errno === 'EISDIR';
}

/** The medium (a FAT stick, some network shares) knows no hard links. */
export function lacksLinks(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'EPERM' || errno === 'ENOTSUP' || errno === 'EOPNOTSUPP' || errno === 'ENOSYS' || errno === 'EMLINK';
}

/** What the operating system said as an error of ours; errors of ours pass unchanged. */
export function storageError(doing: string, error: unknown): HubError {
  if (error instanceof HubError) return error;
  const code = fullDisk.has(errnoOf(error) ?? '') ? 'storage-full' : 'storage-fault';
  return new HubError(code satisfies ErrorCode, `cannot ${doing}: ${messageOf(error)}`, { cause: error });
}

/** ENOSPC also says that the inodes are used up. */
const fullDisk = new Set(['ENOSPC', 'EDQUOT']);
