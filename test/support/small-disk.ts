import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A small file system of its own, seen only by processes started through it. Linux, root or not. */
export interface SmallDisk extends AsyncDisposable {
  /** The command to put before another, so that it sees the disk at its mount point; it execs. */
  readonly wrap: readonly string[];
  /** The mount point as this process reaches it. */
  readonly path: string;
  /** Runs a command that sees the disk. */
  run(...command: readonly string[]): Promise<void>;
}

/** Mounts a tmpfs with these options (`size=8m`, `nr_inodes=300`) at `mountPoint`. Undefined, with the reason said, where that is not possible. */
export async function mountSmallDisk(mountPoint: string, options: string, say: (reason: string) => void): Promise<SmallDisk | undefined> {
  await mkdir(mountPoint, { recursive: true });
  const mount = 'mount --make-rprivate / && mount -t tmpfs -o "$1" tmpfs "$2" && echo mounted && exec sleep 600';
  const ways = [
    { unshare: ['--mount'], enter: ['--mount'] },
    { unshare: ['--mount', '--user', '--map-root-user'], enter: ['--mount', '--user', '--preserve-credentials'] },
  ];
  for (const { unshare, enter } of ways) {
    const keeper = spawn('unshare', [...unshare, 'sh', '-c', mount, 'sh', options, mountPoint], { stdio: ['ignore', 'pipe', 'pipe'] });
    const failure = await untilMounted(keeper);
    if (failure !== undefined) {
      say(`no small file system by unshare ${unshare.join(' ')}: ${failure}`);
      continue;
    }
    const wrap = ['nsenter', '--target', String(keeper.pid), ...enter, '--'];
    return {
      wrap,
      path: `/proc/${keeper.pid}/root${mountPoint}`,
      run: async (...[command = 'true', ...args]) => void (await run('nsenter', [...wrap.slice(1), command, ...args])),
      [Symbol.asyncDispose]: async () => {
        const ended = new Promise((resolve) => keeper.once('exit', resolve));
        keeper.kill('SIGKILL');
        await ended;
      },
    };
  }
  return undefined;
}

/** Undefined when it says that it is mounted; else why it ended. */
function untilMounted(keeper: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    let said = '';
    keeper.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    keeper.stdout?.once('data', () => resolve(undefined));
    keeper.once('error', (error) => resolve(error.message));
    keeper.once('close', (code) => resolve(said.trim() || `it ended with ${code}`));
  });
}
