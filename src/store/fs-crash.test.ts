/** Real processes on one store: killed while they seal, racing for one name, and on a disk that is really full. Run with arguments, this file is such a process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { openSync, writeSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { codeOf } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import type { BlobStore } from './blob-store.ts';
import { contentOf, key, keysOf, mustOpen } from './contract.ts';
import { openFsStore } from './fs-store.ts';

const [, , mode, root = '', argument = ''] = process.argv;

const openStore = (folder: string): Promise<BlobStore> => openFsStore({ root: folder, events: silentEvents, log: silentLog });

/** What the file with this number holds: from nothing to 300 kB, all different. */
function bytesOf(serial: number): Buffer {
  return Buffer.alloc((serial * 7919) % 300_000, `file ${serial} `);
}

const keyOf = (serial: number): string => `modules/example.com/m${serial % 7}/@v/v1.0.${serial}.zip`;

/** Seals one file after another, four at a time, in small pieces, and writes down each. */
async function sealForever(first: number): Promise<never> {
  const store = await openStore(root);
  // A file takes every line at once, however busy the reader is; a pipe may be full.
  const acknowledged = openSync(join(root, 'acknowledged'), 'a');
  let next = first;
  const lane = async (): Promise<never> => {
    for (;;) {
      const serial = next++;
      const bytes = bytesOf(serial);
      await using staged = await store.stage();
      for (let at = 0; at < bytes.length; at += 16_384) await staged.append(bytes.subarray(at, at + 16_384));
      const { fingerprint } = await staged.seal(key(keyOf(serial)));
      writeSync(acknowledged, `${serial} ${fingerprint}\n`);
      if (serial === first) writeSync(1, 'first\n');
    }
  };
  return await Promise.race([lane(), lane(), lane(), lane()]);
}

/** Tries to give a hundred names bytes of its own, and says which it got. */
async function race(name: string): Promise<void> {
  const store = await openStore(root);
  writeSync(1, 'ready\n');
  await once(process.stdin, 'data');
  for (let serial = 0; serial < 100; serial += 1) {
    try {
      await store.put(key(`modules/example.com/race/@v/v1.0.${serial}.mod`), Buffer.from(`${name} `.repeat(50)));
      writeSync(1, `${serial}\n`);
    } catch (error) {
      assert.equal(codeOf(error), 'storage-fault');
    }
  }
  process.stdin.destroy();
}

/** On a disk of 2 MB and 80 inodes. */
async function fill(): Promise<void> {
  const store = await openStore(root);
  const first = key('modules/example.com/first/@v/v1.0.0.mod');
  await store.put(first, Buffer.from('module example.com/first\n'));
  for (const size of [100_000, 10]) {
    assert.equal((await store.health()).writable, true);
    let stored = 0;
    const put = (): Promise<unknown> => store.put(key(`modules/example.com/size${size}/@v/v1.0.${stored}.zip`), Buffer.alloc(size, stored));
    await assert.rejects(
      async () => {
        for (; stored < 200; stored += 1) await put();
      },
      { code: 'storage-full' },
    );
    assert.ok(stored > 5 && stored < 100, `${stored} files of ${size} bytes`);
    assert.equal(await contentOf(store, first), 'module example.com/first\n');
    assert.equal((await keysOf(store)).length, stored + 1);
    assert.deepEqual(await readdir(join(root, 'staging')), []);
    if (size === 10) assert.match((await store.health()).reason ?? '', /ENOSPC/);
    for (let serial = 0; serial < stored; serial += 1) await store.remove(key(`modules/example.com/size${size}/@v/v1.0.${serial}.zip`));
    await put();
    await store.remove(key(`modules/example.com/size${size}/@v/v1.0.${stored}.zip`));
  }
  writeSync(1, 'done\n');
}

