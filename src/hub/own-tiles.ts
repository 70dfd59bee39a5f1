import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { invariant } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { OwnLogs, OwnTree } from '../meta/own-log.ts';
import { formatChecksumRecord, recordHash } from '../protocol/checksum-record.ts';
import { firstRecords, isDataOf } from '../protocol/data-tile.ts';
import { tileKey } from '../protocol/layout.ts';
import { type TileName, formatTilePath } from '../protocol/proxy-request.ts';
import { TILE_BYTES, TILE_WIDTH, edgeTiles, hashAt, parentOf, rootFromEdges, widthInTree } from '../protocol/tile.ts';
import { HASH_BYTES, subtreeHash } from '../protocol/tree-hash.ts';
import type { BlobStore } from '../store/blob-store.ts';

export interface OwnTilesOptions {
  readonly name: string;
  readonly store: BlobStore;
  readonly metadata: Pick<OwnLogs, 'ownTree' | 'ownTile' | 'ownRecords'>;
  readonly events: Pick<Events, 'fileSetAside'>;
  readonly log: Log;
  /** Of full tiles kept in memory. */
  readonly cacheBytes?: number;
}

/** Texts of 256 records have some 60 KiB. */
const dataBytesMax = 1024 * 1024;
const defaultCacheBytes = 8 * 1024 * 1024;
/** Full tiles of a log of four million records, in some 3 MiB. */
const digestsMax = 16_000;

/**
 * The tiles of a log of ours, whatever its size in little memory: edges come from metadata, full tiles from the store, or from metadata until the
 * store has them. A full tile is believed when its hashes combine to its entry in the tile above, up to the edges, which make the root; one that
 * the store lost or changed is made again out of what lies below it, in the end out of the records.
 */
export class OwnTiles {
  readonly #options: OwnTilesOptions;
  readonly #proved: LRUCache<string, Buffer>;
  /** SHA-256 of tiles that were proved and may have left memory: to compare it costs a hundredth of proving them again. */
  readonly #digests = new LRUCache<string, string>({ max: digestsMax });
  readonly #flights = new SingleFlight<Buffer>();
  #tree: OwnTree | undefined;

