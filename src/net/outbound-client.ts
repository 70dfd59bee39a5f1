/** Limits of one exchange, each on progress (design: time limits are on progress, so that 70 MB may take their time on a weak link). */
export interface ExchangeLimits {
  /** To the first byte of the answer's head. */
  readonly firstByteMs: number;
  /** Of silence, in head or body. */
  readonly idleMs: number;
  /** Averaged over a minute of body; slower is given up. */
  readonly bytesPerSecondMin: number;
  /** Of body; more is refused while reading. */
  readonly sizeMaxBytes: number;
}

export interface OutboundRequest {
  readonly url: URL;
  readonly method?: 'GET' | 'HEAD' | 'POST';
  /** With POST, which is never redirected: a body goes only where it was sent. */
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly limits: ExchangeLimits;
  /** Follow redirects, each hop checked: at most 9, never https to http, never to a private address unless that host and port is configured. */
  readonly followRedirects: boolean;
  /** Never over a connection that carries other exchanges meanwhile, as all streams of HTTP/2 do: by HTTP/1.1. For links that throttle each connection by itself. */
  readonly ownConnection?: boolean;
}

/** The body must be read to the end or the response disposed of, or its connection is lost to the pool. */
export interface OutboundResponse extends AsyncDisposable {
  readonly status: number;
  /** Names in lower case; of a repeated header the first value. */
  readonly headers: ReadonlyMap<string, string>;
  /** As sent: nothing is decompressed, and `Accept-Encoding: identity` was asked. Throws {HubError} origin-unavailable, origin-timeout, or upstream-invalid when it is too large. */
  readonly body: AsyncIterable<Buffer>;
  /** The address that answered, after redirects. */
  readonly url: URL;
}

/** The only way out of goyi by HTTP. */
export interface OutboundClient extends AsyncDisposable {
  /**
   * One exchange, without retries. Any status is an answer.
   * @throws {HubError} origin-unavailable (refused, reset, TLS, DNS, forbidden address, too many or unsafe redirects), origin-timeout, upstream-invalid (a declared size beyond the limit), or the signal's reason
   */
  send(request: OutboundRequest, signal: AbortSignal): Promise<OutboundResponse>;
}
