import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { HubError, messageOf } from '../base/errors.ts';
import type { ExchangeLimits, OutboundClient, OutboundResponse } from '../net/outbound-client.ts';

/** A GOPROXY with its checksum databases: a hub, or any other. */
export interface ProxySource {
  /** Without credentials. */
  readonly name: string;
  /** `resource` is a path below its address, escaped. Undefined: it says that there is no such thing. @throws {HubError} origin-unavailable, upstream-refused … */
  get(resource: string, sizeMaxBytes: number, signal: AbortSignal): Promise<Buffer | undefined>;
  /** The same into a file, which is whole when it resolves with true. */
  download(resource: string, to: { readonly path: string; readonly sizeMaxBytes: number }, signal: AbortSignal): Promise<boolean>;
  /** How large it is, if it can be had without being fetched from elsewhere first. */
  size(resource: string, signal: AbortSignal): Promise<number | undefined>;
}

const limits = { firstByteMs: 630_000, idleMs: 60_000, bytesPerSecondMin: 1024 } as const;
const ATTEMPTS_MAX = 4;
const PAUSE_MS = 1_000;
const REASON_BYTES_MAX = 2_000;

/** `token`: for a hub that asks for one. */
export function createProxySource(url: URL, client: OutboundClient, token?: string): ProxySource {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const base = url.href.replace(/\/+$/, '');
  const shown = new URL(base);
  [shown.username, shown.password] = ['', ''];
  const ask = <T>(
    request: { readonly resource: string; readonly sizeMaxBytes: number; readonly method?: 'HEAD' },
    take: (answer: OutboundResponse) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T | undefined> => {
    const exchange: ExchangeLimits = { ...limits, sizeMaxBytes: request.sizeMaxBytes };
    const target = new URL(`${base}/${request.resource}`);
    return withRetries(async () => {
      const { method = 'GET' } = request;
      await using answer = await client.send({ url: target, method, headers, limits: exchange, followRedirects: true }, signal);
      if (answer.status === 200) return await take(answer);
      const reason = method === 'HEAD' ? '' : await firstLine(answer);
      if (answer.status === 404 || answer.status === 410) return undefined;
      const code = answer.status >= 500 || answer.status === 429 ? 'origin-unavailable' : 'upstream-refused';
      throw new HubError(code, `${target.pathname} is answered with ${answer.status}${reason === '' ? '' : `: ${reason}`}`);
    }, signal);
  };
  return {
    name: shown.href.replace(/\/+$/, ''),
    get: (resource, sizeMaxBytes, signal) =>
      ask(
        { resource, sizeMaxBytes },
        async (answer) => {
          const chunks: Buffer[] = [];
          for await (const chunk of answer.body) chunks.push(chunk);
          return Buffer.concat(chunks);
        },
        signal,
      ),
    download: async (resource, { path, sizeMaxBytes }, signal) =>
      (await ask(
        { resource, sizeMaxBytes },
        async (answer) => {
          await pipeline(answer.body, createWriteStream(path), { signal });
          return true;
        },
        signal,
      )) ?? false,
    size: async (resource, signal) =>
      ask(
        { resource: `cached-only/${resource}`, sizeMaxBytes: 1024 ** 3, method: 'HEAD' },
        async (answer) => {
          const length = Number(answer.headers.get('content-length') ?? Number.NaN);
          return Number.isSafeInteger(length) ? length : undefined;
        },
        signal,
      ),
  };
}

/** A hub that is still fetching says 504; one that is being started again says nothing at all. */
async function withRetries<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const again = error instanceof HubError && (error.code === 'origin-unavailable' || error.code === 'origin-timeout');
      if (!again || attempt === ATTEMPTS_MAX)
        throw error instanceof HubError ? error : new HubError('storage-fault', messageOf(error), { cause: error });
      await pauseMs(PAUSE_MS * 2 ** (attempt - 1), signal);
    }
  }
}

function pauseMs(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

async function firstLine(answer: OutboundResponse): Promise<string> {
  let text = '';
  for await (const chunk of answer.body) {
    text += chunk.toString('utf8');
    if (text.length > REASON_BYTES_MAX) break;
  }
  return text.split('\n', 1)[0]?.slice(0, 300) ?? '';
}
