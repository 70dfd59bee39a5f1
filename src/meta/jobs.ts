import type { AuditEntry } from './audit-trail.ts';

/** Longer payloads are refused by the database. */
export const JOB_PAYLOAD_LENGTH_MAX = 65_536;

/** Jobs that may wait at once. */
export const JOBS_WAITING_MAX = 10_000;

export interface NewJob {
  /** What to do, such as `tag`. */
  readonly kind: string;
  /** What it is about: of two jobs with one kind and key only one waits, and only one runs. Its first word names whom the job depends on: see `lane`. */
  readonly key: string;
  /** All that the work needs, as JSON. */
  readonly payload: string;
}

/** What is not to be begun just now. */
export interface JobsLeft {
  readonly kinds: readonly string[];
  /** As jobs have them. */
  readonly lanes: readonly string[];
}

export type JobAdded =
  | { readonly kind: 'added'; readonly id: number }
  /** One of this kind and key waits already, and will see what there is to see. */
  | { readonly kind: 'joined'; readonly id: number }
  /** The delivery was taken before. */
  | { readonly kind: 'repeated'; readonly id: number };

export interface JobRow extends NewJob {
  readonly id: number;
  /** That of all jobs of one kind that depend on the same hook or the same receiver: when that is slow, all of them are. */
  readonly lane: string;
  /** `failed`: given up. `done`: `outcome` says how it ended. */
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  /** Times that it was begun. */
  readonly attempts: number;
  /** Milliseconds since the epoch, like all times here. */
  readonly nextAtMs: number;
  readonly createdAtMs: number;
  readonly changedAtMs: number;
  /** Why the last attempt came to nothing. */
  readonly error: string | undefined;
  readonly outcome: string | undefined;
}

export type JobEnd =
  | { readonly kind: 'done'; readonly outcome: string }
  | { readonly kind: 'failed'; readonly error: string }
  | { readonly kind: 'again'; readonly error: string; readonly nextAtMs: number }
  /** Nobody tried in earnest: the hub stops. */
  | { readonly kind: 'untried' };

/** What was decided about a version, once and for ever, but that an operator may let go what was blocked. */
export interface Verdict {
  readonly kind: 'archive' | 'block' | 'released';
  /** One sentence. */
  readonly reason: string;
  readonly decidedAtMs: number;
  /** Why an operator released it. */
  readonly releasedFor: string | undefined;
}

/** `held`: nothing is decided yet, and until then nobody is to see what is stored of it. */
export type Standing = Verdict | { readonly kind: 'held' };

export interface VerdictRow extends Verdict {
  readonly id: number;
  readonly module: string;
  readonly version: string;
}

/**
 * A queue that outlives its processes. A job that was begun belongs to the opened metadata that claimed it, and is free again at once when that one's
 * process is dead. Ten thousand jobs that ended stay, and the deliveries of three days.
 */
export interface Jobs {
  /**
   * Durable when it resolves. With a nonce, the same delivery adds nothing twice; if its job was given up, that one is tried anew.
   * @throws {HubError} overloaded when too many wait
   */
  addJob(job: NewJob, options: { readonly nowMs: number; readonly nonce?: string }): Promise<JobAdded>;
  /** Whether {@link claimJobs} would find one: a cheap look. */
  hasDueJob(nowMs: number): Promise<boolean>;
  /** Begins at most so many, those due longest first. A time further ahead than any delay is the mark of a clock that went back: such a job is due. */
  claimJobs(nowMs: number, limit: number, except?: JobsLeft): Promise<readonly JobRow[]>;
  /** False when this metadata has not begun it, or no longer has it. */
  endJob(id: number, end: JobEnd, nowMs: number): Promise<boolean>;
  /** The newest first; `before` is the `id` of the last one of the page before. */
  jobs(limit: number, before?: number): Promise<readonly JobRow[]>;
  waitingJobs(): Promise<number>;

  verdict(module: string, version: string): Promise<Standing | undefined>;
  /** Hides a version until there is a verdict; does nothing where there is one. Durable when it resolves. */
  holdVersion(row: { readonly module: string; readonly version: string }, nowMs: number): Promise<void>;
  /** In no order. */
  blockedVersions(module: string): Promise<readonly string[]>;
  /** Durable when it resolves. The first one stands: answers that. Ends the hold in the same step. */
  recordVerdict(
    row: { readonly module: string; readonly version: string; readonly kind: 'archive' | 'block'; readonly reason: string },
    nowMs: number,
  ): Promise<Verdict>;
  /** False when it is not blocked, and then nothing is told. Durable when it resolves, together with the entry of the audit trail. */
  releaseVerdict(
    row: { readonly module: string; readonly version: string; readonly releasedFor: string },
    nowMs: number,
    told?: AuditEntry,
  ): Promise<boolean>;
  /** What is blocked, the newest first; `before` as in {@link jobs}. */
  blockedVerdicts(limit: number, before?: number): Promise<readonly VerdictRow[]>;
}
