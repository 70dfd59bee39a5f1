import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { systemClock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import type { LogFields } from '../base/log.ts';
import type { Served } from '../hub/served.ts';
import type { AnswerOptions, Readiness, Station } from '../hub/station.ts';
import type { ProxyRequest } from '../protocol/proxy-request.ts';
import type { OpenBlob } from '../store/blob-store.ts';
import { noPrivateNames } from '../policy/private-names.ts';
import { accessOf } from './fake-access.ts';
import { createHubServer, type HubServer, type HubServerOptions } from './http-server.ts';
import type { AnswerRecord } from './telemetry.ts';

/** For tests: a station that answers what it is told to, a server over it on a loopback port, and clients that show every byte. */
export interface FakeHub {
  readonly hub: HubServer;
  readonly port: number;
  readonly lines: readonly { readonly level: string; readonly sentence: string; readonly fields: LogFields }[];
  readonly records: readonly AnswerRecord[];
  readonly cuts: readonly string[];
  readonly asked: readonly { readonly request: ProxyRequest; readonly options: AnswerOptions }[];
  stop(): Promise<void>;
}

export type FakeAnswer = (request: ProxyRequest, options: AnswerOptions, signal: AbortSignal) => Served | Promise<Served>;

export interface FakeHubOptions extends Partial<Omit<HubServerOptions, 'station'>> {
  readonly answer?: FakeAnswer;
  readonly station?: Partial<Station>;
}

export const readyReport: Readiness = {
  ready: true,
  store: { readable: true, writable: true, freeBytes: 1 },
  metadata: { reachable: true },
  upstreams: [],
  databases: [],
  verify: 'require',
  degraded: [],
};

export async function startHub({ answer, station, ...options }: FakeHubOptions = {}): Promise<FakeHub> {
  const lines: { level: string; sentence: string; fields: LogFields }[] = [];
  const records: AnswerRecord[] = [];
  const cuts: string[] = [];
  const asked: { request: ProxyRequest; options: AnswerOptions }[] = [];
  const at =
    (level: string) =>
    (sentence: string, fields: LogFields = {}): void =>
      void lines.push({ level, sentence, fields });
  const hub = createHubServer({
    station: {
      async answer(request, answerOptions, signal) {
        asked.push({ request, options: answerOptions });
        if (answer === undefined) throw new HubError('not-found', 'nothing is here');
        return answer(request, answerOptions, signal);
      },
      index: async () => [],
      drifts: async () => [],
      wishes: async () => ({ heads: [], wishes: [] }),
      readiness: async () => readyReport,
      publish: () => Promise.reject(new HubError('policy-denied', 'nothing is published here')),
      warm: () => Promise.reject(new HubError('not-found', 'nothing is warmed here')),
      ...station,
    },
    executables: { list: async () => [], open: () => Promise.reject(new HubError('not-found', 'no executable is here')) },
    vulnerabilities: { open: () => Promise.reject(new HubError('not-found', 'no vulnerability database is here')) },
    sdks: {
      list: async () => [],
      describe: () => Promise.reject(new HubError('not-found', 'no SDK is here')),
      open: () => Promise.reject(new HubError('not-found', 'no SDK is here')),
    },
    databases: ['sum.golang.org'],
    access: accessOf(['read']),
    names: noPrivateNames,
    privatePatterns: [],
    log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
    clock: systemClock,
    version: '0.0.0-test',
    verifyOff: false,
    publicUrl: undefined,
    telemetry: { answered: (record) => void records.push(record), connectionCut: (reason) => void cuts.push(reason) },
    metricsText: async () => 'goyi_up 1\n',
    accessLog: 'all',
    ...options,
  });
  await new Promise<void>((resolve) => hub.server.listen(0, '127.0.0.1', resolve));
  return { hub, port: (hub.server.address() as AddressInfo).port, lines, records, cuts, asked, stop: () => hub.close(0) };
}

/** Bytes in memory behind the face of a stored file, read at most `readMax` at a time, on the calling thread when `isRecent`; `opened` and `closed` count. */
export class FakeBlob implements OpenBlob {
  static opened = 0;
  static closed = 0;
  readonly fingerprint: string;
  readonly localPath = undefined;
  readonly sizeBytes: number;
  readonly #bytes: Buffer;
  readonly #readMax: number;
  readonly #isRecent: boolean;

  constructor(bytes: Buffer, options: { sizeBytes?: number; readMax?: number; isRecent?: boolean; fingerprint?: string } = {}) {
    FakeBlob.opened += 1;
    this.fingerprint = options.fingerprint ?? `fake ${FakeBlob.opened}`;
    this.#bytes = bytes;
    this.sizeBytes = options.sizeBytes ?? bytes.length;
    this.#readMax = options.readMax ?? Number.POSITIVE_INFINITY;
    this.#isRecent = options.isRecent ?? false;
  }

  readNow(buffer: Uint8Array, length: number, position: number): number | undefined {
    return this.#isRecent ? this.#copy(buffer, length, position) : undefined;
  }

  async read(buffer: Uint8Array, length: number, position: number): Promise<number> {
    return this.#copy(buffer, length, position);
  }

  #copy(buffer: Uint8Array, length: number, position: number): number {
    const part = this.#bytes.subarray(position, position + Math.min(length, this.#readMax));
    buffer.set(part);
    return part.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    FakeBlob.closed += 1;
  }
}

export const ETAG = '"5891b5b522d5df086d0ff0b110fbd9d2"';

export function servedBytes(bytes: Buffer | string, more: Partial<Served> = {}): Served {
  return {
    kind: 'bytes',
    bytes: Buffer.from(bytes),
    contentType: 'application/json',
    immutable: true,
    etag: ETAG,
    outcome: 'hit',
    ...more,
  } as Served;
}

export function servedBlob(blob: OpenBlob, more: Partial<Served> = {}): Served {
  return { kind: 'blob', blob, contentType: 'application/zip', immutable: true, etag: ETAG, outcome: 'hit', ...more } as Served;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request on a connection of its own. */
export function ask(
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string | string[]> } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const req = httpRequest({ host: '127.0.0.1', port, path, agent: false, ...options }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks) }));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end();
  });
}

/** Sends bytes as they are and resolves with all that came back when the server closes, or when `enough` is content with it, or after `timeoutMs`. */
export function talk(
  port: number,
  bytes: string | Buffer,
  options: { enough?: (text: string) => boolean; timeoutMs?: number } = {},
): Promise<{ text: string; closed: boolean; ms: number }> {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const done = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closed, ms: performance.now() - startedMs });
    };
    const timer = setTimeout(() => done(false), options.timeoutMs ?? 5_000);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (options.enough?.(text) === true) done(false);
    });
    socket.on('error', () => {});
    socket.on('close', () => done(true));
  });
}

/** Resolves when the condition holds. @throws after 30 s, which only a machine that does much else needs */
export async function until(condition: () => boolean): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error('the condition did not come true in 30 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
