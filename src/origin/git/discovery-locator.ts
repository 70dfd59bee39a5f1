/**
 * Finds the repository of a public module as the go command does in direct mode: by name on the hosts that it knows, else by the discovery page
 * `https://PATH?go-get=1`, whose root is asked to confirm what a longer path says of it.
 *
 * - By https alone, without credentials, and never to a private address: the client and the routes that are handed in have no configured origin.
 * - Of a page at most 256 KiB are read, and of its head only. What was found counts for ten minutes, what was not for one.
 * - A host that cannot be reached is left alone for five minutes, so that a network that swallows what is sent to some hosts costs each of them a few
 *   seconds now and then, and not every request. That is no answer about the module: it is thrown as the failed connection that it is.
 */
import { LRUCache } from 'lru-cache';
import { HubError } from '../../base/errors.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import { hostOf } from '../../net/address-guard.ts';
import type { OutboundClient, OutboundResponse } from '../../net/outbound-client.ts';
import { faultOf, OutboundError } from '../../net/outbound-error.ts';
import type { PinnedRoutes } from '../../net/pinned-routes.ts';
import { knownRepository } from '../../protocol/code-host.ts';
import { chooseGoImport, type GoImport, parseGoImports, subfolderFault } from '../../protocol/go-import.ts';
import type { ModulePath } from '../../protocol/module-path.ts';
import type { Locate } from './template-locator.ts';

export type Discovered =
  | { readonly kind: 'git'; readonly root: string; readonly url: string; readonly subfolder: string }
  /** Modules below `root` are at a module proxy. */
  | { readonly kind: 'proxy'; readonly root: string; readonly base: URL };

export interface DiscoveryOptions {
  /** Without configured origins. */
  readonly client: OutboundClient;
  /** To the first byte of a page. */
  readonly answerMs: number;
  /** Where modules are never fetched from: this hub itself. */
  readonly ownHosts: readonly string[];
}

