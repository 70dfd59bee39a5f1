export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** A log line is a fixed sentence plus fields. No field holds a secret: addresses go through `withoutCredentials` first. */
export interface Log {
  debug(sentence: string, fields?: LogFields): void;
  info(sentence: string, fields?: LogFields): void;
  warn(sentence: string, fields?: LogFields): void;
  error(sentence: string, fields?: LogFields): void;
}

/** For tests and for code that nobody listens to. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** The address without user, password and query, fit for logs, headers and messages. */
export function withoutCredentials(address: string): string {
  if (!URL.canParse(address)) return address.replace(/\/\/[^/@]*@/, '//');
  const url = new URL(address);
  url.username = '';
  url.password = '';
  url.search = '';
  url.hash = '';
  return url.href;
}
