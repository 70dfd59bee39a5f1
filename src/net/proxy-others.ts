/**
 * What other programs do with the variables that Go reads. Git asks by libcurl, so it does as curl does, unless its own `http.proxy` says otherwise.
 *
 * - curl reads `http_proxy` in small letters alone, everything else in both spellings and the small one first. It takes blanks as well as commas between
 *   entries, a leading dot for nothing, `*` only when it stands alone, and knows no ports. Ranges of IPv4 since 7.86; as of 7.88 an IPv6 address
 *   must be spelled as in the URL. https://curl.se/libcurl/c/CURLOPT_NOPROXY.html
 * - npm takes any spelling, and the proxy for https: for http: as well. An entry is the last parts of a name, compared letter by letter: no
 *   ranges, no ports, no `*`. https://docs.npmjs.com/cli/v11/using-npm/config#noproxy
 */
import { isIP } from 'node:net';
import type { FoundVariable, ProxyEnvironment } from './proxy-explain.ts';

export interface OtherDecision {
  readonly program: 'curl' | 'npm';
  readonly goesDirect: boolean;
  /** Undefined: no variable that it reads names a proxy for this scheme. */
  readonly proxy: FoundVariable | undefined;
  readonly noProxy: FoundVariable | undefined;
}

/** `url` must be http: or https:. */
export function decideByOthers(env: ProxyEnvironment, url: URL): readonly OtherDecision[] {
  const isSecure = url.protocol === 'https:';
  const curlProxy = firstSet(env, isSecure ? ['https_proxy', 'HTTPS_PROXY', ...anyScheme] : ['http_proxy', ...anyScheme]);
  const npmProxy = firstSet(env, ['https_proxy', 'HTTPS_PROXY', ...(isSecure ? [] : ['http_proxy', 'HTTP_PROXY', 'proxy', 'PROXY'])]);
  const curlNoProxy = firstSet(env, ['no_proxy', 'NO_PROXY']);
  const npmNoProxy = firstSet(env, ['no_proxy', 'NO_PROXY']);
  return [
    {
      program: 'curl',
      proxy: curlProxy,
      noProxy: curlNoProxy,
      goesDirect: curlProxy === undefined || curlGoesDirect(curlNoProxy?.value ?? '', url),
    },
    {
      program: 'npm',
      proxy: npmProxy,
      noProxy: npmNoProxy,
      goesDirect: npmProxy === undefined || npmGoesDirect(npmNoProxy?.value ?? '', url),
    },
  ];
}

const anyScheme = ['all_proxy', 'ALL_PROXY'];

function firstSet(env: ProxyEnvironment, names: readonly string[]): FoundVariable | undefined {
  for (const name of names) {
    const value = env[name] ?? '';
    if (value !== '') return { name, value };
  }
  return undefined;
}

export function curlGoesDirect(noProxy: string, url: URL): boolean {
  if (noProxy === '*') return true;
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const entries = noProxy.split(/[\s,]+/).filter((entry) => entry !== '');
  return entries.some((entry) => (isIP(host) === 4 ? inRange(host, entry) : isBelow(host, entry.replace(/\.$/, '').replace(/^\./, ''))));
}

function isBelow(host: string, domain: string): boolean {
  const wanted = domain.toLowerCase();
  return wanted !== '' && (host === wanted || host.endsWith(`.${wanted}`));
}

/** A length of 0 means the whole address to curl. */
function inRange(address: string, entry: string): boolean {
  const [base = '', length = '0'] = entry.split('/');
  const bits = Number.parseInt(length, 10) || 32;
  if (isIP(base) !== 4 || bits > 32) return false;
  const mask = bits === 32 ? 0xffffffff : ~(0xffffffff >>> bits);
  return ((toNumber(address) ^ toNumber(base)) & mask) === 0;
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => (sum << 8) | Number(part), 0);
}

export function npmGoesDirect(noProxy: string, url: URL): boolean {
  const host = url.hostname.split('.').reverse();
  return noProxy.split(',').some((entry) => {
    const parts = entry
      .trim()
      .split('.')
      .filter((part) => part !== '')
      .reverse();
    return parts.length > 0 && parts.every((part, index) => part === host[index]);
  });
}
