import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../bin/goyi.mjs', import.meta.url));

export interface HubProcess extends AsyncDisposable {
  readonly url: string;
  readonly dataDir: string;
  readonly pid: number;
  /** Everything it printed so far. */
  output(): string;
  /** SIGTERM, then waits for the end; answers the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL of the primary alone: its workers have to end by themselves. */
  kill(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  exited: Promise<number | null>;
}

export interface HubOptions {
  readonly dataDir: string;
  readonly upstreams: readonly string[];
  readonly workers?: number;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly port?: number;
  /** A command in front of it, such as one that gives it limits or file systems of its own; it must end in an exec, so that the pid is the hub's. */
  readonly wrap?: readonly string[];
  /** No flags but `args`: files and variables decide. */
  readonly bare?: boolean;
}

/** A folder of its own for a test, removed with `await using`. */
export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  return folderBelow(tmpdir());
}

const memoryDisk = '/dev/shm';

/** For module caches of many thousand files: in memory where the machine has room for `sizeBytes`, which is several times faster than most disks. */
export async function roomyFolder(sizeBytes: number): Promise<AsyncDisposable & { readonly path: string }> {
  const room = await statfs(memoryDisk).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => 0,
  );
  return folderBelow(room > 2 * sizeBytes && freemem() > 2 * sizeBytes ? memoryDisk : tmpdir());
}

async function folderBelow(parent: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(parent, 'goyi-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Starts a whole hub the way `npm start` does and waits until it listens. Rejects with its output when it ends before that. */
export async function startHub(options: HubOptions): Promise<HubProcess> {
  const { PATH = '', HOME = '' } = process.env;
  const { dataDir, upstreams, workers = 1, port = 0, args = [], bare = false } = options;
  const flags = bare
    ? []
    : ['--listen', `127.0.0.1:${port}`, '--data-dir', dataDir, '--workers', String(workers), '--upstreams', upstreams.join(',')];
  const [command = process.execPath, ...rest] = [...(options.wrap ?? []), process.execPath, launcher, 'serve', ...flags, ...args];
  const child = spawn(command, rest, { env: { PATH, HOME, LANG: 'C', ...options.env }, stdio: ['ignore', 'pipe', 'pipe'], cwd: tmpdir() });
  let output = '';
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the hub did not listen within 30 s:\n${output}`)), 30_000);
    const onData = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
      const address = /"address":"(http[^"]+)"/.exec(output)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    void exited.then((code) => {
      clearTimeout(timer);
      reject(new Error(`the hub ended with ${code} before it listened:\n${output}`));
    });
  });
  return {
    url,
    dataDir: options.dataDir,
    pid: child.pid ?? 0,
    output: () => output,
    stop: () => end(child, exited, 'SIGTERM'),
    kill: async () => void (await end(child, exited, 'SIGKILL')),
    signal: (name) => void child.kill(name),
    exited,
    [Symbol.asyncDispose]: async () => void (await end(child, exited, 'SIGTERM')),
  };
}

async function end(child: ChildProcess, exited: Promise<number | null>, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const code = await exited;
  clearTimeout(timer);
  return code;
}

/** Runs `goyi ARGS` to its end with nothing of this machine's own settings. Never throws for its exit code; ends it after 30 s. */
export function runGoyi(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  wrap: readonly string[] = [],
): Promise<{ readonly code: number | null; readonly output: string }> {
  const { PATH = '', HOME = '' } = process.env;
  return new Promise((resolve) => {
    const settings = { env: { PATH, HOME, LANG: 'C', ...env }, cwd: tmpdir(), timeout: 30_000, killSignal: 'SIGKILL' } as const;
    const [command = process.execPath, ...rest] = [...wrap, process.execPath, launcher, ...args];
    const child = execFile(command, rest, settings, (_error, stdout, stderr) => resolve({ code: child.exitCode, output: stdout + stderr }));
  });
}
