/** Public modules without a module proxy: from the repository that discovery finds, or from the module proxy that a discovery page names. */
import { LRUCache } from 'lru-cache';
import { parseProxyRequest } from '../protocol/proxy-request.ts';
import type { Discovery } from './git/discovery-locator.ts';
import type { ModuleOrigin } from './module-origin.ts';

export interface DirectOriginParts {
  readonly discovery: Pick<Discovery, 'discover'>;
  /** What the repositories give. */
  readonly source: ModuleOrigin;
  /** A module proxy that a page has named. */
  readonly proxyAt: (base: URL) => ModuleOrigin & AsyncDisposable;
}

const PROXIES_MAX = 100;

export function createDirectOrigin({ discovery, source, proxyAt }: DirectOriginParts): ModuleOrigin & AsyncDisposable {
  const proxies = new LRUCache<string, ModuleOrigin & AsyncDisposable>({
    max: PROXIES_MAX,
    dispose: (proxy) => void Promise.resolve(proxy[Symbol.asyncDispose]()).catch(() => {}),
  });
  return {
    async fetch(request, consume, signal) {
      const parsedRequest = parseProxyRequest(`/${request.resource.split('/').map(encodeURIComponent).join('/')}`, []);
      if (!parsedRequest.ok) return { kind: 'absent', reason: parsedRequest.reason };
      if (!('module' in parsedRequest.value)) return { kind: 'absent', reason: 'a place of source code has no checksum database' };
      const found = await discovery.discover(parsedRequest.value.module, signal);
      if (found.kind === 'git') return source.fetch(request, consume, signal);
      const proxy = proxies.get(found.base.href) ?? proxyAt(found.base);
      proxies.set(found.base.href, proxy);
      return proxy.fetch(request, consume, signal);
    },
    states: () => source.states(),
    async [Symbol.asyncDispose]() {
      await Promise.allSettled([...proxies.values()].map((proxy) => proxy[Symbol.asyncDispose]()));
    },
  };
}
