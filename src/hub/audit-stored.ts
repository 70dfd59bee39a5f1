import { HubError } from '../base/errors.ts';
import {
  type SignedTree,
  LOOKUP_BYTES_MAX,
  openTreeNote,
  parseChecksumRecord,
  parseLookupAnswer,
  recordHash,
} from '../protocol/checksum-record.ts';
import { latestKey, lookupKey, parseLookupKey, parseTileKey, sumdbFolder, tileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { type VerifierKey, decodeUtf8 } from '../protocol/note.ts';
import { type TileName, formatTilePath } from '../protocol/proxy-request.ts';
import { TILE_BYTES, TILE_WIDTH, edgeTiles, hashAt, parentOf, rootFromEdges, tileOfRecord, widthInTree } from '../protocol/tile.ts';
import { HASH_BYTES, subtreeHash } from '../protocol/tree-hash.ts';
import type { Version } from '../protocol/version.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { type Finding, Findings, clippedText } from './audit-findings.ts';
import { type NameIndex, auditDataTile } from './audit-records.ts';

/** With the long signatures of many witnesses. */
const LATEST_BYTES_MAX = 64 * 1024;
const DATA_TILE_BYTES_MAX = 4 * 1024 * 1024;
const TILES_KEPT_MAX = 256;

export interface StoredAuditRequest {
  readonly store: Pick<BlobStore, 'keys' | 'readSmall'>;
  readonly database: string;
  readonly key: VerifierKey;
  /** Called with the number of files looked at. */
  readonly onProgress: (files: number) => void;
}

export interface StoredAuditReport {
  readonly treeSize: number;
  readonly root: string;
  readonly note: string;
  readonly hashTiles: number;
  readonly dataTiles: number;
  readonly lookups: number;
  readonly findings: readonly Finding[];
  readonly findingCount: number;
}

/**
 * Verifies what a store has of a checksum database, with nothing but the database's key: the newest note, each tile up to its root, the record of
 * each look-up in its place. Nothing is asked of anybody.
 * @throws {HubError} not-found when there is no newest note; storage-fault; the signal's reason
 */
export async function auditStored(request: StoredAuditRequest, signal: AbortSignal): Promise<StoredAuditReport> {
  const audit = new StoredAudit(request, signal);
  return audit.run();
}

class StoredAudit {
  readonly #request: StoredAuditRequest;
  readonly #signal: AbortSignal;
  readonly #findings = new Findings();
  /** Of notes that were found to be of the same log: most look-ups have one of a few. */
  readonly #compared = new Set<string>();
  #files = 0;
  readonly #counts = { hashTiles: 0, dataTiles: 0, lookups: 0 };

  constructor(request: StoredAuditRequest, signal: AbortSignal) {
    this.#request = request;
    this.#signal = signal;
  }

  async run(): Promise<StoredAuditReport> {
    const { store, database, key } = this.#request;
    const bytes = await this.#read(latestKey(database), LATEST_BYTES_MAX);
    if (bytes === undefined) throw new HubError('not-found', `nothing of ${database} is stored: there is no ${latestKey(database)}`);
    const head = openTreeNote(decodeUtf8(bytes) ?? '', key);
    if (!head.ok) {
      this.#findings.add('note-invalid', `the newest stored note is refused: ${head.reason}`, { note: clippedText(bytes.toString()) });
      return this.#report({ size: 0, root: Buffer.alloc(0), note: '' });
    }
    let tree = await this.#openTree(head.value);
    if (tree === undefined) {
      this.#findings.add(
        'root-mismatch',
        `the stored tiles at the edge of the tree of ${head.value.size} records do not make its signed root`,
        {
          note: head.value.note,
        },
      );
      return this.#report(head.value);
    }
    // Look-ups first: one of them may have a newer tree than the file `latest`, if a hub was killed between writing the two.
    for await (const stored of store.keys(sumdbFolder(database))) {
      const name = parseLookupKey(database, stored);
      if (name !== undefined) tree = await this.#auditLookup(name, tree);
    }
    for await (const stored of store.keys(sumdbFolder(database))) {
      const tile = parseTileKey(database, stored);
      if (tile !== undefined) await this.#auditTile(tile, tree);
    }
    return this.#report(tree.head);
  }

  #report({ size, root, note }: SignedTree): StoredAuditReport {
    const { list, count } = this.#findings;
    return { treeSize: size, root: root.toString('base64'), note, ...this.#counts, findings: list, findingCount: count };
  }

  #openTree(head: SignedTree): Promise<StoredTree | undefined> {
    const read = (tile: TileName): Promise<Buffer | undefined> => this.#read(tileKey(this.#request.database, tile), TILE_BYTES);
    return StoredTree.open(head, read, this.#findings);
  }

  /** Answers the tree to go on with: that of the look-up's own note when it is newer. */
  async #auditLookup({ module, version }: { module: ModulePath; version: Version }, tree: StoredTree): Promise<StoredTree> {
    const { database, key } = this.#request;
    const what = `the stored look-up of ${module}@${version}`;
    this.#step('lookups');
    const body = await this.#read(lookupKey(database, module, version), LOOKUP_BYTES_MAX);
    if (body === undefined) return tree;
    const refuse = (reason: string): StoredTree => {
      this.#findings.add('lookup-malformed', `${what} is refused: ${reason}`, {
        lookup: `${module}@${version}`,
        answer: clippedText(body.toString()),
      });
      return tree;
    };
    const answer = parseLookupAnswer(body);
    if (!answer.ok) return refuse(answer.reason);
    const { recordId, text, note } = answer.value;
    const record = parseChecksumRecord(text, module, version);
    if (!record.ok) return refuse(record.reason);
    const signed = openTreeNote(note, key);
    if (!signed.ok) return refuse(signed.reason);
    if (recordId >= signed.value.size) return refuse(`its tree of ${signed.value.size} records has no record ${recordId}`);
    const next = await this.#follow(signed.value, tree, what);
    const { index, position } = tileOfRecord(recordId);
    const hashes = recordId < next.head.size ? await next.tile(0, index) : undefined;
    if (hashes === undefined)
      this.#findings.add('tile-unproved', `${what} cannot be compared with the tree: its tile is not stored`, { record: recordId });
    else if (!recordHash(text).equals(hashAt(hashes, position)))
      this.#findings.add('lookup-mismatch', `${what} is not record ${recordId} of the tree`, {
        lookup: `${module}@${version}`,
        record: recordId,
        text,
        expected: Buffer.from(hashAt(hashes, position)).toString('base64'),
        computed: recordHash(text).toString('base64'),
      });
    return next;
  }

  /** Whether both trees are one log; the larger of the two, as far as it is stored. */
  async #follow(note: SignedTree, tree: StoredTree, what: string): Promise<StoredTree> {
    const mark = `${note.size} ${note.root.toString('base64')}`;
    if (this.#compared.has(mark)) return tree;
    const isNewer = note.size > tree.head.size;
    const larger = isNewer ? await this.#openTree(note) : tree;
    const smaller = isNewer ? tree.head : note;
    const root = await larger?.rootAt(smaller.size);
    if (larger === undefined || root === undefined) {
      this.#findings.add(
        'tile-unproved',
        `the tree of ${note.size} records that ${what} names cannot be compared: its tiles are not stored`,
        {
          note: note.note,
        },
      );
    } else if (!root.equals(smaller.root)) {
      this.#findings.add('fork', `the signed tree of ${note.size} records that ${what} names contradicts that of ${tree.head.size}`, {
        earlierNote: tree.head.note,
        note: note.note,
      });
      return tree;
    }
    this.#compared.add(mark);
    return larger ?? tree;
  }

  async #auditTile(tile: TileName, tree: StoredTree): Promise<void> {
    const { level, index, width } = tile;
    const path = formatTilePath(tile);
    const isData = level === 'data';
    this.#step(isData ? 'dataTiles' : 'hashTiles');
    const stored = await this.#read(tileKey(this.#request.database, tile), isData ? DATA_TILE_BYTES_MAX : TILE_BYTES);
    if (stored === undefined) return;
    const inTree = widthInTree(tree.head.size, isData ? 0 : level, index);
    const proved = inTree < width ? undefined : await tree.tile(isData ? 0 : level, index);
    if (proved === undefined) {
      if (!tree.isKnownBad(path))
        this.#findings.add('tile-unproved', `${path} cannot be compared with the tree of ${tree.head.size} records`, { tile: path });
    } else if (isData) {
      await auditDataTile({ index, width, bytes: stored, hashes: proved, from: 0 }, noNames, this.#findings);
    } else if (!stored.equals(proved.subarray(0, width * HASH_BYTES))) {
      this.#findings.add('tile-mismatch', `${path} is not what the tree has there`, {
        tile: path,
        stored: stored.toString('base64'),
        expected: proved.toString('base64', 0, width * HASH_BYTES),
      });
    }
  }

  #step(kind: 'hashTiles' | 'dataTiles' | 'lookups'): void {
    this.#signal.throwIfAborted();
    this.#counts[kind] += 1;
    this.#files += 1;
    this.#request.onProgress(this.#files);
  }

  async #read(key: Parameters<BlobStore['readSmall']>[0], sizeMaxBytes: number): Promise<Buffer | undefined> {
    return (await this.#request.store.readSmall(key, sizeMaxBytes))?.bytes;
  }
}

