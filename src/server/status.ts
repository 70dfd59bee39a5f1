import type { ErrorCode } from '../base/errors.ts';
import { unreachable } from '../base/invariant.ts';
import type { FailureCode } from './exchange.ts';

/**
 * The status of an answer that failed. 404 is said only for true absence, because the go command then asks its next proxy:
 * a fault or a mismatch is 403 or 5xx, and never 500 (`docs/errors.md`). https://go.dev/ref/mod#goproxy-protocol
 */
export function statusOf(code: ErrorCode): number {
  switch (code) {
    case 'bad-request':
      return 400;
    case 'policy-denied':
    case 'upstream-refused':
      return 403;
    case 'not-found':
    case 'not-cached':
      return 404;
    case 'method-not-allowed':
      return 405;
    case 'conflict':
      return 409;
    case 'too-large':
      return 413;
    case 'checksum-mismatch':
    case 'checksum-missing':
    case 'log-invalid':
    case 'log-forked':
    case 'zip-invalid':
    case 'bundle-invalid':
    case 'upstream-invalid':
    case 'origin-unavailable':
    case 'database-unavailable':
      return 502;
    case 'storage-fault':
    case 'overloaded':
    case 'data-dir-in-use':
    case 'config-invalid':
    case 'listen-failed':
    // Nobody who is still there asked for it: the hub is stopping.
    case 'canceled':
      return 503;
    case 'origin-timeout':
    case 'still-fetching':
      return 504;
    case 'storage-full':
      return 507;
    default:
      return unreachable(code);
  }
}

/** The same for the codes that only a server knows. */
export function statusOfFailure(code: FailureCode): number {
  switch (code) {
    case 'unauthorized':
      return 401;
    case 'forbidden':
      return 403;
    case 'too-many-failures':
      return 429;
    case 'range-unsatisfiable':
      return 416;
    case 'internal':
      return 503;
    default:
      return statusOf(code);
  }
}

/** What stands in the log for a client that left before its answer, as other servers write it. Never sent. */
export const STATUS_CLIENT_LEFT = 499;
