/**
 * GOPROXY as the go command reads it: entries between `,` (go on after 404 and 410 only) and `|` (go on after any error); blanks around an
 * entry and empty entries do not count; `direct` and `off` end the list; `https://` may be left out.
 * https://go.dev/ref/mod#environment-variables (GOPROXY)
 */
import { isAbsolute } from 'node:path';

export type ProxyEntry =
  | { readonly kind: 'proxy'; readonly text: string; readonly url: URL; readonly after: Separator }
  | { readonly kind: 'folder'; readonly text: string; readonly url: URL; readonly after: Separator }
  | { readonly kind: 'direct' | 'off'; readonly text: string; readonly before: Separator }
  /** `plain`: only that a password would go over plain http is wrong, and this is the address without it. */
  | { readonly kind: 'invalid'; readonly text: string; readonly reason: string; readonly plain?: URL };

/** What stands behind an entry; '' at the end. */
export type Separator = ',' | '|' | '';

export function parseProxyEntries(text: string): readonly ProxyEntry[] {
  const entries: ProxyEntry[] = [];
  let before: Separator = '';
  for (const [, untrimmed = '', mark = ''] of text.matchAll(/([^,|]*)([,|]|$)/g)) {
    const after = mark as Separator;
    const entry = untrimmed.trim();
    if (entry === 'direct' || entry === 'off') {
      entries.push({ kind: entry, text: entry, before });
      break;
    }
    if (entry !== '') entries.push(parseEntry(entry, after));
    before = after;
  }
  return entries;
}

function parseEntry(text: string, after: Separator): ProxyEntry {
  const invalid = (reason: string): ProxyEntry & { kind: 'invalid' } => ({ kind: 'invalid', text, reason });
  const whole = /[.:/]/.test(text) && !text.includes(':/') && !isAbsolute(text) ? `https://${text}` : text;
  // What JavaScript would mend, such as a blank or a full-width comma in a host, Go refuses.
  if (/[^\x21-\x7e]/.test(whole)) return invalid('it has a blank or a character that no address has');
  if (/^["'“]/.test(text)) return invalid('it has quote marks');
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url === undefined) return invalid('it is no address');
  if (url.protocol === 'file:') return { kind: 'folder', text, url, after };
  if (!/^https?:\/\/[^/]/.test(whole)) return invalid('the scheme must be https, http or file');
  if (url.protocol === 'http:' && (url.username !== '' || url.password !== ''))
    return { ...invalid('the go command sends no credentials over http: write https'), plain: withoutPassword(url) };
  url.pathname = url.pathname.replace(/\/+$/, '');
  return { kind: 'proxy', text, url, after };
}

function withoutPassword(url: URL): URL {
  const plain = new URL(url);
  plain.username = '';
  plain.password = '';
  return plain;
}

/** `rest` below the base address of a proxy. */
export function below(base: URL, rest: string): URL {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/+$/, '')}/${rest}`;
  return url;
}
