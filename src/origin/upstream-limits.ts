/** How far one upstream is trusted with time and slots. */
export interface UpstreamLimits {
  /** To the first byte, retries included, and for small answers as a whole. */
  readonly upstreamMs: number;
  /** Of silence in a body. */
  readonly idleMs: number;
  /** Averaged over a minute; 0 means no such limit. */
  readonly bytesPerSecondMin: number;
  /** Exchanges at once with all upstreams; one of them may use a quarter. */
  readonly fetchSlots: number;
  /** Over which one large body may come where the link throttles single streams; default 1. */
  readonly rangeStreams?: number;
  /** Over which the speed of streams is measured; default 1.5 s. */
  readonly rangeWindowMs?: number;
  /** The first pause before asking again, doubled each time and spread by jitter; default 100 ms. */
  readonly retryPauseMs?: number;
  /** The first time a breaker is open; default 500 ms, at most 15 s. */
  readonly breakerOpenMs?: number;
}
