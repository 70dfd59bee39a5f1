import type { OwnDatabaseSet } from '../api/checksum-database.ts';
import { unreachable } from '../base/invariant.ts';
import type { AuditKeeper } from '../hub/audit-keeper.ts';
import type { LogIns } from '../hub/log-ins.ts';
import { type Caller, may, type Rights, type Wish } from '../policy/access.ts';
import { noPrivateNames, type PrivateNames } from '../policy/private-names.ts';
import { parseModulePath } from '../protocol/module-path.ts';
import type { ProxyRequest } from '../protocol/proxy-request.ts';
import { isLoopbackAddress, refusalOfWrite, TOKEN_CHALLENGE, TOKEN_NEEDED } from './api-access.ts';
import { secretOf } from './credentials.ts';
import type { Exchange, FailureCode } from './exchange.ts';
import type { Route } from './router.ts';

/** Who may what, and where that is written down. */
export interface ServerAccess {
  readonly anonymous: Rights;
  readonly logIns: LogIns;
  readonly audit: AuditKeeper;
}

export interface GatekeeperParts {
  readonly access: ServerAccess;
  readonly names: PrivateNames;
  readonly ownDatabase?: OwnDatabaseSet | undefined;
  /** Names of all that are served. The first is public; the others are our own, or may have private modules of other hubs. */
  readonly databases?: readonly string[];
  readonly publicUrl: string | undefined;
  readonly secure: boolean;
}

/** What a request is answered that goes no further. */
export interface Refusal {
  readonly code: FailureCode;
  readonly sentence: string;
  /** Names and values by turns. */
  readonly headers: readonly string[];
}

const WRONG = 'these credentials are not taken: they are wrong, or over, or revoked';
const TOO_MANY = 'too many log-ins failed from this address: wait a minute';
const TLS_NEEDED =
  'credentials are taken over https alone; these went over the network in the clear, so whoever sent them should have them revoked';
/** For every private name alike, whether there is such a module or not. */
const HIDDEN = 'there is no such module, or none that this caller may read';

/**
 * The one place that decides who may what on this hub, always on the parsed request and never on its path. A request without credentials for a public module
 * of a hub that has no private ones costs two comparisons here.
 */
export class Gatekeeper {
  readonly #parts: GatekeeperParts;
  readonly #anonymous: Caller;
  readonly #hasPrivate: boolean;
  readonly #anonymousReadsAny: boolean;
  /** With records of private modules. */
  readonly #logs: ReadonlySet<string>;
  readonly #takesCredentialsFromAfar: boolean;

  constructor(parts: GatekeeperParts) {
    this.#parts = parts;
    const { access, names, ownDatabase, databases = [], publicUrl, secure } = parts;
    this.#anonymous = { kind: 'anonymous', rights: access.anonymous };
    this.#hasPrivate = names !== noPrivateNames;
    this.#anonymousReadsAny = may(access.anonymous, { kind: 'read-any' });
    const own = ownDatabase === undefined ? [] : [ownDatabase, ...ownDatabase.former].map(({ name }) => name);
    this.#logs = new Set([...own, ...databases.slice(1)]);
    // With an https address somebody in front of the hub speaks TLS with its clients.
    this.#takesCredentialsFromAfar = secure || publicUrl?.startsWith('https://') === true;
  }

