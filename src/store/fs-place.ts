import { closeSync, fstatSync, fsyncSync, linkSync, mkdirSync, openSync, constants, renameSync, unlinkSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createFlags, errnoOf, fingerprintOf, isAbsence, lacksLinks, readFlags } from './fs-operations.ts';

/** Bytes that are to stand under a key. Plain data: it crosses to a thread. */
export interface PlaceJob {
  /** Absolute path of a file in staging that does not exist yet. */
  readonly localPath: string;
  /** Absolute path of the file to be. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Whether a file that stands there gives way. */
  readonly replace: boolean;
}

export type PlaceOutcome =
  | { readonly kind: 'placed'; readonly fingerprint: string }
  /** The name is taken, or the medium has no hard links: nothing was changed, and the caller takes the careful way. */
  | { readonly kind: 'undecided' }
  | { readonly kind: 'failed'; readonly errno: string | undefined; readonly message: string };

/** Stored files are for everybody to read and for nobody to write: a slip of the hand is refused by the system. */
export const storedMode = 0o444;

/** How often a name is tried while other processes remove its folder. */
const attemptsMax = 8;

/** Makes a file visible, whole for every reader, and not yet on the disk. Blocks, as everything here: it runs in a thread of its own. */
export function placeFile(job: PlaceJob): PlaceOutcome {
  let fd: number | undefined;
  let staged = false;
  try {
    fd = openSync(job.localPath, createFlags, storedMode);
    staged = true;
    for (let at = 0; at < job.bytes.length; ) at += writeSync(fd, job.bytes, at, job.bytes.length - at, at);
    giveName(job);
    staged = false;
    // Taking the second name away moved the ctime, so the fingerprint is taken after that.
    return { kind: 'placed', fingerprint: fingerprintOf(fstatSync(fd, { bigint: true })) };
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' || lacksLinks(error)) return { kind: 'undecided' };
    return { kind: 'failed', errno: errnoOf(error), message: error instanceof Error ? error.message : String(error) };
  } finally {
    if (staged) unlinkQuietly(job.localPath);
    if (fd !== undefined) closeSync(fd);
  }
}

function giveName({ localPath, path, replace }: PlaceJob): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      if (replace) {
        renameSync(localPath, path);
      } else {
        linkSync(localPath, path);
        unlinkSync(localPath);
      }
      return;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || attempt === attemptsMax) throw error;
      mkdirSync(dirname(path), { recursive: true });
    }
  }
}

/**
 * Puts files that were placed on the disk, and the entries of their folders up to `root`. What is gone meanwhile needs no syncing.
 * @throws what the operating system says
 */
export function settleFiles(root: string, keys: readonly string[]): void {
  const folders = new Set<string>();
  for (const key of keys) {
    syncFile(join(root, key), readFlags);
    for (let folder = dirname(key); folder !== '.' && !folders.has(folder); folder = dirname(folder)) folders.add(folder);
  }
  // Windows has no way to sync a folder: its journal keeps the order of changes by itself.
  if (process.platform === 'win32') return;
  for (const folder of [...folders, '']) syncFile(join(root, folder), constants.O_RDONLY | constants.O_DIRECTORY);
}

function syncFile(path: string, flags: number): void {
  let fd: number;
  try {
    fd = openSync(path, flags);
  } catch (error) {
    if (isAbsence(error)) return;
    throw error;
  }
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function unlinkQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // The next sweep finds it.
  }
}
