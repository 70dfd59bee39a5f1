/** Real processes on one database and one data folder: at once, killed, and on a disk that is really full. Run with arguments, this file is such a process. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { codeOf, messageOf } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import { rowOf } from './contract.ts';
import { holdDataDir, isDataDirHeld } from './data-lock.ts';
import type { Metadata } from './metadata.ts';
import { openSqliteMetadata } from './sqlite-metadata.ts';

const [, , mode, root = '', argument = ''] = process.argv;

const openIn = (folder: string): Promise<Metadata> => openSqliteMetadata({ file: join(folder, 'goyi.db'), log: silentLog });

const say = (line: string): void => void writeSync(1, `${line}\n`);

/** Takes a lease, records a file, writes that down, and keeps every tenth lease; sixteen at a time, for ever. */
async function recordForever(first: number): Promise<never> {
  const metadata = await openIn(root);
  // A file takes every line at once, however busy the reader is; a pipe may be full.
  const acknowledged = openSync(join(root, 'acknowledged'), 'a');
  let next = first;
  const lane = async (): Promise<never> => {
    for (;;) {
      const serial = next++;
      await metadata.acquireLease(`lease ${serial}`);
      await metadata.recordFile(rowOf(serial));
      writeSync(acknowledged, `${serial}\n`);
      if (serial === first) say('first');
      if (serial % 10 !== 0) await metadata.releaseLease(`lease ${serial}`);
    }
  };
  return await Promise.race(Array.from({ length: 16 }, lane));
}

/** Two hundred files of its own, and two hundred steps of a head that all take part in. */
async function contribute(first: number): Promise<void> {
  const metadata = await openIn(root);
  say('ready');
  await once(process.stdin, 'data');
  const files = Promise.all(Array.from({ length: 200 }, (_, at) => metadata.recordFile(rowOf(first + at))));
  let moved = 0;
  for (let round = 0; round < 200; round += 1) {
    const kept = (await metadata.head('d'))?.treeSize;
    if (await metadata.advanceHead({ database: 'd', treeSize: (kept ?? 0) + 1, root: `by ${first}`, note: '' }, kept)) moved += 1;
  }
  await files;
  await metadata[Symbol.asyncDispose]();
  say(String(moved));
  process.stdin.destroy();
}

/** Holds the data folder, with a child that outlives it, until it is killed or told to end. */
async function hold(): Promise<void> {
  try {
    await using _lock = await holdDataDir(root);
    const child = spawn('sleep', ['20'], { stdio: 'ignore', detached: true });
    child.unref();
    say(`held ${child.pid}`);
    await once(process.stdin, 'data');
  } catch (error) {
    say(`${codeOf(error)} ${messageOf(error)}`);
  }
  process.stdin.destroy();
}

/** On a disk of 1 MB: closed cleanly, filled to the last byte, opened again. */
async function fill(): Promise<void> {
  {
    await using metadata = await openIn(root);
    await metadata.recordFile(rowOf(1));
    await (await holdDataDir(root))[Symbol.asyncDispose]();
  }
  const filler = join(root, 'filler');
  assert.throws(() => {
    for (;;) appendFileSync(filler, Buffer.alloc(4096));
  }, /ENOSPC/);
  await using _lock = await holdDataDir(root);
  await using metadata = await openIn(root);
  assert.deepEqual(await metadata.file(rowOf(1).key), rowOf(1));
  for (let round = 0; round < 3; round += 1) await assert.rejects(metadata.recordFile(rowOf(2)), { code: 'storage-full' });
  await assert.rejects(metadata.acquireLease('a'), { code: 'storage-full' });
  assert.deepEqual(await metadata.file(rowOf(1).key), rowOf(1));
  assert.equal(await metadata.file(rowOf(2).key), undefined);
  await rm(filler);
  await metadata.recordFile(rowOf(2));
  assert.equal((await metadata.acquireLease('a')).kind, 'acquired');
  assert.equal((await metadata.totals()).files, 2);
  say('done');
}

interface Other {
  readonly child: ChildProcessByStdio<Writable, Readable, null>;
  readonly lines: AsyncIterator<string>;
  line(): Promise<string>;
}

