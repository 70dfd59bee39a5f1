import {
  formatWarmEvent,
  parseWarmModules,
  WARM_BODY_BYTES_MAX,
  WARM_EVENTS_TYPE,
  WARM_TYPES,
  type WarmBodyKind,
  type WarmEvent,
} from '../api/warm.ts';
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import { unreachable } from '../base/invariant.ts';
import { type Parsed, parsed } from '../base/parsed.ts';
import type { Station } from '../hub/station.ts';
import type { WarmCounts, WarmList, WarmRequest, WarmWatch } from '../hub/warm.ts';
import { parseGoSum } from '../protocol/go-sum.ts';
import { parseMainGoMod } from '../protocol/main-go-mod.ts';
import { type ModulePatterns, parseModulePatterns } from '../protocol/module-pattern.ts';
import type { Exchange } from './exchange.ts';
import { clipped, printable } from './printable.ts';
import { bodyOf } from './request-body.ts';
import { beginStream, type Sender } from './send-answer.ts';

/** Runs of one worker at once; each holds a build list in memory. */
const RUNS_MAX = 4;
const PROGRESS_MS = 250;
/** A line at least so often, so that nobody in between takes a large zip for silence. */
const HEARTBEAT_MS = 5_000;
const REASON_BYTES_MAX = 1_000;
const BODY_TIMES = { idleMs: 15_000, totalMs: 30_000 };

export interface WarmAnswersParts {
  readonly station: Pick<Station, 'warm'>;
  readonly clock: Clock;
}

/** Answers `POST /api/v1/warm`. One for a server. */
export class WarmAnswers {
  readonly #parts: WarmAnswersParts;
  readonly #sender: Sender;
  #running = 0;

  constructor(parts: WarmAnswersParts, sender: Sender) {
    this.#parts = parts;
    this.#sender = sender;
  }

