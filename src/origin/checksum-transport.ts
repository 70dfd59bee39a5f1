import type { Urgency } from '../base/gate.ts';

/** An untrusted way to a checksum database: an upstream's `/sumdb/NAME`, or the database's own address or a mirror of it. */
export interface ChecksumTransport {
  /** Without credentials, for logs and to choose another than the mirror that served the bytes. */
  readonly origin: string;
  /**
   * `resource` stands below the database's address, escaped: `latest`, `lookup/rsc.io/quote@v1.5.2`, `tile/8/0/x001/234`.
   * @throws {HubError} origin-unavailable, origin-timeout, upstream-refused, upstream-invalid (too large), overloaded
   */
  get(
    request: Urgency & { readonly resource: string; readonly sizeMaxBytes: number },
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'found'; readonly body: Buffer } | { readonly kind: 'absent'; readonly reason: string }>;
}
