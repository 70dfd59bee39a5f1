/**
 * Where goyi may connect to. An address that an operator configured may lie anywhere; everything else (where a redirect points) must be on the public
 * Internet. A name is resolved once, every address of the answer is checked, and the connection goes to exactly those: a second answer
 * of the name server (DNS rebinding) is never asked for. Odd spellings of IPv4 hosts (decimal, octal, hexadecimal) are made plain by the URL parser.
 * Ranges: https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry
 */
import { isIP } from 'node:net';
import { lookup } from 'node:dns/promises';
import { untilAborted } from '../base/single-flight.ts';
import { OutboundError, translateConnectError } from './outbound-error.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** All addresses of a host name, in the order to be tried. */
export type Resolver = (hostname: string) => Promise<readonly { readonly address: string; readonly family: number }[]>;

/** Asks the system as every other program does (hosts file included). */
export const systemResolver: Resolver = (hostname) => lookup(hostname, { all: true });

/** One name's answer is cut to this many addresses. */
const addressesMax = 16;

export class AddressGuard {
  readonly #configured: ReadonlySet<string>;
  readonly #resolver: Resolver;
  /** Questions under way: many connections to one host start at once. Entries leave when answered. */
  readonly #asking = new Map<string, Promise<readonly ResolvedAddress[]>>();

  constructor(options: { configuredOrigins: readonly URL[]; resolver: Resolver }) {
    this.#configured = new Set(options.configuredOrigins.map(hostAndPortOf));
    this.#resolver = options.resolver;
  }

  /**
   * The addresses to connect to for `url`, all of them allowed.
   * @throws {OutboundError} forbidden, unreachable; the signal's reason
   */
  async addressesOf(url: URL, signal: AbortSignal): Promise<readonly ResolvedAddress[]> {
    this.checkName(url);
    const host = hostOf(url);
    const family = isIP(host);
    if (family !== 0) return [{ address: host, family: family === 4 ? 4 : 6 }];
    const addresses = await untilAborted(this.#ask(host), signal);
    if (!this.#configured.has(hostAndPortOf(url))) {
      for (const { address } of addresses) {
        const reason = inwardReason(address);
        if (reason !== undefined) throw new OutboundError('forbidden', `${host} leads to ${address}, ${reason}, and is not configured`);
      }
    }
    return addresses;
  }

  /** What can be said without resolving; all there is when an outbound proxy resolves the name. @throws {OutboundError} forbidden */
  checkName(url: URL): void {
    if (this.#configured.has(hostAndPortOf(url))) return;
    const host = hostOf(url);
    const reason = isIP(host) === 0 ? inwardNameReason(host) : inwardReason(host);
    if (reason !== undefined) throw new OutboundError('forbidden', `${host} is ${reason}, and is not configured`);
  }

  #ask(host: string): Promise<readonly ResolvedAddress[]> {
    const running = this.#asking.get(host);
    if (running !== undefined) return running;
    const answer = this.#resolve(host).finally(() => this.#asking.delete(host));
    // Every caller may have left by the time it fails.
    answer.catch(() => {});
    this.#asking.set(host, answer);
    return answer;
  }

  async #resolve(host: string): Promise<readonly ResolvedAddress[]> {
    const answer = await this.#resolver(host).catch((error: unknown) => {
      throw translateConnectError(error, host);
    });
    const addresses: ResolvedAddress[] = [];
    for (const { address } of answer.slice(0, addressesMax)) {
      const family = isIP(address);
      if (family !== 0) addresses.push({ address, family: family === 4 ? 4 : 6 });
    }
    if (addresses.length === 0) throw new OutboundError('unreachable', `${host}: no such host`);
    return addresses;
  }
}

/** The host without brackets and without the final dot of a fully qualified name. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return url.protocol === 'https:' ? 443 : 80;
}

function hostAndPortOf(url: URL): string {
  return `${hostOf(url)} ${portOf(url)}`;
}

/** Names that only mean something inside a machine or a company. */
function inwardNameReason(host: string): string | undefined {
  if (!host.includes('.')) return 'a name of the local network';
  return /\.(?:localhost|local|localdomain|internal|intranet|lan|corp|home|home\.arpa)$/.test(host)
    ? 'a name of the local network'
    : undefined;
}

