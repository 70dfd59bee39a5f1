import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { codeOf } from '../src/base/errors.ts';
import type { ChecksumRelay } from '../src/origin/checksum-relay.ts';
import { parseTilePath } from '../src/protocol/proxy-request.ts';
import { unescapeCapitals } from '../src/protocol/module-path.ts';
import { type Bench, createBench } from './support/checksum-bench.ts';
import { TestChecksumDatabase } from './support/checksum-database-server.ts';

/*
 * The database as the hub relays it, read by the client that is in the go command, whose own newest tree is now behind ours and now ahead.
 */

const signal = AbortSignal.timeout(120_000);
let folder = '';
let program = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goyi-sumdb-client-'));
  program = join(folder, 'client');
  await promisify(execFile)('go', ['build', '-o', program, './client'], { cwd: new URL('oracle-sumdb', import.meta.url), signal });
});

after(() => rm(folder, { recursive: true, force: true }));

/** The relay behind HTTP, as little as the client needs. */
async function serveRelay(relay: ChecksumRelay, cachedOnly: boolean): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    const resource = decodeURIComponent(request.url ?? '').slice(1);
    answer(relay, resource, cachedOnly).then(
      (body) => response.writeHead(body === undefined ? 404 : 200).end(body ?? 'not found'),
      (error: unknown) => response.writeHead(502).end(String(codeOf(error))),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function answer(relay: ChecksumRelay, resource: string, cachedOnly: boolean): Promise<string | Buffer | undefined> {
  if (resource === 'latest') return relay.latest({ cachedOnly }, signal);
  const [, module, version] = /^lookup\/(.+)@([^@]+)$/.exec(resource) ?? [];
  if (module !== undefined && version !== undefined) {
    return relay.lookupAnswer(unescapeCapitals(module) ?? '', unescapeCapitals(version) ?? '', { cachedOnly }, signal);
  }
  const tile = parseTilePath(resource);
  return tile.ok ? relay.tile(tile.value, { cachedOnly }, signal) : undefined;
}

/** The Go client as a process that is asked line by line. */
class GoClient implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(database: TestChecksumDatabase, url: string) {
    this.#process = spawn(program, [database.key.text, url], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface(this.#process.stdout!)[Symbol.asyncIterator]();
  }

  async ask(command: string): Promise<string> {
    this.#process.stdin!.write(`${command}\n`);
    return String((await this.#lines.next()).value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.stdin!.end();
    if (this.#process.exitCode === null) await new Promise((resolve) => this.#process.once('exit', resolve));
  }
}

function zipLine(database: TestChecksumDatabase, module: string): string {
  return database.text(database.idOf(module, 'v1.0.0') ?? -1).split('\n')[0] ?? '';
}

function grow(database: TestChecksumDatabase, count: number, module: string): string {
  database.pad(count - 1);
  database.add(module, 'v1.0.0');
  return module;
}

function newBench(): { bench: Bench; modules: string[] } {
  const bench = createBench(new TestChecksumDatabase());
  return { bench, modules: [grow(bench.database, 10, 'first.example/m'), grow(bench.database, 990, 'second.example/M')] };
}

test('the client of the go command verifies what is relayed, as the log grows and after every restart', async () => {
  const { bench, modules } = newBench();
  const { database } = bench;
  await using served = await serveRelay(bench.client(), false);
  await using client = new GoClient(database, served.url);
  await using late = new GoClient(database, served.url);
  for (const step of [1, 1, 255, 300, 66_000, 1, 70_000]) {
    modules.push(grow(database, step, `m${modules.length}.example/m`));
    for (const module of modules) assert.equal(await client.ask(`lookup ${module} v1.0.0`), zipLine(database, module));
    assert.equal(await client.ask('forget'), 'ok');
  }
  for (const module of modules) assert.equal(await late.ask(`lookup ${module} v1.0.0`), zipLine(database, module));
});

test('the same with every transport dead, for a client that is new and one that has seen older trees', async () => {
  const { bench, modules } = newBench();
  const { database } = bench;
  const relay = bench.client();
  await using online = await serveRelay(relay, false);
  await using old = new GoClient(database, online.url);
  for (const module of modules) await old.ask(`lookup ${module} v1.0.0`);
  for (const step of [77, 1000, 65_000]) {
    modules.push(grow(database, step, `m${modules.length}.example/m`));
    assert.ok(await relay.lookupAnswer(modules.at(-1)!, 'v1.0.0', { cachedOnly: false }, signal));
  }
  bench.transports[0]!.isDown = true;
  await old.ask('forget');
  for (const module of modules) assert.equal(await old.ask(`lookup ${module} v1.0.0`), zipLine(database, module));
  await using offline = await serveRelay(bench.client(), true);
  await using fresh = new GoClient(database, offline.url);
  for (const module of modules.toReversed()) assert.equal(await fresh.ask(`lookup ${module} v1.0.0`), zipLine(database, module));
});

test('a client that has seen a newer tree elsewhere', async () => {
  const { bench, modules } = newBench();
  const { database } = bench;
  const ahead = createBench(database);
  const relay = bench.client();
  await relay.latest({ cachedOnly: false }, signal);
  modules.push(grow(database, 400, 'third.example/m'));
  // One address, behind it first the hub that has seen the newer tree and then ours.
  let current: ChecksumRelay = ahead.client();
  const switching: ChecksumRelay = {
    name: database.name,
    latest: (...args) => current.latest(...args),
    lookupAnswer: (...args) => current.lookupAnswer(...args),
    tile: (...args) => current.tile(...args),
    state: () => current.state(),
  };
  await using served = await serveRelay(switching, false);
  await using client = new GoClient(database, served.url);
  assert.equal(await client.ask('lookup third.example/m v1.0.0'), zipLine(database, 'third.example/m'));
  await client.ask('forget');
  current = relay;
  bench.clock.nowMs += 3000;
  assert.equal(await client.ask('lookup first.example/m v1.0.0'), zipLine(database, 'first.example/m'));
  assert.equal((await relay.state()).treeSize, database.size, 'its question for tiles beyond our tree made us look');
});

test('the files in the store serve a client by themselves', async () => {
  const { bench, modules } = newBench();
  const { database } = bench;
  const relay = bench.client();
  for (const step of [50, 300, 65_000, 3]) {
    for (const module of modules) assert.ok(await relay.lookupAnswer(module, 'v1.0.0', { cachedOnly: false }, signal));
    modules.push(grow(database, step, `m${modules.length}.example/m`));
  }
  modules.pop();
  const server = createServer((request, response) => {
    void bench.store.readSmall(`modules/sumdb/${database.name}${request.url?.replaceAll('%21', '!')}` as never, 1_000_000).then((file) => {
      response.writeHead(file === undefined ? 404 : 200).end(file?.bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await using client = new GoClient(database, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  for (const module of [...modules, ...modules.toReversed()]) {
    assert.equal(await client.ask(`lookup ${module} v1.0.0`), zipLine(database, module), module);
    await client.ask('forget');
  }
  server.closeAllConnections();
  server.close();
});
