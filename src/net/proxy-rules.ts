/**
 * Which outbound proxy a request goes through, by the rules every Go program follows, so that one setting serves the go command and goyi alike:
 * - `httpProxy` is for http: targets, `httpsProxy` for https: targets; a value without a scheme means http:.
 * - `localhost` and loopback addresses always go direct.
 * - `noProxy` is a list with commas: `*` (everything direct), an address, a CIDR range, a domain (itself and below), `.domain` or `*.domain` (only below),
 *   each with an optional `:port`. Addresses and ranges match literal addresses only, domains never match addresses. Names are not resolved.
 * One difference: a proxy address that cannot be parsed is refused here, where Go quietly goes without a proxy.
 * https://pkg.go.dev/golang.org/x/net/http/httpproxy
 */
import { BlockList, isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { parsed, refused, type Parsed } from '../base/parsed.ts';
import { hostOf, portOf } from './address-guard.ts';

export interface ProxyRules {
  /** The proxy for a request to `url`, or undefined: direct. It may hold credentials. */
  proxyFor(url: URL): URL | undefined;
  /** Every proxy that can be chosen. */
  readonly proxies: readonly URL[];
}

export interface ProxySettings {
  readonly httpProxy?: string | undefined;
  readonly httpsProxy?: string | undefined;
  readonly noProxy?: string | undefined;
}

/** Everything goes direct. */
export const withoutProxy: ProxyRules = { proxyFor: () => undefined, proxies: [] };

/** Reads the three values; refused when a proxy's address has no host or a scheme other than http: and https:. The reason holds no credentials. */
export function parseProxyRules(settings: ProxySettings): Parsed<ProxyRules> {
  const http = parseProxy(settings.httpProxy ?? '');
  if (!http.ok) return refused(`the proxy for http: ${http.reason}`);
  const https = parseProxy(settings.httpsProxy ?? '');
  if (!https.ok) return refused(`the proxy for https: ${https.reason}`);
  const whyDirect = parseNoProxy(settings.noProxy ?? '');
  return parsed({
    proxies: [http.value, https.value].filter((proxy) => proxy !== undefined),
    proxyFor(url) {
      const proxy = url.protocol === 'https:' ? https.value : url.protocol === 'http:' ? http.value : undefined;
      return proxy === undefined || whyDirect(url) !== undefined ? undefined : proxy;
    },
  });
}

function parseProxy(text: string): Parsed<URL | undefined> {
  if (text === '') return parsed(undefined);
  // `host:port` parses as a URL with the scheme `host:`, hence the test for slashes.
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || url.hostname === '') return refused('the address cannot be read; write http://host:port');
  if (url.protocol === 'http:' || url.protocol === 'https:') return parsed(url);
  return refused(`${url.protocol}// proxies are not supported; write http://host:port`);
}

interface Target {
  readonly host: string;
  readonly port: string;
  readonly ip: string | undefined;
}

type Matcher = (target: Target) => boolean;

/** Why a request goes direct although there is a proxy for its scheme. */
export type WhyDirect =
  | { readonly kind: 'loopback' }
  /** As it is written in NO_PROXY. `all`: everything goes direct. */
  | { readonly kind: 'entry'; readonly entry: string; readonly matches: EntryKind };

export type EntryKind = 'all' | 'address' | 'domain';

const LOOPBACK: WhyDirect = { kind: 'loopback' };

function targetOf(url: URL): Target {
  // The final dot of a full name stays: Go compares it as it stands.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const ip = isIP(hostOf(url)) === 0 ? undefined : plainAddress(host);
  return { host, port: String(portOf(url)), ip };
}

/** The first reason by which a request goes direct, a loopback address before all entries; undefined: through the proxy. */
export function parseNoProxy(text: string): (url: URL) => WhyDirect | undefined {
  const matchers: { readonly matches: Matcher; readonly why: WhyDirect }[] = [];
  for (const part of text.split(',')) {
    const entry = part.trim();
    if (entry === '') continue;
    if (entry === '*') {
      matchers.push({ matches: () => true, why: { kind: 'entry', entry, matches: 'all' } });
      continue;
    }
    const range = rangeMatcher(entry.toLowerCase());
    const matches = range ?? hostMatcher(entry.toLowerCase());
    const kind: EntryKind = range !== undefined || isIP(splitHostPort(entry).host) !== 0 ? 'address' : 'domain';
    if (matches !== undefined) matchers.push({ matches, why: { kind: 'entry', entry, matches: kind } });
  }
  return (url) => {
    const target = targetOf(url);
    return alwaysDirect(target) ? LOOPBACK : matchers.find(({ matches }) => matches(target))?.why;
  };
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

function alwaysDirect({ host, ip }: Target): boolean {
  return host === 'localhost' || (ip !== undefined && contains(loopback, ip));
}

/** `10.0.0.0/8`, `2001:db8::/32`. A range of one family holds no address of the other. */
function rangeMatcher(entry: string): Matcher | undefined {
  const [, base = '', length = ''] = /^([^/%]+)\/([0-9]{1,9})$/.exec(entry) ?? [];
  const given = isIP(base);
  if (given === 0 || Number(length) > (given === 4 ? 32 : 128)) return undefined;
  const plain = Number(length) >= 96 ? plainAddress(base) : base;
  const family = isIP(plain);
  const range = new BlockList();
  range.addSubnet(plain, Number(length) - (family === given ? 0 : 96), family === 4 ? 'ipv4' : 'ipv6');
  return ({ ip }) => ip !== undefined && isIP(ip) === family && contains(range, ip);
}

function hostMatcher(entry: string): Matcher | undefined {
  const { host, port } = splitHostPort(entry);
  if (host === '') return undefined;
  const samePort = (target: Target): boolean => port === '' || port === target.port;
  if (isIP(host) !== 0 && !host.includes('%')) {
    const address = plainAddress(host);
    return (target) => target.ip === address && samePort(target);
  }
  const below = asciiDomain(host.startsWith('*.') ? host.slice(1) : host.startsWith('.') ? host : `.${host}`);
  const itself = host.startsWith('*.') || host.startsWith('.') ? undefined : below.slice(1);
  return (target) => target.ip === undefined && (target.host.endsWith(below) || target.host === itself) && samePort(target);
}

/** As Go's net.SplitHostPort; what it would not split is taken whole as a host. */
function splitHostPort(entry: string): { host: string; port: string } {
  const bracketed = /^\[([^[\]]*)\]:([^:[\]]*)$/.exec(entry);
  if (bracketed !== null) return { host: bracketed[1] ?? '', port: bracketed[2] ?? '' };
  const plain = /^([^:[\]]*):([^:[\]]*)$/.exec(entry);
  return plain === null ? { host: entry, port: '' } : { host: plain[1] ?? '', port: plain[2] ?? '' };
}

/** One spelling an address, and IPv4 for what is IPv4 inside IPv6. */
function plainAddress(address: string): string {
  if (isIP(address) === 4) return address;
  const compressed = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(compressed);
  if (mapped === null) return compressed;
  const [high, low] = [Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/** The name as it stands in a URL; left alone when it is ASCII already or cannot be converted, as in Go. */
function asciiDomain(name: string): string {
  // oxlint-disable-next-line no-control-regex -- ASCII is what is meant
  if (/^[\x00-\x7f]*$/.test(name)) return name;
  const ascii = domainToASCII(name.slice(1));
  return ascii === '' ? name : `.${ascii}`;
}
