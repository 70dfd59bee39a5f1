import type { BundleFile } from '../bundle/bundle-file.ts';
import type { TrustedDatabases } from '../bundle/check-bundle.ts';
import type { CreatedBundle, CreateRequest, CreateWatch } from '../bundle/create-bundle.ts';
import type { ImportReport } from '../bundle/import-bundle.ts';
import type { ImportedBundle } from '../bundle/imported-bundles.ts';
import type { VulnerabilityPlace } from '../bundle/vulnerability-source.ts';
import type { VerifyReport } from '../bundle/verify-bundle.ts';
import type { WishList } from '../api/wishes.ts';
import type { VerifierKey } from '../protocol/note.ts';
import type { Sm2VerifierKey } from '../protocol/sm2.ts';
import type { HubConfig } from './config/hub-config.ts';

/** Where keys of bundles are: absolute paths beside the data folder, unless the operator says otherwise. */
export interface BundleKeyFiles {
  /** What signs. */
  readonly keyFile: string;
  /** What signs by SM2 as well, where there is such a file. */
  readonly sm2KeyFile: string;
  /** Public keys that are trusted, of both kinds, one a line. */
  readonly trustedFile: string;
}

/** Public keys of those who sign bundles. */
export interface BundleKeys {
  readonly keys: readonly VerifierKey[];
  readonly sm2Keys: readonly Sm2VerifierKey[];
}

/** Which of the two keys. */
export type BundleKeyKind = 'ed25519' | 'sm2';

export interface BundleProgress {
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

export interface CreateOrder {
  readonly hub: URL;
  readonly token: string | undefined;
  /** Undefined: only tell what would be done. */
  readonly keyFile: string | undefined;
  /** Signs as well, where there is such a file, or else it is a fault. */
  readonly sm2: { readonly file: string; readonly required: boolean } | undefined;
  /** Whether files are taken out of the data folder of the configuration instead of being fetched: where there is one, or else it is a fault. */
  readonly store: 'no' | 'if-there' | 'required';
  /** Undefined: no vulnerability database is carried. */
  readonly vulnerabilities: VulnerabilityPlace | undefined;
  readonly request: CreateRequest;
}

/** What the bundle commands do, handed in by `bin/`. Every method throws {HubError}. */
export interface BundleBackends {
  /** The public half of a key that signs; undefined when there is none. */
  readKey(files: BundleKeyFiles, kind: BundleKeyKind): Promise<string | undefined>;
  /** Undefined when there is one already, which stays. */
  makeKey(config: HubConfig, files: BundleKeyFiles, kind: BundleKeyKind): Promise<string | undefined>;
  /** Those of the file, and the own ones. */
  trusted(files: BundleKeyFiles): Promise<BundleKeys>;
  /** `key` is the text of a public key. False when it was trusted before. */
  trust(config: HubConfig, files: BundleKeyFiles, key: string): Promise<boolean>;
  open(file: string, keys: BundleKeys, options: { readonly sm2Required: boolean; readonly listOnly: boolean }): Promise<BundleFile>;
  create(config: HubConfig, order: CreateOrder, watch: CreateWatch, signal: AbortSignal): Promise<CreatedBundle>;
  verify(bundle: BundleFile, trusted: TrustedDatabases, progress: BundleProgress, signal: AbortSignal): Promise<VerifyReport>;
  extract(bundle: BundleFile, folder: string, progress: BundleProgress, signal: AbortSignal): Promise<number>;
  import(config: HubConfig, bundle: BundleFile, progress: BundleProgress, signal: AbortSignal): Promise<ImportReport>;
  /** Of a data folder, the hub running or stopped. */
  wishes(config: HubConfig): Promise<WishList>;
  imported(config: HubConfig): Promise<readonly ImportedBundle[]>;
  /** Serves until `signal` fires. */
  serve(
    bundle: BundleFile,
    listen: { readonly host: string; readonly port: number },
    told: { readonly onListening: (address: string) => void; readonly onFault: (reason: string) => void },
    signal: AbortSignal,
  ): Promise<void>;
}
