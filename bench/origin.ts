/**
 * A GOPROXY with a checksum database that answers from the recording, over a link as weak as is wanted. A process of its own, so that its CPU time counts
 * for nobody:
 *
 *     node bench/origin.ts '{"files": FOLDER, "link": {…}}'      prints its address
 *     GET /-/counts                                              what was asked since the last time, as JSON
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Archive } from './archive.ts';
import { LINK_CHUNK_BYTES, type LinkConditions, WeakLink } from './weak-link.ts';

export interface OriginSettings {
  readonly files: string;
  readonly link: LinkConditions;
}

export interface OriginCounts {
  readonly requests: number;
  readonly zips: number;
  /** Of bodies, handed to the connection. */
  readonly bytes: number;
  readonly cuts: number;
  /** Answers of 404. */
  readonly absent: number;
  /** Paths that had to be fetched from the real upstream: the figures of this run are not those of the next. */
  readonly added: readonly string[];
}

/** Connections that asked before. */
const known = new WeakSet<object>();

class Origin {
  readonly #link: WeakLink;
  readonly #archive: Archive;
  /** Files read once stay: all together they are some 400 MB. */
  readonly #memory = new Map<string, Promise<Buffer | undefined>>();
  #counts = nothing();

  constructor(settings: OriginSettings) {
    this.#archive = new Archive(settings.files);
    this.#link = new WeakLink(settings.link);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent((request.url ?? '/').split('?', 1)[0] ?? '/');
    if (path === '/-/counts') {
      response.end(JSON.stringify({ ...this.#counts, added: this.#archive.fetched.splice(0) } satisfies OriginCounts));
      this.#counts = nothing();
      return;
    }
    this.#counts.requests += 1;
    if (path.endsWith('.zip')) this.#counts.zips += 1;
    const isFirst = !known.has(request.socket);
    known.add(request.socket);
    await this.#link.request({ isFirst });
    const bytes = await this.#read(path);
    if (bytes === undefined) {
      this.#counts.absent += 1;
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not recorded\n');
    } else await this.#send(request, response, bytes);
  }

  async #send(request: IncomingMessage, response: ServerResponse, bytes: Buffer): Promise<void> {
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = Number(range?.[1] ?? 0);
    const body = bytes.subarray(start, range?.[2] ? Number(range[2]) + 1 : bytes.length);
    const length = { 'content-length': body.length, etag: `"${bytes.length}"`, 'accept-ranges': 'bytes' };
    if (range === null) response.writeHead(200, length);
    else response.writeHead(206, { ...length, 'content-range': `bytes ${start}-${start + body.length - 1}/${bytes.length}` });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    const cutAt = this.#link.cutAt(body.length);
    if (this.#link.isPerfect && cutAt === undefined) {
      this.#counts.bytes += body.length;
      response.end(body);
      return;
    }
    const stream = this.#link.stream();
    for (let at = 0; at < body.length && !response.destroyed; at += LINK_CHUNK_BYTES) {
      if (cutAt !== undefined && at >= cutAt) {
        this.#counts.cuts += 1;
        response.destroy();
        return;
      }
      const chunk = body.subarray(at, at + LINK_CHUNK_BYTES);
      await this.#link.send(chunk.length, stream);
      this.#counts.bytes += chunk.length;
      if (!response.write(chunk)) await drained(response);
    }
    response.end();
  }

  #read(path: string): Promise<Buffer | undefined> {
    let bytes = this.#memory.get(path);
    if (bytes === undefined) {
      bytes = this.#archive.get(path).catch(() => undefined);
      this.#memory.set(path, bytes);
    }
    return bytes;
  }
}

function nothing(): Omit<OriginCounts, 'added'> & { requests: number; zips: number; bytes: number; cuts: number; absent: number } {
  return { requests: 0, zips: 0, bytes: 0, cuts: 0, absent: 0 };
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}

const origin = new Origin(JSON.parse(process.argv[2] ?? '{}') as OriginSettings);
const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => void origin.answer(request, response));
server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`));
// It ends with whoever started it.
process.on('disconnect', () => process.exit(0));
