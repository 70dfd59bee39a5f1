import type { IncomingHttpHeaders } from 'node:http';
import { type ClientFacts } from '../scaffold/client-settings.ts';
import { FRONT_PAGE_POLICY, frontPage } from '../scaffold/front-page.ts';
import type { ReadinessReport } from './health.ts';
import { prefersChinese } from './welcome.ts';

/** Of the page at `/`, in either form. */
export const FRONT_PAGE_VARIES = 'Accept, Accept-Language, Host, User-Agent';

export const frontPageHeaders: readonly string[] = ['Content-Security-Policy', FRONT_PAGE_POLICY, 'Referrer-Policy', 'no-referrer'];

/** Whether whoever asks is a browser: it names HTML, and programs that take anything do not. */
export function wantsHtml({ accept }: IncomingHttpHeaders): boolean {
  return (accept ?? '')
    .slice(0, 1_000)
    .split(',')
    .some((item) => /^\s*(?:text\/html|application\/xhtml\+xml)\s*(?:;(?!\s*q=0(?:\.0{0,3})?\s*$).*)?$/i.test(item));
}

export function frontPageFor(
  headers: IncomingHttpHeaders,
  facts: ClientFacts & { readonly version: string; readonly verifyOff: boolean },
  { ready, degraded }: ReadinessReport,
): string {
  return frontPage(
    { ...facts, ready, degraded },
    {
      language: prefersChinese(headers['accept-language']) ? 'zh' : 'en',
      system: /\bWindows\b/.test(headers['user-agent'] ?? '') ? 'windows' : 'other',
    },
  );
}
