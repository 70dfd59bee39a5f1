import type { Clock } from '../base/clock.ts';
import { codeOf, type ErrorCode, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Log } from '../base/log.ts';
import type { JobEnd, JobRow, Jobs, JobsLeft } from '../meta/jobs.ts';
import { pause } from './pause.ts';

/**
 * Does the work and answers in a sentence what came of it. It may be begun again after a crash at any point, so what it does twice must be as good as once.
 * @throws {HubError} whose code says whether another attempt makes sense; it heeds the signal
 */
export type JobHandler = (job: JobRow, signal: AbortSignal) => Promise<string>;

export interface JobRunnerLimits {
  /** Jobs at once, a worker, without those that are brief. */
  readonly slotsMax: number;
  /** Of them, those that depend on the same hook, so that a slow host leaves slots for the others. */
  readonly laneSlotsMax: number;
  /** Brief jobs at once, beside the others; one for each receiver. */
  readonly briefSlotsMax: number;
  /** How often it looks for jobs that other processes added or that have come due. */
  readonly pollMs: number;
  /** Of one attempt. */
  readonly attemptMs: number;
  readonly attemptsMax: number;
  /** Before the second attempt; doubled each time, up to `delayMaxMs`. */
  readonly delayMs: number;
  readonly delayMaxMs: number;
}

/** Twelve attempts are spread over some two hours. */
export const defaultJobRunnerLimits: JobRunnerLimits = {
  slotsMax: 8,
  laneSlotsMax: 3,
  briefSlotsMax: 2,
  pollMs: 1_000,
  attemptMs: 15 * 60_000,
  attemptsMax: 12,
  delayMs: 5_000,
  delayMaxMs: 3_600_000,
};

export interface JobRunnerParts {
  readonly jobs: Pick<Jobs, 'hasDueJob' | 'claimJobs' | 'endJob'>;
  /** By the kind of job. */
  readonly handlers: ReadonlyMap<string, JobHandler>;
  /** Kinds of jobs that are over soon, whatever happens, and are not to wait for those that may take their time. */
  readonly brief: ReadonlySet<string>;
  readonly events: Pick<Events, 'jobTried'>;
  readonly log: Log;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly limits?: Partial<JobRunnerLimits>;
}

/** A stopping process does not wait longer for work that does not stop; whoever starts next does it anew. */
const stopMs = 5_000;

/** Does jobs, a few at a time, beside the other workers that do the same. Disposing of it gives back what is not done. */
export class JobRunner implements AsyncDisposable {
  readonly #parts: JobRunnerParts;
  readonly #limits: JobRunnerLimits;
  readonly #stop = new AbortController();
  readonly #running = new Map<number, { readonly job: JobRow; readonly work: Promise<void> }>();
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | undefined;
  #isWanted = false;
  #hasFailed = false;

  constructor(parts: JobRunnerParts) {
    this.#parts = parts;
    this.#limits = { ...defaultJobRunnerLimits, ...parts.limits };
    this.#timer = setInterval(() => this.nudge(), this.#limits.pollMs);
    this.#timer.unref();
    this.nudge();
  }

  get running(): number {
    return this.#running.size;
  }

