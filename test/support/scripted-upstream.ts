/**
 * A small real module proxy on a loopback address, over plain data or a folder in the layout of GOPROXY. It counts every request and does what it is told,
 * so that a test can see how the hub bears every kind of upstream. Faithful by default: keep-alive, ETag, Range, If-Range, 404 in text.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createSecureServer, type Http2SecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** How one request is answered. What is not said is done faithfully. */
export interface Behaviour {
  readonly status?: number;
  /** Instead of the file's bytes; with `status` alone a line of text. */
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Before the head is sent. */
  readonly delayHeadMs?: number;
  /** Never sends a head. */
  readonly hang?: boolean;
  /** Closes the connection instead of a head. */
  readonly refuse?: boolean;
  /** Sends the body in small pieces with pauses. */
  readonly drip?: { readonly sizeBytes: number; readonly everyMs: number };
  /** Ends the connection after this much of the body. */
  readonly cutAfterBytes?: number;
  /** Sends this much of the body and then nothing, with the connection open. */
  readonly stallAfterBytes?: number;
  /** Without Content-Length (chunked). */
  readonly noLength?: boolean;
  /** A Content-Length that is not the body's. */
  readonly declaredBytes?: number;
  /** A body that never ends, as fast as it is read. */
  readonly endless?: boolean;
  /** A head of about this size. */
  readonly headBytes?: number;
  readonly redirectTo?: string;
  /** Bytes instead of HTTP (HTTP/1.1 only). */
  readonly garbage?: string | Buffer;
  /** Ignores Range and sends everything. */
  readonly ignoreRange?: boolean;
  /** Answers a Range with a part that begins this many bytes off. */
  readonly rangeOffByBytes?: number;
  /** Instead of the file's own; `false` for none. */
  readonly etag?: string | false;
  readonly retryAfter?: string;
}

export interface SeenRequest {
  readonly method: string;
  /** As it came, percent escapes and query included. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly httpVersion: string;
  readonly atMs: number;
  /** Of the body of its answer, handed to the connection so far. */
  sentBytes: number;
}

/** `nth` counts the requests that reached this rule, from 1. Undefined: faithfully. */
export type Script = Behaviour | readonly (Behaviour | undefined)[] | ((request: SeenRequest, nth: number) => Behaviour | undefined);

export interface ScriptedUpstreamOptions {
  /** By path below the base, without a leading slash, unescaped from percent escapes: `rsc.io/quote/@v/v1.5.2.zip`. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  /** A folder in the layout of GOPROXY, looked at when `files` has nothing. */
  readonly folder?: string;
  /** Speaks TLS, and HTTP/2 to whoever offers it. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer; readonly http2?: boolean };
  /** Default: any free one. */
  readonly port?: number;
}

type Incoming = IncomingMessage | Http2ServerRequest;
type Outgoing = ServerResponse | Http2ServerResponse;

/** Starts it. `await using` stops it. */
export async function startScriptedUpstream(options: ScriptedUpstreamOptions = {}): Promise<ScriptedUpstream> {
  const upstream = new ScriptedUpstream(options);
  await upstream.up();
  return upstream;
}

export class ScriptedUpstream implements AsyncDisposable {
  /** Every request, in order of arrival. */
  readonly requests: SeenRequest[] = [];
  readonly files: Map<string, Buffer> = new Map();
  /** Accepted connections. */
  connections = 0;
  /** Answers under way, and the most there ever were at once. */
  active = 0;
  activeMax = 0;
  readonly #options: ScriptedUpstreamOptions;
  readonly #rules: { readonly matches: (path: string) => boolean; readonly script: Script; nth: number }[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #stop = new AbortController();
  #server: Server | Http2SecureServer | undefined;
  #port = 0;

  constructor(options: ScriptedUpstreamOptions) {
    this.#options = options;
    this.#port = options.port ?? 0;
    for (const [path, body] of Object.entries(options.files ?? {})) this.files.set(path, Buffer.from(body));
  }

  /** `http://127.0.0.1:PORT`, or `https://localhost:PORT`. */
  get url(): string {
    return this.#options.tls === undefined ? `http://127.0.0.1:${this.#port}` : `https://localhost:${this.#port}`;
  }

