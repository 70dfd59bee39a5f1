import { access, appendFile, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HubError, messageOf } from '../base/errors.ts';
import { homeOf, readShort, stateFolder } from './go-settings.ts';
import { replaceHomeFile, targetOf } from './home-file.ts';

type Env = Readonly<Record<string, string | undefined>>;

const FILE_BYTES_MAX = 4 * 1024 * 1024;
const hasModes = process.platform !== 'win32';

/** What a netrc file holds. */
export interface NetrcContent {
  /** A character for each byte: what encoding it is in is nobody's business here. */
  readonly text: string;
  /** 0o600 where the system has none. */
  readonly mode: number;
}

/** Where the go command of this user reads netrc. On Windows that is `_netrc`; a lone `.netrc` is read since Go 1.24. */
export async function netrcPath(env: Env, goVersion: string): Promise<string> {
  if (env['NETRC']) return resolve(env['NETRC']);
  const dotted = join(homeOf(env), '.netrc');
  if (process.platform !== 'win32') return dotted;
  const usual = join(homeOf(env), '_netrc');
  const readsDotted = Number(/^go1\.(\d+)/.exec(goVersion)?.[1] ?? 99) >= 24;
  return readsDotted && !(await isThere(usual)) && (await isThere(dotted)) ? dotted : usual;
}

/** Undefined: there is no such file. @throws {HubError} storage-fault */
export async function readNetrc(path: string): Promise<NetrcContent | undefined> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > FILE_BYTES_MAX) throw new HubError('storage-fault', `${path} is longer than ${FILE_BYTES_MAX} bytes`);
    return { text: bytes.toString('latin1'), mode: hasModes ? (await stat(path)).mode & 0o777 : 0o600 };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (error instanceof HubError) throw error;
    throw new HubError('storage-fault', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws {HubError} storage-fault */
export function writeNetrc(path: string, content: NetrcContent): Promise<void> {
  return replaceHomeFile(path, { ...content, encoding: 'latin1' });
}

/** Takes away what a link points to, which stays. */
export async function removeNetrc(path: string): Promise<void> {
  await rm(await targetOf(path), { force: true });
}

/** `made`: there was no such file; `kept`: there was one; a mode: there was one that others could read, with that mode. */
export interface NetrcRecord {
  readonly how: string;
  readonly path: string;
}

/** Which netrc files have a block of ours, and what they were before: lines `HOW PATH`, the same file as that of `/setup.sh`. */
export class NetrcUndo {
  readonly path: string;

  constructor(env: Env) {
    this.path = join(stateFolder(env), 'setup-netrc.undo');
  }

  async records(): Promise<readonly NetrcRecord[]> {
    const lines = (await readShort(this.path)).split('\n');
    return lines.flatMap((line) => {
      const [, how, path] = /^(made|kept|[0-7]{3}) (.+)$/.exec(line) ?? [];
      return how === undefined || path === undefined ? [] : [{ how, path }];
    });
  }

  /** The first that was so is the one to put back. @throws {HubError} storage-fault, with nothing remembered: then nothing is to be changed */
  async remember({ how, path }: NetrcRecord): Promise<void> {
    if ((await this.records()).some((record) => record.path === path)) return;
    try {
      await mkdir(dirname(this.path), { recursive: true });
      await appendFile(this.path, `${how} ${path}\n`);
    } catch (error) {
      throw new HubError('storage-fault', `cannot write ${this.path}: ${messageOf(error)}`, { cause: error });
    }
  }

  async forget(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