function defineTests(): void {
  test('kill -9 while files are sealed: what was acknowledged is whole and unchanged, what is visible is whole, the rest is swept', {
    timeout: 60_000,
  }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'goyi-crash-'));
    const store = await openStore(folder);
    let leftovers = 0;
    for (let round = 0; round < 10; round += 1) {
      const child = spawn(process.execPath, [import.meta.filename, 'seal', folder, String(round * 10_000)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const exited = once(child, 'exit');
      await once(child.stdout, 'data');
      await wait(5 + round * 7);
      child.kill('SIGKILL');
      assert.deepEqual(await exited, [null, 'SIGKILL']);
      leftovers += await store.sweep();
      assert.deepEqual(await readdir(join(folder, 'staging')), []);
    }
    const lines = (await readFile(join(folder, 'acknowledged'), 'latin1')).trimEnd().split('\n');
    const acknowledged = new Map(lines.map((line) => [Number(line.split(' ')[0]), line.split(' ')[1]]));
    assert.ok(acknowledged.size > 50, `${acknowledged.size} files were acknowledged`);
    assert.ok(leftovers > 0, 'no process was killed while it wrote');
    for (const [serial, fingerprint] of acknowledged) {
      await using blob = await mustOpen(store, key(keyOf(serial)));
      assert.equal(blob.fingerprint, fingerprint);
    }
    for (const name of await keysOf(store)) {
      const serial = Number(/\.([0-9]+)\.zip$/.exec(name)?.[1]);
      const stored = await store.readSmall(key(name), 1 << 20);
      assert.equal(
        createHash('sha256')
          .update(stored?.bytes ?? '')
          .digest('hex'),
        createHash('sha256').update(bytesOf(serial)).digest('hex'),
        name,
      );
    }
    await rm(folder, { recursive: true });
  });

  test('sweep leaves the files of living processes and what is not its own', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'goyi-sweep-'));
    const store = await openStore(folder);
    await using staged = await store.stage();
    await staged.append(Buffer.from('alive'));
    const foreign = ['readme.txt', 'not-a-process.1.2.part'];
    for (const name of foreign) await writeFile(join(folder, 'staging', name), 'x');
    const other = await openStore(folder);
    assert.equal(await other.sweep(), 0);
    await staged.seal(key('modules/a/@v/list'));
    assert.deepEqual((await readdir(join(folder, 'staging'))).toSorted(), foreign.toSorted());
    await rm(folder, { recursive: true });
  });

  test('two processes that race for a hundred names: each name goes to one of them', { timeout: 30_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'goyi-race-'));
    const won = await Promise.all(
      ['left', 'right'].map(async (name) => {
        const child = spawn(process.execPath, [import.meta.filename, 'race', folder, name], { stdio: ['pipe', 'pipe', 'inherit'] });
        const lines: string[] = [];
        for await (const line of createInterface(child.stdout)) {
          if (line === 'ready') child.stdin.write('go\n');
          else lines.push(line);
        }
        return lines;
      }),
    );
    assert.equal(new Set(won.flat()).size, 100);
    assert.equal(won.flat().length, 100);
    const store = await openStore(folder);
    for (const serial of won[0] ?? [])
      assert.match((await contentOf(store, key(`modules/example.com/race/@v/v1.0.${serial}.mod`))) ?? '', /^(left ){50}$/);
    await rm(folder, { recursive: true });
  });

  test('a disk that is really full, in bytes and in inodes', { timeout: 30_000 }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'goyi-full-'));
    const script = 'mount -t tmpfs -o size=2m,nr_inodes=80 none "$2" && exec "$0" "$1" fill "$2"';
    // The mount lives and dies with the process, in a name space of its own; who is not root becomes it in there.
    const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
    const child = spawn('unshare', [...asRoot, '--mount', 'sh', '-c', script, process.execPath, import.meta.filename, folder], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit').catch(() => [127]);
    const [output, faults] = await Promise.all([textOf(child.stdout), textOf(child.stderr)]);
    const [status] = (await exited) as [number];
    await rm(folder, { recursive: true });
    if (status !== 0 && /unshare|mount/.test(`${faults} ${status === 127 ? 'unshare' : ''}`) && !faults.includes('Error')) {
      t.skip(
        `this system mounts no small disk here (${faults.trim().split('\n')[0]}); the injected faults of fs-store.test.ts stand for it`,
      );
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
  case 'seal':
    await sealForever(Number(argument));
    break;
  case 'race':
    await race(argument);
    break;
  case 'fill':
    await fill();
    break;
  default:
    defineTests();
}
