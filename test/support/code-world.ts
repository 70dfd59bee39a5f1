/**
 * A public Internet of a few code hosts on loopback: one https server with `git http-backend` and discovery pages, and an outbound proxy through which
 * any name on port 443 leads to it. So a hub meets real names, real certificates and real git, and no packet leaves the machine.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runBackend } from './git-server.ts';

const certificates = new URL('../../testdata/tls/', import.meta.url);

export interface CodeWorld extends AsyncDisposable {
  /** For HTTPS_PROXY. */
  readonly proxyUrl: string;
  readonly port: number;
  /** The authority of every certificate. */
  readonly caFile: string;
  /** What pages say, by host and path: `vanity.example/lib`. */
  readonly pages: Map<string, { readonly status?: number; readonly text: string; readonly location?: string }>;
  /** Hosts that nobody can connect to. */
  readonly dead: Set<string>;
  /** `GET vanity.example/lib?go-get=1`, in the order they came. */
  readonly requests: string[];
  /** Answers git's requests instead of git while it is set. */
  trouble: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** Every host that the proxy was asked for. */
  readonly hosts: string[];
}

/** Repositories lie at `folder/HOST/PATH.git`, and are served under both names. */
export async function startCodeWorld(folder: string): Promise<CodeWorld> {
  const pages: CodeWorld['pages'] = new Map();
  const requests: string[] = [];
  const hosts: string[] = [];
  const dead = new Set<string>();
  const key = readFileSync(new URL('code-hosts.key', certificates));
  const cert = readFileSync(new URL('code-hosts.pem', certificates));
  const server = createHttpsServer({ key, cert }, (request, response) => {
    const { host = '' } = request.headers;
    const url = new URL(request.url ?? '/', `https://${host.replace(/:\d+$/, '')}`);
    requests.push(`${request.method} ${url.host}${url.pathname}${url.search}`);
    if (/\/(?:info\/refs|git-upload-pack)$/.test(url.pathname)) {
      if (world.trouble !== undefined) return world.trouble(request, response);
      request.url = `/${url.host}${url.pathname.replace(/(?:\.git)?(\/(?:info\/refs|git-upload-pack))$/, '.git$1')}${url.search}`;
      runBackend(folder, request, response).catch(() => response.destroy());
      return;
    }
    const page = pages.get(`${url.host}${url.pathname}`) ?? { status: 404, text: 'no such page\n' };
    response.writeHead(page.status ?? 200, page.location === undefined ? {} : { location: page.location }).end(page.text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const tunnels = new Set<Socket>();
  const proxy = startProxy({ port, dead, hosts, tunnels });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const world: CodeWorld = {
    proxyUrl: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    port,
    caFile: fileURLToPath(new URL('code-hosts.pem', certificates)),
    pages,
    dead,
    requests,
    hosts,
    trouble: undefined,
    async [Symbol.asyncDispose]() {
      for (const tunnel of tunnels) tunnel.destroy();
      for (const one of [proxy, server]) {
        one.close();
        one.closeAllConnections();
        await once(one, 'close');
      }
    },
  };
  return world;
}

interface ProxyParts {
  readonly port: number;
  readonly dead: ReadonlySet<string>;
  readonly hosts: string[];
  /** What no server knows of any more once it is a tunnel. */
  readonly tunnels: Set<Socket>;
}

function startProxy({ port, dead, hosts, tunnels }: ProxyParts): Server {
  const proxy = createServer((_, response) => void response.writeHead(400).end());
  proxy.on('connect', (request, client: Socket) => {
    const [host = '', targetPort] = (request.url ?? '').split(':');
    hosts.push(host);
    tunnels.add(client);
    client.on('error', () => client.destroy());
    if (targetPort !== '443' || dead.has('*') || dead.has(host)) {
      client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
      return;
    }
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      client.pipe(target).pipe(client);
    });
    target.on('error', () => client.destroy());
    client.on('close', () => {
      tunnels.delete(client);
      target.destroy();
    });
  });
  return proxy;
}
