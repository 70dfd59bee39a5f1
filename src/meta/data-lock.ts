import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HubError, messageOf } from '../base/errors.ts';
import { isAlive, ownIdentity } from './process-identity.ts';
import { isBusy, metadataError } from './sqlite-errors.ts';

/**
 * One hub a data folder. The primary process holds an exclusive lock on the empty file `hub.lock` as long as it lives; the kernel frees it with the
 * process, however that ends. Node has no flock, so the lock is the one that SQLite takes (fcntl on POSIX): children do not inherit it, and of the
 * handles of one process SQLite keeps count. Nobody else may open and close that file in the same process, because POSIX would drop the lock with it;
 * the store refuses to open what lies directly in the data folder. See https://sqlite.org/howtocorrupt.html §2.2.
 *
 * `hub.pid` beside it names the holder, for the message and as a second fence: when somebody deletes the lock file under a living hub,
 * the process it names still lives and the folder is still refused.
 *
 * @throws {HubError} data-dir-in-use naming the holder if it is known; storage-full, storage-fault when the folder cannot be used
 */
export async function holdDataDir(dir: string): Promise<AsyncDisposable> {
  const { lockFile, pidFile } = filesOf(dir);
  let lock: DatabaseSync | undefined;
  try {
    await mkdir(resolve(dir), { recursive: true });
    lock = takeLock(lockFile);
    const holder = await readHolder(pidFile);
    if (lock === undefined || (holder !== undefined && holder !== ownIdentity() && isAlive(holder))) throw inUse(dir, holder);
    // Without room for it the hub starts all the same: the name is for the message, the lock is what holds.
    await writeFile(pidFile, `${ownIdentity()}\n`).catch(() => {});
    return new HeldDataDir(lock, pidFile);
  } catch (error) {
    lock?.close();
    throw fault(dir, lockFile, error);
  }
}

/** Whether a living hub holds the folder. Leaves nothing behind; false as well when there is no such folder. */
export async function isDataDirHeld(dir: string): Promise<boolean> {
  const { lockFile, pidFile } = filesOf(dir);
  const holder = await readHolder(pidFile);
  return (holder !== undefined && isAlive(holder)) || isLocked(lockFile);
}

/** A lock nobody refers to any more would be closed by the garbage collector, and with it freed. */
const held = new Set<DatabaseSync>();

class HeldDataDir implements AsyncDisposable {
  readonly #lock: DatabaseSync;
  readonly #pidFile: string;

  constructor(lock: DatabaseSync, pidFile: string) {
    this.#lock = lock;
    this.#pidFile = pidFile;
    held.add(lock);
  }

  /** The name goes before the lock: the other way round it could be the next holder's that is removed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!held.delete(this.#lock)) return;
    await rm(this.#pidFile, { force: true }).catch(() => {});
    this.#lock.close();
  }
}

/** Asks for a shared lock and gives it back at once. */
function isLocked(lockFile: string): boolean {
  if (!existsSync(lockFile)) return false;
  const lock = new DatabaseSync(lockFile, { readOnly: true, timeout: 0 });
  try {
    lock.prepare('SELECT 1 FROM sqlite_schema').get();
    return false;
  } catch (error) {
    return isBusy(error);
  } finally {
    lock.close();
  }
}

/** The patience outlasts somebody who only looks. */
const lockMs = 250;

/** Undefined when another process has it. Nothing is ever written, not even a journal, so that a full disk does not keep the hub from starting. */
function takeLock(lockFile: string): DatabaseSync | undefined {
  const lock = new DatabaseSync(lockFile, { timeout: lockMs });
  try {
    lock.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (isBusy(error)) return undefined;
    throw error;
  }
}

async function readHolder(pidFile: string): Promise<string | undefined> {
  const text = await readFile(pidFile, 'latin1').catch(() => undefined);
  return text === undefined ? undefined : text.slice(0, 200).trim();
}

function inUse(dir: string, holder: string | undefined): HubError {
  const pid = holder !== undefined && isAlive(holder) ? holder.split('-')[1] : undefined;
  return new HubError('data-dir-in-use', `another hub${pid === undefined ? '' : ` (process ${pid})`} uses the data folder ${resolve(dir)}`);
}

function fault(dir: string, lockFile: string, error: unknown): HubError {
  if (error instanceof Error && 'errcode' in error) return metadataError(lockFile, 'lock the data folder', error);
  if (error instanceof HubError) return error;
  const errno = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  const code = errno === 'ENOSPC' || errno === 'EDQUOT' ? 'storage-full' : 'storage-fault';
  return new HubError(code, `cannot use the data folder ${resolve(dir)}: ${messageOf(error)}`, { cause: error });
}

function filesOf(dir: string): { lockFile: string; pidFile: string } {
  return { lockFile: join(resolve(dir), 'hub.lock'), pidFile: join(resolve(dir), 'hub.pid') };
}
