import { HubError } from '../base/errors.ts';
import { SingleFlight } from '../base/single-flight.ts';
import { firstRecords, isDataOf } from '../protocol/data-tile.ts';
import { tileKey } from '../protocol/layout.ts';
import { type TileName, formatTilePath } from '../protocol/proxy-request.ts';
import { TILE_WIDTH, widthInTree } from '../protocol/tile.ts';
import type { Effort, Runner } from './checksum-race.ts';
import type { TileSource } from './checksum-tiles.ts';
import type { ProvedTree } from './checksum-tree.ts';

/** Texts of 256 records; those of the public database have some 50 KiB. */
const DATA_TILE_BYTES_MAX = 1024 * 1024;

interface DataTileName extends TileName {
  readonly level: 'data';
}

/**
 * Tiles of level `data`: the texts of up to 256 records, each followed by a blank line, for whoever audits the log. They are relayed when
 * every text hashes to its entry in the proved tile of level 0, and stored when full. Many mirrors have none.
 */
export class DataTiles {
  readonly #database: string;
  readonly #source: TileSource;
  readonly #flights = new SingleFlight<Buffer | undefined>();

  constructor(database: string, source: TileSource) {
    this.#database = database;
    this.#source = source;
  }

  /** The tile, which must be in the tree; undefined when no transport has it. @throws {HubError} log-invalid, not-cached, database-unavailable, origin-timeout */
  tile(
    wanted: { readonly index: number; readonly width: number },
    tree: ProvedTree,
    effort: Effort,
    signal: AbortSignal,
  ): Promise<Buffer | undefined> {
    const tile = { level: 'data', index: wanted.index, width: wanted.width } as const;
    return this.#flights.do(`${formatTilePath(tile)} ${effort.online}`, (inner) => this.#load(tile, tree, effort, inner), signal);
  }

  async #load(tile: DataTileName, tree: ProvedTree, effort: Effort, signal: AbortSignal): Promise<Buffer | undefined> {
    const hashes = await tree.tile({ level: 0, index: tile.index }, effort, signal);
    const isFull = widthInTree(tree.head.size, 0, tile.index) === TILE_WIDTH;
    const stored = isFull ? await this.#recall({ ...tile, width: TILE_WIDTH }, hashes) : undefined;
    if (stored !== undefined) return firstRecords(stored, tile.width);
    const attempt = async (runner: Runner): Promise<Buffer | undefined> => {
      const bytes = await runner.get(formatTilePath(tile), DATA_TILE_BYTES_MAX);
      if (bytes !== undefined && !isDataOf(bytes, tile.width, hashes)) {
        throw new HubError('log-invalid', `${formatTilePath(tile)} does not have the records of its tile of hashes`);
      }
      return bytes;
    };
    const bytes = await this.#source.race.run(formatTilePath(tile), effort, attempt, signal);
    if (bytes !== undefined && tile.width === TILE_WIDTH) {
      await this.#source.tolerate('store a tile of records', () => this.#source.persist(tile, bytes));
    }
    return bytes;
  }

  async #recall(tile: DataTileName, hashes: Buffer): Promise<Buffer | undefined> {
    const stored = await this.#source.read(tileKey(this.#database, tile), DATA_TILE_BYTES_MAX);
    if (stored === undefined || isDataOf(stored, tile.width, hashes)) return stored;
    await this.#source.setAside(tile, 'it does not have the records of its tile of hashes');
    return undefined;
  }
}
