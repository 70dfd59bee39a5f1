/**
 * Continuing a body after a cut. A 206 is accepted only when it fits exactly: it begins at the very next byte, runs to the end, and belongs to the same
 * thing by size, ETag and Last-Modified. A 200 instead means that the sender starts anew. RFC 9110 §13.1.5, §14
 */
import { parsed, refused, type Parsed } from '../base/parsed.ts';

/** What is known of the thing since its first answer. */
export interface ResumeState {
  readonly sizeBytes: number | undefined;
  readonly headers: ReadonlyMap<string, string>;
}

export function resumeHeaders(state: ResumeState, offsetBytes: number): Record<string, string> {
  if (offsetBytes === 0) return {};
  const etag = state.headers.get('etag');
  // Only a strong ETag promises the same bytes.
  const strong = etag !== undefined && /^"[^"]*"$/.test(etag);
  return { range: `bytes=${offsetBytes}-`, ...(strong ? { 'if-range': etag } : {}) };
}

/** Whether a 206 is the exact rest from `offsetBytes` on. */
export function checkRest(state: ResumeState, offsetBytes: number, headers: ReadonlyMap<string, string>): Parsed<undefined> {
  const range = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15}|\*)$/.exec(headers.get('content-range') ?? '');
  if (range === null) return refused('the rest has no readable Content-Range');
  const [first, last] = [Number(range[1]), Number(range[2])];
  const total = range[3] === '*' ? undefined : Number(range[3]);
  if (first !== offsetBytes) return refused(`the rest begins at byte ${first}, not ${offsetBytes}`);
  const end = state.sizeBytes ?? total;
  if (end === undefined || last + 1 !== end || (total !== undefined && total !== end))
    return refused('the rest does not run to the same end');
  const length = headers.get('content-length');
  if (length !== undefined && Number(length) !== last + 1 - first) return refused('the rest has another length than its range');
  for (const name of ['etag', 'last-modified']) {
    const [before, now] = [state.headers.get(name), headers.get(name)];
    if (before !== undefined && now !== undefined && before !== now) return refused(`the thing has changed (${name})`);
  }
  return parsed(undefined);
}
