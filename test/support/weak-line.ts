import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** What happens to one answer on its way. */
export type LineFault =
  | { readonly kind: 'none' }
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** One bit of the byte at this place of the body. */
  | { readonly kind: 'flip'; readonly at: number }
  | { readonly kind: 'replace'; readonly body: Buffer }
  | { readonly kind: 'drip'; readonly sizeBytes: number; readonly everyMs: number };

/** A way to a hub that loses, changes and delays what comes over it. */
export interface WeakLine extends AsyncDisposable {
  readonly url: string;
  /** GETs alone. */
  readonly requests: { readonly path: string; readonly range: string | undefined; readonly status: number }[];
  /** For each answer to a GET, in the order in which they come. */
  decide: (path: string) => LineFault;
}

export async function startWeakLine(hub: { readonly url: string }): Promise<WeakLine> {
  const line: Pick<WeakLine, 'requests'> & { decide: WeakLine['decide'] } = { requests: [], decide: () => ({ kind: 'none' }) };
  const server = createServer((request, response) => {
    carry(hub.url, line, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(line, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

async function carry(
  hub: string,
  line: Pick<WeakLine, 'requests' | 'decide'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { url: path = '', method = 'GET' } = request;
  const headers = Object.fromEntries(
    ['range', 'if-range'].flatMap((name) => (typeof request.headers[name] === 'string' ? [[name, request.headers[name]]] : [])),
  );
  const answer = await fetch(`${hub}${path}`, { method, headers: { ...headers, 'accept-encoding': 'identity' } });
  if (method === 'HEAD') {
    response.writeHead(answer.status, { 'content-length': answer.headers.get('content-length') ?? '0' }).end();
    return;
  }
  line.requests.push({ path, range: request.headers.range, status: answer.status });
  const fault = line.decide(path);
  const whole = Buffer.from(await answer.arrayBuffer());
  const body = fault.kind === 'replace' ? fault.body : whole;
  if (fault.kind === 'flip' && fault.at < body.length) body[fault.at] = (body[fault.at] ?? 0) ^ 1;
  const kept = ['content-type', 'content-range', 'etag', 'goyi-error'].flatMap((name) =>
    answer.headers.has(name) ? [[name, answer.headers.get(name) ?? '']] : [],
  );
  response.writeHead(fault.kind === 'replace' ? 200 : answer.status, { ...Object.fromEntries(kept), 'content-length': body.length });
  if (fault.kind === 'cut' && fault.afterBytes < body.length) {
    response.write(body.subarray(0, fault.afterBytes), () => setImmediate(() => response.destroy()));
    return;
  }
  if (fault.kind === 'drip') {
    for (let at = 0; at < body.length && !response.destroyed; at += fault.sizeBytes) {
      response.write(body.subarray(at, at + fault.sizeBytes));
      await pause(fault.everyMs);
    }
    response.end();
    return;
  }
  response.end(body);
}
