import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open, rm, stat, truncate } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { codeOf, HubError } from '../../base/errors.ts';
import { withoutCredentials } from '../../base/log.ts';
import type { ExchangeLimits, OutboundClient, OutboundResponse } from '../../net/outbound-client.ts';
import { knownCode } from '../exit-code.ts';
import { doing } from '../name-index.ts';

export interface Download {
  readonly client: OutboundClient;
  readonly url: URL;
  /** What is there already is continued; what was fetched when it fails stays. */
  readonly path: string;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
  readonly onBytes: (received: number, total: number | undefined) => void;
}

const SDK_BYTES_MAX = 1024 * 1024 * 1024;
const TEXT_BYTES_MAX = 16 * 1024 * 1024;
/** A hub may have to fetch and make an archive first, and answers after ten minutes that it still does. */
const limits: Omit<ExchangeLimits, 'sizeMaxBytes'> = { firstByteMs: 660_000, idleMs: 30_000, bytesPerSecondMin: 0 };
/** In a row without a byte. */
const VAIN_ATTEMPTS_MAX = 6;
const ATTEMPTS_MAX = 10_000;
const PAUSE_MS = { first: 250, max: 8_000 };
/** Bytes that turn out to be wrong are fetched once more, from the first on. */
const ROUNDS_MAX = 2;
/** A larger file comes over several connections, because some links give each only so much. */
const SPLIT_BYTES_MIN = 8 * 1024 * 1024;
const STREAMS = 4;

/**
 * Fetches a file to its end, over as many connections as it takes, and compares it with its SHA-256.
 * @throws {HubError} checksum-mismatch when it is wrong twice, and the file is removed; what the hub says; origin-unavailable, origin-timeout, storage-…, the signal's reason
 */
export async function download(request: Download, signal: AbortSignal): Promise<void> {
  const { path, sha256, url } = request;
  for (let round = 1; ; round += 1) {
    await fetchWhole(request, signal);
    const found = await digestOf(path, signal);
    if (found === sha256) return;
    await rm(path, { force: true });
    if (round === ROUNDS_MAX)
      throw new HubError(
        'checksum-mismatch',
        `${withoutCredentials(url.href)} has SHA-256 ${found} where ${sha256} was promised; it was removed`,
      );
  }
}

export async function digestOf(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash, { signal });
  return hash.digest('hex');
}

/** A stretch of the file in a file of its own. The first one lies where the whole file is to be, and goes to its end when there is only one. */
interface Stretch {
  readonly path: string;
  readonly start: number;
  /** Undefined: the end of the file, wherever that is. */
  readonly end: number | undefined;
}

/** The answer to a request for a part was the whole. */
class RangesIgnored extends Error {}

async function fetchWhole(request: Download, signal: AbortSignal): Promise<void> {
  const { path } = request;
  const whole: Stretch = { path, start: 0, end: undefined };
  const total = await sizeOf(request, signal);
  if (total === undefined || total < SPLIT_BYTES_MIN) return fetchStretches(request, [whole], total, signal);
  const length = Math.ceil(total / STREAMS);
  const stretches = Array.from({ length: STREAMS }, (_, at): Stretch => {
    const start = at * length;
    return { path: at === 0 ? path : `${path}.${at}`, start, end: Math.min(start + length, total) };
  });
  try {
    // A run that ended while it put them together has done with the first of them.
    const have = await stat(path).then(
      ({ size }) => size,
      () => 0,
    );
    const missing = stretches.filter(({ end }, at) => at === 0 || end === undefined || end > have);
    await fetchStretches(request, missing, total, signal);
    await join(stretches, signal);
  } catch (error) {
    if (!(error instanceof RangesIgnored)) throw error;
    await Promise.all(stretches.map((stretch) => rm(stretch.path, { force: true })));
    await fetchStretches(request, [whole], total, signal);
  }
}

/** Of the file, if the hub says it beforehand. */
async function sizeOf({ client, url }: Download, signal: AbortSignal): Promise<number | undefined> {
  const request = { url, method: 'HEAD', followRedirects: true, limits: { ...limits, sizeMaxBytes: SDK_BYTES_MAX } } as const;
  try {
    await using response = await client.send(request, signal);
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    return response.status === 200 && Number.isSafeInteger(length) ? length : undefined;
  } catch (error) {
    if (signal.aborted || codeOf(error) === undefined) throw error;
    return undefined;
  }
}

