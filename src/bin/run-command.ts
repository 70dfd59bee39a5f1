import { availableParallelism } from 'node:os';
import { addAbortSignal } from 'node:stream';
import type { Backends } from '../cli/backends.ts';
import { runCli } from '../cli/main.ts';
import { createBackends } from './backends.ts';

export interface RunCommandOptions {
  readonly version: string;
  readonly signal: AbortSignal;
  /** Left out where the command line holds no `serve`. */
  readonly serve?: Backends['serve'];
}

/** Runs what the command line of this process says, on the real parts, and answers the exit code. */
export function runCommand({ version, signal, serve }: RunCommandOptions): Promise<number> {
  return runCli({
    argv: process.argv.slice(2),
    env: process.env,
    cwd: process.cwd(),
    stdout: process.stdout,
    stderr: process.stderr,
    openStdin: (stop) => addAbortSignal(stop, process.stdin),
    isTerminal: process.stderr.isTTY === true,
    version,
    cores: availableParallelism(),
    backends: createBackends({ version, env: process.env, serve }),
    signal,
  });
}
