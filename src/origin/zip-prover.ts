/** What was found in a module zip that keeps every rule of golang.org/x/mod/zip. */
export interface ProvedZip {
  /** `h1:` and the base64 of the directory hash. */
  readonly h1: string;
  /** SHA-256 of the zip file itself, 64 lower-case hex digits. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly entries: number;
  /** The content of the go.mod at the module's root, where it was asked for and there is one. */
  readonly goMod?: Uint8Array | undefined;
  /** 64 lower-case hex digits, where it was asked for. */
  readonly sm3?: string;
}

export interface ZipToProve {
  readonly localPath: string;
  /** Where in that file the zip lies; the whole file unless it is said. */
  readonly within?: { readonly position: number; readonly sizeBytes: number } | undefined;
  readonly module: string;
  readonly version: string;
  readonly keepGoMod?: boolean;
  /** A file that is there and empty, and gets the bytes as they are read: what is proved is what it holds. */
  readonly copyTo?: string | undefined;
  /** Whether the SM3 of the file is wanted as well. */
  readonly withSm3?: boolean;
}

/** Checks zips off the event loop, in worker threads that start when needed and end when idle. */
export interface ZipProver extends AsyncDisposable {
  /**
   * Reads the zip at `localPath` whole, checks names, sizes and structure against the rules for `module@version`, and hashes it.
   * @throws {HubError} zip-invalid with the rule that was broken; storage-fault when the file cannot be read; storage-full or storage-fault when it cannot be copied; the signal's reason
   */
  prove(zip: ZipToProve, signal: AbortSignal): Promise<ProvedZip>;
}
