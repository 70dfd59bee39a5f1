/** A public database as the hub relays it to clients below `/sumdb/NAME/`: proved, cached, and working without the upstream. */
export interface ChecksumRelay {
  readonly name: string;
  /** The signed note of our newest verified head, fetched when there is none or it is older than the freshness. */
  latest(options: { cachedOnly: boolean }, signal: AbortSignal): Promise<string>;
  /** The body of a lookup: record id, text, blank line, and the note of a head in which it was proved. Undefined: no such record (404). */
  lookupAnswer(module: string, version: string, options: { cachedOnly: boolean }, signal: AbortSignal): Promise<string | undefined>;
  /** Bytes of a tile, verified up to the signed root; undefined when it lies beyond the tree (404). */
  tile(
    tile: { readonly level: number | 'data'; readonly index: number; readonly width: number },
    options: { cachedOnly: boolean },
    signal: AbortSignal,
  ): Promise<Buffer | undefined>;
  /** For readyz: the head kept, and whether the database is frozen by a fork. */
  state(): Promise<{ readonly treeSize: number | undefined; readonly frozen: string | undefined }>;
}
