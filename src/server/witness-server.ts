import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { Log } from '../base/log.ts';
import { codeOf, messageOf } from '../base/errors.ts';
import { unreachable } from '../base/invariant.ts';
import type { Witness, WitnessAnswer, WitnessedLog } from '../hub/witness.ts';
import { TREE_SIZE_TYPE, WITNESS_BODY_BYTES_MAX } from '../protocol/witness-request.ts';

/** In milliseconds. */
export interface WitnessServerLimits {
  /** Open connections; the kernel holds a few more. */
  readonly connectionsMax: number;
  readonly headerMs: number;
  /** From the first byte to the end of a whole request. */
  readonly requestMs: number;
  readonly keepAliveMs: number;
}

export const defaultWitnessLimits: WitnessServerLimits = { connectionsMax: 256, headerMs: 5_000, requestMs: 10_000, keepAliveMs: 30_000 };

export interface WitnessServer {
  /** Not listening yet: call `listen`. */
  readonly server: Server;
  /** Stops accepting and lets running answers finish, for so long. */
  close(drainMs: number): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

/** A witness over HTTP, c2sp.org/tlog-witness: `POST /add-checkpoint`, `GET /ID/checkpoint`, and `GET /` for people. */
export function createWitnessServer(options: {
  readonly witness: Witness;
  readonly log: Log;
  readonly limits?: Partial<WitnessServerLimits>;
}): WitnessServer {
  const { witness, log } = options;
  const limits = { ...defaultWitnessLimits, ...options.limits };
  const server = createServer({
    maxHeaderSize: 8 * 1024,
    headersTimeout: limits.headerMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headerMs / 4),
  });
  server.maxConnections = limits.connectionsMax;
  server.maxHeadersCount = 50;
  server.on('error', (error) => {
    if (server.listening) log.error('a connection could not be accepted', { reason: error.message });
  });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    answer(witness, request).then(
      (reply) => send(request, response, reply),
      (error: unknown) => {
        // A client that left has nobody to be told.
        if (request.destroyed && !request.complete) {
          response.destroy();
          return;
        }
        log.error('an answer failed', { code: codeOf(error), reason: messageOf(error) });
        send(request, response, { status: codeOf(error) === 'storage-full' ? 507 : 503, body: 'the witness cannot keep its state\n' });
      },
    );
  });
  return {
    server,
    close: async (drainMs) => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const cut = setTimeout(() => server.closeAllConnections(), drainMs);
      server.closeIdleConnections();
      await closed;
      clearTimeout(cut);
    },
  };
}

async function answer(witness: Witness, request: IncomingMessage): Promise<Reply> {
  const path = request.url?.split('?', 1)[0] ?? '';
  if (path === '/add-checkpoint') {
    if (request.method !== 'POST') return { status: 405, body: 'only POST is answered here\n' };
    const body = await readBody(request);
    return body === undefined
      ? { status: 400, body: `the body is longer than ${WITNESS_BODY_BYTES_MAX} bytes\n` }
      : replyOf(witness.addCheckpoint(body));
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405, body: 'only GET is answered here\n' };
  if (path === '/') return { status: 200, body: statusPage(witness) };
  const id = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path)?.[1];
  const checkpoint = id === undefined ? undefined : witness.checkpoint(id);
  return checkpoint === undefined ? { status: 404, body: 'nothing is here\n' } : { status: 200, body: checkpoint };
}

function replyOf(answered: WitnessAnswer): Reply {
  switch (answered.kind) {
    case 'cosigned':
      return { status: 200, body: answered.lines };
    case 'malformed':
      return { status: 400, body: `${answered.reason}\n` };
    case 'unsigned':
      return { status: 403, body: `${answered.reason}\n` };
    case 'unknown-log':
      return { status: 404, body: `${answered.reason}\n` };
    case 'conflict':
      return { status: 409, body: `${answered.size}\n`, type: TREE_SIZE_TYPE };
    case 'inconsistent':
      return { status: 422, body: `${answered.reason}\n` };
    default:
      return unreachable(answered);
  }
}

function send(request: IncomingMessage, response: ServerResponse, { status, body, type = 'text/plain; charset=utf-8' }: Reply): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': bytes.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // What is left of a body that was not read would be taken for the next request.
    ...(!request.complete && { Connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** The whole body; undefined when it is too long. The server's own limits say how long it may take. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > WITNESS_BODY_BYTES_MAX) return undefined;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  // Leaving early must not destroy the connection, on which the answer still goes out.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    sizeBytes += (chunk as Buffer).length;
    if (sizeBytes > WITNESS_BODY_BYTES_MAX) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

function statusPage(witness: Witness): string {
  const logs = witness.logs();
  const intro = `goyi witness ${witness.name}\nPOST /add-checkpoint cosigns the heads of ${logs.length === 1 ? 'this log' : 'these logs'} (c2sp.org/tlog-witness).\n`;
  return intro + logs.map(statusOf).join('');
}

function statusOf({ key, cosigner, id, head, fork }: WitnessedLog): string {
  const lines = [
    `log:         ${key.text}`,
    `cosigned by: ${cosigner.cosigner.text}`,
    `head:        ${head === undefined ? 'none yet' : `${head.size} records, root ${head.root}, at /${id}/checkpoint`}`,
  ];
  if (fork !== undefined)
    lines.push(
      `fork:        seen at ${new Date(fork.seenAtMs).toISOString()}: the log has signed two different trees of one size\n`,
      fork.keptNote.trimEnd().replace(/^/gm, '  '),
      '',
      fork.contradictingNote.trimEnd().replace(/^/gm, '  '),
    );
  return `\n${lines.join('\n')}\n`;
}
