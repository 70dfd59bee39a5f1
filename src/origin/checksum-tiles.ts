import type { BlobKey } from '../base/blob-key.ts';
import { HubError, codeOf, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import { ownBytes } from '../base/own-bytes.ts';
import { tileKey } from '../protocol/layout.ts';
import { type TileName, formatTilePath } from '../protocol/proxy-request.ts';
import { type HashTile, TILE_BYTES, TILE_WIDTH } from '../protocol/tile.ts';
import { HASH_BYTES } from '../protocol/tree-hash.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Runner, TransportRace } from './checksum-race.ts';

/**
 * Where the bytes of tiles and records lie: the store and the transports. Nothing read here is believed before a signed root reaches it, and
 * the store is a convenience: when it cannot be read or written, answers still come from the transports.
 */
export class TileSource {
  readonly race: TransportRace;
  readonly #database: string;
  readonly #store: BlobStore;
  readonly #events: Events;
  readonly #log: Log;

  constructor(options: { database: string; store: BlobStore; race: TransportRace; events: Events; log: Log }) {
    this.#database = options.database;
    this.#store = options.store;
    this.race = options.race;
    this.#events = options.events;
    this.#log = options.log;
  }

  /** A stored tile of exactly this width, cut from the full one if need be. */
  async recall(tile: HashTile): Promise<Buffer | undefined> {
    const sizeBytes = tile.width * HASH_BYTES;
    const exact = await this.read(tileKey(this.#database, tile), TILE_BYTES);
    if (exact?.length === sizeBytes) return ownBytes(exact);
    if (exact !== undefined) await this.setAside(tile, `a tile of width ${tile.width} cannot have ${exact.length} bytes`);
    if (tile.width === TILE_WIDTH) return undefined;
    const full = await this.read(tileKey(this.#database, { ...tile, width: TILE_WIDTH }), TILE_BYTES);
    return full?.length === TILE_BYTES ? ownBytes(full.subarray(0, sizeBytes)) : undefined;
  }

  /** A tile from one transport, of the right length. A mirror that no longer has the partial tile is asked for the full one. @throws {HubError} as `Runner.get`; log-invalid */
  async fetch(runner: Runner, tile: HashTile): Promise<Buffer> {
    const sizeBytes = tile.width * HASH_BYTES;
    let body = await runner.get(formatTilePath(tile), TILE_BYTES);
    if (body === undefined && tile.width < TILE_WIDTH) {
      const full = await runner.get(formatTilePath({ ...tile, width: TILE_WIDTH }), TILE_BYTES);
      if (full?.length === TILE_BYTES) body = full.subarray(0, sizeBytes);
    }
    if (body === undefined) throw new HubError('origin-unavailable', `${runner.origin} has no ${formatTilePath(tile)}`);
    if (body.length !== sizeBytes) throw new HubError('log-invalid', `${formatTilePath(tile)} has ${body.length} bytes, not ${sizeBytes}`);
    // So that a tile kept in memory does not hold on to the buffer of a connection either.
    return ownBytes(body);
  }

  /** Stores a proved tile. @throws {HubError} storage-full, storage-fault */
  async persist(tile: TileName, bytes: Uint8Array): Promise<void> {
    const key = tileKey(this.#database, tile);
    try {
      await this.#store.put(key, bytes);
    } catch (error) {
      if (codeOf(error) !== 'storage-fault') throw error;
      // Other bytes are in the way: these are proved, those cannot be.
      await this.setAside(tile, 'it differs from the tile that the signed tree has');
      await this.#store.put(key, bytes);
    }
  }

  /** Takes a stored tile that does not verify out of the way. */
  async setAside(tile: TileName, reason: string): Promise<void> {
    await this.setAsideKey(tileKey(this.#database, tile), reason);
  }

  async setAsideKey(key: BlobKey, reason: string): Promise<void> {
    await this.tolerate(`set aside ${key}`, async () => {
      if (await this.#store.setAside(key, reason)) this.#events.fileSetAside({ key, reason });
    });
  }

  /** The stored bytes; undefined as well when the store cannot be read or the file is longer. */
  async read(key: BlobKey, sizeMaxBytes: number): Promise<Buffer | undefined> {
    try {
      return (await this.#store.readSmall(key, sizeMaxBytes))?.bytes;
    } catch (error) {
      this.#log.warn('a stored file of a checksum database cannot be read', { key, reason: messageOf(error) });
      return undefined;
    }
  }

  /** @throws {HubError} storage-full, storage-fault */
  async replace(key: BlobKey, bytes: Uint8Array): Promise<void> {
    await this.#store.replace(key, bytes);
  }

  /** Work on the store whose failure costs no answer: what is proved is served even when it cannot be kept. */
  async tolerate(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof HubError)) throw error;
      this.#log.warn('the store does not take what a checksum database proved', { what, reason: error.message });
      this.#events.storageDegraded({ reason: error.message });
    }
  }
}
