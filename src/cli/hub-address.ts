import type { HubConfig } from './config/hub-config.ts';

/** Where a hub of this configuration can be reached from its own machine. */
export function listeningAt({ listen: { host, port }, tls }: HubConfig): URL {
  const reachable = host === '' || host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new URL(`${tls === undefined ? 'http' : 'https'}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`);
}

/** An http: or https: address without user, query and fragment; undefined for anything else. */
export function parseHubAddress(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    url.username === '' &&
    url.password === '' &&
    url.search === '' &&
    url.hash === ''
    ? url
    : undefined;
}