/** The look-ups are by name already. */
const noNames: NameIndex = {
  add: () => {},
  async *repeats() {},
};

/** The stored tiles of one signed tree, each believed under the one above it. */
class StoredTree {
  readonly head: SignedTree;
  readonly #read: (tile: TileName) => Promise<Buffer | undefined>;
  readonly #findings: Findings;
  readonly #edges: ReadonlyMap<number, Buffer>;
  /** Insertion order is order of use. */
  readonly #proved = new Map<string, Buffer>();
  /** As many as there are findings, and no more are kept than are told. */
  readonly #bad = new Set<string>();

  private constructor(
    head: SignedTree,
    parts: { read: (tile: TileName) => Promise<Buffer | undefined>; findings: Findings; edges: ReadonlyMap<number, Buffer> },
  ) {
    this.head = head;
    this.#read = parts.read;
    this.#findings = parts.findings;
    this.#edges = parts.edges;
  }

  static async open(
    head: SignedTree,
    read: (tile: TileName) => Promise<Buffer | undefined>,
    findings: Findings,
  ): Promise<StoredTree | undefined> {
    const tiles = edgeTiles(head.size);
    const edges = new Map<number, Buffer>();
    for (const tile of tiles) {
      const bytes = (await read(tile)) ?? (await read({ ...tile, width: TILE_WIDTH }));
      if (bytes === undefined || bytes.length < tile.width * HASH_BYTES) return undefined;
      edges.set(tile.level, bytes.subarray(0, tile.width * HASH_BYTES));
    }
    return rootFromEdges(head.size, [...edges.values()]).equals(head.root) ? new StoredTree(head, { read, findings, edges }) : undefined;
  }

