import type { ProxyRequest } from '../protocol/proxy-request.ts';
import type { DriftRow, HeadRow, IndexEntry, WishRow } from '../meta/metadata.ts';
import type { UpstreamState } from '../origin/module-origin.ts';
import type { Published, PublishRequest } from './publish.ts';
import type { Served } from './served.ts';
import type { WarmCounts, WarmRequest, WarmWatch } from './warm.ts';

export interface AnswerOptions {
  /** For the gate itself, which looks at what it holds back from everybody else. */
  readonly isGate?: boolean | undefined;
  /** False for `/cached-only/…` and `Disable-Module-Fetch: true`: only what is stored. */
  readonly fill: boolean;
  /** Who asks: an address, to share fairly among clients what is done for them beforehand. */
  readonly client?: string | undefined;
}

/** The hub as the HTTP server sees it. */
export interface Station {
  /** Answers a parsed GOPROXY or checksum-database request. @throws {HubError} with the code that `server/status.ts` maps */
  answer(request: ProxyRequest, options: AnswerOptions, signal: AbortSignal): Promise<Served>;
  index(sinceUs: number, limit: number): Promise<readonly IndexEntry[]>;
  /** What origins offered in place of what is recorded, the newest first; `before` is the `id` of the last one of the page before. */
  drifts(limit: number, before?: number): Promise<readonly DriftRow[]>;
  /** What was asked for in vain while there was nobody to fetch it from. */
  wishes(): Promise<Wanted>;
  readiness(): Promise<Readiness>;
  /** Takes in a version of a module that lives in no repository. @throws as {@link publishModule} */
  publish(request: PublishRequest, signal: AbortSignal): Promise<Published>;
  /** Fetches and proves a whole build list, telling `watch` what happens; answers the last counts. @throws {HubError} bad-request, canceled, storage-fault */
  warm(request: WarmRequest, watch: WarmWatch, signal: AbortSignal): Promise<WarmCounts>;
}

export interface Wanted {
  /** Where the checksum databases stand. */
  readonly heads: readonly HeadRow[];
  readonly wishes: readonly WishRow[];
}

/** `ready` is false only when the store is not readable or metadata not reachable; everything else is reported by name and degrades. */
export interface Readiness {
  readonly ready: boolean;
  readonly store: {
    readonly readable: boolean;
    readonly writable: boolean;
    readonly freeBytes: number | undefined;
    readonly reason?: string;
  };
  readonly metadata: { readonly reachable: boolean; readonly reason?: string };
  readonly upstreams: readonly UpstreamState[];
  readonly databases: readonly { readonly name: string; readonly treeSize: number | undefined; readonly frozen: string | undefined }[];
  readonly verify: 'require' | 'off';
  /** Human sentences, empty when all is well. */
  readonly degraded: readonly string[];
}
