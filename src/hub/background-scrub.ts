import type { BlobKey } from '../base/blob-key.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { FileRow, Metadata } from '../meta/metadata.ts';
import type { BlobStore, OpenBlob } from '../store/blob-store.ts';
import { condemn } from './condemn.ts';
import type { Filler } from './fill.ts';
import type { ListFiles } from './list-files.ts';
import { LeaseReturns } from './lease-returns.ts';
import { ListWalk } from './list-walk.ts';
import { artefactAt } from './module-files.ts';
import { pause } from './pause.ts';
import type { SdkShelf } from './sdk-shelf.ts';
import { digest } from './stored-files.ts';

const positionSetting = 'scrub.position';
const leaseName = 'scrub';
const rowsAtOnce = 50;
/** Between two files. The longest keeps a small store from being looked at once a week only, and a growing one from being walked at its old pace. */
const restMs = { min: 5, max: 10 * 60_000 };
const idleMs = 60_000;

export interface BackgroundScrubParts {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly events: Events;
  readonly log: Log;
  readonly everyMs: number;
  /** Fetches a file that had to be set aside, while its source is still there; without it the next request does. */
  readonly filler?: Filler;
  /** Brings `@v/list` of the modules it passes up to date: a crash may have left it behind. */
  readonly lists?: Pick<ListFiles, 'refresh' | 'room'>;
  /** Looked at when all else was. */
  readonly sdks?: Pick<SdkShelf, 'scrub'>;
  /** Between two looks whether it is this process's turn. */
  readonly idleMs?: number;
}

/**
 * Reads the whole store once in `everyMs`, a file at a time, and compares digests: what finds the rot that no inode shows.
 * One process of all does it (a lease); where it stands is kept in metadata, so a restart goes on there.
 */
export class BackgroundScrub implements AsyncDisposable {
  readonly #parts: BackgroundScrubParts;
  readonly #stop = new AbortController();
  readonly #leases: LeaseReturns;
  readonly #done: Promise<void>;

  constructor(parts: BackgroundScrubParts) {
    this.#parts = parts;
    this.#leases = new LeaseReturns(parts);
    this.#done = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new HubError('canceled', 'the hub is stopping'));
    await this.#done;
    await this.#leases[Symbol.asyncDispose]();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await pause(this.#parts.idleMs ?? idleMs, signal);
      if (signal.aborted) return;
      try {
        const attempt = await this.#leases.acquire(leaseName);
        if (attempt.kind !== 'acquired' && !(attempt.kind === 'held' && attempt.ours)) continue;
        try {
          await this.#pass();
        } finally {
          await this.#leases.giveBack(leaseName);
        }
      } catch (error) {
        if (!signal.aborted) this.#parts.log.warn('the scrubber had to stop and will go on later', { error: messageOf(error) });
      }
    }
  }

  /** @throws what the metadata throws, and the signal's reason when it is time to stop */
  async #pass(): Promise<void> {
    const { metadata, everyMs, log, lists } = this.#parts;
    const { signal } = this.#stop;
    const walk = lists && new ListWalk(lists);
    let after = ((await metadata.setting(positionSetting)) || undefined) as BlobKey | undefined;
    for (;;) {
      const { files } = await metadata.totals();
      const rows = await metadata.filesAfter(after, rowsAtOnce);
      for (const row of rows) {
        await pause(Math.min(restMs.max, Math.max(restMs.min, everyMs / Math.max(files, 1))), signal);
        signal.throwIfAborted();
        // One file that cannot be looked at must not keep the rest from being looked at.
        await this.#compare(row).catch((error: unknown) => {
          signal.throwIfAborted();
          log.warn('the scrubber could not look at a file', { key: row.key, error: messageOf(error) });
        });
        await walk?.pass(row.key);
      }
      if (rows.length === 0) walk?.end();
      if (rows.length === 0) await this.#passSdks();
      if (rows.length === 0 && after === undefined) return;
      after = rows.at(-1)?.key;
      await metadata.recordSetting(positionSetting, after ?? '');
      if (after === undefined) return;
    }
  }

  /** Few and large: after each as long as after a file of a small store. */
  async #passSdks(): Promise<void> {
    const { signal } = this.#stop;
    const rest = (): Promise<void> => pause(Math.min(restMs.max, this.#parts.everyMs), signal);
    await this.#parts.sdks?.scrub({ rest, onArchive: () => {} }, signal);
  }

  async #compare({ key }: FileRow): Promise<void> {
    const { store, metadata } = this.#parts;
    const opened = await store.open(key);
    if (opened === undefined) return;
    await using blob = opened;
    const row = await metadata.file(key);
    if (row === undefined) return;
    const reason = await this.#findFault(row, blob);
    if (reason === undefined || !(await condemn(this.#parts, { key, fingerprint: blob.fingerprint, row }, reason))) return;
    const artefact = artefactAt(key);
    if (artefact !== undefined) await this.#parts.filler?.fill(artefact, 'prefetch', this.#stop.signal);
  }

  /** What the medium cannot read any more is as good as gone. */
  async #findFault(row: FileRow, blob: OpenBlob): Promise<string | undefined> {
    try {
      return (await digest(blob, this.#stop.signal)) === row.sha256 ? undefined : 'the scrubber found another digest than the sealed one';
    } catch (error) {
      if (codeOf(error) === 'storage-fault') return messageOf(error);
      throw error;
    }
  }
}
