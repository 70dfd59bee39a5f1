import { createHash } from 'node:crypto';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HubError } from '../../src/base/errors.ts';
import type { ChecksumTransport } from '../../src/origin/checksum-transport.ts';
import {
  type RecordHashes,
  formatChecksumRecord,
  formatLookupAnswer,
  formatTreeNote,
  recordHash,
} from '../../src/protocol/checksum-record.ts';
import { unescapeCapitals } from '../../src/protocol/module-path.ts';
import { type SignerKey, type VerifierKey, generateSignerKey, signNote } from '../../src/protocol/note.ts';
import { formatTilePath } from '../../src/protocol/proxy-request.ts';
import { type HashTile, TILE_WIDTH, edgeTiles, rootFromEdges } from '../../src/protocol/tile.ts';
import { subtreeHash } from '../../src/protocol/tree-hash.ts';

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** Changes an honest answer into another; undefined leaves it. `resource` is `latest`, `lookup/rsc.io/quote@v1.5.2`, `tile/8/0/000.p/7`. */
export type Lie = (resource: string, honest: Answer) => Answer | undefined;

/**
 * A small real checksum database: an append-only log with its own Ed25519 key, look-ups, `latest` and tiles of hashes and of records.
 * What a way to it makes of the honest answers is up to its {@link Lie}.
 */
export class TestChecksumDatabase {
  readonly signer: SignerKey;
  readonly #records: string[];
  /** Hashes of each tile level. */
  readonly #levels: Buffer[][];
  readonly #ids: Map<string, number>;
  /** The size of the tree that is signed; the records after it are not published yet. */
  #signedSize: number | undefined;

  constructor(options: { name?: string; seed?: string; from?: TestChecksumDatabase } = {}) {
    const { name = 'sum.test.example', seed = 'test', from } = options;
    this.signer = from?.signer ?? generateSignerKey(name, createHash('sha256').update(seed).digest()).signer;
    this.#records = from === undefined ? [] : [...from.#records];
    this.#levels = from === undefined ? [] : from.#levels.map((level) => [...level]);
    this.#ids = new Map(from === undefined ? [] : from.#ids);
  }

  get key(): VerifierKey {
    return this.signer.verifier;
  }

  get name(): string {
    return this.key.name;
  }

  get size(): number {
    return this.#signedSize ?? this.#records.length;
  }

  /** From now on trees of this size are signed, whatever is added; undefined for all there is. */
  signAt(size: number | undefined): void {
    this.#signedSize = size;
  }

  /** A database with the same key and, so far, the same records: what is added to one of the two from now on is a fork. */
  split(): TestChecksumDatabase {
    return new TestChecksumDatabase({ from: this });
  }

  /** Appends the record of a module version and answers its number. */
  add(module: string, version: string, hashes: Partial<RecordHashes> = {}): number {
    const { zipHash = testHash(`${module}@${version}`), modHash = testHash(`${module}@${version}/go.mod`) } = hashes;
    const id = this.addText(formatChecksumRecord({ module, version, zipHash, modHash }));
    this.#ids.set(`${module}@${version}`, id);
    return id;
  }

  /** Appends `count` records of modules that nobody asks for. */
  pad(count: number, name = 'padding.example/m'): void {
    for (let i = 0; i < count; i += 1) this.addText(`${name} v0.0.${this.#records.length} h1:padding\n`);
  }

  /** Appends any text as a record. */
  addText(text: string): number {
    const id = this.#records.push(text) - 1;
    let hash = recordHash(text);
    for (let level = 0; ; level += 1) {
      const hashes = (this.#levels[level] ??= []);
      hashes.push(hash);
      if (hashes.length % TILE_WIDTH !== 0) return id;
      hash = subtreeHash(Buffer.concat(hashes.slice(-TILE_WIDTH)));
    }
  }

  text(id: number): string {
    return this.#records[id] ?? '';
  }

  idOf(module: string, version: string): number | undefined {
    return this.#ids.get(`${module}@${version}`);
  }

  root(size: number = this.size): Buffer {
    const edges = edgeTiles(size).map((tile) => this.hashes(tile));
    return rootFromEdges(size, edges);
  }

  /** The signed note of the tree of `size` records, with further lines in its text or other signatures if a test wants them. */
  note(size: number = this.size, extra: { root?: Buffer; lines?: string; signers?: readonly SignerKey[] } = {}): string {
    const { root = this.root(size), lines = '', signers = [this.signer] } = extra;
    return signNote(formatTreeNote({ size, root }) + lines, ...signers);
  }

  lookupBody(module: string, version: string, note: string = this.note()): string | undefined {
    const recordId = this.idOf(module, version);
    return recordId === undefined || recordId >= this.size ? undefined : formatLookupAnswer({ recordId, text: this.text(recordId), note });
  }

  hashes({ level, index, width }: HashTile): Buffer {
    return Buffer.concat((this.#levels[level] ?? []).slice(index * TILE_WIDTH, index * TILE_WIDTH + width));
  }

  /** What an honest database answers. */
  answer(resource: string): Answer {
    const [, module, version] = /^lookup\/(.+)@([^@]+)$/.exec(resource) ?? [];
    if (resource === 'latest') return found(this.note());
    if (module !== undefined && version !== undefined) {
      const body = this.lookupBody(unescapeCapitals(module) ?? '', unescapeCapitals(version) ?? '');
      return body === undefined ? absent(`${module}@${version}: unknown`) : found(body);
    }
    return this.#tile(resource) ?? absent('no such thing');
  }

  #tile(resource: string): Answer | undefined {
    const [, level, path, partial] = /^tile\/8\/(data|\d+)\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d+))?$/.exec(resource) ?? [];
    if (level === undefined || path === undefined) return undefined;
    const index = Number(path.replaceAll(/[x/]/g, ''));
    const width = partial === undefined ? TILE_WIDTH : Number(partial);
    const hashLevel = level === 'data' ? 0 : Number(level);
    if (index * TILE_WIDTH + width > Math.floor(this.size / TILE_WIDTH ** hashLevel)) return undefined;
    if (level !== 'data') return found(this.hashes({ level: hashLevel, index, width }));
    const texts = this.#records.slice(index * TILE_WIDTH, index * TILE_WIDTH + width);
    return found(texts.map((text) => `${text}\n`).join(''));
  }
}

