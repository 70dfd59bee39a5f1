import { STATUS_CODES } from 'node:http';
import { CHECKSUM_DATABASE_PATH, formatOwnDatabaseAnswer, ownDatabaseAnswer, type OwnDatabaseSet } from '../api/checksum-database.ts';
import { CLIENT_SETTINGS_PATH, formatClientSettings } from '../api/client-settings.ts';
import { DRIFT_PATH, formatDriftPage, parseDriftQuery } from '../api/drift.ts';
import { formatJobsPage, JOBS_PATH } from '../api/jobs.ts';
import { formatProblem, PROBLEM_TYPE } from '../api/problem.ts';
import { PUBLISH_PREFIX } from '../api/publish.ts';
import { WARM_PATH } from '../api/paths.ts';
import { formatWishList, wishEntry, WISHES_PATH } from '../api/wishes.ts';
import type { Clock } from '../base/clock.ts';
import type { HookDesk } from '../hub/hook-desk.ts';
import { codeOf } from '../base/errors.ts';
import type { Station } from '../hub/station.ts';
import { PublishAnswers, publishSubject } from './api-publish.ts';
import type { WarmAnswers } from './api-warm.ts';
import { type Exchange, type FailureCode, hasBody } from './exchange.ts';
import type { Gatekeeper, Refusal, ServerAccess } from './gatekeeper.ts';
import { clipped, printable } from './printable.ts';
import { NO_STORE, sendText, type Sender } from './send-answer.ts';
import { statusOfFailure } from './status.ts';
import { clientAddress } from './welcome.ts';

const PREFIX = '/api/';
const DETAIL_BYTES_MAX = 1_000;

/** Whether the API answers this target; no path of the GOPROXY protocol begins so, as the first element of a module path has a dot. */
export function isApiTarget(target: string | undefined): boolean {
  return target?.startsWith(PREFIX) === true;
}

export interface ApiParts {
  readonly station: Station;
  readonly gatekeeper: Gatekeeper;
  readonly access: Pick<ServerAccess, 'audit'>;
  /** Undefined: the hub signs none. */
  readonly ownDatabase?: OwnDatabaseSet | undefined;
  /** Undefined: no webhook is configured. */
  readonly hooks?: { readonly desk: Pick<HookDesk, 'jobs'> } | undefined;
  /** Of private modules, as GOPRIVATE takes them. */
  readonly privatePatterns: readonly string[];
  /** Without a slash at the end; undefined: from each request's Host. */
  readonly publicUrl: string | undefined;
  readonly secure: boolean;
  readonly clock: Clock;
}

/**
 * The JSON API on the same `node:http` server as everything else. It has few calls so far, for which a router, a body parser and a schema
 * compiler of a framework would be more code than they save; a console with logins and dozens of calls is when one earns its place.
 */
export class Api {
  readonly #parts: ApiParts;
  readonly #sender: Sender;
  readonly #publishes: PublishAnswers;
  #warms: Promise<WarmAnswers> | undefined;

  constructor(parts: ApiParts, sender: Sender) {
    this.#parts = parts;
    this.#sender = sender;
    this.#publishes = new PublishAnswers(parts.station);
  }

  /** @throws {HubError} what is to be refused with {@link refuse} */
  answer(exchange: Exchange): void | Promise<void> {
    exchange.kind = 'api';
    return exchange.req.headers.authorization === undefined ? this.#call(exchange) : this.#identify(exchange);
  }