const inwardV4: readonly (readonly [base: string, bits: number, reason: string])[] = [
  ['0.0.0.0', 8, 'an unspecified address'],
  ['10.0.0.0', 8, 'a private address'],
  ['100.64.0.0', 10, 'a carrier-grade NAT address'],
  ['127.0.0.0', 8, 'a loopback address'],
  ['169.254.0.0', 16, 'a link-local address'],
  ['172.16.0.0', 12, 'a private address'],
  ['192.0.0.0', 24, 'a reserved address'],
  ['192.168.0.0', 16, 'a private address'],
  ['198.18.0.0', 15, 'a benchmarking address'],
  ['224.0.0.0', 4, 'a multicast address'],
  ['240.0.0.0', 4, 'a reserved address'],
];
// The three documentation nets (192.0.2.0/24 …) are left out: nothing inside a company has such an address, and sealed test networks use them as public ones.

const inwardV4Ranges = inwardV4.map(([base, bits, reason]) => ({ base: numberOfV4(base), shift: 32 - bits, reason }));

/** Why a plain IPv4 or IPv6 address is not on the public Internet; undefined when it is. What is no address at all is not public either. */
export function inwardReason(address: string): string | undefined {
  switch (isIP(address)) {
    case 4:
      return inwardV4Reason(numberOfV4(address));
    case 6:
      return inwardV6Reason(groupsOfV6(address));
    default:
      return 'no address';
  }
}

function inwardV4Reason(address: number): string | undefined {
  return inwardV4Ranges.find(({ base, shift }) => address >>> shift === base >>> shift)?.reason;
}

function inwardV6Reason(groups: readonly number[]): string | undefined {
  const [g0 = 0, g1 = 0, g2 = 0, g3 = 0, g4 = 0, g5 = 0, g6 = 0, g7 = 0] = groups;
  const last = ((g6 << 16) | g7) >>> 0;
  if ((g0 | g1 | g2 | g3 | g4 | g5) === 0) {
    if (last === 0) return 'an unspecified address';
    return last === 1 ? 'a loopback address' : 'a reserved address';
  }
  // Forms that carry an IPv4 address: what counts is where that one leads.
  if ((g0 | g1 | g2 | g3 | g4) === 0 && g5 === 0xffff) return inwardV4Reason(last);
  if ((g0 | g1 | g2 | g3) === 0 && g4 === 0xffff && g5 === 0) return inwardV4Reason(last);
  if (g0 === 0x64 && g1 === 0xff9b && (g2 | g3 | g4 | g5) === 0) return inwardV4Reason(last);
  if (g0 === 0x2002) return inwardV4Reason(((g1 << 16) | g2) >>> 0);
  if ((g0 & 0xffc0) === 0xfe80) return 'a link-local address';
  if ((g0 & 0xffc0) === 0xfec0 || (g0 & 0xfe00) === 0xfc00) return 'a private address';
  if ((g0 & 0xff00) === 0xff00) return 'a multicast address';
  if (g0 === 0x2001 && g1 === 0) return 'a Teredo address';
  // Only 2000::/3 has been given out as global unicast.
  return (g0 & 0xe000) === 0x2000 ? undefined : 'a reserved address';
}

function numberOfV4(address: string): number {
  return address.split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0);
}

/** The eight groups of an address that `isIP` accepted. */
function groupsOfV6(address: string): readonly number[] {
  let text = address.replace(/%.*$/, '');
  const dotted = /[0-9.]+\.[0-9]+$/.exec(text)?.[0];
  if (dotted !== undefined) {
    const number = numberOfV4(dotted);
    text = `${text.slice(0, -dotted.length)}${(number >>> 16).toString(16)}:${(number & 0xffff).toString(16)}`;
  }
  const [head = '', tail] = text.split('::');
  const first = parseGroups(head);
  if (tail === undefined) return first;
  const rest = parseGroups(tail);
  return [...first, ...Array.from({ length: 8 - first.length - rest.length }, () => 0), ...rest];
}

function parseGroups(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
}
