import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Priority, Urgency } from '../../base/gate.ts';
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
    const list = (url: string, priority: Priority = 'waited-for'): ReturnType<typeof listRemote> =>
      listRemote(
        { git, knownHostsFile: join(folder, 'hosts'), timeoutMs: 60_000, urgency: { priority } },
        { url, credential: undefined },
        signal,
      );
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

test('what nobody waits for takes half of the processes at most, and goes first no more once somebody waits for it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'goyi-test-'));
  const seen: string[] = [];
  const changed = new EventEmitter();
  const held: Socket[] = [];
  const slow = createServer((socket) => {
    held.push(socket);
    socket
      .on('error', () => {})
      .once('data', (bytes: Buffer) => {
        seen.push(/^GET \/(\w+)/.exec(bytes.toString('latin1'))?.[1] ?? '');
        changed.emit('seen');
      });
  });
  const reached = async (count: number): Promise<void> => {
    while (seen.length < count) await once(changed, 'seen');
  };
  const environment = { PATH: process.env['PATH'] };
  const git = new GitCommand({ home: join(folder, 'home'), environment, processesMax: 1, networkProcessesMax: 4, serverProcessesMax: 4 });
  try {
    const url = await listening(slow);
    const signal = AbortSignal.timeout(20_000);
    const tools = { git, knownHostsFile: join(folder, 'hosts'), timeoutMs: 60_000 };
    const list = (name: string, urgency: Urgency): Promise<unknown> =>
      listRemote({ ...tools, urgency }, { url: `${url}/${name}`, credential: undefined }, signal).catch((error: unknown) => error);
    const raise = new AbortController();
    const ahead = ['a1', 'a2', 'a3'].map((name) => list(name, { priority: 'prefetch' }));
    await reached(2);
    const raised = list('raised', { priority: 'prefetch', raised: raise.signal });
    const waited = list('waited', { priority: 'waited-for' });
    await reached(3);
    assert.deepEqual(seen.slice(2), ['waited']);
    raise.abort();
    await reached(4);
    assert.deepEqual(seen.slice(3), ['raised']);
    await git[Symbol.asyncDispose]();
    await Promise.all([...ahead, raised, waited]);
    assert.equal(seen.length, 4, 'the third that nobody waits for had no turn');
  } finally {
    await git[Symbol.asyncDispose]();
    for (const socket of held) socket.destroy();
    slow.close();
    await rm(folder, { recursive: true });
  }
});

test('work that holds a lock ahead of need comes a few at once, and waits no longer when somebody waits for it', async () => {
  const environment = { PATH: process.env['PATH'] };
  const git = new GitCommand({ home: tmpdir(), environment, processesMax: 1, networkProcessesMax: 4, serverProcessesMax: 4 });
  const { signal } = new AbortController();
  const ahead: Urgency = { priority: 'prefetch' };
  const [first] = [await git.placeAhead(ahead, signal), await git.placeAhead(ahead, signal)];
  (await git.placeAhead({ priority: 'waited-for' }, signal))[Symbol.dispose]();
  const raise = new AbortController();
  const raised = git.placeAhead({ ...ahead, raised: raise.signal }, signal);
  let isThird = false;
  const third = git.placeAhead(ahead, signal).then(() => (isThird = true));
  raise.abort();
  (await raised)[Symbol.dispose]();
  assert.equal(isThird, false);
  first?.[Symbol.dispose]();
  await third;
  const left = new AbortController();
  const leaver = git.placeAhead(ahead, left.signal);
  left.abort(new Error('the caller left'));
  await assert.rejects(leaver, /the caller left/);
  const stopped = git.placeAhead(ahead, signal);
  await git[Symbol.asyncDispose]();
  await assert.rejects(stopped, { code: 'canceled' });
});
