import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { withoutCredentials } from '../../base/log.ts';
import { createOutboundClient } from '../../net/http-client.ts';
import type { OutboundClient } from '../../net/outbound-client.ts';
import { faultOf, type OutboundFault } from '../../net/outbound-error.ts';
import { parseProxyRules, type ProxyRules, withoutProxy } from '../../net/proxy-rules.ts';
import { parseChecksumDatabaseEntry } from '../../protocol/checksum-database-entry.ts';
import { netrcMachine } from '../../scaffold/netrc.ts';
import type { Env, Settings } from './facts.ts';
import type { ProxyEntry } from './proxy-list.ts';

/** What one question brought. */
export type Answer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body: Buffer;
      /** To the head of the answer, connecting included. */
      readonly tookMs: number;
      /** Of its `Date` header minus this machine's, in ms; undefined without one. */
      readonly clockAheadMs: number | undefined;
    }
  | {
      readonly kind: 'failed';
      readonly fault: OutboundFault | undefined;
      /** Of the operating system or of TLS: `ECONNREFUSED`, `CERT_HAS_EXPIRED`; '' when there is none. */
      readonly code: string;
      readonly reason: string;
    };

const connectionFaults: ReadonlySet<OutboundFault | undefined> = new Set(['unreachable', 'connect-timeout', 'untrusted']);
const BODY_BYTES_MAX = 1024 * 1024;
export const ANSWER_MS_MAX = 15_000;

interface NetworkParts {
  readonly client: OutboundClient;
  readonly withoutOutbound: OutboundClient;
  readonly rules: ProxyRules;
  readonly rulesFault: string | undefined;
  readonly blind: boolean;
  readonly goVersion: string;
  readonly credentials: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
}

/** Asks what the go command would ask, by the same proxy variables and with the same credentials. Each address is asked once. */
export class Network implements AsyncDisposable {
  readonly #parts: NetworkParts;
  readonly #asked = new Map<string, Promise<Answer>>();
  /** Where no connection came about: thirty modules would wait for it thirty times. */
  readonly #dead = new Map<OutboundClient, Map<string, Answer>>();

  private constructor(parts: NetworkParts) {
    this.#parts = parts;
  }

  static async open(options: {
    env: Env;
    settings: Settings;
    proxies: readonly ProxyEntry[];
    /** First elements of module paths: a company's may lie anywhere. */
    hosts: readonly string[];
    signal: AbortSignal;
  }): Promise<Network> {
    const { env, settings, proxies, hosts, signal } = options;
    const rules = parseProxyRules(outboundSettings(env));
    const { httpProxy, httpsProxy } = outboundSettings(env);
    const blind = [httpProxy, httpsProxy].some((text) => /^socks5h?:/i.test(text));
    const database = parseChecksumDatabaseEntry(settings.value('GOSUMDB'));
    const configuredOrigins = [
      ...proxies.flatMap((entry) => (entry.kind === 'proxy' ? [entry.url] : [])),
      ...(database.ok ? [new URL(database.value.url ?? `https://${database.value.name}`)] : []),
      ...[httpProxy, httpsProxy].flatMap((text) => bothSchemes(text)),
      ...hosts.flatMap((host) => bothSchemes(host)),
    ];
    const caFile = env['SSL_CERT_FILE'];
    const caPem = caFile ? await readFile(caFile, 'utf8').catch(() => undefined) : undefined;
    const common = { configuredOrigins, userAgent: 'goyi-doctor', ...(caPem !== undefined && { caPem }) };
    return new Network({
      client: createOutboundClient({ ...common, proxy: rules.ok ? rules.value : withoutProxy }),
      withoutOutbound: createOutboundClient({ ...common, proxy: withoutProxy }),
      rules: rules.ok ? rules.value : withoutProxy,
      rulesFault: rules.ok || blind ? undefined : rules.reason,
      blind,
      goVersion: settings.value('GOVERSION'),
      credentials: usesNetrc(settings) ? await readNetrc(env) : new Map(),
      signal,
    });
  }

  /** Why the proxy variables cannot be understood. */
  get rulesFault(): string | undefined {
    return this.#parts.rulesFault;
  }

  /** SOCKS is a way for Go and not for goyi: what it would say of the network would be wrong. */
  get blind(): boolean {
    return this.#parts.blind;
  }

  /** The outbound proxy on the way to an address. */
  proxyFor(url: URL): URL | undefined {
    return this.#parts.rules.proxyFor(url);
  }

  get(url: URL): Promise<Answer> {
    return this.#once(`through ${url.href}`, () => this.#ask(this.#parts.client, url));
  }

  /** Past the outbound proxy. */
  getDirect(url: URL): Promise<Answer> {
    return this.#once(`direct ${url.href}`, () => this.#ask(this.#parts.withoutOutbound, url));
  }