  async #identify(exchange: Exchange): Promise<void> {
    const refusal = await this.#parts.gatekeeper.identify(exchange);
    return refusal === undefined ? this.#call(exchange) : this.#turnAway(exchange, refusal);
  }

  #call(exchange: Exchange): void | Promise<void> {
    const { req } = exchange;
    const [path, query = ''] = (req.url ?? '').split('?', 2);
    if (path === CHECKSUM_DATABASE_PATH) return this.#checksumDatabase(exchange);
    if (path === CLIENT_SETTINGS_PATH) return this.#clientSettings(exchange);
    if (path === DRIFT_PATH) return this.#drift(exchange, query);
    if (path === WISHES_PATH) return this.#wishes(exchange);
    if (path === JOBS_PATH) return this.#jobs(exchange, query);
    if (path?.startsWith(`${PUBLISH_PREFIX}/`) === true) return this.#publish(exchange, path);
    if (path !== WARM_PATH) {
      const calls = `POST ${WARM_PATH}, PUT ${PUBLISH_PREFIX}/MODULE/@v/VERSION.zip, GET ${CHECKSUM_DATABASE_PATH}, GET ${CLIENT_SETTINGS_PATH}, GET ${DRIFT_PATH}, GET ${WISHES_PATH} and GET ${JOBS_PATH}`;
      return this.refuse(exchange, 'not-found', `the API has no such call; it has ${calls}`);
    }
    if (req.method !== 'POST') return this.refuse(exchange, 'method-not-allowed', `${WARM_PATH} is called with POST`, ['Allow', 'POST']);
    return this.#warm(exchange, query);
  }

  async #publish(exchange: Exchange, path: string): Promise<void> {
    const { req } = exchange;
    if (req.method !== 'PUT') return this.refuse(exchange, 'method-not-allowed', 'a module is published with PUT', ['Allow', 'PUT']);
    const subject = publishSubject(path);
    const { gatekeeper, access } = this.#parts;
    const refusal = await gatekeeper.admitWrite(exchange, { kind: 'publish', module: subject.module });
    if (refusal !== undefined) return this.#turnAway(exchange, refusal);
    const actor = gatekeeper.actorOf(exchange);
    const { status, body } = await this.#publishes.answer(exchange, subject, actor).catch((error: unknown) => {
      access.audit.tally({
        act: 'refused',
        actor,
        subject: `publish ${subject.module}@${subject.version}`,
        detail: codeOf(error) ?? 'internal',
      });
      throw error;
    });
    await access.audit.audit({
      act: 'publish',
      actor,
      subject: `${subject.module}@${subject.version}`,
      detail: status === 201 ? 'new' : 'the same again',
    });
    sendText(this.#sender, exchange, status, 'application/json', body, ['Cache-Control', NO_STORE]);
  }

  /** The call's schema comes with a library of 12 MB, which a worker that nobody calls so does without. */
  async #warm(exchange: Exchange, query: string): Promise<void> {
    const { gatekeeper, access } = this.#parts;
    const refusal = await gatekeeper.admitWrite(exchange, { kind: 'admin' });
    if (refusal !== undefined) return this.#turnAway(exchange, refusal);
    access.audit.tally({ act: 'warm', actor: gatekeeper.actorOf(exchange), subject: 'hub' });
    this.#warms ??= import('./api-warm.ts').then(({ WarmAnswers }) => new WarmAnswers(this.#parts, this.#sender));
    return (await this.#warms).answer(exchange, query);
  }

  /** Public keys and names: as open as what is proved by them. */
  #checksumDatabase(exchange: Exchange): void {
    const { ownDatabase, publicUrl, secure } = this.#parts;
    if (this.#refusesReading(exchange, CHECKSUM_DATABASE_PATH)) return;
    if (ownDatabase === undefined) return this.refuse(exchange, 'not-found', 'this hub has no checksum database of its own');
    const address = clientAddress({ publicUrl, host: exchange.req.headers.host, secure });
    this.#json(exchange, formatOwnDatabaseAnswer(ownDatabaseAnswer(ownDatabase, address)));
  }

  /** What `/setup.sh` says too, and as open as that. */
  #clientSettings(exchange: Exchange): void {
    if (this.#refusesMethod(exchange, CLIENT_SETTINGS_PATH)) return;
    const { ownDatabase = null, privatePatterns, publicUrl, secure } = this.#parts;
    const address = clientAddress({ publicUrl, host: exchange.req.headers.host, secure });
    this.#json(exchange, formatClientSettings({ address, ownDatabase, privatePatterns }), ['Vary', 'Host']);
  }

  async #drift(exchange: Exchange, query: string): Promise<void> {
    if (this.#refusesMethod(exchange, DRIFT_PATH)) return;
    const refusal = await this.#parts.gatekeeper.admitAudit(exchange);
    if (refusal !== undefined) return this.#turnAway(exchange, refusal);
    const asked = parseDriftQuery(query);
    if (!asked.ok) return this.refuse(exchange, 'bad-request', asked.reason);
    const { limit, before } = asked.value;
    this.#json(exchange, formatDriftPage(await this.#parts.station.drifts(limit, before), limit));
  }

  async #wishes(exchange: Exchange): Promise<void> {
    if (this.#refusesMethod(exchange, WISHES_PATH)) return;
    const refusal = await this.#parts.gatekeeper.admitAudit(exchange);
    if (refusal !== undefined) return this.#turnAway(exchange, refusal);
    const { heads, wishes } = await this.#parts.station.wishes();
    const trees = heads.map(({ database, treeSize: size, root }) => ({ database, size, root }));
    this.#json(exchange, formatWishList({ trees, wishes: wishes.map(wishEntry) }));
  }

  /** Jobs name private repositories, so they are shown where the operator is. */
  async #jobs(exchange: Exchange, query: string): Promise<void> {
    const { req } = exchange;
    if (req.method !== 'GET' && !exchange.isHead)
      return this.refuse(exchange, 'method-not-allowed', `${JOBS_PATH} is called with GET`, ['Allow', 'GET, HEAD']);
    if (hasBody(req)) return this.refuse(exchange, 'bad-request', 'a request here has no body');
    const refusal = await this.#parts.gatekeeper.admitWrite(exchange, { kind: 'admin' });
    if (refusal !== undefined) return this.#turnAway(exchange, refusal);
    const asked = parseDriftQuery(query);
    if (!asked.ok) return this.refuse(exchange, 'bad-request', asked.reason);
    const { limit, before } = asked.value;
    this.#json(exchange, formatJobsPage((await this.#parts.hooks?.desk.jobs(limit, before)) ?? [], limit));
  }

  /** True when it has answered already: the call is none that reads, or not for this client. */
  #refusesReading(exchange: Exchange, path: string): boolean {
    if (this.#refusesMethod(exchange, path)) return true;
    const refusal = this.#parts.gatekeeper.admitRead(exchange);
    if (refusal !== undefined) this.#turnAway(exchange, refusal);
    return refusal !== undefined;
  }

  #refusesMethod(exchange: Exchange, path: string): boolean {
    const { req } = exchange;
    if (req.method !== 'GET' && !exchange.isHead)
      this.refuse(exchange, 'method-not-allowed', `${path} is called with GET`, ['Allow', 'GET, HEAD']);
    else if (hasBody(req)) this.refuse(exchange, 'bad-request', 'a request here has no body');
    else return false;
    return true;
  }

  #turnAway(exchange: Exchange, { code, sentence, headers }: Refusal): void {
    this.refuse(exchange, code, sentence, headers);
  }

  #json(exchange: Exchange, body: string, more: readonly string[] = []): void {
    sendText(this.#sender, exchange, 200, 'application/json', body, ['Cache-Control', NO_STORE, ...more]);
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