/** One way to a database, on which a test can lie, fail or look at what was asked. */
export class TestTransport implements ChecksumTransport {
  readonly origin: string;
  database: TestChecksumDatabase;
  lie: Lie | undefined;
  /** Not reachable. */
  isDown = false;
  /** Never answers. */
  isStuck = false;
  readonly asked: string[] = [];

  constructor(origin: string, database: TestChecksumDatabase, lie?: Lie) {
    this.origin = origin;
    this.database = database;
    this.lie = lie;
  }

  async get(
    { resource }: { readonly resource: string },
    signal: AbortSignal,
  ): Promise<{ readonly kind: 'found'; readonly body: Buffer } | { readonly kind: 'absent'; readonly reason: string }> {
    this.asked.push(resource);
    if (this.isStuck) await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
    if (this.isDown) throw new HubError('origin-unavailable', `${this.origin} is down`);
    const honest = this.database.answer(resource);
    const { status, body } = this.lie?.(resource, honest) ?? honest;
    if (status === 200) return { kind: 'found', body };
    if (status === 404 || status === 410) return { kind: 'absent', reason: body.toString() };
    throw new HubError('origin-unavailable', `${this.origin} answers ${status}`);
  }
}

/** A page of a captive portal, with 200, whatever is asked. */
export const captivePortal: Lie = () => found('<html><body>please log in</body></html>');

/** 404 for everything. */
export const absentEverywhere: Lie = () => absent('gone');

/** The lie, told only about matching resources. */
export function onlyAt(pattern: RegExp, lie: Lie): Lie {
  return (resource, honest) => (pattern.test(resource) ? lie(resource, honest) : undefined);
}

/** Another body wherever an honest one would be found. */
export function changeBody(pattern: RegExp, change: (honest: Buffer) => string | Buffer): Lie {
  return onlyAt(pattern, (_, honest) => (honest.status === 200 ? found(change(honest.body)) : undefined));
}

/** One bit of the byte at `at` (from the end if negative) is another. */
export function flipBit(pattern: RegExp, at: number): Lie {
  return changeBody(pattern, (honest) => {
    const body = Buffer.from(honest);
    const position = at < 0 ? body.length + at : at;
    body[position] = (body[position] ?? 0) ^ 1;
    return body;
  });
}

/** Serves the database over HTTP on loopback, below any prefix (`/` or `/sumdb/NAME/`), until it is disposed of. */
export async function serveChecksumDatabase(
  database: TestChecksumDatabase,
  options: { prefix?: string; lie?: Lie } = {},
): Promise<{ readonly url: string; lie: Lie | undefined; database: TestChecksumDatabase; readonly asked: string[] } & AsyncDisposable> {
  const { prefix = '/' } = options;
  const asked: string[] = [];
  const server: Server = createServer((request, response) => answerHttp(request, response));
  const served = {
    url: '',
    lie: options.lie,
    database,
    asked,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  const answerHttp = (request: IncomingMessage, response: ServerResponse): void => {
    const path = decodeURIComponent(request.url ?? '');
    const resource = path.startsWith(prefix) ? path.slice(prefix.length) : '';
    asked.push(resource);
    const honest = resource === 'supported' ? found('') : served.database.answer(resource);
    const { status, body } = served.lie?.(resource, honest) ?? honest;
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length }).end(body);
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  served.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix.replace(/\/$/, '')}`;
  return served;
}

/** `h1:` and a hash that depends on the seed alone. */
export function testHash(seed: string): string {
  return `h1:${createHash('sha256').update(seed).digest('base64')}`;
}

/** The path of a tile, for patterns in lies. */
export function tilePath(level: number, index: number, width: number = TILE_WIDTH): string {
  return formatTilePath({ level, index, width });
}

export function found(body: string | Buffer): Answer {
  return { status: 200, body: typeof body === 'string' ? Buffer.from(body) : body };
}

export function absent(reason: string): Answer {
  return { status: 404, body: Buffer.from(reason) };
}
