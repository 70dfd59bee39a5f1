/** Heads remembered by one process and by several, killed, on a broken disk and on a full one. Run with arguments, this file is such a process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, openSync, readFileSync, writeSync } from 'node:fs';
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { codeOf } from '../base/errors.ts';
import { realHeadFileOperations } from './head-files.ts';
import { formatHeadLine } from './head-lines.ts';
import { openSignedHeads, type SignedHead } from './signed-heads.ts';

const name = 'goyi.example/sumdb';
/** So small that a new file is begun every few heads. */
const fileBytesMax = 1_500;

/** `world` tells apart the trees of several logs. */
function headOf(treeSize: number, world = '', database: string = name): SignedHead {
  const root = hash('sha256', `${world} ${treeSize}`, 'base64');
  return { name: database, treeSize, root, note: `go.sum database tree\n${treeSize}\n${root}\n\n— ${database} c2lnbmF0dXJl\n` };
}

const [, , mode, root = '', argument = ''] = process.argv;
const say = (line: string): void => void writeSync(1, `${line}\n`);

/** Remembers every size from a first one on, for ever, and writes down what was remembered. */
async function climb(first: number): Promise<never> {
  const heads = await openSignedHeads(root, { fileBytesMax });
  // A file takes every line at once, however busy the reader is; a pipe may be full.
  const acknowledged = openSync(`${root}-acknowledged`, 'a');
  for (let size = first; ; size += 1) {
    await heads.remember(headOf(size));
    writeSync(acknowledged, `${size}\n`);
    say(String(size));
  }
}

/** For each size that it reads: tries to remember it as the tree of a log of its own, and says what came of it. */
async function contend(world: string): Promise<void> {
  const heads = await openSignedHeads(root, { fileBytesMax });
  say('ready');
  for await (const line of createInterface(process.stdin)) {
    const head = headOf(Number(line), world);
    const outcome = await heads.remember(head).then(() => 'remembered', codeOf);
    const last = await heads.last(name);
    say(`${outcome} ${last?.treeSize} ${last?.root}`);
  }
  await heads[Symbol.asyncDispose]();
}

/** On a disk of 100 kB: filled to the last byte, refused again and again, freed. */
async function fill(): Promise<void> {
  const folder = join(root, 'keys');
  await using heads = await openSignedHeads(folder);
  await heads.remember(headOf(1));
  const filler = join(root, 'filler');
  assert.throws(() => {
    for (;;) appendFileSync(filler, Buffer.alloc(4096));
  }, /ENOSPC/);
  // Until the page that the file has is full as well.
  let size = 1;
  let code: string | undefined;
  while (code === undefined) code = await heads.remember(headOf((size += 1))).then(() => undefined, codeOf);
  assert.equal(code, 'storage-full');
  for (let round = 0; round < 20; round += 1) await assert.rejects(heads.remember(headOf(size)), { code: 'storage-full' });
  assert.ok((await readdir(folder)).length <= 3);
  assert.ok(((await heads.last(name))?.treeSize ?? 0) >= size - 1);
  {
    // A hub that starts now knows what was signed, and says 507 as well.
    await using other = await openSignedHeads(folder);
    assert.ok(((await other.last(name))?.treeSize ?? 0) >= size - 1);
    await assert.rejects(other.remember(headOf(size + 1)), { code: 'storage-full' });
  }
  await rm(filler);
  await heads.remember(headOf(size));
  assert.equal((await heads.last(name))?.treeSize, size);
  assert.equal((await readdir(folder)).length, 1);
  say('done');
}

interface Other extends AsyncDisposable {
  line(): Promise<string>;
  ask(text: string): Promise<string>;
}

