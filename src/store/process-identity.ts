import { readFileSync } from 'node:fs';

/**
 * A living process, told apart from every other that ever had its number: `BOOT-PID-START`, where BOOT is this boot of the machine
 * and START the process's start in clock ticks since then. Where there is no /proc the number alone has to do (BOOT and START are 0).
 * Processes see each other only within one PID namespace: all workers of a hub have to live in the same container.
 */
export function ownIdentity(): string {
  return `${bootId()}-${process.pid}-${startTicks(process.pid) ?? 0}`;
}

/** Whether the process that once answered this from {@link ownIdentity} still lives. Text of any other form names nobody alive. */
export function isAlive(identity: string): boolean {
  const match = /^([0-9a-f]+)-([1-9][0-9]{0,9})-([0-9]+)$/.exec(identity);
  if (match === null) return false;
  const pid = Number(match[2]);
  if (match[1] !== bootId()) return false;
  if (match[3] === '0') return answersSignals(pid);
  return startTicks(pid) === match[3];
}

let knownBootId: string | undefined;

function bootId(): string {
  knownBootId ??= (readText('/proc/sys/kernel/random/boot_id') ?? '0').replace(/[^0-9a-f]/g, '').slice(0, 12);
  return knownBootId;
}

/** The 22nd field of /proc/PID/stat; undefined for a process that is gone or only waits to be reaped. See proc_pid_stat(5). */
function startTicks(pid: number): string | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The second field is the command in brackets, which may itself hold brackets and blanks.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

function answersSignals(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}
