/**
 * Keeps the mirrors of a folder within a bound: whoever may ask, may ask for any repository there is, so the ones that nobody has asked for longest
 * are removed. One that was asked for lately stays, whatever the bound: somebody may be reading it.
 */
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { escapeCapitals } from '../../protocol/module-path.ts';
import type { Exclusively } from './mirror.ts';

export interface BoundedMirrorsOptions {
  readonly folder: string;
  readonly bytesMax: number;
  /** For so long after it was asked for, a mirror may be in use. */
  readonly inUseMs: number;
  readonly exclusively: Exclusively;
  readonly clock: Clock;
  readonly log: Log;
}

const USE_NOTED_MS = 60_000;
const SWEEP_MS = 60_000;
const DEPTH_MAX = 16;
/** Every mirror has it; its time of change is when the mirror was last asked for. */
const SIGN_FILE = 'goyi-remote';
const SWEPT = '.removed';

interface MirrorOnDisk {
  readonly folder: string;
  readonly usedMs: number;
  readonly sizeBytes: number;
}

export class BoundedMirrors implements AsyncDisposable {
  readonly #options: BoundedMirrorsOptions;
  readonly #noted = new LRUCache<string, true>({ max: 2_000, ttl: USE_NOTED_MS });
  readonly #stop = new AbortController();
  #sweptMs: number | undefined;
  #sweeping: Promise<void> | undefined;

  constructor(options: BoundedMirrorsOptions) {
    this.#options = options;
  }

  /** To be called whenever the mirror of a root is asked. Looks at the size of all of them now and then, in the background. */
  async used(root: string): Promise<void> {
    if (!this.#noted.has(root)) {
      this.#noted.set(root, true);
      const now = new Date(this.#options.clock.wallMs());
      await utimes(join(this.#options.folder, ...`${escapeCapitals(root)}.git`.split('/'), SIGN_FILE), now, now).catch(() => {});
    }
    const { clock, log } = this.#options;
    if (this.#sweeping !== undefined || (this.#sweptMs !== undefined && clock.monotonicMs() - this.#sweptMs < SWEEP_MS)) return;
    this.#sweptMs = clock.monotonicMs();
    this.#sweeping = this.sweep(this.#stop.signal)
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted)
          log.warn('the mirrors of Git repositories could not be looked through', { detail: messageOf(error) });
      })
      .finally(() => (this.#sweeping = undefined));
  }

  /** Removes the least recently asked ones until the rest is within the bound. @throws the signal's reason; errors of the file system */
  async sweep(signal: AbortSignal): Promise<void> {
    const { folder, bytesMax, inUseMs, clock, log } = this.#options;
    await rm(join(folder, SWEPT), { recursive: true, force: true });
    const mirrors = (await mirrorsBelow(folder, DEPTH_MAX)).toSorted((a, b) => a.usedMs - b.usedMs);
    let sizeBytes = mirrors.reduce((sum, mirror) => sum + mirror.sizeBytes, 0);
    for (const mirror of mirrors) {
      signal.throwIfAborted();
      if (sizeBytes <= bytesMax || clock.wallMs() - mirror.usedMs < inUseMs) return;
      await this.#remove(mirror.folder, signal);
      sizeBytes -= mirror.sizeBytes;
      log.info('the mirror of a Git repository was removed to make room', { folder: mirror.folder, sizeBytes: mirror.sizeBytes });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the hub is stopping'));
    await this.#sweeping;
  }

  /** Under the lock of who fetches into it, and out of the way at once: who comes meanwhile finds no mirror, never half of one. */
  async #remove(mirror: string, signal: AbortSignal): Promise<void> {
    const { folder, exclusively } = this.#options;
    const root = relative(folder, mirror)
      .split(sep)
      .join('/')
      .replace(/\.git$/, '');
    await exclusively(
      `git/${root}`,
      async () => {
        const aside = join(folder, SWEPT, root.replaceAll('/', '+'));
        await mkdir(join(folder, SWEPT), { recursive: true });
        await rename(mirror, aside);
        await rm(aside, { recursive: true, force: true });
      },
      signal,
    );
  }
}

async function mirrorsBelow(folder: string, depth: number): Promise<readonly MirrorOnDisk[]> {
  const mirrors: MirrorOnDisk[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    const sign = entry.name.endsWith('.git') ? await stat(join(path, SIGN_FILE)).catch(() => undefined) : undefined;
    if (sign !== undefined) mirrors.push({ folder: path, usedMs: sign.mtimeMs, sizeBytes: await sizeOf(join(path, 'objects', 'pack')) });
    else if (depth > 1) mirrors.push(...(await mirrorsBelow(path, depth - 1)));
  }
  return mirrors;
}

async function sizeOf(folder: string): Promise<number> {
  let sizeBytes = 0;
  for (const name of await readdir(folder).catch(() => [])) sizeBytes += (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0;
  return sizeBytes;
}
