import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What to do with one request: pass it on to the real upstream, or misbehave. */
export type RelayVerdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'status'; readonly status: number; readonly body?: string }
  | { readonly kind: 'hang' }
  | { readonly kind: 'drop' };

export interface RelayUpstream extends AsyncDisposable {
  readonly url: string;
  /** Paths asked so far, in order. */
  readonly requests: string[];
  /** Decides about each request; passes all by default. */
  decide: (path: string, count: number) => RelayVerdict;
}

/** A GOPROXY on loopback that passes requests to a real one, counts them, and can die at any moment. */
export async function startRelay(target: string): Promise<RelayUpstream> {
  const requests: string[] = [];
  const relay: { decide: RelayUpstream['decide'] } = { decide: () => ({ kind: 'pass' }) };
  const server = createServer((request, response) => {
    const path = request.url ?? '/';
    requests.push(path);
    const verdict = relay.decide(path, requests.length);
    void act(verdict, target, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(relay, {
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

async function act(verdict: RelayVerdict, target: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  switch (verdict.kind) {
    case 'hang':
      return;
    case 'drop':
      request.socket.destroy();
      return;
    case 'status':
      response.writeHead(verdict.status, { 'content-type': 'text/plain' }).end(verdict.body ?? '');
      return;
    case 'pass':
      try {
        const answer = await fetch(`${target}${request.url}`, { headers: { 'accept-encoding': 'identity' } });
        response.writeHead(
          answer.status,
          Object.fromEntries(
            ['content-type', 'content-length', 'etag'].flatMap((name) =>
              answer.headers.has(name) ? [[name, answer.headers.get(name) ?? '']] : [],
            ),
          ),
        );
        if (answer.body === null) response.end();
        else await pipeline(Readable.fromWeb(answer.body), response);
      } catch {
        response.destroy();
      }
  }
}
