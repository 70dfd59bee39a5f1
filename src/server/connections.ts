import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { Exchange } from './exchange.ts';
import type { ServerLimits } from './limits.ts';

export type CutReason = 'reader-stalled' | 'pipeline-too-long';

export interface ConnectionsOptions {
  readonly limits: Pick<ServerLimits, 'pipelineMax' | 'writeStallMs'>;
  readonly clock: Clock;
  /** Distinguishes this worker's request ids. */
  readonly idPrefix: string;
  /** Answers one request and never throws. */
  readonly answer: (exchange: Exchange) => void;
  readonly onCut: (reason: CutReason, socket: Socket) => void;
}

/**
 * The open connections of a server, each with at most one request under way, so that a connection holds one open file and one buffer
 * whatever its client sends ahead. One timer for all of them cuts readers that do not read: a timer for each answer would cost every answer.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #open = new Map<Socket, Connection>();
  readonly #sockets = new Set<Socket>();
  readonly #sweep: NodeJS.Timeout;
  #requests = 0;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#cutStalled(), Math.min(5_000, Math.max(10, options.limits.writeStallMs / 4)));
    this.#sweep.unref();
  }

  /** Watches the server's connections and takes its requests. `event` is `secureConnection` for TLS. */
  watch(server: Server, event: 'connection' | 'secureConnection'): void {
    // Below TLS lies another socket, which exists before its handshake is done.
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on(event, (socket: Socket) => this.#connectionOf(socket));
    server.on('request', (req: IncomingMessage, res: ServerResponse) => this.#take(req, res));
  }

  get size(): number {
    return this.#open.size;
  }

  /** True when a raw refusal may be written: nothing of an answer is under way, and a handshake of TLS is done. */
  isQuiet(socket: Socket): boolean {
    const connection = this.#open.get(socket);
    return connection !== undefined && connection.current === undefined;
  }

  /** Closes the connections that no request is under way on. */
  closeIdle(): void {
    for (const connection of this.#open.values()) if (connection.current === undefined) connection.socket.destroy();
  }

  /** Closes those that never sent a request or whose last answer is complete, but not one whose next head may be arriving. */
  closeUsedIdle(): void {
    for (const connection of this.#open.values()) {
      if (connection.current === undefined && connection.isBetweenRequests) connection.socket.destroy();
    }
  }

  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  stop(): void {
    clearInterval(this.#sweep);
  }

  #connectionOf(socket: Socket): Connection {
    let connection = this.#open.get(socket);
    if (connection === undefined) {
      connection = new Connection(socket);
      this.#open.set(socket, connection);
      socket.once('close', () => this.#open.delete(socket));
    }
    return connection;
  }

  #take(req: IncomingMessage, res: ServerResponse): void {
    const connection = this.#connectionOf(req.socket);
    this.#requests += 1;
    const exchange = new Exchange(req, res, `${this.#options.idPrefix}${this.#requests.toString(36)}`, this.#options.clock.monotonicMs());
    if (connection.current === undefined) {
      this.#begin(connection, exchange);
    } else if (connection.waiting.length < this.#options.limits.pipelineMax) {
      connection.waiting.push(exchange);
    } else if (!req.socket.destroyed) {
      this.#options.onCut('pipeline-too-long', req.socket);
      req.socket.destroy();
    }
  }

  #begin(connection: Connection, exchange: Exchange): void {
    connection.current = exchange;
    exchange.res.once('close', () => {
      connection.current = undefined;
      connection.seenBytes = connection.socket.bytesRead;
      exchange.end();
      const next = connection.waiting.shift();
      if (next !== undefined && connection.socket.writable) this.#begin(connection, next);
    });
    this.#options.answer(exchange);
  }

  #cutStalled(): void {
    const now = this.#options.clock.monotonicMs();
    for (const connection of this.#open.values()) {
      if (!connection.isStalled(now, this.#options.limits.writeStallMs)) continue;
      this.#options.onCut('reader-stalled', connection.socket);
      connection.socket.destroy();
    }
  }
}

class Connection {
  readonly socket: Socket;
  current: Exchange | undefined;
  readonly waiting: Exchange[] = [];
  /** What had been read when the last answer was complete. */
  seenBytes = 0;
  #takenBytes = 0;
  #sinceMs: number | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  get isBetweenRequests(): boolean {
    return this.socket.bytesRead === this.seenBytes;
  }

  /** True when there are bytes for the client and it has taken none for `stallMs`. */
  isStalled(nowMs: number, stallMs: number): boolean {
    const { socket } = this;
    if (socket.writableLength === 0) {
      this.#sinceMs = undefined;
      return false;
    }
    // `bytesWritten` counts what is still queued, too.
    const takenBytes = socket.bytesWritten - socket.writableLength;
    if (this.#sinceMs === undefined || takenBytes !== this.#takenBytes) {
      this.#takenBytes = takenBytes;
      this.#sinceMs = nowMs;
      return false;
    }
    return nowMs - this.#sinceMs >= stallMs;
  }
}
