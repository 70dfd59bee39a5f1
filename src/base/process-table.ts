/** The world outside of this process, as far as it takes to know a process again. */
export interface ProcessTable {
  /** A living process, told apart from every other that ever had its number: see {@link createProcessTable}. */
  readonly ownIdentity: () => string;
  /** Whether the process that once answered this from `ownIdentity` still lives. Text of any other form names nobody alive. */
  readonly isAlive: (identity: string) => boolean;
}

/**
 * Names processes as `BOOT-PID-START`, where BOOT is this boot of the machine and START the process's start in clock ticks since then.
 * Where there is no /proc the number alone has to do (BOOT and START are 0). `readFile` answers a file's text and throws where there is none.
 * Processes see each other only within one PID namespace: all workers of a hub have to live in the same container.
 */
export function createProcessTable(readFile: (path: string) => string): ProcessTable {
  const readText = (path: string): string | undefined => {
    try {
      return readFile(path);
    } catch {
      return undefined;
    }
  };
  let knownBootId: string | undefined;
  const bootId = (): string =>
    (knownBootId ??= (readText('/proc/sys/kernel/random/boot_id') ?? '0').replace(/[^0-9a-f]/g, '').slice(0, 12));
  const startTicks = (pid: number): string | undefined => startTicksIn(readText(`/proc/${pid}/stat`));
  return {
    ownIdentity: () => `${bootId()}-${process.pid}-${startTicks(process.pid) ?? 0}`,
    isAlive(identity) {
      const match = /^([0-9a-f]+)-([1-9][0-9]{0,9})-([0-9]+)$/.exec(identity);
      if (match === null || match[1] !== bootId()) return false;
      const pid = Number(match[2]);
      return match[3] === '0' ? answersSignals(pid) : startTicks(pid) === match[3];
    },
  };
}

/** The 22nd field of /proc/PID/stat; undefined for a process that is gone or only waits to be reaped. See proc_pid_stat(5). */
function startTicksIn(stat: string | undefined): string | undefined {
  // The second field is the command in brackets, which may itself hold brackets and blanks.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

function answersSignals(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
