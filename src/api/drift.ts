/**
 * `GET /api/v1/drift`: what origins offered in place of what is recorded, the newest first. The query takes `limit` (1 to 1000, default 100)
 * and `before` (`next` of the page before). What was offered was refused each time, and what is served stayed the same.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';

export const DRIFT_PATH = '/api/v1/drift';

const LIMIT_MAX = 1000;
const LIMIT_DEFAULT = 100;

export interface DriftEntry {
  readonly module: string;
  readonly version: string;
  readonly kind: 'mod' | 'zip';
  readonly recordedHash: string;
  readonly offeredHash: string;
  readonly origin: string;
  /** RFC 3339, UTC. */
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly count: number;
}

export interface DriftPage {
  readonly drifts: readonly DriftEntry[];
  /** For `before` of the next page; null when there is nothing more. */
  readonly next: number | null;
}

export interface DriftQuery {
  readonly limit: number;
  readonly before: number | undefined;
}

export function parseDriftQuery(query: string): Parsed<DriftQuery> {
  let limit = LIMIT_DEFAULT;
  let before: number | undefined;
  for (const pair of query === '' ? [] : query.split('&')) {
    const [name, value = ''] = pair.split('=', 2);
    if (name === 'limit') {
      if (!/^[1-9]\d{0,3}$/.test(value) || Number(value) > LIMIT_MAX) return refused(`limit must be a number from 1 to ${LIMIT_MAX}`);
      limit = Number(value);
    } else if (name === 'before') {
      if (!/^[1-9]\d{0,14}$/.test(value)) return refused('before must be the next of another page');
      before = Number(value);
    } else return refused('the query takes limit and before');
  }
  return parsed({ limit, before });
}

type DriftRow = Omit<DriftEntry, 'firstSeen' | 'lastSeen'> & {
  readonly id: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
};

/** A page of at most `limit` rows, as JSON. */
export function formatDriftPage(rows: readonly DriftRow[], limit: number): string {
  const page: DriftPage = {
    drifts: rows.map((row) => ({
      module: row.module,
      version: row.version,
      kind: row.kind,
      recordedHash: row.recordedHash,
      offeredHash: row.offeredHash,
      origin: row.origin,
      firstSeen: new Date(row.firstSeenMs).toISOString(),
      lastSeen: new Date(row.lastSeenMs).toISOString(),
      count: row.count,
    })),
    next: rows.length < limit ? null : (rows.at(-1)?.id ?? null),
  };
  return `${JSON.stringify(page)}\n`;
}
