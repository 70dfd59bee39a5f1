import { setImmediate } from 'node:timers/promises';
import type { OwnDatabaseSet } from '../api/checksum-database.ts';
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import { unreachable } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import type { HookDesk } from '../hub/hook-desk.ts';
import type { VulnerabilityQuestion, VulnerabilityShelf } from '../hub/vulnerability-shelf.ts';
import type { Station } from '../hub/station.ts';
import type { IndexEntry } from '../meta/metadata.ts';
import type { PrivateNames } from '../policy/private-names.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { ProxyRequest } from '../protocol/proxy-request.ts';
import type { ClientFacts } from '../scaffold/client-settings.ts';
import type { SdksHere } from '../scaffold/front-page.ts';
import { powerShellSetupScript } from '../scaffold/setup-ps1.ts';
import { setupScript } from '../scaffold/setup-sh.ts';
import type { SdkProving } from '../scaffold/setup-sh-proof.ts';
import type { AddressRange } from './address-set.ts';
import { Api, isApiTarget } from './api.ts';
import { Briefly } from './briefly.ts';
import { type Exchange, type FailureCode, hasBody, type RequestKind } from './exchange.ts';
import { Gatekeeper, type Refusal, type ServerAccess } from './gatekeeper.ts';
import { FRONT_PAGE_VARIES, frontPageFor, pageHeaders, listSdksHere, wantsHtml } from './front-page.ts';
import { askedAbout, goGetPage, HTML } from './go-get-page.ts';
import { reportReadiness, type ReadinessReport } from './health.ts';
import { HookAnswers, type HookParts, isHookTarget } from './hooks/answer-hook.ts';
import { formatIndex, INDEX_CONTENT_TYPE, INDEX_LIMIT_MAX, type IndexQuery, parseIndexQuery } from './index-feed.ts';
import type { ServerLimits } from './limits.ts';
import { Peers } from './peers.ts';
import { clipped, formatErrorBody, printable } from './printable.ts';
import { answerManual, type Manual } from './manual.ts';
import { parseTarget, route, type Route } from './router.ts';
import { NO_STORE, sendServed, sendText, shortLived, TEXT, type Sender } from './send-answer.ts';
import { STATUS_CLIENT_LEFT, statusOfFailure } from './status.ts';
import { METRICS_CONTENT_TYPE } from './telemetry.ts';
import { SdkAnswers, type SdkAnswersParts } from './sdk-answers.ts';
import { clientAddress, welcomePage } from './welcome.ts';

export interface AnsweringParts {
  readonly station: Station;
  readonly sdks: SdkAnswersParts['sdks'];
  readonly executables: SdkAnswersParts['executables'];
  readonly sdkProofs?: SdkAnswersParts['sdkProofs'];
  readonly manual?: Manual | undefined;
  readonly vulnerabilities: Pick<VulnerabilityShelf, 'open'>;
  /** Names of the checksum databases below `/sumdb/`. */
  readonly databases: readonly string[];
  readonly access: ServerAccess;
  /** Which modules are private. */
  readonly names: PrivateNames;
  /** The same for clients, as GOPRIVATE takes it. */
  readonly privatePatterns: readonly string[];
  /** Undefined: the hub signs none. */
  readonly ownDatabase?: OwnDatabaseSet | undefined;
  /** Undefined: no webhook is configured. */
  readonly hooks?: (Omit<HookParts, 'desk' | 'clock' | 'audit'> & { readonly desk: Pick<HookDesk, 'take' | 'jobs'> }) | undefined;
  /** Whose word is taken for who asks. */
  readonly trustedProxies?: readonly AddressRange[] | undefined;
  readonly limits: ServerLimits;
  readonly log: Log;
  readonly clock: Clock;
  readonly version: string;
  readonly verifyOff: boolean;
  /** Without a slash at the end; undefined: from each request's Host. */
  readonly publicUrl: string | undefined;
  readonly secure: boolean;
  readonly metricsText: () => Promise<string>;
}

/** What is not open to everybody. */
type GuardedRoute = Exclude<Route, { kind: 'welcome' | 'setup' | 'manual' | 'healthz' | 'readyz' }>;

const SHELL_SCRIPT = 'text/x-shellscript; charset=utf-8';

const PROBE_FRESH_MS = 1_000;
const SDKS_FRESH_MS = 10_000;

/** Turns requests into answers. One for a server. */
export class Answering {
  readonly #parts: AnsweringParts;
  readonly #sender: Sender;
  readonly #readinessReport: Briefly<ReadinessReport>;
  readonly #metricsText: Briefly<string>;
  readonly #sdksHere: Briefly<SdksHere | undefined>;
  readonly #api: Api;
  readonly #hooks: HookAnswers;
  readonly #sdks: SdkAnswers;
  readonly #gatekeeper: Gatekeeper;
  readonly #peers: Peers;
  #waiting = 0;

