import type { BundleFile } from '../bundle/bundle-file.ts';
import type { CreatedBundle, CreateRequest, CreateWatch } from '../bundle/create-bundle.ts';
import type { ImportReport } from '../bundle/import-bundle.ts';
import type { ImportedBundle } from '../bundle/imported-bundles.ts';
import type { VerifyReport } from '../bundle/verify-bundle.ts';
import type { WishList } from '../api/wishes.ts';
import type { VerifierKey } from '../protocol/note.ts';
import type { HubConfig } from './config/hub-config.ts';

/** Where keys of bundles are: absolute paths beside the data folder, unless the operator says otherwise. */
export interface BundleKeyFiles {
  /** What signs. */
  readonly keyFile: string;
  /** Public keys that are trusted, one a line. */
  readonly trustedFile: string;
}

export interface BundleProgress {
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

/** What the bundle commands do, handed in by `bin/`. Every method throws {HubError}. */
export interface BundleBackends {
  /** The public half of the key that signs; undefined when there is none. */
  readKey(files: BundleKeyFiles): Promise<string | undefined>;
  /** Undefined when there is one already, which stays. */
  makeKey(config: HubConfig, files: BundleKeyFiles): Promise<string | undefined>;
  /** Those of the file, and the own one. */
  trusted(files: BundleKeyFiles): Promise<readonly VerifierKey[]>;
  /** False when it was trusted before. */
  trust(config: HubConfig, files: BundleKeyFiles, key: VerifierKey): Promise<boolean>;
  open(file: string, keys: readonly VerifierKey[], options?: { readonly listOnly: boolean }): Promise<BundleFile>;
  /** `keyFile` undefined: only tell what would be done. */
  create(
    config: HubConfig,
    order: { readonly hub: URL; readonly token: string | undefined; readonly keyFile: string | undefined; readonly request: CreateRequest },
    watch: CreateWatch,
    signal: AbortSignal,
  ): Promise<CreatedBundle>;
  verify(bundle: BundleFile, database: VerifierKey, progress: BundleProgress, signal: AbortSignal): Promise<VerifyReport>;
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
