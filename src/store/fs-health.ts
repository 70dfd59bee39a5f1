import { opendir } from 'node:fs/promises';
import { type HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { createFlags, type FsOperations, lacksLinks, storageError } from './fs-operations.ts';

export interface FsHealthReport {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly freeBytes: number | undefined;
  readonly reason?: string;
}

const freshMs = 3000;
const patienceMs = 5000;

/** Looks whether the data folder can be read and written right now; one look at most every three seconds, however many ask. */
export class FsHealth {
  readonly #options: {
    readonly root: string;
    readonly operations: FsOperations;
    readonly events: Events;
    readonly probeFile: () => string;
  };
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #report: Promise<FsHealthReport> | undefined;
  #degraded: string | undefined;

  constructor(options: { root: string; operations: FsOperations; events: Events; probeFile: () => string }) {
    this.#options = options;
  }

  look(): Promise<FsHealthReport> {
    if (this.#report !== undefined && performance.now() - this.#lookedAtMs < freshMs) return this.#report;
    this.#lookedAtMs = performance.now();
    this.#report = this.#lookNow();
    return this.#report;
  }

  /** Tells the operator once when writing begins to fail, not at every write that fails. */
  note(failure: HubError | undefined): void {
    const code = failure?.code;
    if (code !== undefined && code !== this.#degraded) this.#options.events.storageDegraded({ reason: failure?.message ?? code });
    if (code !== this.#degraded) this.#report = undefined; // What was seen before holds no longer.
    this.#degraded = code;
  }

  /** A medium that hangs (a lost network share) is reported instead of waited for. */
  async #lookNow(): Promise<FsHealthReport> {
    const { promise: impatience, resolve } = Promise.withResolvers<FsHealthReport>();
    const silent = {
      readable: false,
      writable: false,
      freeBytes: undefined,
      reason: `the data folder does not answer within ${patienceMs / 1000} seconds`,
    };
    const timer = setTimeout(() => resolve(silent), patienceMs);
    try {
      return await Promise.race([this.#probe(), impatience]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #probe(): Promise<FsHealthReport> {
    const { root, operations } = this.#options;
    try {
      await (await opendir(root)).close();
    } catch (error) {
      return { readable: false, writable: false, freeBytes: undefined, reason: `cannot read ${root}: ${messageOf(error)}` };
    }
    const space = await operations.statfs(root).catch(() => undefined);
    const freeBytes = space === undefined ? undefined : space.bavail * space.bsize;
    try {
      await this.#write();
      return { readable: true, writable: true, freeBytes };
    } catch (error) {
      return { readable: true, writable: false, freeBytes, reason: storageError(`write below ${root}`, error).message };
    }
  }

  /** The steps of a seal in small: a disk may have room for a last file and none for its second name. */
  async #write(): Promise<void> {
    const { operations, probeFile } = this.#options;
    const names = [probeFile(), probeFile()] as const;
    const handle = await operations.open(names[0], createFlags, 0o600);
    try {
      await operations.write(handle, Buffer.from('goyi\n'), 0);
      await operations.sync(handle);
      await operations.link(...names).catch((error: unknown) => {
        if (!lacksLinks(error)) throw error;
      });
    } finally {
      await handle.close();
      for (const name of names) await operations.unlink(name).catch(() => {});
    }
  }
}
