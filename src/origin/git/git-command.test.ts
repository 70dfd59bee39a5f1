import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GitCommand } from './git-command.ts';
import { listRemote } from './list-remote.ts';

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a server that never answers leaves processes for the others, however much it is asked for', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'goyi-test-'));
  const two = Promise.withResolvers<void>();
  let connections = 0;
  const slow = createServer((socket) => {
    socket.on('error', () => {}).resume();
    connections += 1;
    if (connections === 2) two.resolve();
  });
  const other = createServer((socket) => void socket.on('error', () => {}).end('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'));
  const git = new GitCommand({
    home: join(folder, 'home'),
    environment: { PATH: process.env['PATH'] },
    processesMax: 1,
    networkProcessesMax: 4,
    serverProcessesMax: 2,
  });
  try {
    const [slowUrl, otherUrl] = [await listening(slow), await listening(other)];
    const signal = AbortSignal.timeout(20_000);
    const list = (url: string): ReturnType<typeof listRemote> =>
      listRemote({ git, knownHostsFile: join(folder, 'hosts'), timeoutMs: 60_000 }, { url, credential: undefined }, signal);
    const hung = Array.from({ length: 8 }, (_, number) => list(`${slowUrl}/${number}`).catch((error: unknown) => error));
    await two.promise;
    assert.equal((await list(`${otherUrl}/lib`)).kind, 'trouble');
    assert.equal(connections, 2);
    await git[Symbol.asyncDispose]();
    for (const ended of await Promise.all(hung)) assert.ok(ended instanceof Error);
  } finally {
    await git[Symbol.asyncDispose]();
    slow.close();
    other.close();
    await rm(folder, { recursive: true });
  }
});
