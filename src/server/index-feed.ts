import { parsed, refused, type Parsed } from '../base/parsed.ts';
import type { IndexEntry } from '../meta/metadata.ts';

/** The feed of what the hub has stored, in the format of the public index: https://index.golang.org/ */
export interface IndexQuery {
  /** Microseconds since the epoch; entries stored then or later are wanted. */
  readonly sinceUs: number;
  /** 1 to 2000. */
  readonly limit: number;
}

export const INDEX_LIMIT_MAX = 2000;

export const INDEX_CONTENT_TYPE = 'application/x-ndjson';

export function parseIndexQuery(query: string): Parsed<IndexQuery> {
  let sinceUs = 0;
  const since = parameter(query, 'since');
  if (since !== undefined && since !== '') {
    const time = parseTimestampUs(since);
    if (!time.ok) return time;
    sinceUs = time.value;
  }
  const limit = parameter(query, 'limit');
  if (limit === undefined || limit === '') return parsed({ sinceUs, limit: INDEX_LIMIT_MAX });
  if (!/^\d{1,6}$/.test(limit) || Number(limit) < 1 || Number(limit) > INDEX_LIMIT_MAX)
    return refused(`limit must be a number from 1 to ${INDEX_LIMIT_MAX}`);
  return parsed({ sinceUs, limit: Number(limit) });
}

/** One line of JSON an entry, oldest first as given. */
export function formatIndex(entries: readonly IndexEntry[]): string {
  let text = '';
  for (const { module, version, storedAtUs } of entries) {
    text += `${JSON.stringify({ Path: module, Version: version, Timestamp: formatTimestampUs(storedAtUs) })}\n`;
  }
  return text;
}

/** RFC 3339 in UTC with all six digits: a reader that pages by the last timestamp must get it back exactly. */
export function formatTimestampUs(us: number): string {
  const seconds = Math.floor(us / 1_000_000);
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(us - seconds * 1_000_000).padStart(6, '0')}Z`;
}

/** Digits below the microsecond round up: no entry before `since` is ever answered. */
export function parseTimestampUs(text: string): Parsed<number> {
  const bad = refused('since must be a time as RFC 3339 writes it, such as 2019-04-10T19:08:52.997264Z');
  const match = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/.exec(text);
  if (match === null) return bad;
  const [, date = '', time = '', fraction = '', sign, hours = '0', minutes = '0'] = match;
  const wallMs = Date.parse(`${date}T${time}Z`);
  // Date moves 30 February into March instead of refusing it.
  if (Number.isNaN(wallMs) || new Date(wallMs).toISOString().slice(0, 19) !== `${date}T${time}`) return bad;
  if (Number(hours) > 23 || Number(minutes) > 59) return bad;
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1);
  const us = Number(fraction.slice(0, 6).padEnd(6, '0')) + (/[1-9]/.test(fraction.slice(6)) ? 1 : 0);
  return parsed((wallMs - offsetMs) * 1000 + us);
}

/** The first value of a query parameter; `+` stays a plus, because an offset such as +08:00 is meant. Undefined when absent. */
function parameter(query: string, name: string): string | undefined {
  for (const pair of query.split('&')) {
    if (!pair.startsWith(`${name}=`)) continue;
    const raw = pair.slice(name.length + 1);
    try {
      return decodeURIComponent(raw);
    } catch {
      // Stays undecoded, which no parser of a value accepts.
      return raw;
    }
  }
  return undefined;
}