const PAGE_BYTES_MAX: number = 256 * 1024;
/** Read no further than {@link PAGE_BYTES_MAX}, but a larger page is none of our business. */
const DECLARED_BYTES_MAX: number = 64 * 1024 * 1024;
const FOUND_MAX = 10_000;
const FOUND_MS = 600_000;
const ABSENT_MAX = 10_000;
const ABSENT_MS = 60_000;
const HOSTS_MAX = 1_000;
const HOST_THERE_MS = 60_000;
const HOST_DEAD_MS = 300_000;
const ADDRESS_LENGTH_MAX = 2_048;

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #found = new LRUCache<string, Discovered>({ max: FOUND_MAX, ttl: FOUND_MS });
  readonly #absent = new LRUCache<string, HubError>({ max: ABSENT_MAX, ttl: ABSENT_MS });
  readonly #hosts = new LRUCache<string, { readonly error: OutboundError | undefined }>({ max: HOSTS_MAX });
  readonly #flights = new SingleFlight<Discovered>();

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /** @throws {HubError} not-found; upstream-invalid (pages that contradict each other, or say two things); {OutboundError}; the signal's reason */
  async discover(module: ModulePath, signal: AbortSignal): Promise<Discovered> {
    const known = this.#found.get(module) ?? (await this.#flights.do(module, (flight) => this.#ask(module, flight), signal));
    // Git has no patience of its own: it waits for minutes for a host that does not answer.
    if (known.kind === 'git') await this.#reach(new URL(known.url), signal);
    return known;
  }

  /** Forgets which hosts were not to be reached: the network has changed. */
  forgetHosts(): void {
    this.#hosts.clear();
  }

  async #ask(module: ModulePath, signal: AbortSignal): Promise<Discovered> {
    const absent = this.#absent.get(module);
    if (absent !== undefined) throw absent;
    try {
      const found = await this.#askNow(module, signal);
      this.#found.set(module, found);
      return found;
    } catch (error) {
      if (error instanceof HubError && error.code === 'not-found') this.#absent.set(module, error);
      throw error;
    }
  }

  async #askNow(module: ModulePath, signal: AbortSignal): Promise<Discovered> {
    const known = knownRepository(module);
    if (known?.kind === 'refused') throw new HubError('not-found', known.reason);
    if (known !== undefined) return { kind: 'git', root: known.root, url: known.url, subfolder: '' };
    const tag = await this.#tagAt(module, module, signal);
    if (tag.root !== module && !sameTag(tag, await this.#tagAt(tag.root, module, signal)))
      throw new HubError(
        'upstream-invalid',
        `the pages of ${module} and ${tag.root} say different things about the repository of ${tag.root}`,
      );
    return this.#discovered(tag);
  }

  /** What the page of `path`, which is `module` or above it, says about `module`. */
  async #tagAt(path: string, module: ModulePath, signal: AbortSignal): Promise<GoImport> {
    const { imports, status } = await this.#page(path, signal);
    const choice = chooseGoImport(imports, module);
    switch (choice.kind) {
      case 'one':
        return choice.tag;
      case 'several':
        throw new HubError('upstream-invalid', `the page of ${path} names several repositories for ${module}`);
      case 'none': {
        if (status >= 500 || status === 429)
          throw new HubError('origin-unavailable', `the page of ${path} is answered with status ${status}`);
        const others = choice.roots.length === 0 ? '' : `: it speaks of ${choice.roots.slice(0, 3).join(', ')}`;
        throw new HubError('not-found', `the page of ${path} names no repository for ${module}${others}`);
      }
    }
  }

  #discovered({ root, vcs, url, subfolder }: GoImport): Discovered {
    const fault = subfolderFault(subfolder);
    if (fault !== undefined) throw new HubError('not-found', `the folder that the page of ${root} names ${fault}`);
    if (vcs !== 'git' && vcs !== 'mod')
      throw new HubError('not-found', `${root} is not in Git (the page says ${clean(vcs)}), and this hub reads Git alone`);
    const address = publicAddress(url);
    if (address === undefined) throw new HubError('not-found', `the address that the page of ${root} names is no plain https address`);
    // The mirror of what ends there would hold that of the other one, where nobody counts its size.
    if (
      vcs === 'git' &&
      root
        .split('/')
        .slice(1, -1)
        .some((element) => element.endsWith('.git'))
    )
      throw new HubError('not-found', `${root} lies below a path that ends in .git, where a repository ends`);
    if (vcs === 'git') return { kind: 'git', root, url: address.href, subfolder };
    if (subfolder !== '') throw new HubError('not-found', `the page of ${root} names a folder of a module proxy`);
    if (this.#options.ownHosts.includes(address.host)) throw new HubError('not-found', `the page of ${root} leads back to this hub`);
    return { kind: 'proxy', root, base: address };
  }

  async #page(path: string, signal: AbortSignal): Promise<{ readonly imports: readonly GoImport[]; readonly status: number }> {
    const address = publicAddress(`https://${path}`);
    if (address === undefined) throw new HubError('not-found', `${path} is no address that could have a page`);
    address.search = '?go-get=1';
    const page = await this.#withHost(address, async () => {
      await using response = await this.#send(address, 'GET', signal);
      const encoding = response.headers.get('content-encoding') ?? 'identity';
      if (encoding.toLowerCase() !== 'identity')
        throw new HubError('upstream-invalid', `the page of ${path} is sent compressed, though it was asked not to`);
      return { text: await headOf(response), status: response.status };
    });
    const imports = parseGoImports(page.text);
    if (!imports.ok && page.status < 400) throw new HubError('not-found', `${path}: ${imports.reason}`);
    return { imports: imports.ok ? imports.value : [], status: page.status };
  }

  /** Resolves when the host answers anything at all, or has lately. @throws {OutboundError} */
  async #reach(url: URL, signal: AbortSignal): Promise<void> {
    const state = this.#hosts.get(url.host);
    if (state !== undefined && state.error === undefined) return;
    await this.#withHost(url, async () => {
      await using response = await this.#send(new URL('/', url), 'HEAD', signal, false);
      return response.status;
    });
  }

  async #withHost<T>(url: URL, work: () => Promise<T>): Promise<T> {
    const dead = this.#hosts.get(url.host)?.error;
    if (dead !== undefined) throw dead;
    try {
      const value = await work();
      this.#hosts.set(url.host, { error: undefined }, { ttl: HOST_THERE_MS });
      return value;
    } catch (error) {
      if (error instanceof OutboundError && isUnreached(error)) this.#hosts.set(url.host, { error }, { ttl: HOST_DEAD_MS });
      throw error;
    }
  }

  #send(url: URL, method: 'GET' | 'HEAD', signal: AbortSignal, followRedirects = true): Promise<OutboundResponse> {
    const { client, answerMs } = this.#options;
    const limits = { firstByteMs: answerMs, idleMs: answerMs, bytesPerSecondMin: 0, sizeMaxBytes: DECLARED_BYTES_MAX };
    return client.send({ url, method, limits, followRedirects }, signal);
  }
}

/** For a Git source: modules that are at a proxy are not its business. */
export function createDiscoveryLocator(discovery: Discovery, routes: PinnedRoutes): Locate {
  return async (module, _urgency, signal) => {
    const found = await discovery.discover(module, signal);
    if (found.kind === 'proxy') throw new HubError('not-found', `${module} is at a module proxy`);
    return { root: found.root, url: found.url, subfolder: found.subfolder, credential: undefined, routes };
  };
}

/** No connection, or none in time: nothing was said about what was asked for. */
export function isUnreached(error: OutboundError): boolean {
  const fault = faultOf(error);
  return fault === 'unreachable' || fault === 'connect-timeout' || fault === 'head-timeout' || fault === 'untrusted';
}

/** As the URL parser writes it, so that all who read it later see one and the same host. */
function publicAddress(text: string): URL | undefined {
  if (text.length > ADDRESS_LENGTH_MAX || !/^https:\/\/[^/]/i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isPlain = url.protocol === 'https:' && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  return isPlain && /^[[a-z0-9]/.test(url.hostname) && hostOf(url) === url.hostname.replace(/^\[|\]$/g, '') ? url : undefined;
}

function sameTag(one: GoImport, other: GoImport): boolean {
  return one.root === other.root && one.vcs === other.vcs && one.url === other.url && one.subfolder === other.subfolder;
}

function clean(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, '?').slice(0, 40);
}

/** As much of the page as its head can be in. */
async function headOf({ body }: OutboundResponse): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    const looked = Math.max(0, text.length - 8);
    text += decoder.decode(chunk.subarray(0, Math.max(0, chunk.length - Math.max(0, sizeBytes - PAGE_BYTES_MAX))), { stream: true });
    if (sizeBytes >= PAGE_BYTES_MAX || /<\/head|<body/i.test(text.slice(looked))) break;
  }
  return text;
}
