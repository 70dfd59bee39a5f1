import type { BlobKey } from '../base/blob-key.ts';
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { OwnTile, OwnTree } from '../meta/own-log.ts';
import { formatChecksumRecord, formatLookupAnswer } from '../protocol/checksum-record.ts';
import { latestKey, lookupKey, supportedKey, tileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { TileName } from '../protocol/proxy-request.ts';
import { TILE_WIDTH, edgeTiles } from '../protocol/tile.ts';
import type { Version } from '../protocol/version.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { LeaseReturns } from './lease-returns.ts';
import type { OwnHeads, ShownHead } from './own-heads.ts';
import { pause } from './pause.ts';

export interface OwnShelfOptions {
  readonly name: string;
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly log: Log;
  readonly heads: Pick<OwnHeads, 'covering' | 'noteOf'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly calmMs?: number;
}

const defaultCalmMs = 3_000;
/** A log that never is calm is written to the files all the same, this often. */
const publishEveryMs = 60_000;
/** After a fault of the store or the metadata. */
const retryMs = 10_000;
/** Of 8 KiB and some 50 KiB each. */
const tilesAtOnce = 8;
const lookupsAtOnce = 32;
/** How often the position is written down, in records. */
const recordEvery = 8 * lookupsAtOnce;
/** Rest after a group of files, in times of what it took. */
const restFactor = 3;

/**
 * Puts a log of ours where readers of plain files look for it, behind the answers and never on their way:
 *
 * - Full tiles soon. They are committed in metadata first and there is only one content that a name can have, so that processes that both put
 *   one, and one that dies in between, do no harm; when the store has it durably, metadata lets go of it.
 * - `latest`, the edges of that tree, and an answer to a look-up for each record that has none yet, when the log is calm. Tiles go before the notes
 *   that need them.
 *
 * One process of all does it (a lease); how far the look-ups are is kept in metadata, so that another goes on there.
 */
export class OwnShelf implements AsyncDisposable {
  readonly #options: OwnShelfOptions;
  readonly #calmMs: number;
  readonly #stop = new AbortController();
  readonly #leases: LeaseReturns;
  #run: Promise<void> | undefined;
  /** Ends the pause before the next turn, for those who wait for all to be done. */
  #hurry = new AbortController();
  #isWanted = false;
  /** A head whose cosignatures are not in the files yet. */
  #cosigned: ShownHead | undefined;

  constructor(options: OwnShelfOptions) {
    this.#options = options;
    this.#calmMs = options.calmMs ?? defaultCalmMs;
    this.#leases = new LeaseReturns(options);
  }

  /** The note of this head has got signatures of others. */
  cosigned(head: ShownHead): void {
    this.#cosigned = head;
    this.wake();
  }

  /** There may be something to do. */
  wake(): void {
    this.#isWanted = true;
    if (this.#stop.signal.aborted) return;
    this.#run ??= this.#work().finally(() => {
      this.#run = undefined;
    });
  }

  /** Resolves when all that is to be done is, or could not be: without waiting for a calm, nor for another process. */
  async settled(): Promise<void> {
    this.#hurry.abort();
    await this.#run;
    this.wake();
    await this.#run;
    this.#hurry = new AbortController();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new HubError('canceled', 'the hub is stopping'));
    await this.#run;
    await this.#leases[Symbol.asyncDispose]();
  }

  /** Turn after turn until nothing is left to do. */
  async #work(): Promise<void> {
    const { signal } = this.#stop;
    let publishedMs = this.#options.clock.monotonicMs();
    let size = -1;
    while (!signal.aborted) {
      this.#isWanted = false;
      let isDone = false;
      let restMs = this.#calmMs;
      try {
        const tree = await this.#options.metadata.ownTree(this.#options.name);
        if (tree === undefined) return;
        const isDue = this.#options.clock.monotonicMs() - publishedMs > publishEveryMs;
        const isCalm = tree.size === size || isDue || this.#hurry.signal.aborted;
        isDone = await this.#underLease(async () => {
          await this.#moveTiles();
          if (isCalm) await this.#publish(tree);
        });
        isDone &&= isCalm;
        if (isDone) publishedMs = this.#options.clock.monotonicMs();
        size = tree.size;
      } catch (error) {
        if (!signal.aborted)
          this.#options.log.warn('the files of the own checksum database could not be brought up to date and will be later', {
            database: this.#options.name,
            error: messageOf(error),
          });
        restMs = retryMs;
      }
      if ((isDone && !this.#isWanted) || this.#hurry.signal.aborted) return;
      await pause(restMs, AbortSignal.any([signal, this.#hurry.signal]));
    }
  }

  /** False while another process is at it. */
  async #underLease(work: () => Promise<void>): Promise<boolean> {
    const key = `own-log ${this.#options.name}`;
    const attempt = await this.#leases.acquire(key);
    if (attempt.kind !== 'acquired' && !(attempt.kind === 'held' && attempt.ours)) return false;
    try {
      await work();
      return true;
    } finally {
      await this.#leases.giveBack(key);
    }
  }

  async #moveTiles(): Promise<void> {
    const { name, metadata } = this.#options;
    for (;;) {
      const tiles = await metadata.ownTiles(name, tilesAtOnce);
      if (tiles.length === 0) return;
      this.#stop.signal.throwIfAborted();
      for (const tile of tiles) await this.#moveTile(tile);
      await metadata.dropOwnTiles(name, tiles);
    }
  }

  /** The texts go first: while the hashes are still in metadata, both are put again. */
  async #moveTile({ level, index, bytes }: OwnTile): Promise<void> {
    const { name } = this.#options;
    if (level === 0) {
      const texts = { level: 'data', index, width: TILE_WIDTH } as const;
      await this.#shelve(tileKey(name, texts), await this.#texts(texts));
      await this.#removePartial(texts);
    }
    const tile = { level, index, width: TILE_WIDTH };
    await this.#shelve(tileKey(name, tile), bytes);
    await this.#removePartial(tile);
  }

  /** What metadata has is the truth: other bytes of that name are bad, or of another log of that name. */
  async #shelve(key: BlobKey, bytes: Uint8Array): Promise<void> {
    const { store } = this.#options;
    try {
      await store.put(key, bytes);
    } catch (error) {
      if (codeOf(error) !== 'storage-fault' || !(await store.setAside(key, 'it differs from the tile in metadata'))) throw error;
      await store.put(key, bytes);
    }
  }

  /** Whoever asks for a partial tile that is full by now and does not find it asks for the full one. */
  async #removePartial(tile: TileName): Promise<void> {
    const { name, store } = this.#options;
    for await (const key of store.keys(`${tileKey(name, tile)}.p/`)) await store.remove(key);
  }

  async #texts({ index, width }: Pick<TileName, 'index' | 'width'>): Promise<Buffer> {
    const records = await this.#options.metadata.ownRecords(this.#options.name, index * TILE_WIDTH, width);
    return Buffer.from(records.map((record) => `${formatChecksumRecord(record)}\n`).join(''));
  }

  async #publish(tree: OwnTree): Promise<void> {
    const { name, store, metadata, heads } = this.#options;
    const from = Number((await metadata.setting(this.#position)) ?? 0);
    if (from >= tree.size) return this.#publishCosigned(tree);
    // A file is shown as an answer is: after its head was remembered.
    await heads.covering(tree.size);
    const note = heads.noteOf(tree);
    for (const [i, tile] of edgeTiles(tree.size).entries()) {
      await this.#shelve(tileKey(name, tile), tree.edges[i] ?? Buffer.alloc(0));
      if (tile.level !== 0) continue;
      const texts = { ...tile, level: 'data' } as const;
      await this.#shelve(tileKey(name, texts), await this.#texts(texts));
    }
    if ((await store.readSmall(supportedKey(name), 0)) === undefined) await store.replace(supportedKey(name), Buffer.alloc(0));
    await store.replace(latestKey(name), Buffer.from(note));
    await this.#publishLookups(from, tree.size, note);
    await metadata.recordSetting(this.#position, String(tree.size));
  }

  /** Witnesses sign what was shown: the same head gets their lines when they come. */
  async #publishCosigned(tree: OwnTree): Promise<void> {
    const { name, store } = this.#options;
    const cosigned = this.#cosigned;
    this.#cosigned = undefined;
    if (cosigned?.size === tree.size) await store.replace(latestKey(name), Buffer.from(cosigned.note));
  }

  async #publishLookups(from: number, to: number, note: string): Promise<void> {
    const { name, store, metadata, clock } = this.#options;
    for (let next = from; next < to; next += lookupsAtOnce) {
      this.#stop.signal.throwIfAborted();
      const startedMs = clock.monotonicMs();
      const records = await metadata.ownRecords(name, next, Math.min(lookupsAtOnce, to - next));
      await Promise.all(
        records.map((record) => {
          const body = formatLookupAnswer({ recordId: record.id, text: formatChecksumRecord(record), note });
          return store.replace(lookupKey(name, record.module as ModulePath, record.version as Version), Buffer.from(body));
        }),
      );
      if ((next - from) % recordEvery === 0) {
        await metadata.recordSetting(this.#position, String(next));
        // A long row of files must not keep the tiles of a growing log in metadata.
        await this.#moveTiles();
      }
      // Nobody waits for these files: most of the disk's time is left to those who wait for something.
      await pause(restFactor * (clock.monotonicMs() - startedMs), AbortSignal.any([this.#stop.signal, this.#hurry.signal]));
    }
  }

  /** The setting that says how many records have a file. */
  get #position(): string {
    return `own-log.${this.#options.name}.published`;
  }
}
