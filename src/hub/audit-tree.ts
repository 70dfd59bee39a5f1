import { HubError } from '../base/errors.ts';
import type { SignedTree } from '../protocol/checksum-record.ts';
import { type TileName, formatTilePath } from '../protocol/proxy-request.ts';
import { type HashTile, TILE_BYTES, TILE_WIDTH, edgeTiles, hashAt, parentOf, rootFromEdges, widthInTree } from '../protocol/tile.ts';
import { HASH_BYTES, leafHash, subtreeHash } from '../protocol/tree-hash.ts';
import { firstRecords, splitRecords } from './audit-records.ts';
import type { Findings } from './audit-findings.ts';
import type { LogAnswer, LogReader } from '../origin/log-reader.ts';

/** Of tiles that were proved, and of those fetched ahead. 8 KiB each. */
const TILES_KEPT_MAX = 64;

export interface AuditTreeParts {
  readonly head: SignedTree;
  readonly reader: LogReader;
  readonly findings: Findings;
  /** Whether tiles of records may be read, to make a bad tile of hashes again. */
  readonly readsRecords: boolean;
}

/**
 * The tiles of one signed tree, each compared with what stands above it, from the root down. What does not fit is a finding; then the tile is
 * computed from what lies below it, and when that fits, everything else can still be proved and only the one served tile is bad.
 */
export class AuditTree {
  readonly head: SignedTree;
  readonly #parts: AuditTreeParts;
  #edges = new Map<number, Buffer>();
  /** By path; undefined: it can neither be proved nor made again. Insertion order is order of use. */
  readonly #proved = new Map<string, Promise<Buffer | undefined>>();
  readonly #ahead = new Map<string, Promise<Buffer | undefined>>();
  #tilesRead = 0;

  private constructor(parts: AuditTreeParts) {
    this.head = parts.head;
    this.#parts = parts;
  }

