/** Runs what the command line of this process says, and answers the exit code. Ends in order when it is asked to stop. */
export async function start(version: string): Promise<number> {
  // The first signal asks to stop, a second one ends at once.
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(130);
      stop.abort(new Error(`stopped by ${signal}`));
    });
  }

  // Whoever reads may stop, as `head` does: what there is still to say is said to nobody.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });

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

  // A primary stays small: it does not load the command line, which a process beside it reads.
  const argv = process.argv.slice(2);
  const options = { version, signal: stop.signal };
  return argv.includes('serve')
    ? await (await import('./serve.ts')).serve({ ...options, argv, env: process.env, isTerminal: process.stderr.isTTY === true })
    : await (await import('./run-command.ts')).runCommand(options);
}
