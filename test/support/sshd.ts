import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findOrInstall } from './debian-package.ts';
import { freePort } from './hub-client.ts';

const run = promisify(execFile);

export interface Sshd extends AsyncDisposable {
  /** `ssh://USER@127.0.0.1:PORT`. */
  readonly url: string;
  /** A private key that is let in. */
  readonly keyFile: string;
  /** Lines for a file of known hosts. */
  readonly knownHosts: string;
}

/** A real sshd on a loopback port that lets one key in, for the user who runs this. @throws with the line that installs it */
export async function startSshd(folder: string): Promise<Sshd> {
  const command = await findOrInstall('sshd', ['openssh-server', 'openssh-client']);
  await mkdir(folder, { recursive: true });
  const [hostKey, keyFile] = [join(folder, 'host-key'), join(folder, 'client-key')];
  for (const file of [hostKey, keyFile]) await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', file]);
  const port = await freePort();
  await writeFile(join(folder, 'authorized'), await readFile(`${keyFile}.pub`));
  // Where sshd locks its unprivileged half in; it has to be there when sshd runs as root.
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true });
  const settings = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${join(folder, 'authorized')}`,
    `PidFile ${join(folder, 'pid')}`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
  ];
  await writeFile(join(folder, 'config'), `${settings.join('\n')}\n`);
  const child = spawn(command, ['-D', '-e', '-f', join(folder, 'config')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  for await (const chunk of child.stderr) {
    said += String(chunk);
    if (said.includes('Server listening')) break;
  }
  if (child.exitCode !== null) throw new Error(`sshd ended at once: ${said}`);
  const [type, key] = (await readFile(`${hostKey}.pub`, 'utf8')).split(' ');
  return {
    url: `ssh://${userInfo().username}@127.0.0.1:${port}`,
    keyFile,
    knownHosts: `[127.0.0.1]:${port} ${type} ${key}\n`,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'exit');
    },
  };
}
