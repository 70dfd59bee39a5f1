import type { ErrorCode } from '../base/errors.ts';
import { unreachable } from '../base/invariant.ts';

/** Exit codes by meaning; `--help` and docs/errors.md list them. */
export const exitCodes = {
  done: 0,
  attention: 1,
  usage: 2,
  absent: 3,
  refused: 4,
  unverified: 5,
  unavailable: 6,
  storage: 7,
  cannotStart: 8,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The exit code of a command that failed with an error of this code. */
export function exitCodeOf(code: ErrorCode): ExitCode {
  switch (code) {
    case 'bad-request':
    case 'method-not-allowed':
    case 'config-invalid':
      return exitCodes.usage;
    case 'not-found':
    case 'not-cached':
      return exitCodes.absent;
    case 'policy-denied':
    case 'upstream-refused':
      return exitCodes.refused;
    case 'checksum-mismatch':
    case 'checksum-missing':
    case 'log-invalid':
    case 'log-forked':
    case 'zip-invalid':
    case 'upstream-invalid':
      return exitCodes.unverified;
    case 'origin-unavailable':
    case 'database-unavailable':
    case 'origin-timeout':
    case 'still-fetching':
    case 'overloaded':
      return exitCodes.unavailable;
    case 'storage-full':
    case 'storage-fault':
      return exitCodes.storage;
    case 'data-dir-in-use':
    case 'listen-failed':
      return exitCodes.cannotStart;
    case 'canceled':
      return exitCodes.interrupted;
    default:
      return unreachable(code);
  }
}
