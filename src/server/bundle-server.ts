import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { codeOf, messageOf } from '../base/errors.ts';
import type { BundleEntry, BundleFile } from '../bundle/bundle-file.ts';
import { packVulnerabilityFile, type VulnerabilityQuestion } from '../hub/vulnerability-shelf.ts';
import { MODULES_PREFIX } from '../protocol/layout.ts';
import { vulnerabilityKey } from '../protocol/vulnerability-database.ts';
import { parseVulnerabilityPath } from './router.ts';

export interface BundleServer {
  /** Not listening yet: call `listen`. */
  readonly server: Server;
  /** Stops accepting and lets running answers finish, for so long. */
  close(drainMs: number): Promise<void>;
}

const ROOT_PAGE = 'goyi bundle: set GOPROXY to this address\n';

/** A GOPROXY that answers from the bundle itself. What is sent is compared with its digest on the way: a file that was changed breaks off before its end. */
export function createBundleServer(bundle: BundleFile, onFault: (reason: string) => void): BundleServer {
  const server = createServer({ maxHeaderSize: 16 * 1024, headersTimeout: 10_000, requestTimeout: 20_000, keepAliveTimeout: 30_000 });
  server.maxConnections = 512;
  server.maxHeadersCount = 100;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => void answer({ bundle, onFault }, request, response));
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

interface Served {
  readonly bundle: BundleFile;
  readonly onFault: (reason: string) => void;
}

async function answer(served: Served, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(response, 405, 'only GET and HEAD are answered here\n');
  const path = pathOf(request.url ?? '');
  if (path === undefined) return text(response, 400, 'the address is malformed\n');
  if (path === '/') return text(response, 200, ROOT_PAGE);
  const vulnerability = parseVulnerabilityPath(path.slice(1));
  if (vulnerability !== undefined) return sendVulnerabilities(served, vulnerability, request, response);
  const entry = served.bundle.find(`${MODULES_PREFIX}${path.slice(1)}`);
  if (entry === undefined) return text(response, 404, 'not in this bundle\n');
  if (!entry.carried) return text(response, 404, 'not in this bundle, but in one before it, which it only adds to\n');
  await send(served, entry, request, response);
}

/** Small, so it is compared as a whole before any of it is sent. */
async function sendVulnerabilities(
  { bundle, onFault }: Served,
  { file, isPacked }: VulnerabilityQuestion,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const entry = bundle.find(vulnerabilityKey(file));
  if (entry?.carried !== true) return text(response, 404, 'not in this bundle\n');
  try {
    const plain = await bundle.read(entry);
    const bytes = isPacked ? await packVulnerabilityFile(plain) : plain;
    const type = isPacked ? 'application/octet-stream' : 'application/json';
    response.writeHead(200, { 'Content-Type': type, 'Content-Length': bytes.length, 'X-Content-Type-Options': 'nosniff' });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  } catch (error) {
    onFault(messageOf(error));
    response.destroy();
  }
}

async function send({ bundle, onFault }: Served, entry: BundleEntry, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.writeHead(200, {
    'Content-Type': entry.name.endsWith('.zip') ? 'application/zip' : 'text/plain; charset=utf-8',
    'Content-Length': entry.sizeBytes,
    'X-Content-Type-Options': 'nosniff',
  });
  if (request.method === 'HEAD' || entry.sizeBytes === 0) {
    response.end();
    return;
  }
  try {
    await pipeline(Readable.from(whole(bundle, entry), { objectMode: false }), response);
  } catch (error) {
    // Cut before its length is reached, it cannot be taken for the whole.
    if (codeOf(error) !== undefined) onFault(messageOf(error));
    response.destroy();
  }
}

/** Holds the last piece back until the digest of all of them is known. */
async function* whole(bundle: BundleFile, entry: BundleEntry): AsyncGenerator<Buffer> {
  let last: Buffer | undefined;
  for await (const chunk of bundle.stream(entry)) {
    if (last !== undefined) yield last;
    last = chunk;
  }
  if (last !== undefined) yield last;
}

/** Decoded once; undefined for what cannot be decoded. */
function pathOf(target: string): string | undefined {
  try {
    return decodeURIComponent(target.split('?', 1)[0] ?? '');
  } catch {
    return undefined;
  }
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}
