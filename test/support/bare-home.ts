import { execFileSync } from 'node:child_process';
import { lstat, readFile, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Whether there is such a command. */
export function isHere(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`]);
    return true;
  } catch {
    return false;
  }
}

/** A command line, its program by its whole path: for an environment whose PATH does not have it. */
export function absolute(line: string): readonly string[] {
  const [name = 'sh', ...rest] = line.split(' ');
  return [
    execFileSync('sh', ['-c', `command -v ${name}`])
      .toString()
      .trim(),
    ...rest,
  ];
}

/** Every file below a home with what it holds, but for what the go command itself keeps. */
export async function filesBelow(home: string): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(home, folder), { withFileTypes: true })) {
      const name = join(folder, entry.name);
      if (name === '.config/go' || name === '.cache' || name === 'go') continue;
      if (entry.isDirectory()) await walk(name);
      else if (entry.isSymbolicLink()) found[name] = `-> ${await readlink(join(home, name))}`;
      else found[name] = `${(await lstat(join(home, name))).mode.toString(8)} ${await readFile(join(home, name), 'latin1')}`;
    }
  };
  await walk('');
  return found;
}

/** SDKs that `goyi sdk` or `setup.sh` has installed there. */
export async function sdksIn(home: string): Promise<readonly string[]> {
  return (await readdir(join(home, '.goyi/sdk')).catch(() => [])).filter((name) => name.startsWith('go1'));
}
