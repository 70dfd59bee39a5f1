import { HubError } from '../base/errors.ts';
import { openChecksumRecord, parseLookupAnswer, recordHash, type SignedTree } from '../protocol/checksum-record.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { formatTilePath } from '../protocol/proxy-request.ts';
import { edgeTiles, hashAt, type HashTile, parentOf, rootFromEdges, TILE_WIDTH, tileOfRecord, widthInTree } from '../protocol/tile.ts';
import { HASH_BYTES, subtreeHash } from '../protocol/tree-hash.ts';
import type { Version } from '../protocol/version.ts';

/** A record whose place in the signed tree is proved. */
export interface CarriedRecord {
  readonly recordId: number;
  readonly text: string;
  readonly zipHash: string;
  readonly modHash: string;
}

/** The bytes of a tile, from wherever; undefined when nobody has it. */
export type TileReader = (tile: HashTile) => Promise<Buffer | undefined>;

/**
 * The tree of a checksum database that one signed note names, as far as tiles of it are at hand. The root proves the edges, and every other tile is believed
 * when its hashes combine to the entry in its parent, proved before it.
 */
export class CarriedLog {
  readonly head: SignedTree;
  readonly #read: TileReader;
  readonly #proved = new Map<string, Promise<Buffer>>();
  #edges: Promise<ReadonlyMap<number, Buffer>> | undefined;

  constructor(head: SignedTree, read: TileReader) {
    this.head = head;
    this.#read = read;
  }

  /** @throws {HubError} log-invalid when the answer is no record of the version, or the record is not in the tree */
  async prove(answer: Uint8Array, module: ModulePath, version: Version): Promise<CarriedRecord> {
    const name = `${module}@${version}`;
    const lookup = parseLookupAnswer(answer);
    if (!lookup.ok) throw new HubError('log-invalid', `the record of ${name} cannot be read: ${lookup.reason}`);
    const { recordId, text } = lookup.value;
    const record = openChecksumRecord(text);
    if (!record.ok || record.value.module !== module || record.value.version !== version)
      throw new HubError('log-invalid', `what stands for the record of ${name} is another`);
    if (recordId >= this.head.size)
      throw new HubError('log-invalid', `the record of ${name} has the number ${recordId}, beyond the tree of ${this.head.size} records`);
    const { index, position } = tileOfRecord(recordId);
    if (!recordHash(text).equals(hashAt(await this.tile(0, index), position)))
      throw new HubError('log-invalid', `the record of ${name} is not number ${recordId} of the signed tree`);
    const { zipHash, modHash } = record.value;
    return { recordId, text, zipHash, modHash };
  }

  /** The root of the tree when it had `size` records. */
  async rootAt(size: number): Promise<Buffer> {
    if (size === this.head.size) return this.head.root;
    return rootFromEdges(size, await Promise.all(edgeTiles(size).map(({ level, index }) => this.tile(level, index))));
  }

  /** As wide as it is in this tree. @throws {HubError} log-invalid */
  tile(level: number, index: number): Promise<Buffer> {
    const name = `${level} ${index}`;
    let proving = this.#proved.get(name);
    if (proving === undefined) {
      proving = this.#prove({ level, index, width: widthInTree(this.head.size, level, index) });
      // Whoever asked first hears of a failure; others ask for the same promise.
      proving.catch(() => {});
      this.#proved.set(name, proving);
    }
    return proving;
  }

  /** All tiles that were proved so far, in no order. */
  async proved(): Promise<readonly { readonly tile: HashTile; readonly bytes: Buffer }[]> {
    return Promise.all(
      [...this.#proved].map(async ([name, bytes]) => {
        const [level = 0, index = 0] = name.split(' ').map(Number);
        return { tile: { level, index, width: widthInTree(this.head.size, level, index) }, bytes: await bytes };
      }),
    );
  }

  async #prove(tile: HashTile): Promise<Buffer> {
    if (tile.width < TILE_WIDTH) {
      this.#edges ??= this.#proveEdges();
      const edge = (await this.#edges).get(tile.level);
      if (edge === undefined) throw new HubError('log-invalid', `the tree of ${this.head.size} records has no ${formatTilePath(tile)}`);
      return edge;
    }
    const parent = parentOf(tile);
    const [bytes, above] = await Promise.all([this.#take(tile), this.tile(parent.level, parent.index)]);
    if (!subtreeHash(bytes).equals(hashAt(above, parent.position)))
      throw new HubError('log-invalid', `${formatTilePath(tile)} does not combine to its entry in the tile above it`);
    return bytes;
  }

  async #proveEdges(): Promise<ReadonlyMap<number, Buffer>> {
    const tiles = edgeTiles(this.head.size);
    const edges = await Promise.all(tiles.map((tile) => this.#take(tile)));
    if (!rootFromEdges(this.head.size, edges).equals(this.head.root))
      throw new HubError('log-invalid', `the edge of the tree of ${this.head.size} records does not combine to its signed root`);
    return new Map(tiles.map(({ level }, i) => [level, edges[i] as Buffer]));
  }

  async #take(tile: HashTile): Promise<Buffer> {
    const bytes = await this.#read(tile);
    if (bytes?.length === tile.width * HASH_BYTES) return bytes;
    const why = bytes === undefined ? 'is not there' : `has ${bytes.length} bytes`;
    throw new HubError('log-invalid', `${formatTilePath(tile)}, which a proof needs, ${why}`);
  }
}

/** Proves the edges as well, so that what was proved can stand for itself. */
export async function proveWholeEdge(log: CarriedLog): Promise<void> {
  await Promise.all(edgeTiles(log.head.size).map(({ level, index }) => log.tile(level, index)));
}
