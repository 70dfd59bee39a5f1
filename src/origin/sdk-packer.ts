/** A stored module zip that an archive is to be made of. */
export interface SdkToPack {
  readonly localPath: string;
  readonly module: string;
  readonly version: string;
  readonly form: 'tar.gz' | 'zip';
}

export interface PackedSdk {
  /** Of the archive, 64 lower-case hex digits. */
  readonly sha256: string;
  /** `h1:…` of the module zip, computed from the very bytes that were put into the archive. */
  readonly h1: string;
}

/** Makes archives of toolchain modules, off the event loop. */
export interface SdkPacker extends AsyncDisposable {
  /**
   * Gives the archive to `sink` piece by piece; a piece is the sink's to keep, and the next one comes when it has resolved.
   * @throws {HubError} zip-invalid; upstream-invalid when the zip holds no SDK; storage-fault; overloaded; what the sink throws; the signal's reason
   */
  pack(sdk: SdkToPack, sink: (piece: Uint8Array) => Promise<void>, signal: AbortSignal): Promise<PackedSdk>;
}
