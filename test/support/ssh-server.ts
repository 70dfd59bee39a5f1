import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface SshServer extends AsyncDisposable {
  readonly port: number;
}

const PROGRAM = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path));

/** A real sshd on loopback that lets nobody in, its files in `folder`. Undefined where there is none, or where it does not start. */
export async function startSshServer(folder: string): Promise<SshServer | undefined> {
  if (PROGRAM === undefined) return undefined;
  const port = await freePort();
  const [key, file] = [join(folder, 'host-key'), join(folder, 'sshd.conf')];
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${key}`,
    'PidFile none',
    'UsePAM no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'AuthorizedKeysFile none',
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  const child = spawn(PROGRAM, ['-D', '-e', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const listens = await new Promise<boolean>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      if (chunk.includes('Server listening')) resolve(true);
    });
    child.once('error', () => resolve(false));
    child.once('close', () => resolve(false));
  });
  if (!listens) return undefined;
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill();
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
