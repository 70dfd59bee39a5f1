/**
 * Why a Go program's request goes through which proxy, by the environment of that program: what {@link parseProxyRules} decides, with the variable and
 * the entry that decided it. Upper case goes before lower case, and what is empty counts as not set. https://pkg.go.dev/net/http#ProxyFromEnvironment
 */
import { parseNoProxy, type WhyDirect } from './proxy-rules.ts';

export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

/** A value, and the name of the variable that it was found in. */
export interface FoundVariable {
  readonly name: string;
  readonly value: string;
}

export type ProxyDecision =
  | { readonly kind: 'proxy'; readonly proxy: FoundVariable; readonly noProxy: FoundVariable | undefined }
  /** `because` of no proxy: no variable names one for this scheme. */
  | { readonly kind: 'direct'; readonly because: { readonly kind: 'no-proxy' } }
  | {
      readonly kind: 'direct';
      readonly because: WhyDirect;
      readonly proxy: FoundVariable;
      readonly noProxy: FoundVariable | undefined;
    }
  /** Go refuses HTTP_PROXY where REQUEST_METHOD is set: there it may come from a header of a stranger. */
  | { readonly kind: 'refused'; readonly proxy: FoundVariable }
  /** What Go makes of it is no address of a proxy: requests fail, or go direct without a word. */
  | { readonly kind: 'unreadable'; readonly proxy: FoundVariable };

/** `url` must be http: or https:; anything else goes direct. */
export function explainProxy(env: ProxyEnvironment, url: URL): ProxyDecision {
  const scheme = url.protocol === 'https:' ? 'HTTPS_PROXY' : url.protocol === 'http:' ? 'HTTP_PROXY' : undefined;
  const proxy = scheme && findVariable(env, scheme);
  if (proxy === undefined) return { kind: 'direct', because: { kind: 'no-proxy' } };
  if (!isProxyAddress(proxy.value)) return { kind: 'unreadable', proxy };
  if (scheme === 'HTTP_PROXY' && (env['REQUEST_METHOD'] ?? '') !== '') return { kind: 'refused', proxy };
  const noProxy = findVariable(env, 'NO_PROXY');
  const because = parseNoProxy(noProxy?.value ?? '')(url);
  return because === undefined ? { kind: 'proxy', proxy, noProxy } : { kind: 'direct', because, proxy, noProxy };
}

/** `name` in capitals. */
export function findVariable(env: ProxyEnvironment, name: 'HTTP_PROXY' | 'HTTPS_PROXY' | 'NO_PROXY'): FoundVariable | undefined {
  for (const spelling of [name, name.toLowerCase()]) {
    const value = env[spelling] ?? '';
    if (value !== '') return { name: spelling, value };
  }
  return undefined;
}

/** With `http:` in front where there is no scheme, as Go takes it. */
export function proxyAddress(value: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
}

export function isProxyAddress(value: string): boolean {
  const address = proxyAddress(value);
  if (!/^(?:https?|socks5h?):\/\/[^\s]+$/i.test(address)) return false;
  // Only for http: and https: does a URL check host and port.
  const asHttp = address.replace(/^[a-z0-9]+:/i, 'http:');
  if (!URL.canParse(asHttp)) return false;
  const { hostname, username, password } = new URL(asHttp);
  return hostname !== '' && [username, password].every((part) => !/%(?![0-9a-f]{2})/i.test(part));
}
