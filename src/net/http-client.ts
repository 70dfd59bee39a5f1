import { withoutCredentials } from '../base/log.ts';
import { untilAborted } from '../base/single-flight.ts';
import { AddressGuard, systemResolver, type Resolver } from './address-guard.ts';
import { basicAuthorization, Connector } from './connector.ts';
import { OriginLink } from './origin-link.ts';
import type { OutboundClient, OutboundRequest, OutboundResponse } from './outbound-client.ts';
import { OutboundError, translateExchangeError } from './outbound-error.ts';
import { tooLarge, watchProgress, type WatchOptions } from './progress-watch.ts';
import type { ProxyRules } from './proxy-rules.ts';
import { headSizeMaxBytes, type RawAnswer } from './raw-answer.ts';

export interface OutboundClientOptions {
  /** Whose host and port may be private: upstreams, databases, mirrors. Outbound proxies are added by the client itself. */
  readonly configuredOrigins: readonly URL[];
  readonly proxy: ProxyRules;
  /** One or more authorities in PEM, trusted besides Node's and the system's. */
  readonly caPem?: string;
  readonly userAgent: string;
  /** For name, connection, proxy and TLS together; default 10 s. */
  readonly connectMs?: number;
  /** Over which the least rate is averaged; default a minute. */
  readonly rateWindowMs?: number;
  /** HTTP/1.1 connections an origin; default 128. */
  readonly connectionsMax?: number;
  /** Default: the system's. */
  readonly resolver?: Resolver;
}

const redirectsMax = 9;
/** Origins whose connections are kept; redirects may lead to ever new ones. */
const linksMax = 64;
/** The rest of a redirect's body is read if it is this short, so that the connection can be kept. */
const drainMaxBytes = 16 * 1024;

/** @throws nothing; a PEM text that cannot be read shows at the first https: connection. */
export function createOutboundClient(options: OutboundClientOptions): OutboundClient {
  return new HttpClient(options);
}

class HttpClient implements OutboundClient {
  readonly #options: OutboundClientOptions;
  readonly #connector: Connector;
  /** By origin and proxy, the least recently used first. */
  readonly #links = new Map<string, OriginLink>();

  constructor(options: OutboundClientOptions) {
    this.#options = options;
    this.#connector = new Connector({
      guard: new AddressGuard({
        configuredOrigins: [...options.configuredOrigins, ...options.proxy.proxies],
        resolver: options.resolver ?? systemResolver,
      }),
      connectMs: options.connectMs ?? 10_000,
      caPem: options.caPem,
      userAgent: options.userAgent,
    });
  }

  async send(request: OutboundRequest, signal: AbortSignal): Promise<OutboundResponse> {
    if (signal.aborted) throw signal.reason;
    const doing = `${request.method ?? 'GET'} ${withoutCredentials(request.url.href)}`;
    const startMs = performance.now();
    const exchange = new AbortController();
    const onAbort = (): void => exchange.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const { firstByteMs } = request.limits;
    const timer = setTimeout(
      () => exchange.abort(new OutboundError('head-timeout', `${doing}: no answer in ${firstByteMs} ms`)),
      firstByteMs,
    );
    const release = (): void => signal.removeEventListener('abort', onAbort);
    try {
      // undici heeds the signal only once it has a connection; while all are busy the caller would wait for one.
      const { answer, url } = await untilAborted(this.#follow(request, doing, exchange.signal), exchange.signal);
      clearTimeout(timer);
      answer.body.once('close', release);
      const watch = {
        doing,
        headMs: performance.now() - startMs,
        rateWindowMs: this.#options.rateWindowMs ?? 60_000,
        signal: exchange.signal,
      };
      return toResponse({ answer, url, request, watch });
    } catch (error) {
      clearTimeout(timer);
      release();
      if (exchange.signal.aborted) throw exchange.signal.reason;
      throw translateExchangeError(error, doing);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all(links.map((link) => link[Symbol.asyncDispose]()));
  }

  async #follow(request: OutboundRequest, doing: string, signal: AbortSignal): Promise<{ answer: RawAnswer; url: URL }> {
    let url = request.url;
    const first = url;
    for (let hops = 0; ; hops += 1) {
      if (url.protocol !== 'https:' && url.protocol !== 'http:')
        throw new OutboundError('forbidden', `${doing}: ${url.protocol} addresses are not fetched`);
      const answer = await this.#linkTo(url).exchange(url, {
        method: request.method ?? 'GET',
        ...(request.body !== undefined && { body: request.body }),
        headers: this.#headersFor(request, first, url),
        ownConnection: request.ownConnection ?? false,
        signal,
      });
      const target = request.followRedirects && request.method !== 'POST' ? redirectTarget(answer, url, doing) : undefined;
      if (target === undefined) return { answer, url };
      await drain(answer);
      if (hops === redirectsMax) throw new OutboundError('forbidden', `${doing}: more than ${redirectsMax} redirects`);
      url = target;
    }
  }

  /** Credentials go to the origin they were given for, never along with a redirect to another one. */
  #headersFor(request: OutboundRequest, first: URL, url: URL): Record<string, string> {
    const headers: Record<string, string> = { 'user-agent': this.#options.userAgent, 'accept-encoding': 'identity', accept: '*/*' };
    for (const [name, value] of Object.entries(request.headers ?? {})) headers[name.toLowerCase()] = value;
    if (url.origin === first.origin) {
      const authorization = basicAuthorization(first);
      if (authorization !== undefined) headers['authorization'] ??= authorization;
    } else {
      delete headers['authorization'];
      delete headers['cookie'];
    }
    return headers;
  }

  #linkTo(url: URL): OriginLink {
    const proxy = this.#options.proxy.proxyFor(url);
    const key = `${url.origin} ${proxy?.href ?? ''}`;
    const known = this.#links.get(key);
    if (known !== undefined) {
      this.#links.delete(key);
      this.#links.set(key, known);
      return known;
    }
    for (const [oldKey, old] of this.#links) {
      if (this.#links.size < linksMax) break;
      if (old.active > 0) continue;
      this.#links.delete(oldKey);
      old[Symbol.asyncDispose]().catch(() => {});
    }
    const link = new OriginLink({
      route: { target: new URL(url.origin), proxy },
      connector: this.#connector,
      connectionsMax: this.#options.connectionsMax ?? 128,
    });
    this.#links.set(key, link);
    return link;
  }
}

