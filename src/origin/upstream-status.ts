import type { OutboundResponse } from '../net/outbound-client.ts';
import type { Load } from './concurrency-limit.ts';

/** What a status says about a thing and about the upstream. */
export type StatusMeaning =
  | { readonly kind: 'found' }
  | { readonly kind: 'absent' }
  /** The upstream's own refusal: asking again changes nothing, another upstream may have it. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'fault'; readonly retry: boolean; readonly weight: number; readonly load: Load };

/** GOPROXY knows one success and two ways to say "not here"; everything else is a fault or a refusal. https://go.dev/ref/mod#goproxy-protocol */
export function meaningOf(status: number): StatusMeaning {
  switch (status) {
    case 200:
      return { kind: 'found' };
    case 404:
    case 410:
      return { kind: 'absent' };
    case 400:
    case 401:
    case 403:
    case 451:
      return { kind: 'refused' };
    // The upstream as a whole is in trouble or wants to be left alone.
    case 429:
    case 503:
      return { kind: 'fault', retry: true, weight: 1, load: 'pressed' };
    case 502:
    case 504:
      return { kind: 'fault', retry: true, weight: 1, load: 'strained' };
    case 408:
      return { kind: 'fault', retry: true, weight: 0.1, load: 'strained' };
    case 425:
      return { kind: 'fault', retry: true, weight: 0.1, load: 'none' };
    default:
      // A 500 is often about one module; many in a row still mean that something is wrong.
      return { kind: 'fault', retry: status >= 500, weight: 0.1, load: 'none' };
  }
}

const retryAfterMaxMs = 5_000;

/** How long the upstream asks us to wait, at most 5 s; undefined when it does not say. RFC 9110 §10.2.3 */
export function retryAfterMs(headers: ReadonlyMap<string, string>, wallMs: number): number | undefined {
  const text = headers.get('retry-after')?.trim();
  if (text === undefined) return undefined;
  // Date.parse takes nearly everything for a date; an HTTP date begins with the day of the week.
  const askedMs = /^[0-9]{1,9}$/.test(text) ? Number(text) * 1000 : /^[A-Z][a-z]{2}/.test(text) ? Date.parse(text) - wallMs : Number.NaN;
  return Number.isNaN(askedMs) ? undefined : Math.min(retryAfterMaxMs, Math.max(0, askedMs));
}

const reasonReadMaxBytes = 16 * 1024;
const reasonMaxLength = 300;

/** The first line of a refusal or an absence, printable and bounded; '' when there is none or it is a web page. Reads a short body whole. */
export async function firstLineOf(response: OutboundResponse): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response.body) {
      chunks.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes > reasonReadMaxBytes) break;
    }
  } catch {
    // The status has been said; without its reason it is still an answer.
  }
  const type = response.headers.get('content-type') ?? 'text/plain';
  if (!/^text\/plain\b/i.test(type)) return '';
  const text = Buffer.concat(chunks).toString('utf8');
  const line = text.split(/[\r\n]/).find((candidate) => candidate.trim() !== '') ?? '';
  return line
    .replace(/[\p{C}\p{Zl}\p{Zp}\uFFFD]/gu, '')
    .trim()
    .slice(0, reasonMaxLength);
}
