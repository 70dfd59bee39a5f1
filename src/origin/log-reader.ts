import { setTimeout as pause } from 'node:timers/promises';
import { HubError, codeOf } from '../base/errors.ts';
import { withoutCredentials } from '../base/log.ts';
import type { ExchangeLimits, OutboundClient } from '../net/outbound-client.ts';
import { LOOKUP_BYTES_MAX } from '../protocol/checksum-record.ts';
import { escapeCapitals } from '../protocol/module-path.ts';
import { type TileName, formatTilePath } from '../protocol/proxy-request.ts';
import { TILE_BYTES } from '../protocol/tile.ts';

/** What a log answers. A fault of the way to it is thrown. */
export type LogAnswer =
  | { readonly kind: 'found'; readonly bytes: Buffer }
  /** It says that there is no such thing. */
  | { readonly kind: 'absent' }
  /** It does not give this to us: 401 or 403. */
  | { readonly kind: 'refused'; readonly status: number };

/** One log as anybody may read it; nothing that comes is believed. Every method throws {HubError} origin-unavailable, origin-timeout, upstream-invalid, or the signal's reason. */
export interface LogReader {
  /** For messages. */
  readonly origin: string;
  latest(signal: AbortSignal): Promise<LogAnswer>;
  /** Exactly this tile, without a try at another width. */
  tile(tile: TileName, signal: AbortSignal): Promise<LogAnswer>;
  lookup(module: string, version: string, signal: AbortSignal): Promise<LogAnswer>;
}

/** With the long signatures of many witnesses. */
const LATEST_BYTES_MAX = 64 * 1024;
/** Texts of 256 records; those of the public database have some 50 KiB. */
const DATA_TILE_BYTES_MAX = 4 * 1024 * 1024;
/** More than a tile has, so that a tile that is too long can be told from a body without end. */
const HASH_TILE_BYTES_MAX = 4 * TILE_BYTES;
/** An audit of a large log asks thousands of times: one that fails by the way is asked again. */
const ATTEMPTS_MAX = 4;

export interface HttpLogReaderOptions {
  /** Of the database itself, or of a hub with `/sumdb/NAME`. It must be among the client's configured origins when it is not on the public Internet. */
  readonly url: URL;
  readonly client: OutboundClient;
  readonly limits: Pick<ExchangeLimits, 'firstByteMs' | 'idleMs' | 'bytesPerSecondMin'>;
  /** Before the second attempt, doubled before each further one; default 250 ms. */
  readonly pauseMs?: number;
}

/** A log over HTTP, by the paths of https://go.dev/design/25530-sumdb. */
export function createHttpLogReader(options: HttpLogReaderOptions): LogReader {
  return new HttpLogReader(options);
}

class HttpLogReader implements LogReader {
  readonly origin: string;
  readonly #options: HttpLogReaderOptions;

  constructor(options: HttpLogReaderOptions) {
    this.#options = options;
    this.origin = withoutCredentials(options.url.href).replace(/\/$/, '');
  }

  latest(signal: AbortSignal): Promise<LogAnswer> {
    return this.#get('latest', LATEST_BYTES_MAX, signal);
  }

  tile(tile: TileName, signal: AbortSignal): Promise<LogAnswer> {
    return this.#get(formatTilePath(tile), tile.level === 'data' ? DATA_TILE_BYTES_MAX : HASH_TILE_BYTES_MAX, signal);
  }

  lookup(module: string, version: string, signal: AbortSignal): Promise<LogAnswer> {
    return this.#get(`lookup/${escapeCapitals(module)}@${escapeCapitals(version)}`, LOOKUP_BYTES_MAX, signal);
  }

  async #get(resource: string, sizeMaxBytes: number, signal: AbortSignal): Promise<LogAnswer> {
    const { pauseMs = 250 } = this.#options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#ask(resource, sizeMaxBytes, signal);
      } catch (error) {
        const code = codeOf(error);
        if (attempt === ATTEMPTS_MAX || (code !== 'origin-unavailable' && code !== 'origin-timeout')) throw error;
        await pause(pauseMs * 2 ** (attempt - 1), undefined, { signal });
      }
    }
  }

  async #ask(resource: string, sizeMaxBytes: number, signal: AbortSignal): Promise<LogAnswer> {
    const { client, limits } = this.#options;
    const url = new URL(this.#options.url);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${resource}`;
    await using response = await client.send({ url, limits: { ...limits, sizeMaxBytes }, followRedirects: true }, signal);
    switch (response.status) {
      case 200: {
        const chunks: Buffer[] = [];
        for await (const chunk of response.body) chunks.push(chunk);
        return { kind: 'found', bytes: Buffer.concat(chunks) };
      }
      case 404:
      case 410:
        return { kind: 'absent' };
      case 401:
      case 403:
        return { kind: 'refused', status: response.status };
      default:
        throw new HubError('origin-unavailable', `${withoutCredentials(url.href)} answers ${response.status}`);
    }
  }
}