  /** Finds out who asks, where there are credentials. Undefined: the exchange has its caller. @throws {HubError} as {@link LogIns.logIn} */
  async identify(exchange: Exchange): Promise<Refusal | undefined> {
    const { req } = exchange;
    if (req.headers.authorization === undefined) return undefined;
    const address = exchange.peer;
    if (!this.#takesCredentialsFromAfar && !isLoopbackAddress(address)) return { code: 'forbidden', sentence: TLS_NEEDED, headers: [] };
    const secret = secretOf(req);
    if (!secret.ok) return { code: 'unauthorized', sentence: WRONG, headers: TOKEN_CHALLENGE };
    const logIn = await this.#parts.access.logIns.logIn(secret.value, address);
    switch (logIn.kind) {
      case 'caller':
        exchange.caller = logIn.caller;
        return undefined;
      case 'refused':
        return { code: 'unauthorized', sentence: WRONG, headers: TOKEN_CHALLENGE };
      case 'too-many':
        return { code: 'too-many-failures', sentence: TOO_MANY, headers: ['Retry-After', '60'] };
      default:
        return unreachable(logIn);
    }
  }

  /** Undefined: the request goes on. Says on the exchange whether its answer is for this caller alone. */
  admit(exchange: Exchange, asked: Route): Refusal | undefined {
    if (exchange.caller === undefined && !this.#hasPrivate && this.#parts.access.anonymous.readsPublic) return undefined;
    if (exchange.caller === undefined && !this.#anonymousReadsAny) return this.#refuseStranger(exchange);
    return asked.kind === 'proxy' ? this.#admitRequest(exchange, asked.request) : this.#admitAny(exchange, asked.kind === 'index');
  }

  /** The same for what is no module's. */
  admitRead(exchange: Exchange): Refusal | undefined {
    if (exchange.caller === undefined && !this.#anonymousReadsAny) return this.#refuseStranger(exchange);
    return this.#admitWish(exchange, { kind: 'read-any' });
  }

  /** The same for what names private modules, where there are any: for auditors, and for the hub's own machine while there is no way to log in. */
  async admitAudit(exchange: Exchange): Promise<Refusal | undefined> {
    if (!this.#hasPrivate) return this.admitRead(exchange);
    return exchange.caller === undefined
      ? await this.admitWrite(exchange, { kind: 'admin' })
      : this.#admitWish(exchange, { kind: 'audit' });
  }

  /**
   * Whether a request may change something: with credentials that give the right, from anywhere; without, from this machine and only while there is no way to
   * log in. Credentials that a browser adds by itself to what some page sends do not count.
   */
  async admitWrite(exchange: Exchange, wish: Wish & { kind: 'publish' | 'admin' }): Promise<Refusal | undefined> {
    const subject = wish.kind === 'publish' ? wish.module : 'hub';
    if (exchange.caller === undefined) {
      const refusal = refusalOfWrite(exchange.req);
      const isClosed = await this.#parts.access.logIns.isClosed();
      if (!isClosed && refusal === undefined) return undefined;
      this.#tellRefused(exchange, `${wish.kind} ${subject}`);
      if (!isClosed && refusal !== undefined) return { code: 'forbidden', sentence: refusal, headers: [] };
      return { code: 'unauthorized', sentence: TOKEN_NEEDED, headers: TOKEN_CHALLENGE };
    }
    if (exchange.req.headers.origin !== undefined)
      return { code: 'forbidden', sentence: 'requests that change something are not taken from web pages', headers: [] };
    return this.#admitWish(exchange, wish, subject);
  }

  /** Whether this caller may know of an entry of the index. */
  maySee(exchange: Exchange, modulePath: string): boolean {
    if (!this.#hasPrivate) return true;
    const module = parseModulePath(modulePath);
    const isPublic = module.ok && this.#parts.names.of(module.value).kind === 'public';
    return isPublic || may(this.#rightsOf(exchange), { kind: 'audit' });
  }

  /** Who asks, as the audit trail and a module's origin name it. */
  actorOf({ caller, peer }: Exchange): string {
    if (caller !== undefined && caller.kind !== 'anonymous') return `${caller.kind} ${caller.name}`;
    return isLoopbackAddress(peer) ? 'a user of this machine' : `anonymous ${peer}`;
  }

  #admitRequest(exchange: Exchange, request: ProxyRequest): Refusal | undefined {
    switch (request.kind) {
      case 'sumdb-tile':
        if (request.tile.level === 'data' && this.#hasPrivate && this.#logs.has(request.database))
          return this.#admitWish(exchange, { kind: 'audit' }, `records of ${request.database}`);
        return this.#admitAny(exchange, false);
      case 'sumdb-supported':
      case 'sumdb-latest':
        return this.#admitAny(exchange, false);
      case 'list':
      case 'latest':
      case 'file':
      case 'query':
      case 'sumdb-lookup':
        return this.#admitModule(exchange, request);
      default:
        return unreachable(request);
    }
  }

  #admitModule(
    exchange: Exchange,
    request: ProxyRequest & { kind: 'list' | 'latest' | 'file' | 'query' | 'sumdb-lookup' },
  ): Refusal | undefined {
    const { module } = request;
    const privacy = this.#parts.names.of(module).kind;
    const rights = this.#rightsOf(exchange);
    exchange.isPrivate = privacy !== 'public' || !may(this.#parts.access.anonymous, { kind: 'read', module, privacy });
    const subject = 'version' in request ? `${module}@${request.version}` : module;
    if (may(rights, { kind: 'read', module, privacy })) {
      if (privacy === 'private') this.#parts.access.audit.tally({ act: 'read', actor: this.actorOf(exchange), subject });
      return undefined;
    }
    this.#tellRefused(exchange, `read ${subject}`);
    if (privacy !== 'public') return { code: 'not-found', sentence: HIDDEN, headers: [] };
    if (exchange.caller === undefined) return { code: 'unauthorized', sentence: TOKEN_NEEDED, headers: TOKEN_CHALLENGE };
    return { code: 'forbidden', sentence: 'these credentials do not give the right to read public modules', headers: [] };
  }

  #admitAny(exchange: Exchange, dependsOnCaller: boolean): Refusal | undefined {
    exchange.isPrivate = dependsOnCaller || !this.#anonymousReadsAny;
    return this.#admitWish(exchange, { kind: 'read-any' });
  }

  #admitWish(exchange: Exchange, wish: Wish, subject = 'hub'): Refusal | undefined {
    if (wish.kind === 'audit') exchange.isPrivate = true;
    if (may(this.#rightsOf(exchange), wish)) return undefined;
    this.#tellRefused(exchange, `${wish.kind} ${subject}`);
    if (exchange.caller === undefined) return { code: 'unauthorized', sentence: TOKEN_NEEDED, headers: TOKEN_CHALLENGE };
    return { code: 'forbidden', sentence: `these credentials do not give the right: ${rightNeeded(wish)}`, headers: [] };
  }

  #refuseStranger(exchange: Exchange): Refusal {
    this.#tellRefused(exchange, 'read');
    return { code: 'unauthorized', sentence: TOKEN_NEEDED, headers: TOKEN_CHALLENGE };
  }

  #rightsOf({ caller }: Exchange): Rights {
    return (caller ?? this.#anonymous).rights;
  }

  #tellRefused(exchange: Exchange, subject: string): void {
    this.#parts.access.audit.tally({ act: 'refused', actor: this.actorOf(exchange), subject });
  }
}

function rightNeeded(wish: Wish): string {
  switch (wish.kind) {
    case 'read':
      return `read:${wish.module}`;
    case 'read-any':
      return 'read';
    case 'publish':
      return `publish:${wish.module}`;
    case 'audit':
    case 'admin':
      return wish.kind;
    default:
      return unreachable(wish);
  }
}
