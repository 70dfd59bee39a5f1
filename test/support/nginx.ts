import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findOrInstall } from './debian-package.ts';
import { eventually, freePort } from './hub-client.ts';

export interface Nginx extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

export interface NginxOptions {
  /** Of its own, for its configuration, its pid and its log. */
  readonly folder: string;
  /** What stands in the block `server`, without `listen`. */
  readonly server: string;
  readonly workers?: number;
  /** Left out: the one that is found or installed. */
  readonly command?: string;
}

/** Starts an nginx with one server on a loopback port. @throws with its log when it does not answer */
export async function startNginx({ folder, server, workers = 1, ...options }: NginxOptions): Promise<Nginx> {
  const command = options.command ?? (await findOrInstall('nginx', ['nginx-light']));
  await mkdir(folder, { recursive: true });
  const port = await freePort();
  const file = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ');
  // Without `daemon off` it would leave us behind; as root its workers must be able to read what the test wrote.
  await writeFile(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''} worker_processes ${workers}; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  ${temporary}
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/octet-stream;
  server { listen 127.0.0.1:${port};
${server}
  }
}
`,
  );
  const child = spawn(command, ['-c', file, '-p', folder, '-e', join(folder, 'error.log')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  const url = `http://127.0.0.1:${port}`;
  const answered = await eventually(
    () => fetch(url).then(({ status }) => status > 0),
    (answers) => answers,
  ).catch(() => false);
  if (!answered) {
    await stop();
    throw new Error(`nginx does not answer:\n${said}`);
  }
  return { url, pid: child.pid ?? 0, [Symbol.asyncDispose]: stop };
}

const documentation = fileURLToPath(new URL('../../docs/operations.md', import.meta.url));

/** What docs/operations.md shows of nginx for this kind of handing over, word for word but for the hub's address and its data folder. */
export async function documentedServer(
  kind: 'x-accel-redirect' | 'redirect',
  { url, dataDir }: { readonly url: string; readonly dataDir: string },
): Promise<string> {
  const text = await readFile(documentation, 'utf8');
  const block = new RegExp(`\`\`\`nginx\\n# ${kind}\\n([\\s\\S]*?)\`\`\``).exec(text)?.[1];
  if (block?.includes('/var/lib/goyi/') !== true) throw new Error(`docs/operations.md shows no nginx for ${kind}`);
  return block.replaceAll('http://127.0.0.1:8080;', `${url};`).replaceAll('/var/lib/goyi/', `${dataDir}/`);
}
