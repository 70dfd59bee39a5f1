import type { ErrorCode } from '../base/errors.ts';

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

const codeOfError: Readonly<Record<ErrorCode, ExitCode>> = {
  'bad-request': exitCodes.usage,
  'method-not-allowed': exitCodes.usage,
  'config-invalid': exitCodes.usage,
  'not-found': exitCodes.absent,
  'not-cached': exitCodes.absent,
  'policy-denied': exitCodes.refused,
  'upstream-refused': exitCodes.refused,
  conflict: exitCodes.refused,
  'too-large': exitCodes.usage,
  'checksum-mismatch': exitCodes.unverified,
  'checksum-missing': exitCodes.unverified,
  'log-invalid': exitCodes.unverified,
  'log-forked': exitCodes.unverified,
  'zip-invalid': exitCodes.unverified,
  'bundle-invalid': exitCodes.unverified,
  'upstream-invalid': exitCodes.unverified,
  'origin-unavailable': exitCodes.unavailable,
  'database-unavailable': exitCodes.unavailable,
  'origin-timeout': exitCodes.unavailable,
  'still-fetching': exitCodes.unavailable,
  overloaded: exitCodes.unavailable,
  'storage-full': exitCodes.storage,
  'storage-fault': exitCodes.storage,
  'data-dir-in-use': exitCodes.cannotStart,
  'listen-failed': exitCodes.cannotStart,
  canceled: exitCodes.interrupted,
};

/** The exit code of a command that failed with an error of this code. */
export function exitCodeOf(code: ErrorCode): ExitCode {
  return codeOfError[code];
}

/** The code that a hub wrote, if this version knows it. */
export function knownCode(text: string): ErrorCode | undefined {
  return Object.hasOwn(codeOfError, text) ? (text as ErrorCode) : undefined;
}

const bySeriousness: readonly ExitCode[] = [
  exitCodes.unverified,
  exitCodes.storage,
  exitCodes.refused,
  exitCodes.unavailable,
  exitCodes.absent,
  exitCodes.usage,
];

/** The exit code of a command of which several parts failed: that of the most serious. A code that this version does not know counts as 1. */
export function worstExitCode(codes: Iterable<ExitCode | undefined>): ExitCode {
  const seen = new Set(codes);
  return bySeriousness.find((code) => seen.has(code)) ?? exitCodes.attention;
}
