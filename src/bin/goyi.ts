import { availableParallelism } from 'node:os';
import { readFileSync } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import { runCli } from '../cli/main.ts';
import { createBackends } from './backends.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };

// The first signal asks to stop, a second one ends at once.
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort(new Error(`stopped by ${signal}`));
  });
}

// npm does not pass a SIGTERM on: it dies, and its script with it. A hub whose npm is gone stops as if it had been told.
if (process.env['npm_lifecycle_event'] !== undefined) {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    stop.abort(new Error('npm, which started this, has ended'));
  }, 500);
  watch.unref();
}

process.exitCode = await runCli({
  argv: process.argv.slice(2),
  env: process.env,
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  openStdin: (signal) => addAbortSignal(signal, process.stdin),
  isTerminal: process.stderr.isTTY === true,
  version,
  cores: availableParallelism(),
  backends: createBackends({ version, env: process.env }),
  signal: stop.signal,
});
