import { execFile } from 'node:child_process';
import { access, appendFile, constants, mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { HubError, messageOf } from '../base/errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

const GO_COMMAND_MS = 30_000;
const FILE_BYTES_MAX = 1024 * 1024;

/** What this user's go command keeps in its file of settings. Every change is made by the go command itself. */
export class GoSettings {
  /** As `go version` says it: `go1.26.8`. */
  readonly version: string;
  /** That `go env -w` writes. */
  readonly file: string;
  readonly #go: string;
  readonly #env: Env;

  private constructor(parts: { go: string; env: Env; version: string; file: string }) {
    this.#go = parts.go;
    this.#env = parts.env;
    this.version = parts.version;
    this.file = parts.file;
  }

  /** Undefined: there is no go command. @throws {HubError} config-invalid when it keeps no settings */
  static async find(env: Env): Promise<GoSettings | undefined> {
    const go = await findGo(env);
    if (go === undefined) return undefined;
    const [version = '', file = ''] = (await run(go, ['env', 'GOVERSION', 'GOENV'], env)).split(/\r?\n/);
    if (file === '' || file === 'off')
      throw new HubError('config-invalid', 'this go command keeps no settings: GOENV is off, or it is older than Go 1.13');
    return new GoSettings({ go, env, version, file });
  }

  /** What is written, whether or not it is in effect. Undefined: nothing. */
  async written(name: string): Promise<string | undefined> {
    const text = await readShort(this.file);
    return text
      .split('\n')
      .findLast((line) => line.startsWith(`${name}=`))
      ?.slice(name.length + 1)
      .replace(/\r$/, '');
  }

  async write(name: string, value: string): Promise<void> {
    await run(this.#go, ['env', '-w', `${name}=${value}`], this.#env);
  }

  async unset(name: string): Promise<void> {
    await run(this.#go, ['env', '-u', name], this.#env);
  }
}

/**
 * What was set before goyi changed it: lines `NAME=VALUE`, or `-NAME` for what was not set. The same file as that of `/setup.sh` and `/setup.ps1`, so
 * that any of them puts back what another changed. The first value that was there is the one to put back.
 */
export class UndoFile {
  readonly path: string;

  constructor(env: Env) {
    this.path = join(stateFolder(env), 'setup.undo');
  }

  /** @throws {HubError} storage-fault, with nothing remembered: then nothing is to be changed */
  async remember(name: string, value: string | undefined): Promise<void> {
    const known = await this.lines();
    if (known.some((line) => line === `-${name}` || line.startsWith(`${name}=`))) return;
    try {
      await mkdir(dirname(this.path), { recursive: true });
      await appendFile(this.path, value === undefined ? `-${name}\n` : `${name}=${value}\n`);
    } catch (error) {
      throw new HubError('storage-fault', `cannot write ${this.path}: ${messageOf(error)}`, { cause: error });
    }
  }

  async lines(): Promise<readonly string[]> {
    return (await readShort(this.path)).split(/\r?\n/).filter((line) => /^-?[A-Z]/.test(line));
  }

  /** Puts everything back and answers the lines that said what. */
  async putBack(settings: GoSettings): Promise<readonly string[]> {
    const lines = await this.lines();
    for (const line of lines) {
      if (line.startsWith('-')) {
        await settings.unset(line.slice(1));
      } else {
        const at = line.indexOf('=');
        await settings.write(line.slice(0, at), line.slice(at + 1));
      }
    }
    await rm(this.path, { force: true });
    return lines;
  }
}

/** Where the set-up of this user keeps what was there before. */
export function stateFolder(env: Env): string {
  if (process.platform === 'win32' && env['LOCALAPPDATA']) return join(env['LOCALAPPDATA'], 'goyi');
  if (env['XDG_STATE_HOME']) return join(env['XDG_STATE_HOME'], 'goyi');
  return join(homeOf(env), '.local', 'state', 'goyi');
}

/** @throws {HubError} config-invalid when the environment names none */
export function homeOf(env: Env): string {
  const home = env['HOME'] || env['USERPROFILE'];
  if (!home) throw new HubError('config-invalid', 'HOME is not set, so nobody knows whose settings these are');
  return home;
}

async function findGo(env: Env): Promise<string | undefined> {
  const name = process.platform === 'win32' ? 'go.exe' : 'go';
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const home = env['HOME'] ?? env['USERPROFILE'];
  const usual = [...(home ? [join(home, 'sdk', 'go', 'bin')] : []), '/usr/local/go/bin'];
  for (const folder of [...folders, ...usual]) {
    const candidate = join(folder, name);
    if (
      await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return candidate;
  }
  return undefined;
}

/** Away from any go.mod, whose toolchain line would have another Go fetched first. */
function run(go: string, args: readonly string[], env: Env): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: { ...env, GOTOOLCHAIN: 'local' }, cwd: tmpdir(), timeout: GO_COMMAND_MS };
    execFile(go, [...args], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = stderr.trim().split('\n')[0] || messageOf(error);
      // What is left to fail is its file.
      reject(new HubError('storage-fault', `go ${args.join(' ')} failed: ${said}`, { cause: error }));
    });
  });
}

/** '' for a file that is not there. @throws {HubError} storage-fault */
export async function readShort(path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length > FILE_BYTES_MAX) throw new HubError('storage-fault', `${path} is longer than ${FILE_BYTES_MAX} bytes`);
    return text;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    if (error instanceof HubError) throw error;
    throw new HubError('storage-fault', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}