  constructor(parts: AnsweringParts, sender: Sender) {
    this.#parts = parts;
    this.#sender = sender;
    this.#peers = new Peers(parts.trustedProxies ?? []);
    const { station, log, clock, metricsText } = parts;
    this.#hooks = new HookAnswers(parts.hooks === undefined ? undefined : { ...parts.hooks, audit: parts.access.audit, clock }, sender);
    this.#sdks = new SdkAnswers(parts, sender);
    this.#gatekeeper = new Gatekeeper(parts);
    this.#api = new Api({ ...parts, gatekeeper: this.#gatekeeper }, sender);
    // Both cost milliseconds and are open to whoever hammers on them.
    this.#readinessReport = new Briefly({ make: () => reportReadiness(station, log), clock, freshMs: PROBE_FRESH_MS });
    this.#sdksHere = new Briefly({ make: () => listSdksHere(parts.sdks, parts.executables), clock, freshMs: SDKS_FRESH_MS });
    this.#metricsText = new Briefly({ make: metricsText, clock, freshMs: PROBE_FRESH_MS });
  }

  /** Requests that wait for the station. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Answers, and never rejects: whatever goes wrong becomes an answer or, once a head is sent, a cut connection. */
  async answer(exchange: Exchange): Promise<void> {
    try {
      await this.#answer(exchange);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  #answer(exchange: Exchange): void | Promise<void> {
    const { req } = exchange;
    exchange.peer = this.#peers.of(req);
    if (isApiTarget(req.url)) return this.#api.answer(exchange);
    if (isHookTarget(req.url)) return this.#hooks.answer(exchange, (...why) => this.#refuse(exchange, ...why));
    if (req.method !== 'GET' && !exchange.isHead) {
      // What the body holds is not read.
      exchange.res.shouldKeepAlive = false;
      return this.#refuse(exchange, 'method-not-allowed', 'only GET and HEAD are answered here', ['Allow', 'GET, HEAD']);
    }
    if (req.httpVersionMajor !== 1) return this.#refuse(exchange, 'bad-request', 'only HTTP/1 is spoken here');
    if (hasBody(req)) {
      exchange.res.shouldKeepAlive = false;
      return this.#refuse(exchange, 'bad-request', 'a request here has no body');
    }
    const target = parseTarget(req.url ?? '', this.#parts.limits.targetLengthMax);
    if (!target.ok) return this.#refuse(exchange, 'bad-request', target.reason);
    const { path, query } = target.value;
    const module = query === '' ? undefined : askedAbout({ host: req.headers.host, path, query }, this.#parts.names);
    return module === undefined ? this.#follow(exchange, route(target.value, this.#parts.databases)) : this.#goGet(exchange, module);
  }

  #follow(exchange: Exchange, asked: Route): void | Promise<void> {
    switch (asked.kind) {
      case 'healthz':
        exchange.kind = 'probe';
        return this.#text(exchange, 'ok\n');
      case 'readyz':
        exchange.kind = 'probe';
        return this.#readiness(exchange);
      case 'welcome':
        return this.#welcome(exchange);
      case 'setup':
        return this.#setup(exchange, asked.shell);
      case 'manual':
        return answerManual(
          exchange,
          asked.name,
          { manual: this.#parts.manual, addressOf: (one) => this.#clientFacts(one).address },
          this.#sender,
        );
      default:
        break;
    }
    return exchange.req.headers.authorization === undefined ? this.#admit(exchange, asked) : this.#identify(exchange, asked);
  }

  async #identify(exchange: Exchange, asked: GuardedRoute): Promise<void> {
    const refusal = await this.#gatekeeper.identify(exchange);
    return refusal === undefined ? this.#admit(exchange, asked) : this.#turnAway(exchange, refusal);
  }

  #admit(exchange: Exchange, asked: GuardedRoute): void | Promise<void> {
    const refusal = this.#gatekeeper.admit(exchange, asked);
    if (refusal !== undefined) return this.#turnAway(exchange, refusal);
    switch (asked.kind) {
      case 'metrics':
        exchange.kind = 'probe';
        return this.#metrics(exchange);
      case 'index':
        exchange.kind = 'index';
        return this.#index(exchange, asked.query);
      case 'sdk':
        exchange.kind = 'sdk';
        return this.#sdk(exchange, asked);
      case 'vulnerabilities':
        exchange.kind = 'vulndb';
        return this.#vulnerabilities(exchange, asked);
      case 'proxy':
        exchange.kind = kindOf(asked.request);
        return this.#proxy(exchange, asked.request, asked.cachedOnly);
      case 'malformed':
        return this.#refuse(exchange, 'bad-request', asked.reason);
      case 'absent':
        return this.#refuse(exchange, 'not-found', asked.reason);
      default:
        return unreachable(asked);
    }
  }

  #turnAway(exchange: Exchange, { code, sentence, headers }: Refusal): void {
    this.#refuse(exchange, code, sentence, headers);
  }

