import type { ErrorCode } from '../base/errors.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import type { MetricsSnapshot } from '../server/telemetry.ts';

/** Everything a worker has to know, but for the files that the configuration names: certificates and keys it reads by itself, so that no key is ever in a message. It reads no environment variable. */
export interface WorkerStart {
  readonly config: HubConfig;
  /** Addresses, in order; may carry credentials. */
  readonly upstreams: readonly string[];
  readonly version: string;
  readonly isTerminal: boolean;
  /** The first worker probes aloud; all probe for themselves. */
  readonly first: boolean;
}

export interface ProbeResult {
  readonly name: string;
  readonly ok: boolean;
  readonly latencyMs?: number;
  readonly reason?: string;
}

export type ToWorker =
  | { readonly kind: 'start'; readonly start: WorkerStart }
  | { readonly kind: 'stop' }
  | { readonly kind: 'take-snapshot'; readonly id: number }
  | { readonly kind: 'snapshots'; readonly id: number; readonly snapshots: readonly MetricsSnapshot[] };

export type FromWorker =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'probed'; readonly results: readonly ProbeResult[] }
  | { readonly kind: 'want-snapshots'; readonly id: number }
  | { readonly kind: 'snapshot'; readonly id: number; readonly snapshot: MetricsSnapshot };
