import type { IncomingMessage, ServerResponse } from 'node:http';
import { HubError, type ErrorCode } from '../base/errors.ts';
import type { CacheOutcome } from '../base/events.ts';
import type { Caller } from '../policy/access.ts';

/** What was asked for, as a label of metrics. */
export type RequestKind =
  | 'info'
  | 'mod'
  | 'zip'
  | 'list'
  | 'latest'
  | 'query'
  | 'sumdb'
  | 'index'
  | 'sdk'
  | 'vulndb'
  | 'probe'
  | 'api'
  | 'hook'
  | 'other';

/** Why an answer failed: an {@link ErrorCode}, or one of the few that only a server knows. */
export type FailureCode = ErrorCode | 'unauthorized' | 'forbidden' | 'too-many-failures' | 'range-unsatisfiable' | 'internal';

/** One request and its answer, and what will be said of it in log and metrics. Owned by the connection it came on. */
export class Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Unique among all workers; sent as `X-Request-Id`. */
  readonly id: string;
  readonly startedMs: number;
  readonly isHead: boolean;
  kind: RequestKind = 'other';
  /** 0 until an answer was begun. */
  status = 0;
  /** Of body, handed to the connection. */
  sentBytes = 0;
  /** Of body, left to somebody else to send. */
  handedOverBytes = 0;
  outcome: CacheOutcome | undefined;
  failure: FailureCode | undefined;
  /** Who logged in; undefined: nobody did. */
  caller: Caller | undefined;
  /** The answer is not for everybody: no cache that several share may keep it. */
  isPrivate = false;
  #peer: string | undefined;
  #left: AbortController | undefined;
  #isOver = false;

  constructor(req: IncomingMessage, res: ServerResponse, id: string, startedMs: number) {
    this.req = req;
    this.res = res;
    this.id = id;
    this.startedMs = startedMs;
    this.isHead = req.method === 'HEAD';
  }

  /** The address of who asks: of the connection, unless a proxy that is trusted has said otherwise. */
  get peer(): string {
    return this.#peer ?? this.req.socket.remoteAddress ?? '-';
  }

  /** Undefined: the connection itself says who asks. */
  set peer(address: string | undefined) {
    this.#peer = address;
  }

  /** Fires when the client leaves before its answer is complete. */
  get signal(): AbortSignal {
    if (this.#left === undefined) {
      this.#left = new AbortController();
      if (this.#isOver) this.#left.abort(clientLeft());
    }
    return this.#left.signal;
  }

  /** True once the answer is complete or its connection is gone. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The answer is complete, or the connection is gone. */
  end(): void {
    this.#isOver = true;
    if (!this.res.writableFinished) this.#left?.abort(clientLeft());
  }
}

function clientLeft(): HubError {
  return new HubError('canceled', 'the client left');
}

/** Whether a request announces a body. */
export function hasBody({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && Number(headers['content-length']) !== 0);
}
