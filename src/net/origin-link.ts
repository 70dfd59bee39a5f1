import type { Socket } from 'node:net';
import { untilAborted } from '../base/single-flight.ts';
import { OutboundError } from './outbound-error.ts';
import { basicAuthorization, type Connector, type Protocol, type Route } from './connector.ts';
import { Http1Link } from './http1-link.ts';
import { Http2Link } from './http2-link.ts';
import type { RawAnswer, RawRequest } from './raw-answer.ts';

interface LinkRequest extends Omit<RawRequest, 'path'> {
  /** By HTTP/1.1, whatever the others speak. */
  readonly ownConnection: boolean;
}

/** All connections to one origin over one route. For https: the first connection finds out whether the server speaks HTTP/2. */
export class OriginLink implements AsyncDisposable {
  readonly #route: Route;
  readonly #connector: Connector;
  readonly #http1: Http1Link;
  readonly #http2: Http2Link;
  readonly #stop = new AbortController();
  #protocol: Protocol | undefined;
  #connecting: Promise<void> | undefined;
  #active = 0;

  constructor(options: { route: Route; connector: Connector; connectionsMax: number }) {
    const { route, connector } = options;
    this.#route = route;
    this.#connector = connector;
    if (route.target.protocol === 'http:') this.#protocol = 'http/1.1';
    const spokenTo = route.target.protocol === 'http:' && route.proxy !== undefined ? route.proxy : route.target;
    this.#http1 = new Http1Link({
      origin: spokenTo.origin,
      connectionsMax: options.connectionsMax,
      connect: () => connector.connect(route, ['http/1.1'], this.#stop.signal),
    });
    this.#http2 = new Http2Link(route.target);
  }

  /** Exchanges under way, bodies included. */
  get active(): number {
    return this.#active;
  }

  /** @throws {OutboundError} from connecting; what undici or node:http2 say; the signal's reason */
  async exchange(url: URL, request: LinkRequest): Promise<RawAnswer> {
    this.#connector.check(url);
    this.#active += 1;
    try {
      const answer = await this.#send(url, request);
      answer.body.once('close', () => {
        this.#active -= 1;
      });
      return answer;
    } catch (error) {
      this.#active -= 1;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new OutboundError('cut', `the client for ${this.#route.target.host} was stopped`));
    this.#http2.destroy();
    await this.#http1.destroy();
  }

  async #send(url: URL, { ownConnection, ...request }: LinkRequest): Promise<RawAnswer> {
    const path = `${url.pathname}${url.search}`;
    // A server may change its mind about HTTP/2, or close between connecting and asking: try again, but not for ever.
    for (let attempt = 0; attempt < 3; attempt += 1) {
      if (ownConnection || this.#protocol === 'http/1.1') return this.#http1.exchange(this.#viaPlainProxy(url, { ...request, path }));
      if (this.#protocol === 'h2' && this.#http2.ready) return this.#http2.exchange({ ...request, path });
      this.#connecting ??= this.#connect().finally(() => {
        this.#connecting = undefined;
      });
      this.#connecting.catch(() => {});
      await untilAborted(this.#connecting, request.signal);
    }
    throw new OutboundError('cut', `${this.#route.target.host} closes its connections before they are used`);
  }

  async #connect(): Promise<void> {
    const socket = await this.#connector.connect(this.#route, ['h2', 'http/1.1'], this.#stop.signal);
    const protocol: Protocol = alpnOf(socket) === 'h2' ? 'h2' : 'http/1.1';
    if (protocol === 'h2') this.#http2.adopt(socket);
    else this.#http1.adopt(socket);
    this.#protocol = protocol;
  }

  /** RFC 9112 §3.2.2: a plain request through a proxy names the entire address. */
  #viaPlainProxy(url: URL, request: RawRequest): RawRequest {
    const { proxy, target } = this.#route;
    if (proxy === undefined || target.protocol !== 'http:') return request;
    const authorization = basicAuthorization(proxy);
    return {
      ...request,
      path: `${url.origin}${request.path}`,
      headers: { ...request.headers, host: url.host, ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }) },
    };
  }
}

function alpnOf(socket: Socket): string | false | null {
  return 'alpnProtocol' in socket ? (socket.alpnProtocol as string | false | null) : null;
}