  /** There may be something to do. */
  nudge(): void {
    this.#isWanted = true;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort(new HubError('canceled', 'the hub is stopping'));
    await this.#looking;
    const late = new AbortController();
    await Promise.race([Promise.all([...this.#running.values()].map(({ work }) => work)), pause(stopMs, late.signal)]);
    late.abort();
  }

  async #look(): Promise<void> {
    const { jobs, clock, log } = this.#parts;
    while (this.#isWanted && !this.#stop.signal.aborted) {
      this.#isWanted = false;
      try {
        // What is to be left changes with each job that is begun.
        for (let except = this.#left(); !this.#isFull(except); except = this.#left()) {
          if (!(await jobs.hasDueJob(clock.wallMs()))) break;
          const [job] = await jobs.claimJobs(clock.wallMs(), 1, except);
          if (job === undefined) break;
          this.#begin(job);
        }
        this.#hasFailed = false;
      } catch (error) {
        // At the next look; said once for as long as it lasts.
        if (!this.#hasFailed) log.warn('jobs cannot be looked for', { reason: messageOf(error) });
        this.#hasFailed = true;
        return;
      }
    }
  }

  /** What has no free slot. */
  #left(): JobsLeft {
    const { slotsMax, laneSlotsMax, briefSlotsMax } = this.#limits;
    const { brief, handlers } = this.#parts;
    const running = [...this.#running.values()].map(({ job }) => job);
    const briefCount = running.filter(({ kind }) => brief.has(kind)).length;
    const kinds = [...handlers.keys()].filter((kind) =>
      brief.has(kind) ? briefCount >= briefSlotsMax : running.length - briefCount >= slotsMax,
    );
    const lanes = Map.groupBy(running, ({ lane }) => lane);
    const fullLanes = [...lanes].filter(([, jobs]) => jobs.length >= (jobs.some(({ kind }) => brief.has(kind)) ? 1 : laneSlotsMax));
    return { kinds, lanes: fullLanes.map(([lane]) => lane) };
  }

  #isFull({ kinds }: JobsLeft): boolean {
    return kinds.length === this.#parts.handlers.size || this.#stop.signal.aborted;
  }

  #begin(job: JobRow): void {
    const work = this.#do(job).finally(() => {
      this.#running.delete(job.id);
      if (!this.#stop.signal.aborted) this.nudge();
    });
    this.#running.set(job.id, { job, work });
  }

  async #do(job: JobRow): Promise<void> {
    const startedMs = this.#parts.clock.monotonicMs();
    const end = await this.#attempt(job);
    if (end.kind !== 'untried') {
      const seconds = (this.#parts.clock.monotonicMs() - startedMs) / 1_000;
      const detail = end.kind === 'done' ? end.outcome : end.error;
      this.#parts.events.jobTried({ kind: job.kind, subject: job.key, outcome: end.kind, attempts: job.attempts, seconds, detail });
    }
    await this.#save(job, end);
  }

  async #attempt(job: JobRow): Promise<JobEnd> {
    const handler = this.#parts.handlers.get(job.kind);
    if (handler === undefined) return { kind: 'failed', error: `this hub does no jobs of the kind ${job.kind}` };
    // It was begun so often, and each time its process ended.
    if (job.attempts > this.#limits.attemptsMax)
      return { kind: 'failed', error: job.error ?? 'the hub ended in the middle of every attempt' };
    try {
      const outcome = await handler(job, AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.#limits.attemptMs)]));
      return { kind: 'done', outcome };
    } catch (error) {
      if (this.#stop.signal.aborted) return { kind: 'untried' };
      const code = codeOf(error);
      if (code === undefined)
        this.#parts.log.error('a job met a bug', {
          job: job.id,
          reason: messageOf(error),
          stack: error instanceof Error ? error.stack : undefined,
        });
      const sentence = messageOf(error);
      if (!isWorthAnother(code, job.attempts) || job.attempts >= this.#limits.attemptsMax) return { kind: 'failed', error: sentence };
      return { kind: 'again', error: sentence, nextAtMs: this.#parts.clock.wallMs() + this.#delayMs(job.attempts, code) };
    }
  }

  /** Half of it by chance, so that what failed together does not come again together. */
  #delayMs(attempts: number, code: ErrorCode | undefined): number {
    const { delayMs, delayMaxMs } = this.#limits;
    const first = code === 'not-found' ? delayMs / absentHaste : delayMs;
    const whole = Math.min(delayMaxMs, first * 2 ** Math.min(attempts - 1, 30));
    return whole * (0.5 + this.#parts.random() / 2);
  }

  /** Keeps its slot until it is written down, so that nothing is begun that could not be ended. */
  async #save(job: JobRow, end: JobEnd): Promise<void> {
    for (;;) {
      try {
        await this.#parts.jobs.endJob(job.id, end, this.#parts.clock.wallMs());
        return;
      } catch (error) {
        this.#parts.log.warn('the end of a job cannot be written down', { job: job.id, reason: messageOf(error) });
        if (this.#stop.signal.aborted) return;
        await pause(this.#limits.pollMs, this.#stop.signal);
      }
    }
  }
}

/** A tag that is not there may be on its way to the machine that was asked: that takes seconds, and not hours. */
const absentAttemptsMax = 8;
const absentHaste = 3;

function isWorthAnother(code: ErrorCode | undefined, attempts: number): boolean {
  switch (code) {
    case 'not-found':
      return attempts < absentAttemptsMax;
    case undefined:
    case 'origin-unavailable':
    case 'database-unavailable':
    case 'origin-timeout':
    case 'still-fetching':
    case 'storage-full':
    case 'storage-fault':
    case 'overloaded':
    case 'canceled':
      return true;
    default:
      return false;
  }
}
