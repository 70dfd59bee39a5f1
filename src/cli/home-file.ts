import { chmod, chown, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { HubError, messageOf } from '../base/errors.ts';

const LINKS_MAX = 40;

export interface HomeFileContent {
  readonly text: string;
  readonly encoding: 'utf8' | 'latin1';
  /** Left out: as it was, 0o600 where there was none. */
  readonly mode?: number;
}

/** Writes a file that a user keeps, the whole of it or nothing, and where a link points to rather than in place of the link. @throws {HubError} storage-fault */
export async function replaceHomeFile(path: string, { text, encoding, mode }: HomeFileContent): Promise<void> {
  try {
    const target = await targetOf(path);
    const former = await stat(target).catch(() => undefined);
    const beside = `${target}.goyi-${process.pid}`;
    try {
      await writeFile(beside, text, { encoding, flag: 'wx', mode: 0o600, flush: true });
      // Whoever sets up somebody else's home leaves the file theirs.
      if (process.platform !== 'win32' && former !== undefined) await chown(beside, former.uid, former.gid).catch(() => {});
      await chmod(beside, mode ?? (former === undefined ? 0o600 : former.mode & 0o7777));
      await rename(beside, target);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  } catch (error) {
    throw new HubError('storage-fault', `cannot write ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** What a link leads to, also where nothing is yet. */
export async function targetOf(path: string): Promise<string> {
  let target = path;
  for (let links = 0; links < LINKS_MAX; links += 1) {
    const next = await readlink(target).catch(() => undefined);
    if (next === undefined) break;
    target = resolve(dirname(target), next);
  }
  return target;
}
