/** Every way an operation can fail. `docs/errors.md` explains each to the operator; `server/status.ts` and `cli/exit-code.ts` map them. */
export type ErrorCode =
  | 'bad-request' // 400: malformed name, escape, version, tile, range, since or limit
  | 'not-found' // 404: well-formed but absent, so that the go command tries its next proxy
  | 'method-not-allowed' // 405
  | 'conflict' // 409: a version is there with other content, and never changes
  | 'too-large' // 413: more than may be taken in
  | 'policy-denied' // 403: with `,` in GOPROXY the go command stops here
  | 'upstream-refused' // 403: an upstream's own refusal, its first line first
  | 'not-cached' // 404: a request that forbids fills, and nothing is stored
  | 'checksum-mismatch' // 502: bytes differ from the checksum database; never served, never stored
  | 'checksum-missing' // 502: an upstream serves what the database has no record of
  | 'log-invalid' // 502: a database's answer does not verify: signature, tile, record
  | 'log-forked' // 502: a signed head contradicts the one kept; the database is frozen until an operator decides
  | 'zip-invalid' // 502: against the rules of golang.org/x/mod/zip
  | 'bundle-invalid' // a bundle is tampered with, cut, mixed, too old, or signed by nobody who is trusted: nothing of it is taken
  | 'upstream-invalid' // 502: an upstream's answer that cannot be right, such as .info naming another version
  | 'origin-unavailable' // 502: every upstream down; worth a retry
  | 'database-unavailable' // 502: no checksum database could be reached, so nothing can be proved
  | 'origin-timeout' // 504: time over
  | 'still-fetching' // 504: the fill goes on; run the command again
  | 'storage-full' // 507: no space or no inodes
  | 'storage-fault' // 503: the store or the metadata cannot be read or written
  | 'overloaded' // 503: more work than the limits allow
  | 'data-dir-in-use' // another hub holds the data folder
  | 'config-invalid' // the configuration has faults, each with its line
  | 'listen-failed' // the address is taken or forbidden
  | 'canceled'; // the caller left or the hub is stopping

/** The error of every operation. Branch on `code`; the message says what was being done and to what, never a secret. */
export class HubError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'HubError';
    this.code = code;
  }
}

/** The code of an error that some room already translated, else undefined. */
export function codeOf(error: unknown): ErrorCode | undefined {
  return error instanceof HubError ? error.code : undefined;
}

/** One line for a log or a message, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
