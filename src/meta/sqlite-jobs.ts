import { HubError } from '../base/errors.ts';
import { invariant, unreachable } from '../base/invariant.ts';
import {
  type JobAdded,
  type JobEnd,
  type JobRow,
  JOBS_WAITING_MAX,
  type JobsLeft,
  type NewJob,
  type Standing,
  type Verdict,
  type VerdictRow,
} from './jobs.ts';
import { processOf } from './leases.ts';
import { isAlive } from './process-identity.ts';
import type { Prepared, Row } from './sqlite-prepared.ts';
import { integer, text } from './sqlite-rows.ts';

/** No job is told to wait longer than this, so a time further ahead was written by a clock that went back since. */
export const JOB_DELAY_MAX_MS: number = 24 * 3_600_000;

const jobsEndedMax = 10_000;
const deliveriesMax = 100_000;
const deliveryMs = 3 * 24 * 3_600_000;
/** Looked after at the first of a process, and every so many. */
const lookEvery = 64;
const textLengthMax = 4_000;

/** The writes of `Jobs`; all methods run inside a write transaction. */
export class JobWrites {
  readonly #prepared: Prepared;
  readonly #owner: string;
  #added = 0;

  constructor(prepared: Prepared, owner: string) {
    this.#prepared = prepared;
    this.#owner = owner;
  }