  constructor(options: OwnTilesOptions) {
    this.#options = options;
    this.#proved = new LRUCache({
      maxSize: Math.max(options.cacheBytes ?? defaultCacheBytes, TILE_BYTES),
      sizeCalculation: (bytes) => bytes.length,
    });
  }

  /**
   * The bytes of a tile that the log has in this width; the partial one as well when it is full by now.
   * @throws {HubError} storage-fault, storage-full, or the signal's reason
   */
  async tile(tile: TileName, signal: AbortSignal): Promise<Buffer> {
    const { level, index, width } = tile;
    if (level === 'data') return this.#data(index, width, signal);
    const tree = await this.#treeWith(level, index, width);
    if (widthInTree(tree.size, level, index) < TILE_WIDTH) return edgeOf(tree, level).subarray(0, width * HASH_BYTES);
    return (await this.#full(tree, level, index, signal)).subarray(0, width * HASH_BYTES);
  }

  /** The root that the log had, or has, at this size. @throws {HubError} as {@link tile} */
  async rootAt(size: number, signal: AbortSignal): Promise<Buffer> {
    const edges: Buffer[] = [];
    for (const tile of edgeTiles(size)) edges.push(await this.tile(tile, signal));
    return rootFromEdges(size, edges);
  }

  stop(reason: Error): void {
    this.#flights.abortAll(reason);
  }

  /** A full tile of texts from the store, when it has the hashes of its proved tile; everything else out of the records, which nobody needs to prove. */
  async #data(index: number, width: number, signal: AbortSignal): Promise<Buffer> {
    const key = tileKey(this.#options.name, { level: 'data', index, width: TILE_WIDTH });
    const stored = await this.#readStored(key, dataBytesMax);
    if (stored === undefined) return this.#texts(index * TILE_WIDTH, width);
    const digest = hash('sha256', stored, 'base64');
    if (this.#digests.get(key) !== digest) {
      const hashes = await this.tile({ level: 0, index, width: TILE_WIDTH }, signal);
      if (!isDataOf(stored, TILE_WIDTH, hashes)) {
        await this.#mend(key, await this.#texts(index * TILE_WIDTH, TILE_WIDTH), 'it does not have the records of its tile of hashes');
        return this.#texts(index * TILE_WIDTH, width);
      }
      this.#digests.set(key, digest);
    }
    return width === TILE_WIDTH ? stored : firstRecords(stored, width);
  }

  /** The records' texts, each followed by a blank line: what a tile of level `data` holds. */
  async #texts(from: number, count: number): Promise<Buffer> {
    const records = await this.#options.metadata.ownRecords(this.#options.name, from, count);
    if (records.length !== count || records[0]?.id !== from)
      throw new HubError('storage-fault', `the log ${this.#options.name} lacks records from ${from} on: its metadata is damaged`);
    return Buffer.from(records.map((record) => `${formatChecksumRecord(record)}\n`).join(''));
  }

  /** A tree in which the tile is so wide. Full tiles are the same in all later trees, so that the one in memory will often do. */
  async #treeWith(level: number, index: number, width: number): Promise<OwnTree> {
    if (this.#tree !== undefined && widthInTree(this.#tree.size, level, index) >= width) return this.#tree;
    const { name, metadata } = this.#options;
    const tree = await metadata.ownTree(name);
    if (tree === undefined || widthInTree(tree.size, level, index) < width)
      throw new HubError('storage-fault', `the log ${name} has no tile ${formatTilePath({ level, index, width })} any more`);
    if (!rootFromEdges(tree.size, tree.edges).equals(Buffer.from(tree.root, 'base64')))
      throw new HubError('storage-fault', `the edges of the log ${name} do not make its root: its metadata is damaged`);
    this.#tree = tree;
    return tree;
  }

  #full(tree: OwnTree, level: number, index: number, signal: AbortSignal): Promise<Buffer> {
    const path = formatTilePath({ level, index, width: TILE_WIDTH });
    const proved = this.#proved.get(path);
    if (proved !== undefined) return Promise.resolve(proved);
    return this.#flights.do(
      path,
      async (inner) => {
        const bytes = await this.#prove(tree, level, index, inner);
        this.#proved.set(path, bytes);
        return bytes;
      },
      signal,
    );
  }

  async #prove(tree: OwnTree, level: number, index: number, signal: AbortSignal): Promise<Buffer> {
    const path = formatTilePath({ level, index, width: TILE_WIDTH });
    const stored = await this.#read(level, index);
    const digest = stored && hash('sha256', stored, 'base64');
    if (stored !== undefined && this.#digests.get(path) === digest) return stored;
    const parent = parentOf({ level, index });
    const above =
      widthInTree(tree.size, parent.level, parent.index) < TILE_WIDTH
        ? edgeOf(tree, parent.level)
        : await this.#full(tree, parent.level, parent.index, signal);
    const wanted = hashAt(above, parent.position);
    const isTrue = (bytes: Buffer): boolean => bytes.length === TILE_BYTES && subtreeHash(bytes).equals(wanted);
    const key = tileKey(this.#options.name, { level, index, width: TILE_WIDTH });
    if (stored !== undefined && digest !== undefined && isTrue(stored)) {
      this.#digests.set(path, digest);
      return stored;
    }
    let made = await this.#make(level, index, { trustTiles: true }, signal);
    if (!isTrue(made)) made = await this.#make(level, index, { trustTiles: false }, signal);
    if (!isTrue(made))
      throw new HubError(
        'storage-fault',
        `${key} is lost and cannot be made again: the records of ${this.#options.name} do not make its hashes`,
      );
    await this.#mend(key, made, stored && 'it does not combine to its entry in the tile above it');
    return made;
  }

  /** From the store, else from metadata; a tile that goes from the one to the other between the two looks is in the store then. */
  async #read(level: number, index: number): Promise<Buffer | undefined> {
    const { name, metadata } = this.#options;
    const key = tileKey(name, { level, index, width: TILE_WIDTH });
    const stored = await this.#readStored(key, TILE_BYTES);
    if (stored !== undefined) return stored;
    const waiting = await metadata.ownTile(name, level, index);
    return waiting === undefined ? this.#readStored(key, TILE_BYTES) : Buffer.from(waiting);
  }

  /** No bytes at all where the store cannot read what it has, or has more than a tile can have: nothing proves those. */
  async #readStored(key: BlobKey, sizeMaxBytes: number): Promise<Buffer | undefined> {
    try {
      return (await this.#options.store.readSmall(key, sizeMaxBytes))?.bytes;
    } catch (error) {
      this.#options.log.warn('a stored tile cannot be read', { key, reason: messageOf(error) });
      return Buffer.alloc(0);
    }
  }

  /** Out of the tiles below it, or of its records alone. Nothing of it is believed before it combines to its entry in the tile above. */
  async #make(level: number, index: number, options: { readonly trustTiles: boolean }, signal: AbortSignal): Promise<Buffer> {
    signal.throwIfAborted();
    const bytes = Buffer.allocUnsafe(TILE_BYTES);
    if (level === 0) {
      const records = await this.#options.metadata.ownRecords(this.#options.name, index * TILE_WIDTH, TILE_WIDTH);
      if (records.length !== TILE_WIDTH)
        throw new HubError('storage-fault', `the log ${this.#options.name} lacks records: its metadata is damaged`);
      for (const [position, record] of records.entries()) bytes.set(recordHash(formatChecksumRecord(record)), position * HASH_BYTES);
      return bytes;
    }
    for (let position = 0; position < TILE_WIDTH; position += 1) {
      const child = index * TILE_WIDTH + position;
      const stored = options.trustTiles ? await this.#read(level - 1, child) : undefined;
      const hashes = stored?.length === TILE_BYTES ? stored : await this.#make(level - 1, child, options, signal);
      bytes.set(subtreeHash(hashes), position * HASH_BYTES);
    }
    return bytes;
  }

  /** On a full disk the tile is made again at the next question; that is no reason not to answer this one. */
  async #mend(key: BlobKey, bytes: Buffer, reason: string | undefined): Promise<void> {
    const { store, events, log } = this.#options;
    try {
      if (reason !== undefined && (await store.setAside(key, reason))) events.fileSetAside({ key, reason });
      await store.put(key, bytes);
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      log.warn('a tile that was made again cannot be stored', { key, reason: error.message });
    }
  }
}

function edgeOf(tree: OwnTree, level: number): Buffer {
  const at = edgeTiles(tree.size).findIndex((tile) => tile.level === level);
  const bytes = tree.edges[at];
  invariant(bytes !== undefined, `a tree of ${tree.size} records has no edge at level ${level}`);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