function start(...args: string[]): Other {
  const child = spawn(process.execPath, [import.meta.filename, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // It may have been killed.
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  return { child, lines, line };
}

/** Answers the signal that ended it. */
async function end({ child }: Other, signal?: 'SIGKILL'): Promise<string | null> {
  const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
  if (signal === undefined) child.stdin.write('end\n');
  else child.kill(signal);
  await exited;
  return child.signalCode;
}

async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'goyi-processes-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function defineTests(): void {
  test('kill -9 while rows are recorded: what was acknowledged is there, the file is sound, no lease stays taken', {
    timeout: 60_000,
  }, async () => {
    await using place = await folder();
    for (let round = 0; round < 10; round += 1) {
      const other = start('record', place.path, String(round * 100_000));
      assert.equal(await other.line(), 'first');
      await wait(3 + round * 6);
      assert.equal(await end(other, 'SIGKILL'), 'SIGKILL');
    }
    const acknowledged = (await readFile(join(place.path, 'acknowledged'), 'latin1')).trimEnd().split('\n').map(Number);
    assert.ok(acknowledged.length > 200, `${acknowledged.length} rows were acknowledged`);
    {
      await using metadata = await openIn(place.path);
      for (const serial of acknowledged) assert.deepEqual(await metadata.file(rowOf(serial).key), rowOf(serial));
      for (const serial of acknowledged) assert.equal((await metadata.acquireLease(`lease ${serial}`)).kind, 'acquired');
      const feed = await metadata.indexSince(0, 1_000_000);
      assert.equal((await metadata.totals()).files, feed.length);
      assert.ok(feed.every((entry, at) => at === 0 || entry.storedAtUs > (feed[at - 1]?.storedAtUs ?? 0)));
    }
    using database = new DatabaseSync(join(place.path, 'goyi.db'));
    assert.deepEqual(
      database
        .prepare('PRAGMA integrity_check')
        .all()
        .map((row) => row['integrity_check']),
      ['ok'],
    );
    assert.deepEqual(database.prepare('PRAGMA foreign_key_check').all(), []);
  });

  test('four processes make, migrate and use one new file at once', { timeout: 60_000 }, async () => {
    await using place = await folder();
    const others = [1, 2, 3, 4].map((serial) => start('contribute', place.path, String(serial * 1000)));
    for (const other of others) assert.equal(await other.line(), 'ready');
    for (const other of others) other.child.stdin.write('go\n');
    const moved = await Promise.all(others.map(async (other) => Number(await other.line())));
    await using metadata = await openIn(place.path);
    const feed = await metadata.indexSince(0, 10_000);
    assert.equal(feed.length, 800);
    assert.ok(feed.every((entry, at) => at === 0 || entry.storedAtUs > (feed[at - 1]?.storedAtUs ?? 0)));
    assert.equal(
      (await metadata.head('d'))?.treeSize,
      moved.reduce((sum, count) => sum + count, 0),
    );
  });

  test('the data folder has one holder; a killed one frees it at once, whatever its children do', { timeout: 60_000 }, async () => {
    await using place = await folder();
    assert.equal(await isDataDirHeld(place.path), false);
    const first = start('hold', place.path);
    const [held, childPid] = (await first.line()).split(' ');
    assert.equal(held, 'held');
    assert.equal(await isDataDirHeld(place.path), true);
    const refusal = { code: 'data-dir-in-use', message: new RegExp(`process ${first.child.pid}\\b`) };
    await assert.rejects(holdDataDir(place.path), refusal);
    const second = start('hold', place.path);
    assert.match(await second.line(), new RegExp(`^data-dir-in-use .*process ${first.child.pid}\\b`));
    // Somebody tidies up, the name first: then the lock alone refuses. Neither may be enough to get in.
    const name = await readFile(join(place.path, 'hub.pid'));
    await rm(join(place.path, 'hub.pid'));
    assert.equal(await isDataDirHeld(place.path), true);
    await assert.rejects(holdDataDir(place.path), { code: 'data-dir-in-use', message: /another hub uses/ });
    await writeFile(join(place.path, 'hub.pid'), name);
    await rm(join(place.path, 'hub.lock'));
    await assert.rejects(holdDataDir(place.path), refusal);
    await rm(join(place.path, 'hub.lock'), { force: true });
    await end(first, 'SIGKILL');
    assert.equal(await isDataDirHeld(place.path), false);
    {
      await using _lock = await holdDataDir(place.path);
      await assert.rejects(holdDataDir(place.path), { code: 'data-dir-in-use' });
      assert.equal(await isDataDirHeld(place.path), true);
      // To look and to be refused in the holder's own process must not have taken its lock away (POSIX drops locks at any close).
      await rm(join(place.path, 'hub.pid'));
      const third = start('hold', place.path);
      assert.match(await third.line(), /^data-dir-in-use/);
      assert.equal(await isDataDirHeld(place.path), true);
    }
    assert.equal(await isDataDirHeld(place.path), false);
    process.kill(Number(childPid), 'SIGKILL');
  });

  test('a kill -9 of the holder with its lock file in place frees the folder though its child lives', { timeout: 60_000 }, async () => {
    await using place = await folder();
    const first = start('hold', place.path);
    const childPid = Number((await first.line()).split(' ')[1]);
    await end(first, 'SIGKILL');
    assert.equal(process.kill(childPid, 0), true);
    await using _lock = await holdDataDir(place.path);
    process.kill(childPid, 'SIGKILL');
  });

  test('a data folder that cannot be one is a fault with a code', async () => {
    await assert.rejects(holdDataDir(import.meta.filename), { code: 'storage-fault' });
    assert.equal(await isDataDirHeld(join(import.meta.dirname, 'no such folder')), false);
  });

  test('on a disk that is really full the hub starts, reads, says 507 and recovers', { timeout: 30_000 }, async (t) => {
    await using place = await folder();
    const script = 'mount -t tmpfs -o size=1m none "$2" && exec "$0" "$1" fill "$2"';
    // The mount lives and dies with the process, in a name space of its own; who is not root becomes it in there.
    const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const args = [...asRoot, '--mount', 'sh', '-c', script, process.execPath, import.meta.filename, place.path];
    const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const exited = once(child, 'exit').catch(() => [127]);
    const [output, faults] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    const [status] = (await exited) as [number];
    if (status === 127 || (status !== 0 && /^(unshare|mount):/.test(faults))) {
      t.skip(`this system mounts no small disk here (${faults.trim().split('\n')[0]})`);
      return;
    }
    assert.deepEqual([status, output, faults], [0, 'done\n', '']);
  });
}

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

switch (mode) {
  case 'record':
    await recordForever(Number(argument));
    break;
  case 'contribute':
    await contribute(Number(argument));
    break;
  case 'hold':
    await hold();
    break;
  case 'fill':
    await fill();
    break;
  default:
    defineTests();
}
