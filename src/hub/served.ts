import type { BlobKey } from '../base/blob-key.ts';
import type { CacheOutcome } from '../base/events.ts';
import type { OpenBlob } from '../store/blob-store.ts';

interface ServedCommon {
  readonly contentType: 'text/plain; charset=utf-8' | 'application/json' | 'application/zip' | 'application/octet-stream';
  /** Immutable things may be kept for ever and have an ETag; the others for a minute. */
  readonly immutable: boolean;
  /** Quoted, strong. Present on immutable answers. */
  readonly etag?: string;
  /** How long ago an upstream confirmed it; sent as `Age`. */
  readonly ageSeconds?: number;
  /** Served past its freshness because no upstream answers; sent as `Warning: 110`. */
  readonly stale?: boolean;
  readonly outcome: CacheOutcome;
}

/** What the hub answers to a request that succeeds. */
export type Served =
  | (ServedCommon & { readonly kind: 'bytes'; readonly bytes: Buffer })
  /** The server sends it (or a range of it) and then disposes of it. */
  | (ServedCommon & {
      readonly kind: 'blob';
      readonly blob: OpenBlob;
      /** Where it lies in the store, if others than the hub may send it: undefined for what has to be checked while it is sent. */
      readonly storedAs?: BlobKey;
    });
