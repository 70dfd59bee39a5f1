import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ATTEMPTS = 20;

/** Where a command is; its packages are installed first where that is allowed. @throws with the line that installs it */
export async function findOrInstall(command: string, packages: readonly string[]): Promise<string> {
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  let reason = '';
  // Test files that run at the same time wait for each other's lock.
  for (let attempt = 0; lookFor(command) === undefined && process.getuid?.() === 0 && attempt < ATTEMPTS; attempt += 1) {
    if (attempt > 0) await pause(3_000);
    // A machine that never asked for it has no list of packages yet.
    await run('apt-get', ['update', '-qq']).catch(() => {});
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    reason = await run('apt-get', install, { env }).then(
      () => '',
      (error: Error) => ` (${error.message})`,
    );
    if (!reason.includes('lock')) break;
  }
  const found = lookFor(command);
  if (found === undefined) throw new Error(`this test needs ${command}: sudo apt-get ${install.join(' ')}${reason}`);
  return found;
}

function lookFor(command: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, command)).find((path) => existsSync(path));
}
