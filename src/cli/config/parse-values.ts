import { isIP, isIPv6 } from 'node:net';
import { parseCosignerKey } from '../../protocol/cosignature.ts';
import { isDatabaseName } from '../../protocol/layout.ts';
import { parseVerifierKey } from '../../protocol/note.ts';
import type { Say } from './faults.ts';
import type { ListenAddress, UpstreamEntry, UpstreamsConfig } from './hub-config.ts';

/** As `Parsed`, with the reason as a sentence in either language. */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly say: Say; readonly entry?: number };

const bad = (say: Say, entry?: number): { readonly ok: false; readonly say: Say; readonly entry?: number } =>
  entry === undefined ? { ok: false, say } : { ok: false, say, entry };

/** `HOST:PORT`, `[IPV6]:PORT` or `:PORT`, which means all addresses, as Go's net.Listen reads it. */
export function parseListen(text: string): Read<ListenAddress> {
  const found = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<host>[A-Za-z0-9.-]*)):(?<port>\d{1,5})$/.exec(text);
  const { v6, host, port } = found?.groups ?? {};
  const refused = bad((m) => m.config.badListen);
  if (port === undefined || Number(port) > 65_535) return refused;
  if (v6 !== undefined) return isIPv6(v6) ? { ok: true, value: { host: v6, port: Number(port), loopback: isLoopback(v6) } } : refused;
  if (host !== undefined && host !== '' && !isHostName(host)) return refused;
  return { ok: true, value: { host: host ?? '', port: Number(port), loopback: isLoopback(host ?? '') } };
}

/** 127.0.0.0/8, ::1, the same mapped into IPv6, and the name localhost. Expects a checked host. */
export function isLoopback(host: string): boolean {
  if (isIP(host) === 0) return host.toLowerCase() === 'localhost';
  if (!isIPv6(host)) return host.startsWith('127.');
  // The URL parser writes an IPv6 address in its one canonical form.
  const canonical = new URL(`http://[${host}]/`).hostname;
  return canonical === '[::1]' || /^\[::ffff:7f[0-9a-f]{2}:/.test(canonical);
}

function isHostName(host: string): boolean {
  // All digits and dots is an IPv4 address or a mistake.
  if (/^[\d.]+$/.test(host)) return isIP(host) === 4;
  return host.length <= 253 && host.split('.').every((label) => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label));
}

/** An address at which clients reach the hub; answered without trailing slash. */
export function parsePublicUrl(text: string): Read<string> {
  const url = parseHttpUrl(text);
  if (url === undefined || url.username !== '' || url.password !== '') return bad((m) => m.config.badPublicUrl);
  return { ok: true, value: url.href.replace(/\/+$/, '') };
}

/** Entries of `upstreams`: addresses, then perhaps `direct` or `off`, which end the list as they end GOPROXY. */
export function parseUpstreams(texts: readonly string[]): Read<UpstreamsConfig> {
  const entries: UpstreamEntry[] = [];
  for (const [index, text] of texts.entries()) {
    const isWord = text === 'direct' || text === 'off';
    if (isWord && index < texts.length - 1) return bad((m) => m.config.upstreamAfterEnd(text), index);
    if (text === 'off') continue;
    if (text === 'direct') {
      entries.push({ kind: 'direct' });
      continue;
    }
    const url = parseUpstreamUrl(text);
    if (!url.ok) return bad(url.say, index);
    if (entries.some((entry) => entry.kind === 'url' && sameAddress(entry.url, url.value)))
      return bad((m) => m.config.upstreamTwice, index);
    entries.push({ kind: 'url', url: url.value });
  }
  return { ok: true, value: entries.length === 0 ? { kind: 'off' } : { kind: 'list', entries } };
}

function parseUpstreamUrl(text: string): Read<string> {
  if (text.includes('|')) return bad((m) => m.config.bars);
  const url = parseHttpUrl(text);
  if (url === undefined) {
    const looksLikeHost = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?(?:\/[\w./-]*)?$/i.test(text);
    return bad((m) => (looksLikeHost ? m.config.upstreamNeedsScheme(`https://${text}`) : m.config.badUpstream));
  }
  if (url.protocol === 'http:' && (url.username !== '' || url.password !== '')) return bad((m) => m.config.upstreamPasswordInClear);
  return { ok: true, value: url.href.replace(/\/+$/, '') };
}

function sameAddress(a: string, b: string): boolean {
  const [first, second] = [new URL(a), new URL(b)];
  return first.host === second.host && first.pathname === second.pathname && first.protocol === second.protocol;
}

/** An outbound proxy; like Go, an address without scheme is meant as http. Answered as written, since it may hold a password. */
export function parseProxy(text: string): Read<string> {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = parseHttpUrl(withScheme);
  return url === undefined || url.pathname !== '/' ? bad((m) => m.config.badProxy) : { ok: true, value: withScheme };
}

/** Undefined for anything that is no http or https address without query and fragment. */
export function parseHttpUrl(text: string): URL | undefined {
  if (text.length > 2_048 || !/^https?:\/\/[^\s\\?#|\p{Cc}]+$/iu.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text);
}

/** What follows a database's name in an address; a name that holds one of them would take the addresses of another database. */
const partsOfDatabase: ReadonlySet<string> = new Set(['supported', 'latest', 'lookup', 'tile']);

/** The name of a database that the hub signs: `host[/path]`, as the go command wants it of every database. */
export function parseOwnDatabaseName(text: string): Read<string> {
  const [host = '', ...path] = text.split('/');
  const isName = isDatabaseName(text) && isHostName(host) && !path.some((part) => partsOfDatabase.has(part));
  return isName ? { ok: true, value: text } : bad((m) => m.config.badOwnDatabaseName);
}

/** Checks what can be checked without a disk: the caller resolves it. */
export function parsePath(text: string): Read<string> {
  return text === '' || /\p{Cc}/u.test(text) || /^~(?:[/\\]|$)/.test(text) ? bad((m) => m.config.badPath) : { ok: true, value: text };
}

/** The name of a witness stands in its keys and reads as `host[/path]`, like that of a database. */
export function parseWitnessName(text: string): Read<string> {
  return isDatabaseName(text) ? { ok: true, value: text } : bad((m) => m.config.badWitnessName);
}

/** Where a witness takes heads: below it lies `add-checkpoint`. Answered without trailing slash. */
export function parseWitnessUrl(text: string): Read<string> {
  const url = parseHttpUrl(text);
  if (url === undefined || url.username !== '' || url.password !== '') return bad((m) => m.config.badWitnessUrl);
  return { ok: true, value: url.href.replace(/\/+$/, '') };
}

/** With which a witness cosigns one log. */
export function parseWitnessKey(text: string): Read<string> {
  const key = parseCosignerKey(text);
  return key.ok ? { ok: true, value: text } : bad((m) => m.config.badWitnessKey(key.reason));
}

/** Verifier keys of the logs that a witness watches. */
export function parseWitnessLogs(texts: readonly string[]): Read<readonly string[]> {
  const seen = new Set<string>();
  for (const [index, text] of texts.entries()) {
    const key = parseVerifierKey(text);
    if (!key.ok) return bad((m) => m.config.badWitnessLog(key.reason), index);
    if (seen.has(key.value.text)) return bad((m) => m.config.witnessLogTwice, index);
    seen.add(key.value.text);
  }
  return { ok: true, value: [...seen] };
}
