/**
 * The HTTP/2 connections of one origin, on node:http2. undici's own HTTP/2 is not used: tried with 7.30, it takes a stream that the server cancels in the middle
 * (RST_STREAM CANCEL) for a complete body, fails the bodies under way on a graceful GOAWAY, opens one connection a stream unless HTTP/1.1 is pipelined too, and with
 * that hung when connections were cut. `http-client-tls.test.ts` holds each of these cases.
 */
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import type { Socket } from 'node:net';
import { PassThrough, pipeline } from 'node:stream';
import { OutboundError } from './outbound-error.ts';
import { headersOf, headSizeMaxBytes, type RawAnswer, type RawRequest } from './raw-answer.ts';

const sessionsMax = 4;
/** Used until a server tells its own number, and never more. */
const streamsMaxPerSession = 100;
const idleMs = 15_000;
/** What a server may send ahead of the reader: on a stream this bounds memory, on a link of 100 ms it allows 5 MB/s. */
const streamWindowBytes = 512 * 1024;
const sessionWindowBytes = 8 * 1024 * 1024;
/** Between a stream and its reader. */
const bufferBytes = 256 * 1024;

interface Session {
  readonly session: ClientHttp2Session;
  streams: number;
}

export class Http2Link {
  readonly #origin: URL;
  readonly #sessions = new Set<Session>();

  constructor(origin: URL) {
    this.#origin = origin;
  }

  /** Takes over a connection on which the server chose `h2`. */
  adopt(socket: Socket): void {
    const session = connect(this.#origin, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes, maxHeaderListSize: headSizeMaxBytes },
      peerMaxConcurrentStreams: streamsMaxPerSession,
      maxHeaderListPairs: 256,
    });
    const entry: Session = { session, streams: 0 };
    this.#sessions.add(entry);
    const retire = (): void => this.#retire(entry);
    session.on('error', retire);
    session.once('close', retire);
    session.once('goaway', retire);
    session.once('connect', () => session.setLocalWindowSize(sessionWindowBytes));
    session.setTimeout(idleMs, () => {
      if (entry.streams === 0) retire();
    });
  }

  /** Whether the next exchange has a connection, or should wait for one more. */
  get ready(): boolean {
    return this.#pick() !== undefined;
  }

  /** @throws what node:http2 says; the signal's reason. */
  async exchange(request: RawRequest): Promise<RawAnswer> {
    const entry = this.#pick();
    if (entry === undefined) throw Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' });
    const { ':path': path, ...headers } = { ...request.headers, ':path': request.path };
    const stream = entry.session.request(
      { ':method': request.method, ':scheme': 'https', ':authority': this.#origin.host, ':path': path, ...headers },
      { endStream: request.body === undefined },
    );
    if (request.body !== undefined) stream.end(request.body);
    entry.streams += 1;
    const onAbort = (): void => {
      // No answer in time, or silence in the middle: perhaps the connection is dead. The others on it may go on, no new one joins.
      if (request.signal.reason instanceof OutboundError) this.#retire(entry);
      stream.close(constants.NGHTTP2_CANCEL);
      stream.destroy(request.signal.reason as Error);
    };
    stream.on('error', () => {});
    stream.once('close', () => {
      entry.streams -= 1;
      request.signal.removeEventListener('abort', onAbort);
    });
    request.signal.addEventListener('abort', onAbort, { once: true });
    const headersReceived = await headOf(stream);
    // Read from now on: a stream whose few bytes wait for a reader is closed before one comes, and then looks cut.
    const body = new PassThrough({ highWaterMark: bufferBytes });
    pipeline(stream, body, () => {});
    return {
      status: headersReceived[':status'] ?? 0,
      headers: headersOf(headersReceived),
      body,
      // A cancelled stream and a lost connection end a node stream without an error.
      brokenOff: () => stream.rstCode !== constants.NGHTTP2_NO_ERROR,
    };
  }

  destroy(): void {
    for (const { session } of this.#sessions) session.destroy();
    this.#sessions.clear();
  }

  #pick(): Session | undefined {
    let best: Session | undefined;
    for (const entry of this.#sessions) {
      if (!entry.session.closed && !entry.session.destroyed && (best === undefined || entry.streams < best.streams)) best = entry;
    }
    // Full everywhere: one more connection while there may be one, else node:http2 queues the stream.
    return best !== undefined && best.streams >= capacityOf(best.session) && this.#sessions.size < sessionsMax ? undefined : best;
  }

  /** No new streams; those that run may end. */
  #retire(entry: Session): void {
    this.#sessions.delete(entry);
    if (!entry.session.closed) entry.session.close();
  }
}

function capacityOf(session: ClientHttp2Session): number {
  return session.connecting
    ? streamsMaxPerSession
    : Math.min(streamsMaxPerSession, session.remoteSettings.maxConcurrentStreams ?? streamsMaxPerSession);
}

function headOf(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders & IncomingHttpStatusHeader> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingHttpHeaders & IncomingHttpStatusHeader>();
  stream.once('response', resolve);
  stream.once('error', reject);
  stream.once('close', () =>
    reject(Object.assign(new Error('the stream was closed without an answer'), { code: `HTTP2_STREAM_${stream.rstCode}` })),
  );
  return promise;
}