  add({ kind, key, payload }: NewJob, nowMs: number, nonce: string | undefined): JobAdded {
    const now = Math.floor(nowMs);
    const known = nonce === undefined ? undefined : this.#prepared.get('hookDelivery', nonce);
    if (known !== undefined) return this.#again(integer(known, 'job'), now);
    const waiting = this.#prepared.get('waitingJob', kind, key);
    if (waiting === undefined && this.#prepared.get('jobBeyond', JOBS_WAITING_MAX - 1) !== undefined)
      throw new HubError('overloaded', `${JOBS_WAITING_MAX} jobs wait already: try again in a while`);
    const row = waiting ?? this.#prepared.get('insertJob', kind, key, payload, now, now, now);
    invariant(row !== undefined, 'an inserted job has a number');
    const id = integer(row, 'id');
    if (nonce !== undefined) this.#prepared.run('insertHookDelivery', nonce, id, now);
    this.#added += 1;
    if (this.#added % lookEvery === 1) this.#trim(now);
    return { kind: waiting === undefined ? 'added' : 'joined', id };
  }

  claim(nowMs: number, limit: number, except: JobsLeft | undefined): JobRow[] {
    const now = Math.floor(nowMs);
    const claimed: JobRow[] = [];
    for (const row of candidates(this.#prepared, { nowMs: now, limit, except })) {
      // Two of one key would see the same repository at the same time.
      const other = this.#prepared.get('runningJobOfKey', text(row, 'kind'), text(row, 'key'));
      if (other !== undefined && integer(other, 'id') !== integer(row, 'id') && isAlive(processOf(text(other, 'owner')))) continue;
      if (this.#prepared.run('claimJob', this.#owner, now, integer(row, 'id')) === 0) continue;
      claimed.push({ ...jobOf(row), state: 'running', attempts: integer(row, 'attempts') + 1, changedAtMs: now });
    }
    return claimed;
  }

  end(id: number, end: JobEnd, nowMs: number): boolean {
    const now = Math.floor(nowMs);
    switch (end.kind) {
      case 'done':
        return this.#prepared.run('endJob', 'done', now, null, shortened(end.outcome), id, this.#owner) === 1;
      case 'failed':
        return this.#prepared.run('endJob', 'failed', now, shortened(end.error), null, id, this.#owner) === 1;
      case 'again':
      case 'untried': {
        const row = this.#prepared.get('job', id);
        if (row === undefined || row['owner'] !== this.#owner) return false;
        if (this.#prepared.get('waitingJob', text(row, 'kind'), text(row, 'key')) !== undefined)
          return this.#prepared.run('endJob', 'done', now, null, 'a later job of the same kind does it', id, this.#owner) === 1;
        const isAgain = end.kind === 'again';
        const nextMs = isAgain ? Math.min(Math.ceil(end.nextAtMs), now + JOB_DELAY_MAX_MS) : now;
        const error = isAgain ? shortened(end.error) : row['error'] === null ? null : text(row, 'error');
        return this.#prepared.run('returnJob', nextMs, now, error, isAgain ? 0 : 1, id, this.#owner) === 1;
      }
      default:
        return unreachable(end);
    }
  }

  hold({ module, version }: { readonly module: string; readonly version: string }, nowMs: number): void {
    if (this.#prepared.get('verdict', module, version) !== undefined) return;
    this.#prepared.run('holdVersion', module, version, Math.floor(nowMs));
  }

  recordVerdict(
    row: { readonly module: string; readonly version: string; readonly kind: string; readonly reason: string },
    nowMs: number,
  ): Verdict {
    this.#prepared.run('insertVerdict', row.module, row.version, row.kind, shortened(row.reason), Math.floor(nowMs));
    const wasHeld = this.#prepared.run('letGoOfHeld', row.module, row.version) > 0;
    const standing = this.#prepared.get('verdict', row.module, row.version);
    invariant(standing !== undefined, 'a recorded verdict is there');
    const verdict = verdictOf(standing);
    if (wasHeld && verdict.kind !== 'block') this.#prepared.run('moveIndexEntry', Math.floor(nowMs * 1000), row.module, row.version);
    return verdict;
  }

  release(row: { readonly module: string; readonly version: string; readonly releasedFor: string }, nowMs: number): boolean {
    if (this.#prepared.run('releaseVerdict', shortened(row.releasedFor), Math.floor(nowMs), row.module, row.version) === 0) return false;
    this.#prepared.run('moveIndexEntry', Math.floor(nowMs * 1000), row.module, row.version);
    return true;
  }

  /** The delivery of a job that was given up, once more: somebody wants it tried again. */
  #again(id: number, now: number): JobAdded {
    const row = this.#prepared.get('job', id);
    if (
      row !== undefined &&
      text(row, 'state') === 'failed' &&
      this.#prepared.get('waitingJob', text(row, 'kind'), text(row, 'key')) === undefined
    ) {
      this.#prepared.run('reviveJob', now, now, id);
      return { kind: 'added', id };
    }
    return { kind: 'repeated', id };
  }

  #trim(now: number): void {
    for (const state of ['done', 'failed']) {
      const beyond = this.#prepared.get('endedJobBeyond', state, jobsEndedMax);
      if (beyond !== undefined) this.#prepared.run('deleteEndedJobs', state, integer(beyond, 'next_at_ms'));
    }
    const beyond = this.#prepared.get('hookDeliveryBeyond', deliveriesMax);
    const until = Math.max(now - deliveryMs, beyond === undefined ? 0 : integer(beyond, 'seen_at_ms'));
    this.#prepared.run('deleteHookDeliveries', until);
  }
}

/** Those that are due, and those whose process is dead. */
export function candidates(
  prepared: Prepared,
  { nowMs, limit, except }: { readonly nowMs: number; readonly limit: number; readonly except?: JobsLeft | undefined },
): Row[] {
  const { kinds = [], lanes = [] } = except ?? {};
  const left = [linesOf(kinds), linesOf(lanes)] as const;
  const isLeft = (row: Row): boolean => kinds.includes(text(row, 'kind')) || lanes.includes(laneOf(row));
  const orphans = prepared.all('runningJobs').filter((row) => !isAlive(processOf(text(row, 'owner'))) && !isLeft(row));
  const due = limit > orphans.length ? prepared.all('dueJobs', nowMs, limit - orphans.length, ...left) : [];
  const rows = [...orphans.slice(0, limit), ...due];
  return rows.length > 0 ? rows : prepared.all('farJobs', nowMs + JOB_DELAY_MAX_MS, limit, ...left);
}

function laneOf(row: Row): string {
  return `${text(row, 'kind')} ${text(row, 'key').split(' ', 1)[0]}`;
}

function linesOf(names: readonly string[]): string {
  return `\n${names.join('\n')}\n`;
}

export function jobOf(row: Row): JobRow {
  return {
    id: integer(row, 'id'),
    lane: laneOf(row),
    kind: text(row, 'kind'),
    key: text(row, 'key'),
    payload: text(row, 'payload'),
    state: text(row, 'state') as JobRow['state'],
    attempts: integer(row, 'attempts'),
    nextAtMs: integer(row, 'next_at_ms'),
    createdAtMs: integer(row, 'created_at_ms'),
    changedAtMs: integer(row, 'changed_at_ms'),
    error: row['error'] === null ? undefined : text(row, 'error'),
    outcome: row['outcome'] === null ? undefined : text(row, 'outcome'),
  };
}

function verdictOf(row: Row): Verdict {
  return {
    kind: text(row, 'kind') as Verdict['kind'],
    reason: text(row, 'reason'),
    decidedAtMs: integer(row, 'decided_at_ms'),
    releasedFor: row['released_for'] === null ? undefined : text(row, 'released_for'),
  };
}

export function standingOf(row: Row): Standing {
  return row['kind'] === 'held' ? { kind: 'held' } : verdictOf(row);
}

export function verdictRowOf(row: Row): VerdictRow {
  return { id: integer(row, 'id'), module: text(row, 'module'), version: text(row, 'version'), ...verdictOf(row) };
}

function shortened(sentence: string): string {
  return sentence.slice(0, textLengthMax);
}
