import { randomBytes } from 'node:crypto';
import type { ErrorCode } from '../base/errors.ts';
import type { FillFailure, LeaseAttempt } from './metadata.ts';
import { isAlive, ownIdentity } from './process-identity.ts';
import { integer, text } from './sqlite-rows.ts';
import type { Prepared } from './sqlite-prepared.ts';

/** However long a caller asks for: a failure kept longer than this would look like an outage. */
export const failureTtlMaxMs: number = 10 * 60_000;
const messageLengthMax = 2000;

/** `PROCESS/RANDOM`: a lease belongs to one opened metadata, and is void as soon as its process is dead. */
export function newLeaseOwner(processIdentity: string = ownIdentity()): string {
  return `${processIdentity}/${randomBytes(6).toString('hex')}`;
}

/**
 * Leases in a table, one row a key. No heartbeat and no time limit: the kernel knows whether the owner lives, so a slow fill keeps its lease
 * and a killed one loses it at once. All methods run inside a write transaction.
 */
export class Leases {
  readonly #prepared: Prepared;
  readonly #owner: string;

  constructor(prepared: Prepared, owner: string) {
    this.#prepared = prepared;
    this.#owner = owner;
  }

  /** `nowMs` runs on a clock that all processes of the machine share and that never goes back. */
  acquire(key: string, nowMs: number): LeaseAttempt {
    const row = this.#prepared.get('lease', key);
    if (row !== undefined) {
      const owner = text(row, 'owner');
      if (row['failure_code'] === null) {
        const ours = owner === this.#owner;
        if (ours || isAlive(processOf(owner))) return { kind: 'held', ours };
      } else {
        const leftMs = integer(row, 'failed_until_ms') - nowMs;
        // After a restart of the machine the shared clock begins anew, and what was written on the old one says nothing.
        if (leftMs > 0 && leftMs <= failureTtlMaxMs && bootOf(owner) === bootOf(this.#owner)) {
          return { kind: 'failed', failure: { code: text(row, 'failure_code') as ErrorCode, message: text(row, 'failure_message') } };
        }
      }
    }
    this.#prepared.run('takeLease', key, this.#owner);
    return { kind: 'acquired' };
  }

  /** Frees the key if this owner holds it, else does nothing. */
  release(key: string, failure: (FillFailure & { readonly failureTtlMs: number }) | undefined, nowMs: number): void {
    if (failure === undefined || failure.failureTtlMs <= 0) {
      this.#prepared.run('dropLease', key, this.#owner);
      return;
    }
    // A flood of names that fail must not leave a row each for ever.
    this.#prepared.run('dropExpiredFailures', Math.floor(nowMs));
    const untilMs = Math.ceil(nowMs + Math.min(failure.failureTtlMs, failureTtlMaxMs));
    this.#prepared.run('failLease', failure.code, failure.message.slice(0, messageLengthMax), untilMs, key, this.#owner);
  }

  releaseAll(): void {
    this.#prepared.run('dropLeasesOf', this.#owner);
  }
}

/** The process that an owner lives in. */
export function processOf(owner: string): string {
  return owner.slice(0, owner.indexOf('/'));
}

/** Which start of the machine an owner belongs to; `0` where that cannot be told. */
export function bootOf(owner: string): string {
  return owner.slice(0, owner.indexOf('-'));
}