  /** The caller has found that this client may. @throws {HubError} bad-request, overloaded, canceled, before anything is sent */
  async answer(exchange: Exchange, query: string): Promise<void> {
    if (this.#running >= RUNS_MAX)
      throw new HubError('overloaded', `${RUNS_MAX} build lists are being fetched already: try again in a while`);
    this.#running += 1;
    try {
      const kind = mustParse(bodyKindOf(exchange.req.headers['content-type']));
      const options = mustParse(parseOptions(query));
      const list = mustParse(parseList(kind, await readBody(exchange)));
      await this.#stream(exchange, { ...options, list });
    } finally {
      this.#running -= 1;
    }
  }

  async #stream(exchange: Exchange, request: WarmRequest): Promise<void> {
    const { station, clock } = this.#parts;
    const stop = new AbortController();
    const startedMs = clock.monotonicMs();
    beginStream(this.#sender, exchange, WARM_EVENTS_TYPE);
    const stream = new EventStream(exchange);
    const ticker = setInterval(() => {
      if (this.#sender.isStopping()) stop.abort(new HubError('canceled', 'the hub is stopping: what came is kept, run the command again'));
      else stream.tick();
    }, PROGRESS_MS);
    try {
      const counts = await station.warm(request, stream.watch, AbortSignal.any([exchange.signal, stop.signal]));
      const seconds = Math.round(clock.monotonicMs() - startedMs) / 1000;
      stream.send({ event: 'summary', ok: counts.failed === 0, dryRun: request.dryRun, ...fieldsOf(counts), seconds });
    } catch (error) {
      const code = codeOf(error);
      // A bug, or a client that has left: the stream is cut, and has no last line.
      if (code === undefined || exchange.signal.aborted) throw error;
      exchange.failure = code;
      stream.send({ event: 'error', code, reason: tame(messageOf(error)) });
    } finally {
      clearInterval(ticker);
    }
    exchange.res.end();
  }
}

/** Writes events. How many there are is bounded by who tells them; only progress goes on, so it waits for a reader that does not read. */
class EventStream {
  readonly #exchange: Exchange;
  #counts: (() => WarmCounts) | undefined;
  #last = '';
  #silentTicks = 0;
  readonly watch: WarmWatch = {
    started: (counts) => {
      this.#counts = counts;
    },
    failed: ({ path, version, file, code, reason, line }) =>
      this.send({
        event: 'failed',
        path,
        version,
        ...(file !== undefined && { file }),
        code,
        reason: tame(reason),
        ...(line !== undefined && { line }),
      }),
    missing: ({ kind, module, version }) => this.send({ event: 'would-fetch', path: module, version, file: kind }),
    noted: (sentence) => this.send({ event: 'note', reason: tame(sentence) }),
  };

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  tick(): void {
    if (this.#counts === undefined || this.#exchange.res.writableNeedDrain) return;
    const event = { event: 'progress', ...fieldsOf(this.#counts()) } as const;
    const line = formatWarmEvent(event);
    this.#silentTicks += 1;
    if (line === this.#last && this.#silentTicks * PROGRESS_MS < HEARTBEAT_MS) return;
    this.#last = line;
    this.#silentTicks = 0;
    this.send(event);
  }

  send(event: WarmEvent): void {
    const { res } = this.#exchange;
    if (res.destroyed) return;
    const line = Buffer.from(formatWarmEvent(event));
    this.#exchange.sentBytes += line.length;
    res.write(line);
  }
}

function fieldsOf({
  total,
  done,
  fetched,
  present,
  failed,
  skipped,
  fetchedBytes,
  presentBytes,
}: WarmCounts): Omit<Extract<WarmEvent, { event: 'progress' }>, 'event'> {
  return { total, done, fetched, present, failed, skipped, bytes: fetchedBytes, presentBytes };
}

/** Upstreams' sentences on their way to a terminal. */
function tame(text: string): string {
  return clipped(printable(text.slice(0, REASON_BYTES_MAX)), REASON_BYTES_MAX);
}

function bodyKindOf(contentType: string | undefined): Parsed<WarmBodyKind> {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  const found = (Object.keys(WARM_TYPES) as WarmBodyKind[]).find((kind) => WARM_TYPES[kind] === type);
  if (found !== undefined) return parsed(found);
  return { ok: false, reason: `the Content-Type must be one of ${Object.values(WARM_TYPES).join(', ')}` };
}

function parseOptions(query: string): Parsed<{ readonly skip: ModulePatterns; readonly dryRun: boolean }> {
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys())
    if (name !== 'dryRun' && name !== 'skip') return { ok: false, reason: 'the query takes dryRun and skip only' };
  const dryRun = parameters.get('dryRun') ?? 'false';
  if (dryRun !== 'true' && dryRun !== 'false') return { ok: false, reason: 'dryRun must be true or false' };
  const skip = parseModulePatterns(parameters.get('skip') ?? '');
  return skip.ok ? parsed({ skip: skip.value, dryRun: dryRun === 'true' }) : { ok: false, reason: `skip: ${skip.reason}` };
}

function parseList(kind: WarmBodyKind, text: string): Parsed<WarmList> {
  switch (kind) {
    case 'modules': {
      const wishes = parseWarmModules(text);
      return wishes.ok ? parsed({ kind, wishes: wishes.value }) : wishes;
    }
    case 'go-sum': {
      const lines = parseGoSum(text);
      return lines.ok ? parsed({ kind, lines: lines.value }) : lines;
    }
    case 'go-mod': {
      const main = parseMainGoMod(text);
      return main.ok ? parsed({ kind, main: main.value }) : main;
    }
    default:
      return unreachable(kind);
  }
}

/** @throws {HubError} bad-request when it is too long, too slow or no UTF-8; canceled */
async function readBody(exchange: Exchange): Promise<string> {
  const { req } = exchange;
  const tooLong = new HubError('bad-request', `the body is longer than ${WARM_BODY_BYTES_MAX} bytes`);
  if (Number(req.headers['content-length'] ?? 0) > WARM_BODY_BYTES_MAX) throw tooLong;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of bodyOf(exchange, BODY_TIMES)) {
    sizeBytes += chunk.length;
    if (sizeBytes > WARM_BODY_BYTES_MAX) throw tooLong;
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new HubError('bad-request', 'the body is no UTF-8');
  }
}

function mustParse<T>(result: Parsed<T>): T {
  if (result.ok) return result.value;
  throw new HubError('bad-request', result.reason);
}
