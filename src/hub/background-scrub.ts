import type { BlobKey } from '../base/blob-key.ts';
import { messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { FileRow, Metadata } from '../meta/metadata.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { digest } from './stored-files.ts';

const positionSetting = 'scrub.position';
const leaseName = 'scrub';
const rowsAtOnce = 50;
const restMsMin = 5;
const idleMs = 60_000;

/**
 * Reads the whole store once in `everyMs`, a file at a time, and compares digests: what finds the rot that no inode shows.
 * One process of all does it (a lease); where it stands is kept in metadata, so a restart goes on there.
 */
export class BackgroundScrub implements AsyncDisposable {
  readonly #parts: { readonly store: BlobStore; readonly metadata: Metadata; readonly events: Events; readonly log: Log; readonly everyMs: number };
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(parts: { store: BlobStore; metadata: Metadata; events: Events; log: Log; everyMs: number }) {
    this.#parts = parts;
    this.#done = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { metadata, log } = this.#parts;
    while (await this.#rest(idleMs)) {
      try {
        if ((await metadata.acquireLease(leaseName)).kind !== 'acquired') continue;
        try {
          await this.#pass();
        } finally {
          await metadata.releaseLease(leaseName);
        }
      } catch (error) {
        log.warn('the scrubber had to stop and will go on later', { error: messageOf(error) });
      }
    }
  }

  async #pass(): Promise<void> {
    const { metadata, everyMs } = this.#parts;
    const { files } = await metadata.totals();
    const restMs = Math.max(restMsMin, everyMs / Math.max(files, 1));
    let after = ((await metadata.setting(positionSetting)) || undefined) as BlobKey | undefined;
    for (;;) {
      const rows = await metadata.filesAfter(after, rowsAtOnce);
      for (const row of rows) {
        if (!(await this.#rest(restMs))) return;
        await this.#compare(row);
      }
      after = rows.at(-1)?.key;
      await metadata.recordSetting(positionSetting, after ?? '');
      if (after === undefined) return;
    }
  }

  async #compare(row: FileRow): Promise<void> {
    const { store, metadata, events } = this.#parts;
    const blob = await store.open(row.key);
    if (blob === undefined) return;
    let sound: boolean;
    try {
      sound = (await digest(blob)) === row.sha256;
    } finally {
      await blob[Symbol.asyncDispose]();
    }
    // The row may have been replaced while the file was read; only a row that still stands condemns it.
    if (sound || (await metadata.file(row.key))?.sha256 !== row.sha256) return;
    const reason = 'the scrubber found another digest than the sealed one';
    await store.setAside(row.key, reason);
    await metadata.forgetFile(row.key);
    events.fileSetAside({ key: row.key, reason });
  }

  /** False when it is time to stop. */
  #rest(ms: number): Promise<boolean> {
    const { signal } = this.#stop;
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve(!signal.aborted);
      };
      const timer = setTimeout(end, ms);
      timer.unref();
      signal.addEventListener('abort', end);
    });
  }
}
