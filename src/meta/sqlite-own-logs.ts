import { HubError } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import { formatChecksumRecord, recordHash } from '../protocol/checksum-record.ts';
import { edgeTiles, rootFromEdges } from '../protocol/tile.ts';
import { EMPTY_TREE, type GrowingTree, growTree } from '../protocol/tree-growth.ts';
import { EMPTY_ROOT } from '../protocol/tree-hash.ts';
import type { OwnAppended, OwnEntry, OwnHead, OwnRecord, OwnTile, OwnTree } from './own-log.ts';
import { blob, integer, text } from './sqlite-rows.ts';
import type { Prepared, Row } from './sqlite-prepared.ts';

/** The writes of {@link OwnLogs}; all methods run inside a write transaction, so that nothing moves between what they read and what they write. */
export class OwnLogWrites {
  readonly #prepared: Prepared;

  constructor(prepared: Prepared) {
    this.#prepared = prepared;
  }

  append(log: string, entries: readonly OwnEntry[], sizeMin: number): OwnAppended {
    const kept = this.#read(log);
    if (kept.size < sizeMin)
      throw new HubError(
        'log-forked',
        `the log ${log} has ${kept.size} records where it had ${sizeMin}: its metadata was put back to an older state`,
      );
    const id = kept.id ?? this.#begin(log);
    const records: OwnRecord[] = [];
    const leaves: Buffer[] = [];
    for (const entry of entries) {
      const recordId = kept.size + leaves.length;
      const { module, version } = entry;
      if (
        this.#prepared.run('insertOwnRecord', id, recordId, module, version, entry.zipHash, entry.modHash, entry.provedBy ?? null) === 1
      ) {
        records.push({ ...entry, id: recordId });
        leaves.push(recordHash(formatChecksumRecord(entry)));
      } else records.push(this.#recordOf(log, entry));
    }
    if (leaves.length === 0) return { records, added: 0, head: { size: kept.size, root: kept.root.toString('base64') } };
    const grown = growTree(kept, leaves);
    for (const { level, index, bytes: hashes } of grown.full) this.#prepared.run('insertOwnTile', id, level, index, hashes);
    this.#moveEdges(id, kept, grown);
    this.#prepared.run('updateOwnLog', grown.size, grown.root, id);
    return { records, added: leaves.length, head: { size: grown.size, root: grown.root.toString('base64') } };
  }

  dropTiles(log: string, tiles: readonly Pick<OwnTile, 'level' | 'index'>[]): void {
    for (const { level, index } of tiles) this.#prepared.run('deleteOwnTile', log, level, index);
  }

  /** The tree to grow from. Its root is computed again: what an edge lost to the medium must not go on into a head that is signed. */
  #read(log: string): GrowingTree & { id: number | undefined; root: Buffer } {
    const rows = this.#prepared.all('ownTree', log);
    const [first] = rows;
    if (first === undefined) return { ...EMPTY_TREE, id: undefined, root: EMPTY_ROOT };
    const tree = { id: integer(first, 'id'), ...treeOf(rows) };
    const root = Buffer.from(tree.root, 'base64');
    if (!rootFromEdges(tree.size, tree.edges).equals(root))
      throw new HubError(
        'storage-fault',
        `the edges of the log ${log} do not make its root: its metadata is damaged, and nothing is appended to it`,
      );
    return { ...tree, root };
  }

  #begin(log: string): number {
    const row = this.#prepared.get('insertOwnLog', log, EMPTY_ROOT);
    invariant(row !== undefined, 'an inserted log has a number');
    return integer(row, 'id');
  }

  #recordOf(log: string, { module, version }: OwnEntry): OwnRecord {
    const row = this.#prepared.get('ownRecord', log, module, version);
    invariant(row !== undefined, 'a version that is not taken is there');
    return ownRecordOf(row);
  }

  #moveEdges(id: number, from: GrowingTree, to: GrowingTree): void {
    const before = new Map(edgeTiles(from.size).map(({ level }, i) => [level, Buffer.from(from.edges[i] ?? [])]));
    for (const [i, { level }] of edgeTiles(to.size).entries()) {
      const hashes = to.edges[i];
      invariant(hashes !== undefined, `the tree has no edge at level ${level}`);
      if (before.get(level)?.equals(hashes) !== true) this.#prepared.run('upsertOwnEdge', id, level, hashes);
      before.delete(level);
    }
    for (const level of before.keys()) this.#prepared.run('deleteOwnEdge', id, level);
  }
}

/** From the rows of `ownTree`, of which there is one even when the tree has no edge. */
export function treeOf(rows: readonly Row[]): OwnTree {
  const [first] = rows;
  invariant(first !== undefined, 'a log has a row');
  return { ...ownHeadOf(first), edges: rows.filter((row) => row['level'] !== null).map((row) => blob(row, 'hashes')) };
}

export function ownHeadOf(row: Row): OwnHead {
  return { size: integer(row, 'size'), root: Buffer.from(blob(row, 'root')).toString('base64') };
}

export function ownRecordOf(row: Row): OwnRecord {
  return {
    id: integer(row, 'id'),
    module: text(row, 'module'),
    version: text(row, 'version'),
    zipHash: text(row, 'zip_hash'),
    modHash: text(row, 'mod_hash'),
    provedBy: row['proved_by'] === null ? undefined : text(row, 'proved_by'),
  };
}

export function ownTileOf(row: Row): OwnTile {
  return { level: integer(row, 'level'), index: integer(row, 'tile_index'), bytes: blob(row, 'hashes') };
}
