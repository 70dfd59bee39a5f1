import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Clock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { BoundedMirrors } from './bounded-mirrors.ts';

const never = new AbortController().signal;
const minuteMs = 60_000;
const nowMs = 1_800_000_000_000;
const clock: Clock = { wallMs: () => nowMs, monotonicMs: () => 0 };

test('the mirrors that nobody asked for longest are removed, each under its lock, until the rest fits', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'goyi-test-'));
  try {
    const locks: string[] = [];
    const mirrors = new BoundedMirrors({
      folder,
      bytesMax: 250,
      inUseMs: 10 * minuteMs,
      exclusively: (key, run, signal) => {
        locks.push(key);
        return run(signal);
      },
      clock,
      log: silentLog,
    });
    const mirror = async (name: string, idleMs: number): Promise<void> => {
      const packs = join(folder, name, 'objects/pack');
      await mkdir(packs, { recursive: true });
      await writeFile(join(packs, 'a.pack'), 'x'.repeat(100));
      await writeFile(join(folder, name, 'goyi-remote'), 'x');
      const used = new Date(nowMs - idleMs);
      await utimes(join(folder, name, 'goyi-remote'), used, used);
    };
    await mirror('a.example/old.git', 60 * minuteMs);
    await mirror('a.example/team/older.git', 90 * minuteMs);
    await mirror('b.example.git', 30 * minuteMs);
    await mirror('c.example/busy.git', 9 * minuteMs);
    await mirrors.used('a.example/team/older');
    await mirrors[Symbol.asyncDispose]();
    // It was asked for just now: the next ones go.
    await mirrors.sweep(never);
    assert.deepEqual(locks, ['git/a.example/old', 'git/b.example']);
    assert.deepEqual((await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.git')).toSorted(), [
      'a.example/team/older.git',
      'c.example/busy.git',
    ]);
    // Both are in use: the bound waits.
    await mirror('d.example/busy.git', 0);
    await mirrors.sweep(never);
    assert.equal(locks.length, 2);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
