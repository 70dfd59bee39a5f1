import { createHash, type Hash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError } from '../base/errors.ts';
import { withoutCredentials } from '../base/log.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { ExchangeLimits, OutboundClient, OutboundResponse } from '../net/outbound-client.ts';
import { type SdkName, formatArchiveName, parseArchiveName } from '../protocol/go-release.ts';
import { SDK_INDEX_BYTES_MAX, parseSdkIndex } from '../protocol/sdk-index.ts';

/** An archive of the Go project, as its list has it. */
export interface OfficialSdk {
  readonly name: SdkName;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Where bytes go; they are forgotten when a mirror turns out to be wrong. */
export interface OfficialSink {
  append(chunk: Uint8Array): Promise<void>;
  reset(): Promise<void>;
}

/** The Go project's own archives: from any mirror, and each only as its SHA-256 in the list says. */
export interface OfficialSdks {
  /** The address of the list, for people. */
  readonly index: string;
  /** By name of the archive. The last list that came, if none comes now. @throws {HubError} origin-unavailable, origin-timeout, upstream-invalid */
  list(signal: AbortSignal): Promise<ReadonlyMap<string, OfficialSdk>>;
  /** Answers who sent it. @throws {HubError} checksum-mismatch, origin-…, what the sink throws */
  fetch(sdk: OfficialSdk, sink: OfficialSink, signal: AbortSignal): Promise<{ readonly mirror: string }>;
}

export interface OfficialSdksParts {
  /** In order; folders in which the archives lie. Without slashes at the end. */
  readonly mirrors: readonly string[];
  /** Answers `?mode=json&include=all`. */
  readonly index: string;
  readonly client: OutboundClient;
  readonly limits: Pick<ExchangeLimits, 'firstByteMs' | 'idleMs' | 'bytesPerSecondMin'>;
  readonly clock: Clock;
}

const FRESH_MS = 3_600_000;
const ARCHIVE_BYTES_MAX = 1024 * 1024 * 1024;
const ATTEMPTS_MAX = 5;
const PAUSE_MS = 500;

export function createOfficialSdks(parts: OfficialSdksParts): OfficialSdks {
  return new MirroredSdks(parts);
}

class MirroredSdks implements OfficialSdks {
  readonly index: string;
  readonly #parts: OfficialSdksParts;
  readonly #flight = new SingleFlight<ReadonlyMap<string, OfficialSdk>>();
  #last: { readonly sdks: ReadonlyMap<string, OfficialSdk>; readonly atMs: number } | undefined;

  constructor(parts: OfficialSdksParts) {
    this.#parts = parts;
    this.index = withoutCredentials(parts.index);
  }

  async list(signal: AbortSignal): Promise<ReadonlyMap<string, OfficialSdk>> {
    const last = this.#last;
    if (last !== undefined && this.#parts.clock.monotonicMs() - last.atMs < FRESH_MS) return last.sdks;
    try {
      return await this.#flight.do('list', (own) => this.#fetchList(own), signal);
    } catch (error) {
      if (last === undefined || codeOf(error) === undefined) throw error;
      return last.sdks;
    }
  }

  async fetch(sdk: OfficialSdk, sink: OfficialSink, signal: AbortSignal): Promise<{ readonly mirror: string }> {
    let failure: HubError | undefined;
    for (const mirror of this.#parts.mirrors) {
      await sink.reset();
      try {
        await this.#fetchFrom(new URL(`${mirror}/${formatArchiveName(sdk.name)}`), sdk, sink, signal);
        return { mirror: withoutCredentials(mirror) };
      } catch (error) {
        signal.throwIfAborted();
        const code = codeOf(error);
        if (!(error instanceof HubError) || code === 'storage-full' || code === 'storage-fault') throw error;
        // A lie is said rather than that another mirror is down.
        if (failure?.code !== 'checksum-mismatch') failure = error;
      }
    }
    throw failure ?? new HubError('origin-unavailable', 'there is no mirror of SDKs');
  }

  async #fetchList(signal: AbortSignal): Promise<ReadonlyMap<string, OfficialSdk>> {
    const { client, index, limits, clock } = this.#parts;
    const url = new URL(index);
    url.search = '?mode=json&include=all';
    await using response = await client.send(
      { url, followRedirects: true, limits: { ...limits, sizeMaxBytes: SDK_INDEX_BYTES_MAX } },
      signal,
    );
    if (response.status !== 200) throw refusalOf(response);
    const chunks: Buffer[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    const releases = parseSdkIndex(Buffer.concat(chunks).toString('utf8'));
    if (!releases.ok) throw new HubError('upstream-invalid', `${this.index}: ${releases.reason}`);
    const sdks = new Map<string, OfficialSdk>();
    for (const { filename, kind, sha256, size } of releases.value.flatMap(({ files }) => files)) {
      const name = parseArchiveName(filename);
      if (name.ok && kind === 'archive' && sha256 !== '') sdks.set(filename, { name: name.value, sha256, sizeBytes: size });
    }
    this.#last = { sdks, atMs: clock.monotonicMs() };
    return sdks;
  }

  /** Over as many connections as it takes, within reason. */
  async #fetchFrom(url: URL, sdk: OfficialSdk, sink: OfficialSink, signal: AbortSignal): Promise<void> {
    const file = new Received(sink);
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (await this.#fetchOn(url, file, signal)) break;
      } catch (error) {
        const code = codeOf(error);
        const isPassing = code === 'origin-unavailable' || code === 'origin-timeout';
        if (signal.aborted || !isPassing || attempt >= ATTEMPTS_MAX) throw error;
      }
      await pause(PAUSE_MS * attempt, undefined, { signal });
    }
    const found = file.sha256.digest('hex');
    if (found !== sdk.sha256)
      throw new HubError(
        'checksum-mismatch',
        `${withoutCredentials(url.href)} has SHA-256 ${found} where ${this.index} lists ${sdk.sha256}`,
      );
  }

  /** True when the file has come to its end. */
  async #fetchOn(url: URL, file: Received, signal: AbortSignal): Promise<boolean> {
    const { client, limits } = this.#parts;
    const from = file.sizeBytes;
    const headers: Record<string, string> = from === 0 ? {} : { Range: `bytes=${from}-` };
    const request = { url, headers, followRedirects: true, limits: { ...limits, sizeMaxBytes: ARCHIVE_BYTES_MAX } };
    await using response = await client.send(request, signal);
    const part = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
    if (response.status !== 200 && (response.status !== 206 || Number(part) !== from)) throw refusalOf(response);
    if (response.status === 200 && from > 0) await file.reset();
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    const end = file.sizeBytes + length;
    for await (const chunk of response.body) await file.take(chunk);
    return !Number.isSafeInteger(end) || file.sizeBytes === end;
  }
}

class Received {
  sizeBytes = 0;
  sha256: Hash = createHash('sha256');
  readonly #sink: OfficialSink;

  constructor(sink: OfficialSink) {
    this.#sink = sink;
  }

  async take(chunk: Buffer): Promise<void> {
    this.sizeBytes += chunk.length;
    this.sha256.update(chunk);
    await this.#sink.append(chunk);
  }

  async reset(): Promise<void> {
    this.sizeBytes = 0;
    this.sha256 = createHash('sha256');
    await this.#sink.reset();
  }
}

/** Whatever a mirror says: the list says that there is such a file, so none of it is an absence. */
function refusalOf({ status, url }: OutboundResponse): HubError {
  return new HubError('origin-unavailable', `${withoutCredentials(url.href)} answers ${status}`);
}
