import type { Socket } from 'node:net';
import type { Pool } from 'undici';
import { headersOf, headSizeMaxBytes, type RawAnswer, type RawRequest } from './raw-answer.ts';
import { Http1Pool, requestFrom } from './undici-pool.ts';

/** Idle connections are given up before most servers and address translators forget them. */
const idleMs = 10_000;

/** The HTTP/1.1 connections of one origin, by undici's pool: one exchange a connection at a time, kept alive in between. */
export class Http1Link {
  readonly #pool: Pool;
  /** A connection made before it was known which protocol it would speak. */
  #spare: Socket | undefined;

  /** `origin` names who is spoken to: the target, or for plain http: through a proxy the proxy. */
  constructor(options: { origin: string; connectionsMax: number; connect: () => Promise<Socket> }) {
    this.#pool = new Http1Pool(options.origin, {
      connections: options.connectionsMax,
      pipelining: 1,
      maxHeaderSize: headSizeMaxBytes,
      keepAliveTimeout: idleMs,
      keepAliveMaxTimeout: 60_000,
      // undici's own clocks are off: they do not see back-pressure. `http-client.ts` keeps the time.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (_options, done) => {
        const open = async (): Promise<void> => {
          let socket: Socket;
          try {
            // Never within this call: undici does not look for an answer before it returns.
            socket = await (this.#takeSpare() ?? options.connect());
          } catch (error) {
            done(error as Error, null);
            return;
          }
          done(null, socket);
        };
        void open();
      },
    });
  }

  /** Takes over a connection for the next exchange that needs one. */
  adopt(socket: Socket): void {
    this.#spare?.destroy();
    this.#spare = socket;
  }

  async exchange(request: RawRequest): Promise<RawAnswer> {
    const { statusCode, headers, body } = await requestFrom(this.#pool, request);
    // A body that is given up while nobody reads it must not end the process.
    body.on('error', () => {});
    return { status: statusCode, headers: headersOf(headers), body, brokenOff: () => false };
  }

  async destroy(): Promise<void> {
    this.#spare?.destroy();
    await this.#pool.destroy();
  }

  #takeSpare(): Socket | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare?.destroyed === false && spare.readable && spare.writable ? spare : undefined;
  }
}
