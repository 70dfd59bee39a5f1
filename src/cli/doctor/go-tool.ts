import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { HubError } from '../../base/errors.ts';
import type { Env } from './facts.ts';

const GO_COMMAND_MS = 30_000;
const OUTPUT_BYTES_MAX = 4 * 1024 * 1024;

export interface GoRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The go command of this user. It runs with this user's environment, but never as another toolchain than the one that is installed. */
export class GoTool {
  readonly path: string;
  readonly #env: Env;

  private constructor(path: string, env: Env) {
    this.path = path;
    this.#env = env;
  }

  /** The first one in PATH. */
  static async find(env: Env): Promise<GoTool | undefined> {
    const folders = (env['PATH'] ?? env['Path'] ?? '').split(delimiter).filter((folder) => folder !== '');
    const path = await firstExecutable(folders);
    return path === undefined ? undefined : new GoTool(path, env);
  }

  /** Never throws for the exit code. A folder without go.mod is asked for where none is named, because a go.mod can demand another toolchain. */
  run(args: readonly string[], signal: AbortSignal, cwd = '/'): Promise<GoRun> {
    const options = { env: { ...this.#env, GOTOOLCHAIN: 'local' }, cwd, timeout: GO_COMMAND_MS, maxBuffer: OUTPUT_BYTES_MAX, signal };
    return new Promise((resolve, reject) => {
      execFile(this.path, [...args], options, (error, stdout, stderr) => {
        if (signal.aborted) return reject(signal.reason as Error);
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, stdout, stderr: stderr === '' && error !== null && code === 1 ? error.message : stderr });
      });
    });
  }

  /** `go env -w NAME=VALUE`, or `-u NAME`. @throws {HubError} storage-fault with what go said */
  async set(name: string, value: string | undefined, signal: AbortSignal): Promise<void> {
    const { code, stderr } = await this.run(value === undefined ? ['env', '-u', name] : ['env', '-w', `${name}=${value}`], signal);
    if (code !== 0) throw new HubError('storage-fault', `go env could not change ${name}: ${stderr.trim().split('\n')[0] ?? ''}`);
  }
}

/** Folders that often have a go command without being in PATH. */
export function usualFolders(env: Env): readonly string[] {
  const home = env['HOME'] ?? env['USERPROFILE'];
  return [...(home ? [join(home, 'sdk', 'go', 'bin'), join(home, 'go', 'bin')] : []), '/usr/local/go/bin', '/usr/lib/go/bin'];
}

export async function firstExecutable(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const candidate = join(folder, process.platform === 'win32' ? 'go.exe' : 'go');
    const runs = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return candidate;
  }
  return undefined;
}
