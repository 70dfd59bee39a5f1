import type { OutboundResponse } from '../net/outbound-client.ts';

/** One exchange that came back, whatever it says. */
export interface Attempt {
  readonly response: OutboundResponse;
  /** Monotonic. */
  readonly startedMs: number;
}
