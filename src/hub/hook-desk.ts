import type { Clock } from '../base/clock.ts';
import type { JobAdded, JobRow, Jobs } from '../meta/jobs.ts';
import { TAG_JOB } from './job-kinds.ts';
import type { TagEvent } from './tag-event.ts';

export interface HookDeskParts {
  readonly jobs: Pick<Jobs, 'addJob' | 'jobs'>;
  readonly clock: Pick<Clock, 'wallMs'>;
  /** A job was added: whoever does jobs in this process need not wait until he looks. */
  readonly onAdded: () => void;
}

/** Where verified webhooks are handed in, and jobs are looked at. */
export class HookDesk {
  readonly #parts: HookDeskParts;

  constructor(parts: HookDeskParts) {
    this.#parts = parts;
  }

  /** Durable when it resolves. `nonce` names the delivery. @throws {HubError} overloaded, storage-… */
  async take(event: TagEvent, nonce: string): Promise<JobAdded> {
    // Without the commit: the job finds what the tag is when it runs, and one that waits will see the newest.
    const key = `${event.hook} ${event.path} ${event.tag} ${event.change}`;
    const { jobs, clock, onAdded } = this.#parts;
    const added = await jobs.addJob({ kind: TAG_JOB, key, payload: JSON.stringify(event) }, { nowMs: clock.wallMs(), nonce });
    if (added.kind === 'added') onAdded();
    return added;
  }

  /** The newest first; `before` is the `id` of the last one of the page before. */
  jobs(limit: number, before?: number): Promise<readonly JobRow[]> {
    return this.#parts.jobs.jobs(limit, before);
  }
}
