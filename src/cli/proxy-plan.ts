import { isIP } from 'node:net';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { isProxyAddress, proxyAddress } from '../net/proxy-explain.ts';
import type { PrintTarget, Variable } from '../scaffold/print-variables.ts';

/** What was changed in an entry, or is to be known of it, so that every program does the same with it. */
export interface EntryNote {
  readonly entry: string;
  readonly kind: 'below' | 'port' | 'wildcard' | 'url' | 'range';
  /** What stands there now. */
  readonly to: string;
}

export interface ProxyPlan {
  readonly http: string;
  readonly https: string;
  readonly noProxy: readonly string[];
  readonly notes: readonly EntryNote[];
}

/** Go sends these directly whatever is set; curl and npm must be told. */
const always = ['localhost', '127.0.0.1', '::1'];

/** The reason says what is wrong with which value, and holds no password. */
export function planProxy(given: { readonly http: string; readonly https: string; readonly inner: string }): Parsed<ProxyPlan> {
  for (const address of [given.http, given.https])
    if (!isProxyAddress(address)) return refused('the address of the proxy cannot be read: write http://host:port');
  const noProxy = [...always];
  const notes: EntryNote[] = [];
  // Blanks separate for some programs and not for others, so nobody is left to wonder.
  for (const text of given.inner.split(/[\s,]+/).filter((entry) => entry !== '')) {
    const entry = portableEntry(text);
    if (!entry.ok) return entry;
    const { to, kind } = entry.value;
    if (!noProxy.includes(to)) noProxy.push(to);
    if (kind !== undefined) notes.push({ entry: text, kind, to });
  }
  return parsed({ http: proxyAddress(given.http), https: proxyAddress(given.https), noProxy, notes });
}

/**
 * An entry that Go, curl, git and npm all read alike: a bare name stands for itself and everything below it, an address for itself. A range is left: whoever
 * does not know it takes the proxy.
 */
function portableEntry(text: string): Parsed<{ readonly to: string; readonly kind?: EntryNote['kind'] }> {
  const entry = text.toLowerCase();
  if (entry === '*') return refused('* sends everything directly: then no proxy is needed');
  if (/[\\^$()|+?]/.test(entry))
    return refused(`${text} looks like a regular expression, which no program knows here: write a name or a range`);
  const url = /^[a-z]+:\/\/([^/]+)\/?$/.exec(entry)?.[1];
  if (url !== undefined) return renamed(url, 'url', text);
  const octets = /^((?:\d{1,3}\.){1,3})(?:\*(?:\.\*)*)?$/.exec(entry)?.[1]?.split('.').slice(0, -1);
  if (octets !== undefined) {
    const to = `${[...octets, '0', '0', '0'].slice(0, 4).join('.')}/${octets.length * 8}`;
    return isRange(to) ? parsed({ to, kind: 'wildcard' }) : refused(`${text} is no address`);
  }
  if (isRange(entry)) return parsed({ to: entry, kind: 'range' });
  const bare = entry.replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) !== 0) return parsed({ to: bare });
  const port = /^(.+?):\d{1,5}$/.exec(entry)?.[1];
  if (port !== undefined) return renamed(port, 'port', text);
  if (/^\*?\./.test(entry)) return renamed(entry.replace(/^\*?\.+/, ''), 'below', text);
  const name = entry.replace(/\.$/, '');
  // A part of a name; what is not ASCII is to be written as it stands in a URL.
  return /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(name)
    ? parsed({ to: name })
    : refused(`${text} is no name, no address and no range`);
}

function renamed(rest: string, kind: EntryNote['kind'], text: string): ReturnType<typeof portableEntry> {
  const entry = portableEntry(rest);
  return entry.ok ? parsed({ to: entry.value.to, kind }) : refused(`${text} is no name, no address and no range`);
}

function isRange(text: string): boolean {
  const [, base = '', length = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const family = isIP(base);
  return family !== 0 && Number(length) >= 1 && Number(length) <= (family === 4 ? 32 : 128);
}

/** curl reads `http_proxy` in small letters only, others the capitals first; where names have no case once is enough. */
export function proxyVariables({ http, https, noProxy }: ProxyPlan, target: PrintTarget): readonly Variable[] {
  const variables: readonly Variable[] = [
    { name: 'HTTP_PROXY', value: http },
    { name: 'HTTPS_PROXY', value: https },
    { name: 'NO_PROXY', value: noProxy.join(',') },
  ];
  if (target === 'powershell' || target === 'cmd' || target === 'setx') return variables;
  return [...variables, ...variables.map(({ name, value }) => ({ name: name.toLowerCase(), value }))];
}

/** What `~/.docker/config.json` takes: for containers and builds, without being kept in an image. */
export function dockerClientConfig({ http, https, noProxy }: ProxyPlan): string {
  const proxies = { default: { httpProxy: http, httpsProxy: https, noProxy: noProxy.join(',') } };
  return `${JSON.stringify({ proxies }, undefined, 2)}\n`;
}
