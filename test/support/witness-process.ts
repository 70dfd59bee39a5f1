import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type CosignerKey, parseCosignerKey } from '../../src/protocol/cosignature.ts';

const launcher = fileURLToPath(new URL('../../bin/goyi.mjs', import.meta.url));

export interface WitnessProcess extends AsyncDisposable {
  readonly url: URL;
  readonly pid: number;
  /** With which it cosigns each log, in the order of the logs. */
  readonly keys: readonly CosignerKey[];
  output(): string;
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

export interface WitnessOptions {
  readonly stateDir: string;
  /** Verifier keys. */
  readonly logs: readonly string[];
  readonly name?: string;
  readonly args?: readonly string[];
}

/** Starts `goyi witness` and waits until it listens. Rejects with its output when it ends before that. */
export async function startWitness({ stateDir, logs, name = 'witness.example/w1', args = [] }: WitnessOptions): Promise<WitnessProcess> {
  const { PATH = '', HOME = '' } = process.env;
  const flags = [
    '--witness-name',
    name,
    '--witness-listen',
    '127.0.0.1:0',
    '--witness-state-dir',
    stateDir,
    '--witness-logs',
    logs.join(','),
  ];
  const child = spawn(process.execPath, [launcher, 'witness', ...flags, ...args], {
    env: { PATH, HOME, LANG: 'C' },
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: tmpdir(),
  });
  let output = '';
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the witness did not listen within 30 s:\n${output}`)), 30_000);
    const onData = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
      const address = /"address":"(http[^"]+)"/.exec(output)?.[1];
      // One line follows for each log.
      if (address === undefined || output.split('"cosignedBy"').length <= logs.length || !output.endsWith('\n')) return;
      clearTimeout(timer);
      resolve(address);
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    void exited.then((code) => {
      clearTimeout(timer);
      reject(new Error(`the witness ended with ${code}:\n${output}`));
    });
  });
  const keys = [...output.matchAll(/"cosignedBy":"([^"]+)"/g)].map(([, text = '']) => {
    const key = parseCosignerKey(text);
    if (!key.ok) throw new Error(key.reason);
    return key.value;
  });
  return {
    url: new URL(url),
    pid: child.pid ?? 0,
    keys,
    output: () => output,
    stop: () => end(child, exited, 'SIGTERM'),
    kill: async () => void (await end(child, exited, 'SIGKILL')),
    [Symbol.asyncDispose]: async () => void (await end(child, exited, 'SIGKILL')),
  };
}

async function end(child: ChildProcess, exited: Promise<number | null>, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  return exited;
}
