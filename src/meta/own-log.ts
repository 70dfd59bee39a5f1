/** The two hashes of a module version, to be put into a log of our own. */
export interface OwnEntry {
  /** Module path and version as people write them (not escaped). */
  readonly module: string;
  readonly version: string;
  /** `h1:…` of the zip. */
  readonly zipHash: string;
  /** `h1:…` of go.mod. */
  readonly modHash: string;
  /** The checksum database that proved them; undefined: the hub built the module and hashed it itself. */
  readonly provedBy: string | undefined;
}

/** As the log has it: once a version, for ever. */
export interface OwnRecord extends OwnEntry {
  readonly id: number;
}

export interface OwnHead {
  readonly size: number;
  /** Base64 of the 32-byte root. */
  readonly root: string;
}

/** A head with the bytes of its edges, in the order of `edgeTiles`. */
export interface OwnTree extends OwnHead {
  readonly edges: readonly Uint8Array[];
}

export interface OwnAppended {
  /** One for each entry, in their order: what the log has of that version now, which may be older than the entry and differ from it. */
  readonly records: readonly OwnRecord[];
  /** Which of them are new. */
  readonly added: number;
  /** Of the tree that has them all. */
  readonly head: OwnHead;
}

/** A full tile that is not known to lie in the store. */
export interface OwnTile {
  readonly level: number;
  readonly index: number;
  readonly bytes: Uint8Array;
}

/**
 * The hub's own transparency logs, by name. One write appends: inside one transaction the records get their numbers, the tiles their hashes, and
 * the head moves, all of it or nothing, one transaction after the other whoever they are by. So no two processes can ever fork a log, and no
 * crash leaves a head without its records.
 */
export interface OwnLogs {
  /** Undefined for a log that has no record yet. */
  ownHead(log: string): Promise<OwnHead | undefined>;
  /** As one moment had it. Undefined as above. */
  ownTree(log: string): Promise<OwnTree | undefined>;
  ownRecord(log: string, module: string, version: string): Promise<OwnRecord | undefined>;
  /** In order, from this number on. */
  ownRecords(log: string, from: number, limit: number): Promise<readonly OwnRecord[]>;
  /**
   * Durable when it resolves. A version that the log has keeps its record. The log must hold at least `sizeMin` records.
   * @throws {HubError} log-forked when it has fewer: records that somebody was shown are gone
   */
  appendOwn(log: string, entries: readonly OwnEntry[], sizeMin: number): Promise<OwnAppended>;
  /** Full tiles of a level that wait to be put into the store, the lowest and leftmost first. */
  ownTiles(log: string, limit: number): Promise<readonly OwnTile[]>;
  ownTile(log: string, level: number, index: number): Promise<Uint8Array | undefined>;
  /** The store has them durably. */
  dropOwnTiles(log: string, tiles: readonly Pick<OwnTile, 'level' | 'index'>[]): Promise<void>;
}
