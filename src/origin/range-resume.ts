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

/** A part of a thing: from `firstByte` to the one before `endByte`, or to the end of the thing. */
export interface PartOfThing {
  readonly firstByte: number;
  readonly endByte: number | undefined;
}

export function resumeHeaders(state: ResumeState, offsetBytes: number): Record<string, string> {
  return offsetBytes === 0 ? {} : partHeaders(state, { firstByte: offsetBytes, endByte: undefined });
}

export function partHeaders(state: ResumeState, { firstByte, endByte }: PartOfThing): Record<string, string> {
  const etag = strongEtagOf(state);
  return { range: `bytes=${firstByte}-${endByte === undefined ? '' : endByte - 1}`, ...(etag === undefined ? {} : { 'if-range': etag }) };
}

/** Whether the thing can be fetched in parts that are certain to belong together: its size is known, and the server names it and gives ranges of it. */
export function isDivisible(state: ResumeState): state is ResumeState & { readonly sizeBytes: number } {
  const { headers, sizeBytes } = state;
  const isNamed = strongEtagOf(state) !== undefined || headers.get('last-modified') !== undefined;
  return sizeBytes !== undefined && isNamed && headers.get('accept-ranges')?.toLowerCase() === 'bytes';
}

/** Only a strong ETag promises the same bytes. */
function strongEtagOf({ headers }: ResumeState): string | undefined {
  const etag = headers.get('etag');
  return etag !== undefined && /^"[^"]*"$/.test(etag) ? etag : undefined;
}

/** Whether a 206 is the exact rest from `offsetBytes` on. */
export function checkRest(state: ResumeState, offsetBytes: number, headers: ReadonlyMap<string, string>): Parsed<undefined> {
  return checkPart(state, { firstByte: offsetBytes, endByte: undefined }, headers);
}

/** Whether a 206 is exactly the part that was asked for, of the same thing. */
export function checkPart(
  state: ResumeState,
  { firstByte, endByte }: PartOfThing,
  headers: ReadonlyMap<string, string>,
): Parsed<undefined> {
  const range = /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15}|\*)$/.exec(headers.get('content-range') ?? '');
  if (range === null) return refused('the rest has no readable Content-Range');
  const [first, last] = [Number(range[1]), Number(range[2])];
  const total = range[3] === '*' ? undefined : Number(range[3]);
  if (first !== firstByte) return refused(`the rest begins at byte ${first}, not ${firstByte}`);
  const size = state.sizeBytes ?? total;
  if (size === undefined || last + 1 !== (endByte ?? size) || (total !== undefined && total !== size))
    return refused('the rest does not run to the same end');
  const length = headers.get('content-length');
  if (length !== undefined && Number(length) !== last + 1 - first) return refused('the rest has another length than its range');
  for (const name of ['etag', 'last-modified']) {
    const [before, now] = [state.headers.get(name), headers.get(name)];
    if (before !== undefined && now !== undefined && before !== now) return refused(`the thing has changed (${name})`);
  }
  return parsed(undefined);
}
