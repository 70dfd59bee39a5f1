import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { randomBytes } from 'node:crypto';
import { Server as NetServer, type Socket } from 'node:net';
import { HubError } from '../base/errors.ts';
import { AccessLog, type AccessLogMode } from './access-log.ts';
import { Answering, type AnsweringParts } from './answer-request.ts';
import { Connections } from './connections.ts';
import type { Exchange } from './exchange.ts';
import { FileChunks } from './file-chunks.ts';
import { defaultServerLimits, type ServerLimits } from './limits.ts';
import { HandOver, type HandOverSettings } from './hand-over.ts';
import { formatErrorBody } from './printable.ts';
import type { Sender } from './send-answer.ts';
import type { ServerTelemetry } from './telemetry.ts';

/** PEM texts. */
export interface TlsMaterial {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

export interface HubServerOptions extends Omit<AnsweringParts, 'limits' | 'secure'> {
  readonly tls?: TlsMaterial | undefined;
  /** What differs from {@link defaultServerLimits}. */
  readonly limits?: Partial<ServerLimits>;
  /** Who sends large stored files; the hub when left out. */
  readonly handOver?: HandOverSettings;
  readonly telemetry: ServerTelemetry;
  readonly accessLog: AccessLogMode;
}

export interface HubServer {
  /** Not listening yet: call `listen`. */
  readonly server: Server | TlsServer;
  /** Stops accepting, lets running answers finish (each ends its connection), closes idle connections, and cuts what is left after `drainMs`. */
  close(drainMs: number): Promise<void>;
  /** For new connections, after the files were renewed. @throws {HubError} config-invalid */
  renewTls(tls: TlsMaterial): void;
  /** Open connections. */
  readonly connections: number;
  /** Requests that wait for the station. */
  readonly waiting: number;
  /** Lets go of memory that makes answers quicker and that nobody needs right now. */
  releaseMemory(): void;
}

/** The hub's HTTP surface over a station. @throws {HubError} config-invalid when certificate or key cannot be used */
export function createHubServer(options: HubServerOptions): HubServer {
  const limits: ServerLimits = { ...defaultServerLimits, ...options.limits };
  let isStopping = false;
  const sender: Sender = {
    commonHeaders: ['X-Content-Type-Options', 'nosniff', ...(options.verifyOff ? ['Goyi-Verify', 'off'] : [])],
    limits,
    chunks: new FileChunks(limits),
    handOver: new HandOver(options.handOver ?? { kind: 'off' }),
    clock: options.clock,
    isStopping: () => isStopping,
  };
  const answering = new Answering({ ...options, limits, secure: options.tls !== undefined }, sender);
  const accessLog = new AccessLog({ log: options.log, mode: options.accessLog });
  const connections = new Connections({
    limits,
    clock: options.clock,
    idPrefix: `${randomBytes(4).toString('hex')}-`,
    answer: (exchange) => void answerAndTell(exchange),
    onCut: (reason, socket) => {
      options.telemetry.connectionCut(reason);
      options.log.info('connection cut', { reason, remote: socket.remoteAddress });
    },
  });
  const answerAndTell = async (exchange: Exchange): Promise<void> => {
    await answering.answer(exchange);
    const now = options.clock.monotonicMs();
    const { kind, outcome, sentBytes, handedOverBytes, status } = exchange;
    const seconds = (now - exchange.startedMs) / 1000;
    options.telemetry.answered({ kind, outcome, status, seconds, sentBytes, handedOverBytes });
    accessLog.answered(exchange, now);
  };

  const server = openServer(options.tls, limits);
  connections.watch(server, options.tls === undefined ? 'connection' : 'secureConnection');
  // Once it listens, an error is a connection that could not be accepted, such as for want of descriptors: the next one may be.
  server.on('error', (error: NodeJS.ErrnoException) => {
    if (server.listening) options.log.error('a connection could not be accepted', { reason: error.message, code: error.code });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuseRaw(error, socket, connections.isQuiet(socket)));

  return {
    server,
    close: (drainMs) => {
      isStopping = true;
      return stop(server, connections, drainMs);
    },
    renewTls: (tls) => {
      if ('setSecureContext' in server) usable(() => server.setSecureContext(secureContext(tls)));
    },
    releaseMemory: () => sender.chunks.forget(),
    get connections() {
      return connections.size;
    },
    get waiting() {
      return answering.waiting;
    },
  };
}

function openServer(tls: TlsMaterial | undefined, limits: ServerLimits): Server | TlsServer {
  const http = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headerMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(2_000, Math.max(50, limits.headerMs / 4)),
  };
  const server =
    tls === undefined
      ? createServer(http)
      : usable(() => createTlsServer({ ...http, ...secureContext(tls), handshakeTimeout: limits.headerMs }));
  server.maxConnections = limits.connectionsMax;
  server.maxHeadersCount = 100;
  return server;
}

function secureContext({ cert, key }: TlsMaterial): {
  cert: string | Buffer;
  key: string | Buffer;
  minVersion: 'TLSv1.2';
  ALPNProtocols: string[];
} {
  return { cert, key, minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] };
}

function usable<T>(open: () => T): T {
  try {
    return open();
  } catch (cause) {
    throw new HubError('config-invalid', 'the TLS certificate and key cannot be used', { cause });
  }
}

/** Requests that are not HTTP, or too large or too slow, never reach a handler. */
function refuseRaw(error: NodeJS.ErrnoException, socket: Socket, isQuiet: boolean): void {
  if (!socket.writable || !isQuiet || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const [status, sentence] = rawRefusalOf(error.code);
  const body = formatErrorBody(sentence);
  const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
  socket.end(`${head}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n${body}`);
  // A client that goes on sending must not keep its connection.
  socket.destroySoon();
}

function rawRefusalOf(code: string | undefined): readonly [status: string, sentence: string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return ['431 Request Header Fields Too Large', 'the head of the request is too large'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', 'the request took too long to arrive'];
    default:
      return ['400 Bad Request', 'this is not a well-formed HTTP request'];
  }
}

const IDLE_CHECK_MS = 25;
/** A connection whose request has not wholly arrived after this long is not waited for. */
const ARRIVAL_MS = 1_000;

async function stop(server: Server | TlsServer, connections: Connections, drainMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // Not `server.close()`: that also cuts connections whose answer is ended but still on its way out.
  NetServer.prototype.close.call(server, () => resolve());
  const startedMs = performance.now();
  connections.closeUsedIdle();
  const idle = setInterval(() => {
    if (performance.now() - startedMs < ARRIVAL_MS) connections.closeUsedIdle();
    else connections.closeIdle();
  }, IDLE_CHECK_MS);
  const cut = setTimeout(() => connections.cutAll(), drainMs);
  try {
    await promise;
  } finally {
    clearInterval(idle);
    clearTimeout(cut);
    connections.stop();
    // Ends Node's own timer; the server is closed already.
    server.close(() => {});
  }
}