  /** As wide as it is in this tree, which must have it; undefined when it or something above it is not stored, or is bad. */
  async tile(level: number, index: number): Promise<Buffer | undefined> {
    const width = widthInTree(this.head.size, level, index);
    if (width < TILE_WIDTH) return this.#edges.get(level);
    const path = formatTilePath({ level, index, width });
    const known = this.#proved.get(path);
    if (known !== undefined) {
      this.#proved.delete(path);
      this.#proved.set(path, known);
      return known;
    }
    const above = parentOf({ level, index });
    const parent = await this.tile(above.level, above.index);
    const bytes = parent === undefined || this.#bad.has(path) ? undefined : await this.#read({ level, index, width });
    if (bytes === undefined || parent === undefined) return undefined;
    const expected = hashAt(parent, above.position);
    if (bytes.length !== TILE_BYTES || !subtreeHash(bytes).equals(expected)) {
      this.#bad.add(path);
      this.#findings.add('tile-mismatch', `${path} does not combine to its entry in the tile above it`, {
        tile: path,
        expected: Buffer.from(expected).toString('base64'),
        bytes: bytes.length,
      });
      return undefined;
    }
    this.#proved.set(path, bytes);
    if (this.#proved.size > TILES_KEPT_MAX) this.#proved.delete(this.#proved.keys().next().value ?? '');
    return bytes;
  }

  isKnownBad(path: string): boolean {
    return this.#bad.has(path);
  }

  async rootAt(size: number): Promise<Buffer | undefined> {
    const edges: Buffer[] = [];
    for (const { level, index } of edgeTiles(size)) {
      const bytes = await this.tile(level, index);
      if (bytes === undefined) return undefined;
      edges.push(bytes);
    }
    return rootFromEdges(size, edges);
  }
}
