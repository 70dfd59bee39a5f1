import type { BlobKey } from '../base/blob-key.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { KeptBytes, KeptFile, Metadata } from '../meta/metadata.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { LeaseReturns } from './lease-returns.ts';

const leaseName = 'settle';
const filesAtOnce = 250;
const lookEveryMs = 5_000;
/** By then the system has written the bytes by itself, and to sync a file that is on the disk costs next to nothing. */
const restMs = 40_000;
/** More than so many are settled without rest, so that what is kept stays small. */
const keptMax = 8_000;

export interface SettleParts {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Log;
}

/** Puts placed files on the disk some time after they were placed and lets the metadata forget their bytes. One process of all does it at a time. */
export class SettleFiles implements AsyncDisposable {
  readonly #parts: SettleParts;
  readonly #leases: LeaseReturns;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: SettleParts) {
    this.#parts = parts;
    this.#leases = new LeaseReturns(parts);
    this.#timer = setInterval(() => this.#look(), lookEveryMs).unref();
  }

  /** What is kept stays kept: the next start of the hub, or another process, goes on with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#running;
    await this.#leases[Symbol.asyncDispose]();
  }

  #look(): void {
    this.#running ??= this.#run()
      .catch((error: unknown) => this.#parts.log.warn('placed files could not be put on the disk', { error: messageOf(error) }))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #run(): Promise<void> {
    const { metadata, clock } = this.#parts;
    const due = (): Promise<readonly KeptFile[]> => metadata.keptUntil(clock.wallMs() - restMs, { newestMax: keptMax, limit: filesAtOnce });
    let files = await due();
    if (files.length === 0 || (await this.#leases.acquire(leaseName)).kind !== 'acquired') return;
    try {
      for (; files.length > 0 && !this.#stopped; files = await due()) await settle(this.#parts, files);
    } finally {
      await this.#leases.giveBack(leaseName);
    }
  }
}

/**
 * After the machine was started anew, or the folder was moved to another: writes every kept file whose bytes the former one had not brought to the disk.
 * Called before anything else uses the folder, with the store that writes durably by itself. Answers how many files had to be written again.
 * @throws {HubError} storage-full, storage-fault
 */
export async function restoreKept(parts: Pick<SettleParts, 'store' | 'metadata'>): Promise<number> {
  let restored = 0;
  for (let after: BlobKey | undefined; ; ) {
    const page = await parts.metadata.keptAfter(after, filesAtOnce);
    after = page.at(-1)?.key;
    if (after === undefined) return restored;
    const lost = page.filter(({ bootIsOver }) => bootIsOver);
    for (const file of lost) restored += (await restore(parts.store, file)) ? 1 : 0;
    await settle(parts, lost);
  }
}

async function settle({ store, metadata }: Pick<SettleParts, 'store' | 'metadata'>, files: readonly KeptFile[]): Promise<void> {
  if (files.length === 0) return;
  await store.settle(files.map(({ key }) => key));
  await metadata.settled(files);
}

async function restore(store: BlobStore, { key, bytes }: KeptBytes): Promise<boolean> {
  const stored = await store.open(key);
  if (stored !== undefined) {
    await using blob = stored;
    if (blob.sizeBytes === bytes.length) {
      const found = Buffer.alloc(bytes.length);
      const count = await blob.read(found, found.length, 0);
      if (count === bytes.length && found.equals(bytes)) return false;
    }
  }
  await store.setAside(key, 'torn when the machine stopped');
  await store.put(key, bytes);
  return true;
}
