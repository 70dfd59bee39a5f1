import { STATUS_CODES } from 'node:http';
import { formatProblem, PROBLEM_TYPE } from '../api/problem.ts';
import { WARM_PATH } from '../api/warm.ts';
import type { Clock } from '../base/clock.ts';
import type { Station } from '../hub/station.ts';
import { refusalOfWrite } from './api-access.ts';
import { WarmAnswers } from './api-warm.ts';
import type { Exchange, FailureCode } from './exchange.ts';
import { clipped, printable } from './printable.ts';
import { NO_STORE, sendText, type Sender } from './send-answer.ts';
import { statusOfFailure } from './status.ts';

const PREFIX = '/api/';
const DETAIL_BYTES_MAX = 1_000;

/** Whether the API answers this target; no path of the GOPROXY protocol begins so, as the first element of a module path has a dot. */
export function isApiTarget(target: string | undefined): boolean {
  return target?.startsWith(PREFIX) === true;
}

export interface ApiParts {
  readonly station: Station;
  readonly clock: Clock;
}

/**
 * The JSON API on the same `node:http` server as everything else. It has one call so far, for which a router, a body parser and a schema
 * compiler of a framework would be more code than they save; a console with logins and dozens of calls is when one earns its place.
 */
export class Api {
  readonly #sender: Sender;
  readonly #warms: WarmAnswers;

  constructor(parts: ApiParts, sender: Sender) {
    this.#sender = sender;
    this.#warms = new WarmAnswers(parts, sender);
  }

  /** @throws {HubError} what is to be refused with {@link refuse} */
  answer(exchange: Exchange): void | Promise<void> {
    exchange.kind = 'api';
    const { req } = exchange;
    const [path, query = ''] = (req.url ?? '').split('?', 2);
    if (path !== WARM_PATH) return this.refuse(exchange, 'not-found', `the API has no such call; it has POST ${WARM_PATH}`);
    if (req.method !== 'POST') return this.refuse(exchange, 'method-not-allowed', `${WARM_PATH} is called with POST`, ['Allow', 'POST']);
    const refusal = refusalOfWrite(req);
    if (refusal !== undefined) return this.refuse(exchange, 'forbidden', refusal);
    return this.#warms.answer(exchange, query);
  }

  /** Ends an exchange with a problem document. What the body holds is not read. */
  refuse(exchange: Exchange, code: FailureCode, sentence: string, more: readonly string[] = []): void {
    exchange.failure = code;
    exchange.res.shouldKeepAlive = false;
    const status = statusOfFailure(code);
    const detail = clipped(printable(sentence.slice(0, DETAIL_BYTES_MAX)), DETAIL_BYTES_MAX);
    const body = formatProblem({ title: STATUS_CODES[status] ?? '', status, detail, code, request: exchange.id });
    const headers = ['Cache-Control', NO_STORE, 'Goyi-Error', code, ...(code === 'overloaded' ? ['Retry-After', '5'] : []), ...more];
    sendText(this.#sender, exchange, status, PROBLEM_TYPE, body, headers);
  }
}
