import type { LogReader } from '../hub/audit-log.ts';
import type { StoredAuditReport } from '../hub/audit-stored.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { OutboundClient } from '../net/outbound-client.ts';
import type { VerifierKey } from '../protocol/note.ts';
import type { Version } from '../protocol/version.ts';
import type { AccessBackends } from './access-backends.ts';
import type { BundleBackends } from './bundle-backends.ts';
import type { HubConfig } from './config/hub-config.ts';

/** What `goyi serve` hands over beside the configuration. */
export interface ServeOptions {
  /** The file that was read, absolute; undefined when there was none. To be watched for changes. */
  readonly configFile: string | undefined;
  /** Sentences in the operator's language, to be said once at start (such as: `direct` is not built yet). */
  readonly notes: readonly string[];
  readonly isTerminal: boolean;
}

export interface ScrubProgress {
  readonly checked: number;
  readonly total: number;
}

export interface ScrubResult {
  /** Files read whole and compared with their sealed digest and their proof. */
  readonly checked: number;
  readonly sizeBytes: number;
  /** Fetched again, proved and put in place of a bad file. */
  readonly repaired: number;
  /** Bad, taken out of sight, and not (yet) replaced: the next request fetches them again. */
  readonly setAside: readonly { readonly key: string; readonly reason: string }[];
  /** Intact, but no database vouches for them (`verify: off`, or `.info` files are not counted here). */
  readonly unproved: number;
  /** Known to metadata and gone from the store, or lying in the store and unknown to metadata. */
  readonly missing: number;
  readonly unknown: number;
}

export interface GcRequest {
  /** Files whose last use (or storing) is longer ago go. */
  readonly unusedForMs: number;
  readonly dryRun: boolean;
}

export interface GcItem {
  readonly module: string;
  readonly version: string;
  readonly files: number;
  readonly sizeBytes: number;
  /** Milliseconds since the epoch. */
  readonly lastUsedAtMs: number;
}

export interface GcResult {
  /** Oldest first; what goes (dry run) or went. At most 10 000 items are listed, `files` and `sizeBytes` count all. */
  readonly items: readonly GcItem[];
  readonly files: number;
  readonly sizeBytes: number;
  readonly freeBytesAfter: number | undefined;
}

/** A database that was frozen because two signed heads contradict each other, with what the operator has to look at. */
export interface Fork {
  readonly database: string;
  readonly keptNote: string;
  readonly contradictingNote: string;
  readonly detail: string;
  readonly seenAtMs: number;
}

export interface StoreStatus {
  readonly dataDir: string;
  readonly files: number;
  readonly versions: number;
  readonly sizeBytes: number;
  readonly freeBytes: number | undefined;
  /** True while a hub runs on the folder. */
  readonly inUse: boolean;
  readonly databases: readonly { readonly name: string; readonly treeSize: number | undefined; readonly frozen: boolean }[];
}

/** Where the key of a database is, or is to be. */
export interface KeyPlace {
  readonly name: string;
  /** Absolute. */
  readonly keyFile: string;
}

/** The public half of a signing key; the other half never gets as far as a command. */
export interface OwnKey extends KeyPlace {
  /** `NAME+HASH+KEY`. */
  readonly verifierKey: string;
}

export interface ModuleZipPlace {
  readonly module: ModulePath;
  readonly version: Version;
  /** Absolute. */
  readonly file: string;
}

/** Disposing of it ends its connections. */
export interface OpenLog extends AsyncDisposable {
  readonly reader: LogReader;
}

export interface StoredLogRequest {
  readonly dataDir: string;
  /** Its name is that of the database. */
  readonly key: VerifierKey;
  readonly onProgress: (files: number) => void;
}

/**
 * What the commands do, handed in by `bin/` because only it may wire stores, metadata and the server together.
 * Every method throws {HubError}; the command line turns its code into an exit code. `signal` fires on Ctrl-C and SIGTERM.
 */
export interface Backends extends AccessBackends {
  /** Runs the hub until `signal` fires, then drains. Resolves with the exit code, 0 after an orderly stop. */
  serve(config: HubConfig, options: ServeOptions, signal: AbortSignal): Promise<number>;
  /** Reads and re-proves the whole store; works beside a running hub. `onProgress` may be called often. */
  scrub(config: HubConfig, options: { readonly onProgress: (progress: ScrubProgress) => void }, signal: AbortSignal): Promise<ScrubResult>;
  /** Removes what nobody used; works beside a running hub. A dry run changes nothing. */
  gc(config: HubConfig, request: GcRequest, signal: AbortSignal): Promise<GcResult>;
  /** Every frozen database of this data folder. */
  forks(config: HubConfig, signal: AbortSignal): Promise<readonly Fork[]>;
  /** An operator's decision: believe the database again. `forgetHead` starts anew from whatever it says now. False when it was not frozen. */
  clearFork(
    config: HubConfig,
    decision: { readonly database: string; readonly forgetHead: boolean },
    signal: AbortSignal,
  ): Promise<boolean>;
  status(config: HubConfig, signal: AbortSignal): Promise<StoreStatus>;
  /** Undefined when there is no such file. Makes nothing, and works with the hub running or stopped. */
  readKey(place: KeyPlace): Promise<OwnKey | undefined>;
  /** Undefined when there is a file already, which stays as it is. */
  makeKey(config: HubConfig, place: KeyPlace): Promise<OwnKey | undefined>;
  /** A log at an address that the operator named. Nothing is asked before its reader is. */
  /** With a token its requests carry it. */
  openLog(config: HubConfig, url: URL, token?: string): Promise<OpenLog>;
  /** The configuration's way out to a hub that the user named; the caller disposes of it. */
  openClient(config: HubConfig, hub: URL, token?: string): Promise<OutboundClient>;
  /** Reads the data folder of a hub, stopped or running, and asks nobody. */
  auditStored(request: StoredLogRequest, signal: AbortSignal): Promise<StoredAuditReport>;
  /** Makes the module zip of a folder; `file` must not be there yet. */
  makeModuleZip(wish: ModuleZipPlace & { readonly folder: string }, signal: AbortSignal): Promise<void>;
  /** Applies every rule of module zips to a file. */
  checkModuleZip(
    zip: ModuleZipPlace,
    signal: AbortSignal,
  ): Promise<{ readonly zipHash: string; readonly sizeBytes: number; readonly files: number }>;
  /** Runs a witness until `signal` fires. The configuration has its name and its logs. */
  witness(config: HubConfig, options: { readonly isTerminal: boolean }, signal: AbortSignal): Promise<number>;
  /** Loaded when a bundle is asked for. */
  bundles(): Promise<BundleBackends>;
}
