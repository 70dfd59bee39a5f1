import type { Readable } from 'node:stream';

export interface RawRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly body?: Uint8Array;
  /** With query; absolute for a plain proxy. */
  readonly path: string;
  /** Names in lower case, without `host`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Ends the exchange at any time, the body included, with its reason. */
  readonly signal: AbortSignal;
}

/** The head of an answer, and its body as it comes from the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case; of a repeated header the first value. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Readable;
  /** To be asked after the last byte: whether the sender broke off in a way that reads like an ordinary end. */
  brokenOff(): boolean;
}

/** Heads may have this much; the rest is a fault of the sender. */
export const headSizeMaxBytes: number = 32 * 1024;

export function headersOf(headers: Readonly<Record<string, string | string[] | number | undefined>>): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined && !name.startsWith(':')) map.set(name.toLowerCase(), String(first));
  }
  return map;
}