  /** Undefined, with findings, when what is served does not make the signed root. */
  static async open(parts: AuditTreeParts, signal: AbortSignal): Promise<AuditTree | undefined> {
    const tree = new AuditTree(parts);
    return (await tree.#proveEdges(signal)) ? tree : undefined;
  }

  /** Tiles of hashes that came from the log. */
  get tilesRead(): number {
    return this.#tilesRead;
  }

  /** Begins to fetch a tile of hashes that will be wanted soon. */
  fetchAhead(index: number, signal: AbortSignal): void {
    const width = widthInTree(this.head.size, 0, index);
    if (width < TILE_WIDTH || this.#ahead.size >= TILES_KEPT_MAX) return;
    const tile = { level: 0, index, width };
    const served = this.#served(tile, signal);
    served.catch(() => {});
    this.#ahead.set(formatTilePath(tile), served);
  }

  /** The tile as wide as it is in this tree, which must have it; undefined when that cannot be known, for which there are findings. */
  async tile(level: number, index: number, signal: AbortSignal): Promise<Buffer | undefined> {
    const width = widthInTree(this.head.size, level, index);
    if (width < TILE_WIDTH) return this.#edges.get(level);
    const path = formatTilePath({ level, index, width });
    const known = this.#proved.get(path);
    if (known !== undefined) this.#proved.delete(path);
    const proved = known ?? this.#prove({ level, index, width }, signal);
    this.#proved.set(path, proved);
    if (this.#proved.size > TILES_KEPT_MAX) this.#proved.delete(this.#proved.keys().next().value ?? '');
    return proved;
  }

  /** The root of the tree when it had `size` records; undefined when that cannot be known. */
  async rootAt(size: number, signal: AbortSignal): Promise<Buffer | undefined> {
    const edges: Buffer[] = [];
    for (const { level, index } of edgeTiles(size)) {
      const bytes = await this.tile(level, index, signal);
      if (bytes === undefined) return undefined;
      edges.push(bytes);
    }
    return rootFromEdges(size, edges);
  }

  async #proveEdges(signal: AbortSignal): Promise<boolean> {
    const { head, findings } = this.#parts;
    const tiles = edgeTiles(head.size);
    const served = await Promise.all(tiles.map((tile) => this.#served(tile, signal)));
    const take = (edges: readonly (Buffer | undefined)[]): boolean => {
      const whole = edges.filter((bytes) => bytes !== undefined);
      if (whole.length < tiles.length || !rootFromEdges(head.size, whole).equals(head.root)) return false;
      this.#edges = new Map(tiles.map(({ level }, i) => [level, whole[i]!]));
      return true;
    };
    if (take(served)) return true;
    const made: (Buffer | undefined)[] = [];
    for (const [i, tile] of tiles.entries()) made.push((await this.#rebuild(tile, signal)) ?? served[i]);
    if (take(made)) {
      for (const [i, tile] of tiles.entries()) {
        if (served[i] !== undefined && !served[i].equals(made[i]!))
          findings.add('tile-mismatch', `${formatTilePath(tile)} is not what the tiles below it and the signed root make it`, {
            tile: formatTilePath(tile),
            served: base64(served[i]),
            computed: base64(made[i]!),
          });
      }
      return true;
    }
    const whole = served.filter((bytes) => bytes !== undefined);
    findings.add('root-mismatch', `the tiles at the edge of the tree of ${head.size} records do not combine to its signed root`, {
      note: head.note,
      ...(whole.length === tiles.length && { computedRoot: base64(rootFromEdges(head.size, whole)) }),
    });
    return false;
  }

  async #prove(tile: HashTile, signal: AbortSignal): Promise<Buffer | undefined> {
    const { findings } = this.#parts;
    const path = formatTilePath(tile);
    const above = parentOf(tile);
    const parent = await this.tile(above.level, above.index, signal);
    const ahead = this.#ahead.get(path);
    this.#ahead.delete(path);
    if (parent === undefined) return undefined;
    const expected = hashAt(parent, above.position);
    const served = await (ahead ?? this.#served(tile, signal));
    const found = served && subtreeHash(served);
    if (served !== undefined && found?.equals(expected) === true) return served;
    if (found !== undefined)
      findings.add('tile-mismatch', `${path} does not combine to its entry in the tile above it`, {
        tile: path,
        expected: base64(expected),
        computed: base64(found),
      });
    const made = await this.#rebuild(tile, signal);
    if (made !== undefined && subtreeHash(made).equals(expected)) return made;
    const records = TILE_WIDTH ** (tile.level + 1);
    const [from, to] = [tile.index * records, (tile.index + 1) * records - 1];
    findings.add('records-unproved', `nothing can be said about records ${from} to ${to}`, { from, to });
    return undefined;
  }

  /** A tile made of what the log serves below it, believed by nobody yet. */
  async #rebuild({ level, index, width }: HashTile, signal: AbortSignal): Promise<Buffer | undefined> {
    const hashes: Buffer[] = [];
    if (level === 0) {
      if (!this.#parts.readsRecords) return undefined;
      const data = await readTile(this.#parts.reader, { level: 'data', index, width }, signal);
      const records = data.kind === 'found' ? splitRecords(data.bytes).records : [];
      for (const record of records.slice(0, width)) hashes.push(leafHash(record));
      return hashes.length === width ? Buffer.concat(hashes) : undefined;
    }
    for (let i = 0; i < width; i += 1) {
      const below = await readTile(this.#parts.reader, { level: level - 1, index: index * TILE_WIDTH + i, width: TILE_WIDTH }, signal);
      if (below.kind !== 'found' || below.bytes.length !== TILE_BYTES) return undefined;
      hashes.push(subtreeHash(below.bytes));
    }
    return Buffer.concat(hashes);
  }

  /** What the log serves, of the right length; undefined, with a finding, when it does not. */
  async #served(tile: HashTile, signal: AbortSignal): Promise<Buffer | undefined> {
    const { reader, findings } = this.#parts;
    const path = formatTilePath(tile);
    const answer = await readTile(reader, tile, signal);
    if (answer.kind === 'refused') throw new HubError('policy-denied', `${path} of ${reader.origin} is not given to us (${answer.status})`);
    if (answer.kind === 'absent') {
      findings.add('tile-missing', `the log has no ${path}, which its signed tree has`, { tile: path });
      return undefined;
    }
    this.#tilesRead += 1;
    const { bytes } = answer;
    if (bytes.length === tile.width * HASH_BYTES) return bytes;
    findings.add('tile-length', `${path} has ${bytes.length} bytes, not ${tile.width * HASH_BYTES}`, { tile: path, bytes: bytes.length });
    return undefined;
  }
}

/** A tile, where need be out of the full one: logs may drop partial tiles that have become full. */
export async function readTile(reader: LogReader, tile: TileName, signal: AbortSignal): Promise<LogAnswer> {
  const exact = await reader.tile(tile, signal);
  if (exact.kind !== 'absent' || tile.width === TILE_WIDTH) return exact;
  const full = await reader.tile({ ...tile, width: TILE_WIDTH }, signal);
  if (full.kind !== 'found') return full;
  const { bytes } = full;
  return { kind: 'found', bytes: tile.level === 'data' ? firstRecords(bytes, tile.width) : bytes.subarray(0, tile.width * HASH_BYTES) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
