import type { IncomingHttpHeaders } from 'node:http';
import type { ClientFacts } from '../scaffold/client-settings.ts';
import { codeOf } from '../base/errors.ts';
import type { Executables } from '../hub/executables.ts';
import { type ListedSdk, type SdkShelf, byRelease } from '../hub/sdk-shelf.ts';
import { isStable } from '../protocol/go-release.ts';
import { frontPage, type SdksHere } from '../scaffold/front-page.ts';
import { PAGE_POLICY } from '../scaffold/page.ts';
import type { ReadinessReport } from './health.ts';
import { prefersChinese } from './welcome.ts';

/** Of the page at `/`, in either form. */
export const FRONT_PAGE_VARIES = 'Accept, Accept-Language, Host, User-Agent';

export const pageHeaders: readonly string[] = ['Content-Security-Policy', PAGE_POLICY, 'Referrer-Policy', 'no-referrer'];

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
  { ready, degraded }: Pick<ReadinessReport, 'ready' | 'degraded'>,
  sdks: SdksHere | undefined,
): string {
  return frontPage(
    { ...facts, ready, degraded, sdks },
    {
      language: prefersChinese(headers['accept-language']) ? 'zh' : 'en',
      system: /\bWindows\b/.test(headers['user-agent'] ?? '') ? 'windows' : 'other',
    },
  );
}

/** Asks nobody outside. Undefined: what is stored cannot be read, which the state of the hub says. */
export async function listSdksHere(sdks: Pick<SdkShelf, 'list'>, executables: Pick<Executables, 'list'>): Promise<SdksHere | undefined> {
  try {
    const listed = await sdks.list({ fill: false }, AbortSignal.timeout(LIST_MS)).catch((error: unknown) => {
      if (codeOf(error) === 'not-cached' || codeOf(error) === 'not-found') return [];
      throw error;
    });
    return sdksHere(listed, await executables.list());
  } catch {
    return undefined;
  }
}

const LIST_MS = 5_000;

/** What a colleague wants to know of the list: which release is the newest, and what is sent without a wait. */
function sdksHere(listed: readonly ListedSdk[], executables: readonly string[]): SdksHere {
  const releases = byRelease(listed);
  return {
    newest: releases.find(({ release }) => isStable(release))?.release,
    stored: releases.flatMap(({ release, sdks }) => {
      const platforms = sdks.flatMap(({ name, manifest }) => (manifest === undefined ? [] : [`${name.os}-${name.arch}`]));
      return platforms.length === 0 ? [] : [{ release, platforms }];
    }),
    hasOfficial: listed.some(({ manifest }) => manifest?.origin.kind === 'official'),
    executables,
  };
}
