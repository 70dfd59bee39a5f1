import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export interface HubAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
  /** What the go command would print first. */
  readonly firstLine: string;
}

/** Asks the hub; a connection that ends in the middle of an answer rejects. */
export async function ask(hub: { readonly url: string }, path: string, init: RequestInit = {}): Promise<HubAnswer> {
  const response = await fetch(`${hub.url}/${path}`, { signal: AbortSignal.timeout(30_000), redirect: 'manual', ...init });
  const body = Buffer.from(await response.arrayBuffer());
  return {
    status: response.status,
    headers: response.headers,
    body,
    firstLine: body.subarray(0, 2000).toString('utf8').split('\n', 1)[0] ?? '',
  };
}

/** Fails with what was said when the answer is not 200 with just these bytes. */
export function assertServes(answer: HubAnswer, wanted: Buffer | string, what = ''): void {
  assert.equal(answer.status, 200, `${what} ${answer.firstLine}`);
  assert.ok(answer.body.equals(Buffer.from(wanted)), `${what}: ${answer.body.length} bytes instead of ${wanted.length}, or others`);
}

/** Asks until it is answered 200, at most for `withinMs`; fails with the last answer. */
export async function askUntilFound(hub: { readonly url: string }, path: string, withinMs = 6_000): Promise<HubAnswer> {
  const answer = await eventually(
    () => ask(hub, path),
    ({ status }) => status === 200,
    withinMs,
  );
  assert.equal(answer.status, 200, `${path}: ${answer.firstLine}`);
  return answer;
}

/** The line by which clients know the checksum database that the hub signs itself. */
export async function ownDatabaseKey(hub: { readonly url: string }): Promise<string> {
  const { body } = await ask(hub, 'api/v1/checksum-database');
  return (JSON.parse(body.toString()) as { readonly verifierKey: string }).verifierKey;
}

/** Tries until `isDone`, at most for `withinMs`; answers the last value, done or not. A failed try counts as not done, unless it is the last. */
export async function eventually<T>(attempt: () => Promise<T> | T, isDone: (value: T) => boolean, withinMs = 6_000): Promise<T> {
  for (const endMs = performance.now() + withinMs; ; ) {
    try {
      const value = await attempt();
      if (isDone(value) || performance.now() >= endMs) return value;
    } catch (error) {
      if (performance.now() >= endMs) throw error;
    }
    await pause(40);
  }
}

/** Sends these bytes and answers all that comes back until the hub closes; rejects after 10 s. */
export async function rawExchange(hub: { readonly url: string }, head: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(hub.url);
  const socket = connect({ host: hostname, port: Number(port) });
  const chunks: Buffer[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new Error(`the hub neither closed nor finished in 10 s: ${Buffer.concat(chunks).toString()}`)),
    10_000,
  );
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => resolve());
  socket.on('close', () => resolve());
  socket.write(head);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  return Buffer.concat(chunks).toString('latin1');
}

/** The value of a metric whose line begins with `name`, all label sets added up; 0 when there is none. */
export async function metric(hub: { readonly url: string }, name: string): Promise<number> {
  const { body } = await ask(hub, '-/metrics');
  const lines = body
    .toString('utf8')
    .split('\n')
    .filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Module files below the data folder, relative to `modules/`, without those of the checksum database. */
export async function storedFiles(dataDir: string): Promise<string[]> {
  const all = await filesBelow(join(dataDir, 'modules'));
  return all.filter((file) => !file.startsWith('sumdb/')).sort();
}

/** What lies in staging, without the folder of what was set aside. */
export async function stagedFiles(dataDir: string): Promise<string[]> {
  return (await filesBelow(join(dataDir, 'staging'))).filter((file) => !file.startsWith('aside'));
}

/** What stays in staging: lists, probes and what is fetched ahead pass through it for moments. */
export function leftInStaging(dataDir: string): Promise<string[]> {
  return eventually(
    () => stagedFiles(dataDir),
    (files) => files.length === 0,
    4_000,
  );
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
