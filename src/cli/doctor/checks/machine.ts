import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { messageOf } from '../../../base/errors.ts';
import { formatSize } from '../../format.ts';
import type { Facts } from '../facts.ts';
import { type Check, type Finding, type Fix, typed } from '../finding.ts';
import { settingFix } from '../setting-fix.ts';

/** A link of a middling program needs about this much beside what it keeps. */
const TMP_FREE_BYTES_MIN = 64 * 1024 * 1024;

/** Where the go command builds and runs test programs: full, or on a disk that forbids running. */
export const temporary: Check = {
  finds: ['tmp-noexec', 'tmp-full'],
  async run(facts) {
    if (process.platform === 'win32' || facts.go === undefined) return [];
    const folder = facts.settings.value('GOTMPDIR') || facts.env['TMPDIR'] || '/tmp';
    const room = await statfs(folder).catch(() => undefined);
    const freeBytes = room === undefined ? 0 : room.bavail * room.bsize;
    const isFull = room !== undefined && (freeBytes < TMP_FREE_BYTES_MIN || (room.files > 0 && room.ffree === 0));
    if (isFull) {
      const got = `${formatSize(freeBytes)}, ${room.ffree} inodes`;
      return [{ id: 'tmp-full', subject: folder, proof: [{ ran: `df ${folder}`, got }], fix: await otherTemporary(facts) }];
    }
    const fault = await runInside(folder);
    if (fault === undefined) return [];
    const id = fault.code === 'EACCES' ? 'tmp-noexec' : fault.code === 'ENOSPC' || fault.code === 'EDQUOT' ? 'tmp-full' : undefined;
    if (id === undefined) return [unwritable(folder, fault.message)];
    return [
      {
        id,
        subject: folder,
        proof: [{ ran: join(folder, 'goyi-doctor-…', 'run.sh'), got: fault.message }],
        fix: await otherTemporary(facts),
      },
    ];
  },
};

/** Writes a program of one line and runs it, as `go run` and `go test` do; leaves nothing behind. */
async function runInside(folder: string): Promise<{ code: string; message: string } | undefined> {
  let own: string | undefined;
  try {
    own = await mkdtemp(join(folder, 'goyi-doctor-'));
    const file = join(own, 'run.sh');
    await writeFile(file, '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    return await new Promise((resolve) => {
      execFile(file, { timeout: 10_000 }, (error) =>
        resolve(error === null ? undefined : { code: String(error.code), message: error.message.split('\n')[0] ?? '' }),
      );
    });
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code ?? '', message: messageOf(error) };
  } finally {
    if (own !== undefined) await rm(own, { recursive: true, force: true });
  }
}

/** A folder beside the build cache, where there is room and programs run. */
async function otherTemporary(facts: Facts): Promise<Fix> {
  const cache = facts.settings.value('GOCACHE');
  const folder = join(cache === '' || cache === 'off' ? join(facts.env['HOME'] ?? homedir(), '.cache', 'go-build') : cache, '..', 'go-tmp');
  const fix = await settingFix(facts, 'GOTMPDIR', folder);
  if (fix.apply === undefined) return typed(`mkdir -p ${folder}`, ...fix.lines);
  const { apply } = fix;
  return {
    lines: [`mkdir -p ${folder}`, ...fix.lines],
    undo: [...fix.undo, `rmdir ${folder}`],
    apply: async (signal) => {
      await mkdir(folder, { recursive: true });
      await apply(signal);
    },
  };
}

function unwritable(folder: string, got: string): Finding {
  return {
    id: 'folder-unwritable',
    subject: folder,
    proof: [{ ran: `touch ${folder}/x`, got }],
    fix: typed(`sudo chown -R "$(id -u)" ${folder}`),
  };
}

/** Module and build cache must be the user's own: one `sudo go build` is enough to spoil them. */
export const folders: Check = {
  finds: ['folder-unwritable'],
  async run({ settings }) {
    const found: Finding[] = [];
    for (const name of ['GOMODCACHE', 'GOCACHE']) {
      const folder = settings.value(name);
      if (folder === '' || folder === 'off') continue;
      const place = await nearestThatIs(folder);
      const fault = await access(place, constants.W_OK).then(
        () => undefined,
        (error: unknown) => messageOf(error),
      );
      if (fault !== undefined) found.push(unwritable(place, fault));
    }
    return found;
  },
};

async function nearestThatIs(folder: string): Promise<string> {
  for (let at = folder; ; at = dirname(at)) {
    const there = await access(at).then(
      () => true,
      (error: unknown) => (error as NodeJS.ErrnoException).code !== 'ENOENT',
    );
    if (there || dirname(at) === at) return at;
  }
}
