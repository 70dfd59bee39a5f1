import type { Urgency } from '../base/gate.ts';

/** The two hashes of a module version, as a record of the database's log that was proved to be in it. */
export interface ProvedRecord {
  readonly database: string;
  readonly recordId: number;
  /** The size of the tree in which inclusion was shown. */
  readonly treeSize: number;
  /** `h1:…` of the zip. */
  readonly zipHash: string;
  /** `h1:…` of go.mod. */
  readonly modHash: string;
  /** The record's text, two lines as they stand in the log. */
  readonly text: string;
}

/** Which transport to avoid: proofs should rather not come from the mirror that served the bytes. */
export interface LookupOptions extends Urgency {
  readonly avoidOrigin?: string;
}

/** One checksum database, read through untrusted transports and believed only as far as its signature and our durable head reach. */
export interface ChecksumDatabase {
  readonly name: string;
  /**
   * The record of a module version (module path and version not escaped), proved: signature, inclusion, consistency with our head.
   * Stored records are answered without a transport. Undefined when the database itself says 404 or 410: there is no such version.
   * @throws {HubError} log-invalid, log-forked, database-unavailable, origin-timeout, storage-fault, storage-full
   */
  lookup(module: string, version: string, options: LookupOptions, signal: AbortSignal): Promise<ProvedRecord | undefined>;
}
