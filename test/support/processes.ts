import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The living child processes of `pid`, such as the workers of a hub. */
export async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,stat=']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent, state]) => Number(parent) === pid && !state?.startsWith('Z'))
    .map(([child]) => Number(child));
}

/** Whether a process runs; one that has ended and was not yet waited for does not. */
export async function isRunning(pid: number): Promise<boolean> {
  try {
    const { stdout } = await run('ps', ['-o', 'stat=', '-p', String(pid)]);
    return stdout.trim() !== '' && !stdout.trim().startsWith('Z');
  } catch {
    return false;
  }
}

/** Resident memory in MB (10^6 bytes). */
export async function residentMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => undefined);
  const fromStatus = status === undefined ? undefined : /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (fromStatus !== undefined) return (Number(fromStatus) * 1024) / 1e6;
  const { stdout } = await run('ps', ['-o', 'rss=', '-p', String(pid)]);
  return (Number(stdout.trim()) * 1024) / 1e6;
}

/** Watches the largest resident memory of any of these processes while `work` runs. */
export async function peakMegabytes(pids: readonly number[], work: () => Promise<void>): Promise<number> {
  let peak = 0;
  let looking: Promise<void> = Promise.resolve();
  const look = (): void => {
    looking = Promise.all(pids.map(residentMegabytes)).then(
      (values) => void (peak = Math.max(peak, ...values)),
      () => {},
    );
  };
  look();
  const timer = setInterval(look, 50);
  try {
    await work();
  } finally {
    clearInterval(timer);
    await looking;
  }
  return peak;
}