  async #proxy(exchange: Exchange, request: ProxyRequest, cachedOnly: boolean): Promise<void> {
    const mayFill = !cachedOnly && !saysTrue(exchange.req.headers['disable-module-fetch']);
    // Beyond the limit what is stored is still answered: only those who would have to wait are sent away.
    const fill = mayFill && this.#waiting < this.#parts.limits.waitingMax;
    const served = await this.#ask(exchange, request, fill).catch((error: unknown) => {
      if (mayFill && !fill && codeOf(error) === 'not-cached')
        throw new HubError('overloaded', 'too many requests wait for upstreams: run the command again');
      throw error;
    });
    if (exchange.isOver) {
      if (served.kind === 'blob') await served.blob[Symbol.asyncDispose]();
      throw new HubError('canceled', 'the client left');
    }
    await sendServed(this.#sender, exchange, served);
  }

  async #vulnerabilities(exchange: Exchange, question: VulnerabilityQuestion): Promise<void> {
    const served = await this.#parts.vulnerabilities.open(question, exchange.signal);
    if (exchange.isOver) throw new HubError('canceled', 'the client left');
    await sendServed(this.#sender, exchange, served);
  }

  async #sdk(exchange: Exchange, { path, query, cachedOnly }: Route & { kind: 'sdk' }): Promise<void> {
    const mayFill = !cachedOnly && !saysTrue(exchange.req.headers['disable-module-fetch']);
    const fill = mayFill && this.#waiting < this.#parts.limits.waitingMax;
    this.#waiting += 1;
    try {
      await this.#sdks.answer(exchange, { path, query, fill });
    } catch (error) {
      if (mayFill && !fill && codeOf(error) === 'not-cached')
        throw new HubError('overloaded', 'too many requests wait: run the command again');
      throw error;
    } finally {
      this.#waiting -= 1;
    }
  }

  async #ask(exchange: Exchange, request: ProxyRequest, fill: boolean): ReturnType<Station['answer']> {
    this.#waiting += 1;
    try {
      return await this.#parts.station.answer(request, { fill, client: exchange.peer }, exchange.signal);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #index(exchange: Exchange, query: string): Promise<void> {
    const parsed = parseIndexQuery(query);
    if (!parsed.ok) return this.#refuse(exchange, 'bad-request', parsed.reason);
    const entries = await this.#entriesFor(exchange, parsed.value);
    sendText(this.#sender, exchange, 200, INDEX_CONTENT_TYPE, formatIndex(entries), ['Cache-Control', shortLived(exchange)]);
  }

  /**
   * A page is full unless the feed ends: whoever reads it takes a short one for the end. What this caller may not see is read over in large steps,
   * however small the page is that was asked for, and others have their turn in between.
   */
  async #entriesFor(exchange: Exchange, { sinceUs, limit }: IndexQuery): Promise<readonly IndexEntry[]> {
    const seen: IndexEntry[] = [];
    let step = limit;
    for (let fromUs = sinceUs; seen.length < limit && !exchange.isOver; ) {
      const page = await this.#parts.station.index(fromUs, step);
      for (const entry of page) if (seen.length < limit && this.#gatekeeper.maySee(exchange, entry.module)) seen.push(entry);
      const last = page.at(-1);
      if (last === undefined || page.length < step) break;
      fromUs = last.storedAtUs + 1;
      step = INDEX_LIMIT_MAX;
      await setImmediate();
    }
    return seen;
  }

  async #readiness(exchange: Exchange): Promise<void> {
    const report = await this.#readinessReport.get();
    const body = `${JSON.stringify(report, undefined, 2)}\n`;
    sendText(this.#sender, exchange, report.ready ? 200 : 503, 'application/json', body, ['Cache-Control', NO_STORE]);
  }

  async #metrics(exchange: Exchange): Promise<void> {
    const body = await this.#metricsText.get();
    sendText(this.#sender, exchange, 200, METRICS_CONTENT_TYPE, body, ['Cache-Control', NO_STORE]);
  }

  #goGet(exchange: Exchange, module: ModulePath): void {
    const { publicUrl, secure } = this.#parts;
    const address = clientAddress({ publicUrl, host: exchange.req.headers.host, secure });
    sendText(this.#sender, exchange, 200, HTML, goGetPage(module, address), ['Cache-Control', shortLived(exchange), 'Vary', 'Host']);
  }

  /** A page for a browser, lines for a terminal. */
  async #welcome(exchange: Exchange): Promise<void> {
    const { version, verifyOff } = this.#parts;
    const { headers } = exchange.req;
    const facts = { ...this.#clientFacts(exchange), version, verifyOff };
    const more = ['Vary', FRONT_PAGE_VARIES];
    if (!wantsHtml(headers)) return this.#text(exchange, welcomePage(facts, headers['accept-language']), more);
    const page = frontPageFor(headers, facts, await this.#readinessReport.get(), await this.#sdksHere.get());
    sendText(this.#sender, exchange, 200, HTML, page, ['Cache-Control', NO_STORE, ...more, ...pageHeaders]);
  }

  #clientFacts(exchange: Exchange): ClientFacts {
    const { publicUrl, secure, ownDatabase, privatePatterns } = this.#parts;
    return { address: clientAddress({ publicUrl, host: exchange.req.headers.host, secure }), ownDatabase, privatePatterns };
  }

  /** Open to everybody, as the page is that names it: a client has no token before it is set up. */
  async #setup(exchange: Exchange, shell: 'sh' | 'powershell'): Promise<void> {
    const facts = this.#clientFacts(exchange);
    const [type, script] =
      shell === 'sh' ? [SHELL_SCRIPT, setupScript(facts, await this.#sdkProving())] : [TEXT, powerShellSetupScript(facts)];
    sendText(this.#sender, exchange, 200, type, script, ['Cache-Control', NO_STORE, 'Vary', 'Host']);
  }

  async #sdkProving(): Promise<SdkProving | undefined> {
    const { sdkProofs } = this.#parts;
    if (sdkProofs === undefined) return undefined;
    const isMirrored = sdkProofs.isMirrored || (await this.#sdksHere.get())?.hasOfficial === true;
    return { key: sdkProofs.key, isMirrored };
  }

  #text(exchange: Exchange, body: string, headers: readonly string[] = []): void {
    sendText(this.#sender, exchange, 200, TEXT, body, ['Cache-Control', NO_STORE, ...headers]);
  }

  #fail(exchange: Exchange, error: unknown): void {
    const { res } = exchange;
    const code = codeOf(error) ?? 'internal';
    if (code === 'internal') this.#logBug(exchange, error);
    const hasLeft = exchange.isOver || res.destroyed || (res.headersSent && code === 'canceled');
    if (hasLeft || res.headersSent) {
      exchange.failure = hasLeft && code !== 'internal' ? 'canceled' : code;
      exchange.status = hasLeft ? STATUS_CLIENT_LEFT : statusOfFailure(code);
      if (!hasLeft && code !== 'internal')
        this.#parts.log.error('an answer broke off', { code, reason: messageOf(error), request: exchange.id });
      // A clean end would make a part look like the whole.
      res.destroy();
      return;
    }
    if (code === 'internal') return this.#refuse(exchange, code, 'the hub failed inside; its log says why');
    if (code === 'canceled') return this.#refuse(exchange, code, 'the hub is stopping: run the command again');
    this.#refuse(exchange, code, messageOf(error));
  }

  #logBug(exchange: Exchange, error: unknown): void {
    this.#parts.log.error('a request met a bug', {
      request: exchange.id,
      path: clipped(printable((exchange.req.url ?? '').slice(0, 300).split('?', 1)[0] ?? ''), 300),
      reason: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
  }

  #refuse(exchange: Exchange, code: FailureCode, sentence: string, more: readonly string[] = []): void {
    if (isApiTarget(exchange.req.url)) return this.#api.refuse(exchange, code, sentence, more);
    exchange.failure = code;
    const status = statusOfFailure(code);
    const trailer = status >= 500 ? `(goyi: ${code}, request ${exchange.id})` : undefined;
    // Whether something is cached depends on a request's header, so a cache in between must not keep that it is not.
    const isAbsent = status === 404 && code !== 'not-cached';
    const headers = ['Cache-Control', isAbsent ? shortLived(exchange) : NO_STORE, 'Goyi-Error', code];
    if (code === 'overloaded' || code === 'still-fetching') headers.push('Retry-After', '5');
    sendText(this.#sender, exchange, status, TEXT, formatErrorBody(sentence, trailer), [...headers, ...more]);
  }
}

/** As Go's strconv.ParseBool, by which crawlers of the public mirror know this header. */
function saysTrue(header: string | string[] | undefined): boolean {
  return typeof header === 'string' && /^(?:1|t|true)$/i.test(header);
}

function kindOf(request: ProxyRequest): RequestKind {
  switch (request.kind) {
    case 'file':
      return request.file;
    case 'list':
    case 'latest':
    case 'query':
      return request.kind;
    case 'sumdb-supported':
    case 'sumdb-latest':
    case 'sumdb-lookup':
    case 'sumdb-tile':
      return 'sumdb';
    default:
      return unreachable(request);
  }
}