function redirectTarget(answer: RawAnswer, from: URL, doing: string): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(answer.status)) return undefined;
  const location = answer.headers.get('location');
  if (location === undefined) return undefined;
  const fail = (reason: string): never => {
    answer.body.destroy();
    throw new OutboundError('forbidden', `${doing}: ${reason}`);
  };
  if (!URL.canParse(location, from)) return fail('a redirect to an address that cannot be read');
  const target = new URL(location, from);
  if (target.protocol !== 'https:' && target.protocol !== 'http:') return fail(`a redirect to ${target.protocol}, which is not followed`);
  if (from.protocol === 'https:' && target.protocol === 'http:')
    return fail(`a redirect from https: to http://${target.host}, which is not followed`);
  target.username = '';
  target.password = '';
  return target;
}

/** Reads a short rest, so that the connection lives on; gives up a long one. */
async function drain({ body, headers }: RawAnswer): Promise<void> {
  if (Number(headers.get('content-length') ?? Number.NaN) <= drainMaxBytes) {
    let left = drainMaxBytes;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      left -= chunk.length;
      if (left < 0) break;
    }
  }
  body.destroy();
}

interface ResponseParts {
  readonly answer: RawAnswer;
  readonly url: URL;
  readonly request: OutboundRequest;
  readonly watch: Pick<WatchOptions, 'doing' | 'headMs' | 'rateWindowMs' | 'signal'>;
}

function toResponse({ answer, url, request, watch }: ResponseParts): OutboundResponse {
  const { body, headers, status } = answer;
  const { limits } = request;
  const refuse = (error: OutboundError): never => {
    body.destroy();
    throw error;
  };
  if (sizeOf(headers) > headSizeMaxBytes) {
    return refuse(new OutboundError('garbled', `${watch.doing}: the answer's head is larger than ${headSizeMaxBytes} bytes`));
  }
  const hasBody = request.method !== 'HEAD' && status !== 204 && status !== 304;
  const declaredBytes = hasBody ? contentLengthOf(headers) : 0;
  if ((declaredBytes ?? 0) > limits.sizeMaxBytes) return refuse(tooLarge(watch.doing, limits.sizeMaxBytes));
  return {
    status,
    headers,
    url,
    body: watchProgress(body, {
      ...watch,
      limits,
      expectedBytes: hasBody ? declaredBytes : undefined,
      brokenOff: () => answer.brokenOff(),
    }),
    [Symbol.asyncDispose]() {
      // What has no bytes left ends by itself and keeps its connection; of the rest nothing more is wanted.
      if (declaredBytes === 0) body.resume();
      else body.destroy();
      return Promise.resolve();
    },
  };
}

function contentLengthOf(headers: ReadonlyMap<string, string>): number | undefined {
  const text = headers.get('content-length');
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}

function sizeOf(headers: ReadonlyMap<string, string>): number {
  let sizeBytes = 0;
  for (const [name, value] of headers) sizeBytes += name.length + value.length + 4;
  return sizeBytes;
}
