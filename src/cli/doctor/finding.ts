import type { Facts } from './facts.ts';

export type Severity = 'error' | 'warning';

/** Every finding of the doctor. An error breaks builds or leaves them unchecked, a warning will one day. docs/doctor.md explains each. */
export const severities = {
  'go-missing': 'error',
  'go-too-old': 'warning',
  'go-line-invalid': 'error',
  'toolchain-needed': 'error',
  'toolchain-absent': 'error',
  'variable-shadowed': 'warning',
  'value-quoted': 'error',
  'setting-ignored': 'warning',
  'goflags-insecure': 'error',
  'sumdb-malformed': 'error',
  'sumdb-off': 'error',
  'nosumdb-everything': 'error',
  'private-too-wide': 'warning',
  'pattern-malformed': 'warning',
  'proxy-entry-invalid': 'error',
  'credentials-over-http': 'error',
  'proxy-pipe-direct': 'warning',
  'proxy-unreachable': 'error',
  'proxy-slow': 'warning',
  'proxy-certificate': 'error',
  'proxy-not-tls': 'error',
  'proxy-error': 'error',
  'proxy-credentials': 'error',
  'database-unreachable': 'error',
  'database-certificate': 'error',
  'database-other-key': 'error',
  'database-slow': 'warning',
  'outbound-proxy-invalid': 'error',
  'outbound-proxy-tls': 'error',
  'outbound-proxy-unreachable': 'error',
  'no-proxy-entry': 'warning',
  'clock-skew': 'error',
  'authorities-missing': 'error',
  'go-sum-wrong': 'error',
  'go-sum-malformed': 'error',
  'cache-altered': 'error',
  'cache-damaged': 'error',
  'proxy-altered': 'error',
  'database-differs': 'error',
  'module-refused': 'error',
  'module-absent': 'error',
  'module-error': 'error',
  'private-credentials': 'error',
  'private-host-unreachable': 'error',
  'private-vanity': 'error',
  'private-pattern-missing': 'error',
  'git-missing': 'error',
  'case-collision': 'error',
  'path-declared-otherwise': 'error',
  'major-version-path': 'error',
  'modules-off': 'error',
  'vendor-mismatch': 'error',
  'vendor-missing': 'error',
  'gopath-project': 'warning',
  'tmp-noexec': 'error',
  'tmp-full': 'error',
  'folder-unwritable': 'error',
} as const;

export type FindingId = keyof typeof severities;

/** What was run, asked or read, and what came back. */
export interface Proof {
  readonly ran: string;
  readonly got: string;
}

export interface Fix {
  /** What a person would type. */
  readonly lines: readonly string[];
  /** What puts everything back as it was. Only with `apply`. */
  readonly undo: readonly string[];
  /** Left out where only a person may do it. @throws {HubError} */
  readonly apply?: (signal: AbortSignal) => Promise<void>;
}

export interface Finding {
  readonly id: FindingId;
  /** What it is about: a variable with its value, an address, a module version. No credentials. */
  readonly subject: string;
  readonly proof: readonly Proof[];
  readonly fix: Fix;
}

/** Looks at one kind of thing. Never throws for what it finds. */
export interface Check {
  readonly finds: readonly FindingId[];
  readonly run: (facts: Facts) => Promise<readonly Finding[]> | readonly Finding[];
}

/** A fix that is to be typed. */
export function typed(...lines: readonly string[]): Fix {
  return { lines, undo: [] };
}

/** What is said of a finding. */
export interface FindingText {
  readonly title: (subject: string) => string;
  readonly why: string;
  readonly todo: string;
}
