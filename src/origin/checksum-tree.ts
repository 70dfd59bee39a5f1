import { HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { SignedTree } from '../protocol/checksum-record.ts';
import { formatTilePath } from '../protocol/proxy-request.ts';
import { type HashTile, TILE_WIDTH, edgeTiles, hashAt, parentOf, rootFromEdges, tileOfRecord, widthInTree } from '../protocol/tile.ts';
import { subtreeHash } from '../protocol/tree-hash.ts';
import type { Effort, Runner } from './checksum-race.ts';
import type { TileSource } from './checksum-tiles.ts';

/** Full tiles by their path. */
export interface TileMap {
  get(path: string): Buffer | undefined;
  set(path: string, bytes: Buffer): unknown;
}

export interface ProvedTile {
  readonly tile: HashTile;
  readonly bytes: Buffer;
}

interface TreeParts {
  readonly head: SignedTree;
  /** Bytes of the edge of each level that has one. */
  readonly edges: ReadonlyMap<number, Buffer>;
  readonly source: TileSource;
  /** Full tiles proved under this tree, or under one that this tree is known to continue. */
  readonly believed: TileMap;
  /** Called with every full tile that came from a transport, once it is proved. */
  readonly keep: (tile: ProvedTile) => Promise<void>;
}

/**
 * One signed tree and whatever of it has been proved. The root proves the edges together; every other tile is believed when its hashes
 * combine to the entry in its parent, proved before it (no tile is ever left out of that: CVE-2026-56865). Tiles and their parents are
 * fetched at the same time, and the same tile once for all who wait for it.
 */
export class ProvedTree {
  readonly head: SignedTree;
  readonly #parts: TreeParts;
  readonly #flights = new SingleFlight<Buffer>();

  constructor(parts: TreeParts) {
    this.head = parts.head;
    this.#parts = parts;
  }

  get edges(): readonly ProvedTile[] {
    return edgeTiles(this.head.size).map((tile) => ({ tile, bytes: this.#edge(tile.level) }));
  }

  /** The same tree with its full tiles kept elsewhere. */
  withTiles(parts: Pick<TreeParts, 'believed' | 'keep'>): ProvedTree {
    const { head, edges, source } = this.#parts;
    return new ProvedTree({ head, edges, source, ...parts });
  }

  /** The hash of a record, which must be in the tree. */
  async leaf(recordId: number, effort: Effort, signal: AbortSignal): Promise<Uint8Array> {
    const { index, position } = tileOfRecord(recordId);
    return hashAt(await this.tile({ level: 0, index }, effort, signal), position);
  }

  /** The root that this tree had when it was `size` records large, `size` being at most its own. */
  async rootAt(size: number, effort: Effort, signal: AbortSignal): Promise<Buffer> {
    const edges = await Promise.all(edgeTiles(size).map((tile) => this.tile(tile, effort, signal)));
    return rootFromEdges(size, edges);
  }

  /**
   * A tile as wide as it is in this tree, which must have it.
   * @throws {HubError} log-invalid, not-cached, database-unavailable, origin-timeout, or the signal's reason
   */
  async tile({ level, index }: { readonly level: number; readonly index: number }, effort: Effort, signal: AbortSignal): Promise<Buffer> {
    const width = widthInTree(this.head.size, level, index);
    invariant(width > 0, `a tree of ${this.head.size} records has no tile ${index} of level ${level}`);
    if (width < TILE_WIDTH) return this.#edge(level);
    const path = formatTilePath({ level, index, width });
    const believed = this.#parts.believed.get(path);
    if (believed !== undefined) return believed;
    return this.#flights.do(`${path} ${effort.online}`, (inner) => this.#prove({ level, index, width }, effort, inner), signal);
  }

  async #prove(tile: HashTile, effort: Effort, signal: AbortSignal): Promise<Buffer> {
    const { source, believed, keep } = this.#parts;
    const path = formatTilePath(tile);
    const parent = parentOf(tile);
    // Without a proved parent there is nothing to compare with: the search for this tile ends with it.
    const orphaned = new AbortController();
    const expected = this.tile(parent, effort, signal).then((bytes) => hashAt(bytes, parent.position));
    expected.catch((error: unknown) => orphaned.abort(error));
    const isProved = async (bytes: Buffer): Promise<boolean> => subtreeHash(bytes).equals(await expected);

    const known = await this.#recall(tile, isProved);
    if (known !== undefined) {
      believed.set(path, known);
      return known;
    }
    const attempt = async (runner: Runner): Promise<Buffer> => {
      const bytes = await source.fetch(runner, tile);
      if (!(await isProved(bytes))) throw new HubError('log-invalid', `${path} does not combine to its entry in the proved tile above it`);
      return bytes;
    };
    const bytes = await source.race.run(path, effort, attempt, AbortSignal.any([signal, orphaned.signal]));
    invariant(bytes !== undefined, 'a tile is never absent: what a transport lacks is its fault');
    await keep({ tile, bytes });
    believed.set(path, bytes);
    return bytes;
  }

  async #recall(tile: HashTile, isProved: (bytes: Buffer) => Promise<boolean>): Promise<Buffer | undefined> {
    const stored = await this.#parts.source.recall(tile);
    if (stored === undefined || (await isProved(stored))) return stored;
    await this.#parts.source.setAside(tile, 'it does not combine to its entry in the proved tile above it');
    return undefined;
  }

  #edge(level: number): Buffer {
    const bytes = this.#parts.edges.get(level);
    invariant(bytes !== undefined, `a tree of ${this.head.size} records has no edge at level ${level}`);
    return bytes;
  }
}

/**
 * Proves the edges of a signed tree by its root: those that are known already (bytes nobody vouches for) and the rest from one transport
 * after the other.
 * @throws {HubError} log-invalid, not-cached, database-unavailable, origin-timeout, or the signal's reason
 */
export async function proveTree(
  parts: Omit<TreeParts, 'edges'> & { readonly known?: (tile: HashTile) => Buffer | undefined },
  effort: Effort,
  signal: AbortSignal,
): Promise<ProvedTree> {
  const { head, source } = parts;
  const tiles = edgeTiles(head.size);
  const known = await Promise.all(tiles.map(async (tile) => parts.known?.(tile) ?? (await source.recall(tile))));
  const isProved = (edges: readonly (Buffer | undefined)[]): edges is Buffer[] =>
    edges.every((bytes) => bytes !== undefined) && rootFromEdges(head.size, edges).equals(head.root);
  const attempt = async (runner: Runner): Promise<Buffer[]> => {
    const mixed = await Promise.all(tiles.map(async (tile, i) => known[i] ?? source.fetch(runner, tile)));
    if (isProved(mixed)) return mixed;
    // The fault may lie in what was known, so that the transport is blamed only for what it gives alone.
    const own = await Promise.all(tiles.map(async (tile, i) => (known[i] === undefined ? mixed[i] : source.fetch(runner, tile))));
    if (isProved(own)) return own;
    throw new HubError('log-invalid', `the tiles at the edge of the tree of ${head.size} records do not combine to its signed root`);
  };
  const edges = isProved(known) ? known : await source.race.run(`the tree of ${head.size} records`, effort, attempt, signal);
  invariant(edges !== undefined, 'a tile is never absent: what a transport lacks is its fault');
  return new ProvedTree({ ...parts, edges: new Map(tiles.map(({ level }, i) => [level, edges[i]!])) });
}