  /** The last rule that matches a path counts. A list is followed one request at a time, then faithfully. */
  on(path: string | RegExp, script: Script): void {
    this.#rules.unshift({ matches: (asked) => (typeof path === 'string' ? asked === path : path.test(asked)), script, nth: 0 });
  }

  /** Forgets all rules. */
  behave(): void {
    this.#rules.length = 0;
  }

  /** Requests whose path (unescaped, without leading slash) is this or matches; all of them without an argument. */
  count(path?: string | RegExp): number {
    return this.requests.filter(
      ({ url }) => path === undefined || (typeof path === 'string' ? pathOf(url) === path : path.test(pathOf(url))),
    ).length;
  }

  /** Listens (again, on the same port). */
  async up(): Promise<void> {
    const { tls } = this.#options;
    const answer = (request: Incoming, response: Outgoing): void => {
      this.#answer(request, response).catch(() => response.destroy());
    };
    const server = serverFor(tls, answer);
    server.on('connection', (socket: Socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('sessionError', () => {});
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(this.#port, tls === undefined ? '127.0.0.1' : 'localhost', resolve);
    await promise;
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Dies: every connection is cut, new ones are refused. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    this.cutAll();
    await promise;
  }

  /** Cuts every open connection. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.down();
  }

  async #answer(request: Incoming, response: Outgoing): Promise<void> {
    const url = request.url ?? '/';
    const seen: SeenRequest = {
      method: request.method ?? 'GET',
      url,
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
      httpVersion: request.httpVersion,
      atMs: performance.now(),
      sentBytes: 0,
    };
    this.requests.push(seen);
    this.active += 1;
    this.activeMax = Math.max(this.activeMax, this.active);
    const closed = new AbortController();
    response.once('close', () => {
      this.active -= 1;
      closed.abort();
    });
    const path = pathOf(url);
    const behaviour = this.#behaviourFor(path, seen) ?? {};
    const signal = AbortSignal.any([this.#stop.signal, closed.signal]);
    if (behaviour.delayHeadMs !== undefined) await pause(behaviour.delayHeadMs, undefined, { signal });
    if (behaviour.hang === true) return;
    if (behaviour.refuse === true) return cut(response);
    if (behaviour.garbage !== undefined) {
      response.socket?.end(behaviour.garbage);
      return;
    }
    await send({ seen, response, behaviour, file: await this.#fileAt(path), signal });
  }

  #behaviourFor(path: string, seen: SeenRequest): Behaviour | undefined {
    const rule = this.#rules.find(({ matches }) => matches(path));
    if (rule === undefined) return undefined;
    rule.nth += 1;
    if (typeof rule.script === 'function') return rule.script(seen, rule.nth);
    return Array.isArray(rule.script) ? (rule.script as readonly (Behaviour | undefined)[])[rule.nth - 1] : (rule.script as Behaviour);
  }

  async #fileAt(path: string): Promise<Buffer | undefined> {
    const known = this.files.get(path);
    if (known !== undefined || this.#options.folder === undefined || path.split('/').includes('..')) return known;
    return readFile(join(this.#options.folder, ...path.split('/'))).catch(() => undefined);
  }
}

function serverFor(
  tls: ScriptedUpstreamOptions['tls'],
  answer: (request: Incoming, response: Outgoing) => void,
): Server | Http2SecureServer {
  if (tls === undefined) return createServer(answer);
  const { key, cert } = tls;
  return tls.http2 === false ? createHttpsServer({ key, cert }, answer) : createSecureServer({ key, cert, allowHTTP1: true }, answer);
}

function pathOf(url: string): string {
  const path = url.replace(/^https?:\/\/[^/]*/, '').replace(/[?#].*$/, '');
  return decodeURIComponent(path).replace(/^\/+/, '');
}

interface Sending {
  readonly seen: SeenRequest;
  readonly response: Outgoing;
  readonly behaviour: Behaviour;
  readonly file: Buffer | undefined;
  readonly signal: AbortSignal;
}

async function send({ seen, response, behaviour, file, signal }: Sending): Promise<void> {
  const whole = wholeBody(behaviour, file);
  const { status, body, headers } = part(seen, behaviour, whole);
  if (behaviour.headBytes !== undefined) {
    for (let left = behaviour.headBytes, i = 0; left > 0; left -= 1000, i += 1) headers[`x-filler-${i}`] = 'x'.repeat(980);
  }
  if (behaviour.noLength !== true && behaviour.endless !== true && status !== 204 && status !== 304)
    headers['content-length'] = String(behaviour.declaredBytes ?? body.length);
  if (behaviour.redirectTo !== undefined) headers['location'] = behaviour.redirectTo;
  if (behaviour.retryAfter !== undefined) headers['retry-after'] = behaviour.retryAfter;
  (response as ServerResponse).writeHead(status, { ...headers, ...behaviour.headers });
  if (seen.method === 'HEAD') {
    response.end();
    return;
  }
  if (behaviour.endless === true) return sendEndless(response, signal);
  const stopAt = behaviour.cutAfterBytes ?? behaviour.stallAfterBytes ?? body.length;
  await sendPieces({ seen, response, behaviour, signal }, body.subarray(0, stopAt));
  if (behaviour.stallAfterBytes !== undefined) return;
  if (behaviour.cutAfterBytes !== undefined || (behaviour.declaredBytes ?? 0) > body.length) {
    // What was written has to arrive before the connection goes.
    await pause(20, undefined, { signal });
    return cut(response);
  }
  response.end();
}

function wholeBody({ body, status, redirectTo }: Behaviour, file: Buffer | undefined): { status: number; bytes: Buffer } {
  if (redirectTo !== undefined) return { status: status ?? 302, bytes: Buffer.from(body ?? '') };
  if (body !== undefined) return { status: status ?? 200, bytes: Buffer.from(body) };
  if (status !== undefined && status !== 200)
    return { status, bytes: Buffer.from(status === 204 || status === 304 ? '' : `scripted status ${status}\n`) };
  return file === undefined ? { status: 404, bytes: Buffer.from('not found: no such file\n') } : { status: 200, bytes: file };
}

function part(
  seen: SeenRequest,
  behaviour: Behaviour,
  { status, bytes }: { status: number; bytes: Buffer },
): { status: number; body: Buffer; headers: Record<string, string> } {
  const etag = behaviour.etag ?? `"${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}"`;
  const headers: Record<string, string> = { 'content-type': 'text/plain; charset=utf-8', 'accept-ranges': 'bytes' };
  if (etag !== false) headers['etag'] = etag;
  const range = /^bytes=([0-9]+)-([0-9]*)$/.exec(seen.headers['range'] ?? '');
  const ifRange = seen.headers['if-range'];
  if (range === null || status !== 200 || behaviour.ignoreRange === true || (ifRange !== undefined && ifRange !== etag))
    return { status, body: bytes, headers };
  const first = Number(range[1]) + (behaviour.rangeOffByBytes ?? 0);
  if (first >= bytes.length)
    return { status: 416, body: Buffer.alloc(0), headers: { ...headers, 'content-range': `bytes */${bytes.length}` } };
  const last = Math.min(bytes.length - 1, range[2] === '' ? Number.POSITIVE_INFINITY : Number(range[2]));
  return {
    status: 206,
    body: bytes.subarray(first, last + 1),
    headers: { ...headers, 'content-range': `bytes ${first}-${last}/${bytes.length}` },
  };
}

async function sendPieces({ seen, response, behaviour: { drip }, signal }: Omit<Sending, 'file'>, body: Buffer): Promise<void> {
  const sizeBytes = drip?.sizeBytes ?? 64 * 1024;
  for (let at = 0; at < body.length; at += sizeBytes) {
    const piece = body.subarray(at, at + sizeBytes);
    seen.sentBytes += piece.length;
    await write(response, piece, signal);
    if (drip !== undefined) await pause(drip.everyMs, undefined, { signal });
  }
}

async function sendEndless(response: Outgoing, signal: AbortSignal): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'endless ');
  while (!signal.aborted) await write(response, chunk, signal);
}

function write(response: Outgoing, chunk: Buffer, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  const done = (): void => resolve();
  const stream: NodeJS.WritableStream = response;
  if (stream.write(chunk)) done();
  else stream.once('drain', done);
  return promise.finally(() => signal.removeEventListener('abort', onAbort));
}

/** Ends the connection (HTTP/1.1) or the stream (HTTP/2) in the middle. */
function cut(response: Outgoing): void {
  if ('stream' in response) response.stream.on('error', () => {}).destroy(new Error('scripted cut'));
  else response.socket?.destroy();
}