/** All at once. When one fails for good the others end as well, and what came stays. */
async function fetchStretches(
  request: Download,
  stretches: readonly Stretch[],
  total: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const received = stretches.map(() => 0);
  const outcomes = await Promise.allSettled(
    stretches.map((stretch, at) => {
      const onBytes = (bytes: number, seen: number | undefined): void => {
        received[at] = bytes;
        request.onBytes(
          received.reduce((sum, part) => sum + part, 0),
          total ?? seen,
        );
      };
      return fetchStretch({ ...request, onBytes }, stretch, either).catch((error: unknown) => {
        stop.abort(error);
        throw error;
      });
    }),
  );
  if (stop.signal.aborted) throw stop.signal.reason;
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

/** Puts the stretches behind each other. Ended in the middle, it goes on at the next run: the first file ends where one of the others begins. */
async function join(stretches: readonly Stretch[], signal: AbortSignal): Promise<void> {
  const [first, ...others] = stretches;
  if (first === undefined) return;
  for (const { path, start, end } of others) {
    signal.throwIfAborted();
    const { size } = await stat(first.path);
    if (end !== undefined && size >= end) {
      await rm(path, { force: true });
      continue;
    }
    await doing(`write ${first.path}`, async () => {
      await truncate(first.path, start);
      await pipeline(createReadStream(path), createWriteStream(first.path, { flags: 'a' }));
      await rm(path);
    });
  }
}

async function fetchStretch(request: Download, stretch: Stretch, signal: AbortSignal): Promise<void> {
  const { path, start, end } = stretch;
  const file = await doing(`write ${path}`, () => open(path, 'a+'));
  try {
    let vain = 0;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const before = (await file.stat()).size;
      // More is here than there is: of another file, or of one that was put together already.
      if (end !== undefined && before >= end - start) return;
      try {
        if (await fetchOn(request, { file, from: start + before, ...stretch }, signal)) return;
      } catch (error) {
        signal.throwIfAborted();
        vain = (await file.stat()).size > before ? 0 : vain + 1;
        if (!isPassing(error) || vain >= VAIN_ATTEMPTS_MAX) throw error;
      }
      await pause(Math.min(PAUSE_MS.first * 2 ** vain, PAUSE_MS.max), undefined, { signal }).catch(() => {});
      signal.throwIfAborted();
    }
    throw new HubError('origin-unavailable', `${withoutCredentials(request.url.href)} broke off ${ATTEMPTS_MAX} times`);
  } finally {
    await file.close();
  }
}

function isPassing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'origin-unavailable' || code === 'origin-timeout' || code === 'overloaded' || code === 'still-fetching';
}

/** Goes on from what is there. True when the stretch is whole, false when it has to be asked for again. */
async function fetchOn(
  { client, url, sha256, onBytes }: Download,
  { file, path, from, start, end }: Stretch & { readonly file: FileHandle; readonly from: number },
  signal: AbortSignal,
): Promise<boolean> {
  const isPart = from > 0 || end !== undefined;
  const headers: Record<string, string> = isPart
    ? { Range: `bytes=${from}-${end === undefined ? '' : end - 1}`, 'If-Range': `"${sha256}"` }
    : {};
  const request = { url, headers, followRedirects: true, limits: { ...limits, sizeMaxBytes: SDK_BYTES_MAX } };
  await using response = await client.send(request, signal);
  // More is here than there: it cannot be the same file.
  if (response.status === 416) {
    await file.truncate(0);
    return false;
  }
  if (response.status !== 200 && response.status !== 206) throw await refusalOf(response);
  if (response.status === 200 && end !== undefined) throw new RangesIgnored();
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (response.status === 206 && Number(range?.[1] ?? -1) !== from)
    throw new HubError('upstream-invalid', `${withoutCredentials(url.href)} answers with another part than was asked for`);
  if (response.status === 200) await file.truncate(0);
  let received = response.status === 206 ? from - start : 0;
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const total = Number.isSafeInteger(length) ? received + length : undefined;
  for await (const chunk of response.body) {
    await doing(`write ${path}`, () => file.appendFile(chunk));
    received += chunk.length;
    onBytes(received, total);
  }
  return total === undefined || received === total;
}

/** A small text. @throws {HubError} what the hub says, origin-unavailable, origin-timeout */
export async function fetchText(client: OutboundClient, url: URL, signal: AbortSignal): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await using response = await client.send({ url, followRedirects: true, limits: { ...limits, sizeMaxBytes: TEXT_BYTES_MAX } }, signal);
      if (response.status !== 200) throw await refusalOf(response);
      const chunks: Buffer[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      return Buffer.concat(chunks).toString('utf8');
    } catch (error) {
      if (signal.aborted || !isPassing(error) || attempt >= VAIN_ATTEMPTS_MAX) throw error;
      await pause(Math.min(PAUSE_MS.first * 2 ** attempt, PAUSE_MS.max), undefined, { signal }).catch(() => {});
      signal.throwIfAborted();
    }
  }
}

/** The hub's own code and first line. */
async function refusalOf(response: OutboundResponse): Promise<HubError> {
  const shown = withoutCredentials(response.url.href);
  const chunks: Buffer[] = [];
  for await (const chunk of response.body) {
    chunks.push(chunk);
    if (chunks.length > 4) break;
  }
  const isText = response.headers.get('content-type')?.startsWith('text/plain') === true;
  const line = isText ? (Buffer.concat(chunks).toString('utf8').split('\n', 1)[0] ?? '').slice(0, 500) : '';
  const code = knownCode(response.headers.get('goyi-error') ?? '');
  if (code !== undefined) return new HubError(code, line === '' ? shown : line);
  const kind =
    response.status === 404 || response.status === 410 ? 'not-found' : response.status >= 500 ? 'origin-unavailable' : 'upstream-refused';
  return new HubError(kind, `${shown} answers ${response.status}${line === '' ? '' : `: ${line}`}`);
}
