/** Opens connections: resolve and check, connect to exactly those addresses, CONNECT through the outbound proxy where there is one, TLS. One time limit for all of it. */
import { request as httpRequest } from 'node:http';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, getCACertificates, type SecureContext, type TLSSocket } from 'node:tls';
import { hostOf, portOf, type AddressGuard, type ResolvedAddress } from './address-guard.ts';
import { OutboundError, translateConnectError } from './outbound-error.ts';

/** How the connections of one origin go. */
export interface Route {
  /** Only protocol, host and port count. */
  readonly target: URL;
  /** The outbound proxy, with its credentials. */
  readonly proxy: URL | undefined;
}

export type Protocol = 'h2' | 'http/1.1';

/** After the first address has been silent for this long the next one is tried; too short a time fails on slow links that answer. */
const addressAttemptMs = 2_000;

export class Connector {
  readonly #guard: AddressGuard;
  readonly #connectMs: number;
  readonly #caPem: string | undefined;
  readonly #userAgent: string;
  #secureContext: SecureContext | undefined;

  constructor(options: { guard: AddressGuard; connectMs: number; caPem: string | undefined; userAgent: string }) {
    this.#guard = options.guard;
    this.#connectMs = options.connectMs;
    this.#caPem = options.caPem;
    this.#userAgent = options.userAgent;
  }

  /**
   * A connected socket: to the target itself, or for an http: target with a proxy to the proxy. TLS for https: targets, offering `protocols`.
   * @throws {OutboundError} unreachable, connect-timeout, forbidden, untrusted; the signal's reason
   */
  async connect(route: Route, protocols: readonly Protocol[], signal: AbortSignal): Promise<Socket> {
    const doing = `connecting to ${route.target.host}`;
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(new OutboundError('connect-timeout', `${doing}: no connection in ${this.#connectMs} ms`)),
      this.#connectMs,
    );
    const limited = AbortSignal.any([signal, deadline.signal]);
    try {
      return await this.#open(route, protocols, limited);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw translateConnectError(deadline.signal.aborted ? deadline.signal.reason : error, doing);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What can be refused without connecting. @throws {OutboundError} forbidden */
  check(target: URL): void {
    this.#guard.checkName(target);
  }

  async #open(route: Route, protocols: readonly Protocol[], signal: AbortSignal): Promise<Socket> {
    const { target, proxy } = route;
    if (proxy === undefined) {
      const socket = await this.#connectTo(target, signal);
      return target.protocol === 'https:' ? this.#secure(socket, target, protocols, signal) : socket;
    }
    this.#guard.checkName(target);
    const plain = await this.#connectTo(proxy, signal);
    const toProxy = proxy.protocol === 'https:' ? await this.#secure(plain, proxy, ['http/1.1'], signal) : plain;
    if (target.protocol !== 'https:') return toProxy;
    const tunnel = await tunnelThrough(toProxy, route, this.#userAgent, signal);
    return this.#secure(tunnel, target, protocols, signal);
  }

  async #connectTo(url: URL, signal: AbortSignal): Promise<Socket> {
    const addresses = await this.#guard.addressesOf(url, signal);
    const socket = connectTcp({
      host: hostOf(url),
      port: portOf(url),
      // The one place where a name becomes an address: what was checked is what is connected to.
      lookup: (_host, options, done) => answerLookup(addresses, options.all === true, done),
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: addressAttemptMs,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    });
    return ready(socket, 'connect', signal);
  }

  #secure(socket: Socket, url: URL, protocols: readonly Protocol[], signal: AbortSignal): Promise<TLSSocket> {
    const host = hostOf(url);
    const tls = connectTls({
      socket,
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      // Made once: parsing the certificates of every authority takes longer than a handshake.
      secureContext: (this.#secureContext ??= createSecureContext({ ca: trustedAuthorities(this.#caPem) })),
      ALPNProtocols: [...protocols],
    });
    return ready(tls, 'secureConnect', signal);
  }
}

/** Node's own authorities, the system's, and the company's. */
export function trustedAuthorities(caPem: string | undefined): string[] {
  const authorities = new Set([...getCACertificates('default'), ...getCACertificates('system')]);
  return caPem === undefined ? [...authorities] : [...authorities, caPem];
}

type LookupDone = (error: NodeJS.ErrnoException | null, address: string | { address: string; family: number }[], family?: number) => void;

function answerLookup(addresses: readonly ResolvedAddress[], all: boolean, done: LookupDone): void {
  const [first] = addresses;
  if (all || first === undefined) done(null, [...addresses]);
  else done(null, first.address, first.family);
}

/** The socket once `event` was seen; destroyed when it fails or the signal fires. */
function ready<S extends Socket>(socket: S, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<S> {
  const { promise, resolve, reject } = Promise.withResolvers<S>();
  const onAbort = (): void => {
    socket.destroy();
    reject(signal.reason as Error);
  };
  const onClose = (): void => reject(Object.assign(new Error('closed while connecting'), { code: 'ECONNRESET' }));
  // Stays for the socket's life: an error between two owners must not end the process.
  socket.on('error', (error) => {
    socket.destroy();
    reject(error);
  });
  socket.once('close', onClose);
  socket.once(event, () => resolve(socket));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return promise.finally(() => {
    signal.removeEventListener('abort', onAbort);
    socket.off('close', onClose);
  });
}

/** RFC 9110 §9.3.6. The socket that speaks to the target from here on. */
function tunnelThrough(socket: Socket, { target, proxy }: Route, userAgent: string, signal: AbortSignal): Promise<Socket> {
  const authority = `${target.hostname}:${portOf(target)}`;
  const authorization = proxy === undefined ? undefined : basicAuthorization(proxy);
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const request = httpRequest({
    createConnection: () => socket,
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, 'user-agent': userAgent, ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }) },
  });
  const onAbort = (): void => {
    request.destroy();
    socket.destroy();
    reject(signal.reason as Error);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  request.on('error', reject);
  request.once('connect', (answer, connected, head) => {
    const status = answer.statusCode ?? 0;
    if (status >= 200 && status < 300 && connected === socket) {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
      return;
    }
    socket.destroy();
    const why = status === 407 ? 'wants other credentials (407)' : `refuses the connection (${status})`;
    reject(new OutboundError('unreachable', `connecting to ${target.host}: the outbound proxy ${proxy?.host ?? ''} ${why}`));
  });
  request.end();
  return promise.finally(() => signal.removeEventListener('abort', onAbort));
}

/** The user and password of an address as HTTP's Basic scheme, or undefined when it has none. */
export function basicAuthorization(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  return `Basic ${Buffer.from(`${unescaped(url.username)}:${unescaped(url.password)}`).toString('base64')}`;
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone `%`: somebody wrote the password as it is.
    return text;
  }
}