function start(...args: string[]): Other {
  const child = spawn(process.execPath, [import.meta.filename, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // It may have been killed.
  const exited = once(child, 'exit');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  return {
    line,
    ask: (text) => {
      child.stdin.write(`${text}\n`);
      return line();
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function place(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'goyi-heads-'));
  return { path: join(path, 'keys'), [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function defineTests(): void {
  test('the largest head is remembered, by name, and read again by the next', async () => {
    await using folder = await place();
    {
      await using heads = await openSignedHeads(folder.path);
      assert.equal(await heads.last(name), undefined);
      await heads.remember(headOf(0));
      await heads.remember(headOf(5));
      await heads.remember(headOf(3));
      await heads.remember(headOf(5));
      await heads.remember(headOf(2, '', 'other.example'));
      assert.deepEqual(await heads.last(name), headOf(5));
    }
    await using heads = await openSignedHeads(folder.path);
    assert.deepEqual(await heads.last(name), headOf(5));
    assert.deepEqual(await heads.last('other.example'), headOf(2, '', 'other.example'));
    assert.equal(await heads.last('absent.example'), undefined);
    const [file = ''] = await readdir(folder.path);
    const modes = await Promise.all([folder.path, join(folder.path, file)].map(async (path) => (await stat(path)).mode & 0o777));
    assert.deepEqual(modes, [0o700, 0o600]);
    assert.match(await readFile(join(folder.path, file), 'utf8'), /"treeSize":5,/, 'a person can read it');
  });

  test('another tree of a size that is remembered is a fork, also for one who comes later', async () => {
    await using folder = await place();
    {
      await using heads = await openSignedHeads(folder.path);
      await heads.remember(headOf(7));
      await assert.rejects(heads.remember(headOf(7, 'another')), { code: 'log-forked', message: /another tree of 7 records/ });
      await heads.remember(headOf(7));
    }
    await using heads = await openSignedHeads(folder.path);
    await assert.rejects(heads.remember(headOf(7, 'another')), { code: 'log-forked' });
    assert.deepEqual(await heads.last(name), headOf(7));
    await heads.remember(headOf(8));
  });

  test('two trees of one size handed over at the same moment: the first counts', async () => {
    await using folder = await place();
    await using heads = await openSignedHeads(folder.path);
    const outcomes = await Promise.allSettled([heads.remember(headOf(9)), heads.remember(headOf(9, 'another')), heads.remember(headOf(9))]);
    assert.deepEqual(
      outcomes.map((outcome) => (outcome.status === 'fulfilled' ? 'remembered' : codeOf(outcome.reason))),
      ['remembered', 'log-forked', 'remembered'],
    );
    assert.deepEqual(await heads.last(name), headOf(9));
  });

  test('calls that come together share a write, and what is covered needs none', async () => {
    await using folder = await place();
    let writes = 0;
    let syncs = 0;
    const operations = {
      write: (...args: Parameters<typeof realHeadFileOperations.write>) => ((writes += 1), realHeadFileOperations.write(...args)),
      sync: (...args: Parameters<typeof realHeadFileOperations.sync>) => ((syncs += 1), realHeadFileOperations.sync(...args)),
    };
    await using heads = await openSignedHeads(folder.path, { operations });
    syncs = 0;
    await Promise.all(Array.from({ length: 200 }, (_, at) => heads.remember(headOf(at + 1))));
    assert.equal(writes, 1);
    assert.equal(syncs, 1);
    await Promise.all(Array.from({ length: 200 }, (_, at) => heads.remember(headOf(at + 1))));
    assert.deepEqual([writes, syncs], [1, 1]);
  });

  test('what another has written is not believed to be on the disk before it was synced here', async () => {
    await using folder = await place();
    let syncs = 0;
    const operations = { ...realHeadFileOperations, sync: async () => void (syncs += 1) };
    await using one = await openSignedHeads(folder.path, { operations });
    await using other = await openSignedHeads(folder.path);
    await other.remember(headOf(4));
    assert.deepEqual(await one.last(name), headOf(4));
    syncs = 0;
    await one.remember(headOf(3));
    assert.equal(syncs, 1);
    await one.remember(headOf(4));
    assert.equal(syncs, 1);
  });

  test('nor is what another wrote between the sync and the reading', async () => {
    await using folder = await place();
    await using other = await openSignedHeads(folder.path);
    let syncs = 0;
    let afterSync = async (): Promise<void> => {};
    const operations = {
      ...realHeadFileOperations,
      sync: async () => {
        syncs += 1;
        await afterSync();
      },
    };
    await using one = await openSignedHeads(folder.path, { operations });
    afterSync = () => other.remember(headOf(9));
    await one.remember(headOf(5));
    afterSync = async () => {};
    syncs = 0;
    await one.remember(headOf(5));
    assert.equal(syncs, 0);
    await one.remember(headOf(9));
    assert.equal(syncs, 1);
  });

  test('a long file is followed by the next and removed; nothing is lost between them', async () => {
    await using folder = await place();
    const all = await Promise.all(Array.from({ length: 4 }, () => openSignedHeads(folder.path, { fileBytesMax })));
    for (let size = 1; size <= 200; size += 1) {
      // Each in a world of its own: one is remembered, and everybody is told the same.
      const outcomes = await Promise.all(
        all.map((heads, world) =>
          heads.remember(headOf(size, String(world))).then(
            () => world,
            (error: unknown) => assert.equal(codeOf(error), 'log-forked'),
          ),
        ),
      );
      const winners = outcomes.filter((world) => world !== undefined);
      assert.equal(winners.length, 1, `${size}: ${winners.join()}`);
      for (const heads of all) assert.deepEqual(await heads.last(name), headOf(size, String(winners[0])));
    }
    for (const heads of all) await heads[Symbol.asyncDispose]();
    const files = await readdir(folder.path);
    assert.ok(files.length <= 2, files.join());
    assert.ok(Number(/heads-(\d+)/.exec(files[0] ?? '')?.[1]) > 20, files.join());
    await using heads = await openSignedHeads(folder.path);
    assert.equal((await heads.last(name))?.treeSize, 200);
  });

  test('after a failed sync nothing of that file is believed: a new one is begun', async () => {
    await using folder = await place();
    let isBroken = false;
    const operations = {
      ...realHeadFileOperations,
      sync: async (...args: Parameters<typeof realHeadFileOperations.sync>) => {
        if (isBroken) throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
        await realHeadFileOperations.sync(...args);
      },
    };
    await using heads = await openSignedHeads(folder.path, { operations });
    await heads.remember(headOf(1));
    isBroken = true;
    for (let round = 0; round < 30; round += 1) await assert.rejects(heads.remember(headOf(2)), { code: 'storage-fault', message: /EIO/ });
    await heads.remember(headOf(1));
    isBroken = false;
    await heads.remember(headOf(3));
    assert.deepEqual(await heads.last(name), headOf(3));
    const files = await readdir(folder.path);
    assert.equal(files.length, 1, files.join());
    assert.notEqual(files[0], 'heads-1.txt');
  });

  test('a write that is cut short is a full disk, leaves no heap of files, and spoils nothing', async () => {
    await using folder = await place();
    let isFull = false;
    const operations = {
      ...realHeadFileOperations,
      write: async (...[handle, bytes]: Parameters<typeof realHeadFileOperations.write>) =>
        realHeadFileOperations.write(handle, isFull ? bytes.subarray(0, 30) : bytes),
    };
    await using heads = await openSignedHeads(folder.path, { operations });
    isFull = true;
    for (let round = 0; round < 30; round += 1) await assert.rejects(heads.remember(headOf(1)), { code: 'storage-full' });
    const files = await readdir(folder.path);
    assert.ok(files.length <= 2, files.join());
    assert.equal(await heads.last(name), undefined);
    isFull = false;
    await heads.remember(headOf(1));
    await using other = await openSignedHeads(folder.path);
    assert.deepEqual(await other.last(name), headOf(1));
  });

  test('half a line at the end, from a crash, is passed over by all that follows', async () => {
    await using folder = await place();
    await mkdir(folder.path, { mode: 0o700 });
    await writeFile(join(folder.path, 'heads-3.txt'), formatHeadLine(headOf(5)) + formatHeadLine(headOf(6)).slice(0, 70));
    await using heads = await openSignedHeads(folder.path);
    assert.deepEqual(await heads.last(name), headOf(5));
    await heads.remember(headOf(6, 'another'));
    await using other = await openSignedHeads(folder.path);
    assert.deepEqual(await other.last(name), headOf(6, 'another'));
  });

  test('a crash between two files: the older is read, carried over and removed', async () => {
    await using folder = await place();
    await mkdir(folder.path, { mode: 0o700 });
    await writeFile(join(folder.path, 'heads-8.txt'), formatHeadLine(headOf(5)) + formatHeadLine(headOf(1, '', 'other.example')));
    await writeFile(join(folder.path, 'heads-9.txt'), formatHeadLine(headOf(4)));
    await writeFile(join(folder.path, 'heads-10.txt'), '');
    await using heads = await openSignedHeads(folder.path);
    assert.deepEqual(await heads.last(name), headOf(5));
    assert.deepEqual(await heads.last('other.example'), headOf(1, '', 'other.example'));
    assert.deepEqual(await readdir(folder.path), ['heads-10.txt']);
    await using next = await openSignedHeads(folder.path);
    assert.deepEqual(await next.last(name), headOf(5));
  });

  test('files of which no line is whole are a fault with a way out, and stay', async () => {
    await using folder = await place();
    await mkdir(folder.path, { mode: 0o700 });
    const file = join(folder.path, 'heads-1.txt');
    await writeFile(file, formatHeadLine(headOf(5)).replace('"treeSize":5', '"treeSize":4'));
    await assert.rejects(openSignedHeads(folder.path), {
      code: 'storage-fault',
      message: /heads-1\.txt are damaged: put its copy from the newest/,
    });
    await writeFile(join(folder.path, 'heads-2.txt'), '');
    await assert.rejects(openSignedHeads(folder.path), { code: 'storage-fault' });
    assert.equal((await readdir(folder.path)).length, 2);
    await appendFile(file, formatHeadLine(headOf(3)));
    await using heads = await openSignedHeads(folder.path);
    assert.deepEqual(await heads.last(name), headOf(3));
  });

  test('a folder in which others may write, and one that is none, are refused', async () => {
    await using folder = await place();
    await mkdir(folder.path);
    await chmod(folder.path, 0o777);
    await assert.rejects(openSignedHeads(folder.path), { code: 'config-invalid', message: /run chmod 700/ });
    await assert.rejects(openSignedHeads(join(import.meta.filename, 'keys')), { code: 'storage-fault' });
  });

  test('closed, it finishes what it was given and takes nothing more', async () => {
    await using folder = await place();
    const heads = await openSignedHeads(folder.path);
    const given = heads.remember(headOf(1));
    await heads[Symbol.asyncDispose]();
    await given;
    await assert.rejects(heads.remember(headOf(2)), { code: 'storage-fault', message: /closed/ });
    await heads[Symbol.asyncDispose]();
  });

  test('kill -9 while heads are remembered: the largest that was acknowledged is there', { timeout: 60_000 }, async () => {
    await using folder = await place();
    let size = 0;
    for (let round = 1; round <= 12; round += 1) {
      {
        await using other = start('climb', folder.path, String(size + 1));
        // Killed in the middle of what follows this line.
        for (let line = 0; line < round * 5; line += 1) await other.line();
      }
      const acknowledged = readFileSync(`${folder.path}-acknowledged`, 'latin1').trimEnd().split('\n').map(Number);
      size = Math.max(...acknowledged);
      await using heads = await openSignedHeads(folder.path, { fileBytesMax });
      const last = await heads.last(name);
      assert.ok(last !== undefined && last.treeSize >= size, `${last?.treeSize} is remembered, ${size} was acknowledged`);
      assert.deepEqual(last, headOf(last.treeSize));
      size = last.treeSize;
    }
    assert.ok(size > 300, `${size} heads`);
    assert.ok((await readdir(folder.path)).length <= 2);
  });

  test('three processes that sign different trees at once: of each size there is one, and all agree on it', {
    timeout: 60_000,
  }, async () => {
    await using folder = await place();
    await using a = start('contend', folder.path, 'a');
    await using b = start('contend', folder.path, 'b');
    await using c = start('contend', folder.path, 'c');
    const all = [a, b, c];
    for (const other of all) assert.equal(await other.line(), 'ready');
    for (let size = 1; size <= 150; size += 1) {
      const said = (await Promise.all(all.map((other) => other.ask(String(size))))).map((line) => line.split(' '));
      const winner = ['a', 'b', 'c'][said.findIndex(([outcome]) => outcome === 'remembered')] ?? '';
      assert.deepEqual(
        said.map(([outcome]) => String(outcome)).sort((a, b) => (a < b ? -1 : 1)),
        ['log-forked', 'log-forked', 'remembered'],
        `size ${size}: ${said.join(' | ')}`,
      );
      for (const [, lastSize, lastRoot] of said) assert.deepEqual([lastSize, lastRoot], [String(size), headOf(size, winner).root]);
    }
  });

  test('on a disk that is really full: 507, few files, and on again once there is room', { timeout: 30_000 }, async (t) => {
    await using folder = await place();
    await mkdir(folder.path);
    const script = 'mount -t tmpfs -o size=100k none "$2" && exec "$0" "$1" fill "$2"';
    // The mount lives and dies with the process, in a name space of its own; who is not root becomes it in there.
    const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const args = [...asRoot, '--mount', 'sh', '-c', script, process.execPath, import.meta.filename, folder.path];
    const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let faults = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (faults += chunk.toString()));
    const [status] = (await once(child, 'close').catch(() => [127])) as [number];
    if (status === 127 || (status !== 0 && /^(unshare|mount):/.test(faults))) {
      t.skip(`this system mounts no small disk here (${faults.trim().split('\n')[0]})`);
      return;
    }
    assert.deepEqual([status, output, faults], [0, 'done\n', '']);
  });
}

switch (mode) {
  case 'climb':
    await climb(Number(argument));
    break;
  case 'contend':
    await contend(argument);
    break;
  case 'fill':
    await fill();
    break;
  default:
    defineTests();
}