  /** The body of a 200, piece by piece, at most `sizeMaxBytes`; undefined for any other answer. */
  async download(url: URL, sizeMaxBytes: number): Promise<Buffer | undefined> {
    const { client, signal } = this.#parts;
    try {
      await using response = await client.send(
        { url, headers: this.#headersFor(url), limits: limitsOf(sizeMaxBytes), followRedirects: true },
        signal,
      );
      if (response.status !== 200) return undefined;
      const chunks: Buffer[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      return Buffer.concat(chunks);
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.client[Symbol.asyncDispose]();
    await this.#parts.withoutOutbound[Symbol.asyncDispose]();
  }

  #once(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    const known = this.#asked.get(key);
    if (known !== undefined) return known;
    const answer = ask();
    this.#asked.set(key, answer);
    return answer;
  }

  async #ask(client: OutboundClient, url: URL): Promise<Answer> {
    const dead = this.#dead.get(client)?.get(url.origin);
    if (dead !== undefined) return dead;
    const answer = await this.#exchange(client, url);
    if (answer.kind === 'failed' && connectionFaults.has(answer.fault)) {
      const known = this.#dead.get(client) ?? new Map<string, Answer>();
      this.#dead.set(client, known.set(url.origin, answer));
    }
    return answer;
  }

  async #exchange(client: OutboundClient, url: URL): Promise<Answer> {
    const { signal } = this.#parts;
    const startMs = performance.now();
    try {
      const request = { url, headers: this.#headersFor(url), limits: limitsOf(BODY_BYTES_MAX), followRedirects: true };
      await using response = await client.send(request, signal);
      const tookMs = performance.now() - startMs;
      const date = Date.parse(response.headers.get('date') ?? '');
      const clockAheadMs = Number.isNaN(date) ? undefined : date - Date.now();
      const chunks: Buffer[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      return { kind: 'answer', status: response.status, body: Buffer.concat(chunks), tookMs, clockAheadMs };
    } catch (error) {
      signal.throwIfAborted();
      return { kind: 'failed', fault: faultOf(error), code: systemCodeOf(error), reason: withoutCredentials(messageOf(error)) };
    }
  }

  /** What `machine` in netrc has to say for an address: since Go 1.20 with its port. */
  machineOf(url: URL): string {
    return netrcMachine(url.origin, this.#parts.goVersion);
  }

  /** As the go command: netrc is for https only; what stands in the address goes before it. */
  #headersFor(url: URL): Record<string, string> {
    const known = url.protocol === 'https:' && url.username === '' ? this.#parts.credentials.get(this.machineOf(url)) : undefined;
    return known === undefined ? {} : { authorization: known };
  }
}

function limitsOf(sizeMaxBytes: number): { firstByteMs: number; idleMs: number; bytesPerSecondMin: number; sizeMaxBytes: number } {
  return { firstByteMs: ANSWER_MS_MAX, idleMs: ANSWER_MS_MAX, bytesPerSecondMin: 0, sizeMaxBytes };
}

/** As Go reads them: capitals first. */
export function outboundSettings(env: Env): { httpProxy: string; httpsProxy: string; noProxy: string } {
  const value = (name: string): string => env[name] || env[name.toLowerCase()] || '';
  return { httpProxy: value('HTTP_PROXY'), httpsProxy: value('HTTPS_PROXY'), noProxy: value('NO_PROXY') };
}

/** An outbound proxy is asked in both ways when it is looked at by itself. */
function bothSchemes(text: string): readonly URL[] {
  const rest = text.replace(/^https?:\/\//, '');
  return ['http', 'https'].flatMap((scheme) =>
    rest !== '' && URL.canParse(`${scheme}://${rest}`) ? [new URL(`${scheme}://${rest}`)] : [],
  );
}

/** Whether TLS was offered to something that does not speak it. */
export function isNotTls(answer: Answer): boolean {
  return answer.kind === 'failed' && /^(?:ERR_SSL_|EPROTO)/.test(answer.code) && !/ALERT/.test(answer.code);
}

/** One line that says what came back. */
export function describe(answer: Answer): string {
  if (answer.kind === 'failed') return answer.reason;
  const first = answer.status === 200 ? '' : firstLine(answer.body);
  return `${answer.status}${first === '' ? '' : `: ${first}`}`;
}

const SHOWN_LENGTH_MAX = 300;

function firstLine(body: Buffer): string {
  return (body.toString('utf8').trim().split('\n')[0] ?? '').slice(0, SHOWN_LENGTH_MAX);
}

function systemCodeOf(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; depth += 1) {
    if ('code' in at && typeof at.code === 'string' && /^[A-Z0-9_]+$/.test(at.code)) return at.code;
    at = at instanceof AggregateError ? (at.errors[0] as unknown) : at.cause;
  }
  return '';
}

function usesNetrc(settings: Settings): boolean {
  const auth = settings.value('GOAUTH');
  return auth === '' || auth.split(';').some((part) => part.trim() === 'netrc');
}

/** Basic authorization by host. https://go.dev/ref/mod#private-module-proxy-auth */
async function readNetrc(env: Env): Promise<ReadonlyMap<string, string>> {
  const home = env['HOME'] ?? env['USERPROFILE'] ?? '';
  const file = env['NETRC'] || join(home, process.platform === 'win32' ? '_netrc' : '.netrc');
  const words = (await readFile(file, 'utf8').catch(() => '')).split(/\s+/);
  const found = new Map<string, string>();
  for (let i = 0; i < words.length; i += 1) {
    if (words[i] !== 'machine') continue;
    const end = words.findIndex((word, at) => at > i && (word === 'machine' || word === 'default'));
    const own = words.slice(i + 2, end < 0 ? undefined : end);
    const [login, password] = ['login', 'password'].map((key) => own[own.indexOf(key) + 1] ?? '');
    if (login && password) found.set(words[i + 1] ?? '', `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}`);
  }
  return found;
}
