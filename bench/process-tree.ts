/** CPU and memory of a server with all its processes, from /proc: on Linux only, elsewhere every figure is 0. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

/** Clock ticks a second of /proc/PID/stat: 100 wherever Linux runs today (USER_HZ). */
const ticksPerSecond = 100;

export interface Usage {
  /** User and system time of the processes that live, and of those that ended and were waited for. */
  readonly cpuSeconds: number;
  /** Resident now, all processes together; shared pages count in each. */
  readonly rssMiB: number;
  /** The largest that the largest process ever was, or has been since {@link forgetPeaks}. */
  readonly peakMiB: number;
}

export function usageOf(rootPid: number): Usage {
  let ticks = 0;
  let rss = 0;
  let peak = 0;
  for (const { pid, fields } of familyOf(rootPid)) {
    // utime, stime, cutime, cstime: fields 14 to 17.
    ticks += fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    const status = read(`/proc/${pid}/status`);
    rss += kibibytes(status, 'VmRSS');
    peak = Math.max(peak, kibibytes(status, 'VmHWM'));
  }
  return { cpuSeconds: ticks / ticksPerSecond, rssMiB: rss / 1024, peakMiB: peak / 1024 };
}

/** What each living process has resident now, in MiB: the one at the top first. */
export function residentOf(rootPid: number): readonly number[] {
  return familyOf(rootPid).map(({ pid }) => kibibytes(read(`/proc/${pid}/status`), 'VmRSS') / 1024);
}

/** Peaks are measured from now on. */
export function forgetPeaks(rootPid: number): void {
  for (const { pid } of familyOf(rootPid)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // Not every kernel has it: the peak then is that of the process's life.
    }
  }
}

interface Process {
  readonly pid: number;
  /** From the state (field 3) on. */
  readonly fields: readonly string[];
}

function familyOf(rootPid: number): readonly Process[] {
  const all = new Map<number, Process>();
  const children = new Map<number, number[]>();
  for (const name of entries('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    // The command's name, in parentheses, may hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const pid = Number(name);
    all.set(pid, { pid, fields });
    const parent = Number(fields[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const family: Process[] = [];
  for (const queue = [rootPid]; queue.length > 0; ) {
    const pid = queue.pop() ?? 0;
    const process = all.get(pid);
    if (process !== undefined) family.push(process);
    queue.push(...(children.get(pid) ?? []));
  }
  return family;
}

function kibibytes(status: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
}

/** A process may end between two looks. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
