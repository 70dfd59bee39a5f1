/**
 * Conditional requests and ranges of RFC 9110 (§13.1.2 If-None-Match, §13.1.5 If-Range, §14.2 Range), for answers with a strong ETag and no date.
 * https://www.rfc-editor.org/rfc/rfc9110
 */

/** The bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** `whole` also stands for every range that is ignored: malformed, of another unit, or several at once. */
export type RangeChoice =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable' };

const WHOLE: RangeChoice = { kind: 'whole' };
const UNSATISFIABLE: RangeChoice = { kind: 'unsatisfiable' };

/** True when the client already holds what `etag` names (weak comparison), or anything at all for `*`: then 304. */
export function matchesNone(ifNoneMatch: string, etag: string | undefined): boolean {
  const field = ifNoneMatch.trim();
  if (field === '*') return true;
  if (etag === undefined) return false;
  // Entity tags may hold commas, so the list is scanned by tag and not split.
  for (const match of field.matchAll(/(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g)) {
    if (match[1] === etag) return true;
  }
  return false;
}

/** Which bytes of `sizeBytes` a GET is answered with. `ifRange` that is not exactly `etag` (a date, a weak tag, an old tag) asks for the whole. */
export function chooseRange(
  range: string | undefined,
  ifRange: string | undefined,
  etag: string | undefined,
  sizeBytes: number,
): RangeChoice {
  if (range === undefined || etag === undefined || sizeBytes === 0) return WHOLE;
  if (ifRange !== undefined && ifRange.trim() !== etag) return WHOLE;
  const match = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(range);
  if (match === null) return WHOLE;
  const [, first = '', last = ''] = match;
  // Digits beyond 2^53 lose precision but stay beyond any size.
  if (first === '') {
    if (last === '') return WHOLE;
    const suffix = Number(last);
    return suffix === 0 ? UNSATISFIABLE : { kind: 'part', range: { start: Math.max(0, sizeBytes - suffix), end: sizeBytes } };
  }
  const start = Number(first);
  if (last !== '' && isBefore(last, first)) return WHOLE;
  if (start >= sizeBytes) return UNSATISFIABLE;
  return { kind: 'part', range: { start, end: last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1) } };
}

/** Compares numbers written with any count of digits. */
function isBefore(a: string, b: string): boolean {
  const [left, right] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return left.length === right.length ? left < right : left.length < right.length;
}
