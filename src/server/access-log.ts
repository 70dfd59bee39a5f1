import type { Log } from '../base/log.ts';
import type { Exchange } from './exchange.ts';
import { clipped, printable } from './printable.ts';
import { STATUS_CLIENT_LEFT } from './status.ts';

/** Which requests get a line: all, what was not a hit, what failed (true absence aside), none. A line costs as much as a fifth of a hit. */
export type AccessLogMode = 'all' | 'misses' | 'errors' | 'off';

const LINES_PER_SECOND_MAX = 500;
const PATH_BYTES_MAX = 300;

/** Writes one line a request, at most 500 a second unless `all` is asked for: a flood of bad requests must not fill the disk. */
export class AccessLog {
  readonly #log: Log;
  readonly #mode: AccessLogMode;
  #second = 0;
  #lines = 0;
  #suppressed = 0;

  constructor(options: { log: Log; mode: AccessLogMode }) {
    this.#log = options.log;
    this.#mode = options.mode;
  }

  /** `nowMs` on the monotonic clock. */
  answered(exchange: Exchange, nowMs: number): void {
    if (!this.#wants(exchange) || !this.#mayWrite(nowMs)) return;
    const { req } = exchange;
    const fields = {
      method: req.method ?? '',
      path: printedPath(req.url ?? ''),
      status: exchange.status,
      bytes: exchange.sentBytes,
      handedOver: exchange.handedOverBytes > 0 ? exchange.handedOverBytes : undefined,
      ms: Math.round((nowMs - exchange.startedMs) * 10) / 10,
      outcome: exchange.outcome,
      code: exchange.failure,
      request: exchange.id,
      remote: exchange.peer,
      agent: req.headers['user-agent'] === undefined ? undefined : clipped(printable(req.headers['user-agent'].slice(0, 200)), 120),
      suppressed: this.#suppressed > 0 ? this.#suppressed : undefined,
    };
    this.#suppressed = 0;
    if (exchange.status === STATUS_CLIENT_LEFT) this.#log.info('client left', fields);
    else if (exchange.status >= 500) this.#log.warn('request failed', fields);
    else this.#log.info('request answered', fields);
  }

  #wants({ status, outcome, kind }: Exchange): boolean {
    switch (this.#mode) {
      case 'off':
        return false;
      case 'all':
        return true;
      case 'errors':
        return status >= 400 && status !== 404;
      case 'misses':
        return status >= 400 || (kind !== 'probe' && outcome !== 'hit');
      default:
        return this.#mode satisfies never;
    }
  }

  #mayWrite(nowMs: number): boolean {
    if (this.#mode === 'all') return true;
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= LINES_PER_SECOND_MAX) return true;
    this.#suppressed += 1;
    return false;
  }
}

/** Without the query and without user and password of an absolute target: both may hold a secret that somebody pasted. */
function printedPath(target: string): string {
  const end = target.search(/[?#]/);
  const path = (end === -1 ? target : target.slice(0, end)).replace(/^[a-z]+:\/\/[^/]*/i, '');
  return clipped(printable(path.slice(0, 2 * PATH_BYTES_MAX)), PATH_BYTES_MAX);
}
