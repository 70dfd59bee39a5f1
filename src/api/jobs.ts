/**
 * `GET /api/v1/jobs`: what webhooks asked for and what came of it, the newest first. The query takes `limit` (1 to 1000, default 100) and
 * `before` (`next` of the page before).
 */
export const JOBS_PATH = '/api/v1/jobs';

export interface JobEntry {
  readonly id: number;
  readonly kind: string;
  /** What it is about, for people. */
  readonly subject: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  readonly attempts: number;
  /** RFC 3339, UTC; null unless it waits. */
  readonly nextAttempt: string | null;
  readonly created: string;
  readonly changed: string;
  /** Why the last attempt came to nothing. */
  readonly error: string | null;
  readonly outcome: string | null;
}

export interface JobsPage {
  readonly jobs: readonly JobEntry[];
  /** For `before` of the next page; null when there is nothing more. */
  readonly next: number | null;
}

interface JobRow extends Pick<JobEntry, 'id' | 'kind' | 'state' | 'attempts'> {
  readonly key: string;
  readonly nextAtMs: number;
  readonly createdAtMs: number;
  readonly changedAtMs: number;
  readonly error: string | undefined;
  readonly outcome: string | undefined;
}

/** A page of at most `limit` rows, as JSON. */
export function formatJobsPage(rows: readonly JobRow[], limit: number): string {
  const page: JobsPage = {
    jobs: rows.map((row) => ({
      id: row.id,
      kind: row.kind,
      subject: row.key,
      state: row.state,
      attempts: row.attempts,
      nextAttempt: row.state === 'waiting' ? new Date(row.nextAtMs).toISOString() : null,
      created: new Date(row.createdAtMs).toISOString(),
      changed: new Date(row.changedAtMs).toISOString(),
      error: row.error ?? null,
      outcome: row.outcome ?? null,
    })),
    next: rows.length < limit ? null : (rows.at(-1)?.id ?? null),
  };
  return `${JSON.stringify(page)}\n`;
}
