import { createRequire } from 'node:module';
import type { Dispatcher, Pool } from 'undici';

// The package's own entry also loads its fetch, its web sockets, its caches and its mocks, which cost each worker 11 MB. The version is pinned, and
// every test that fetches anything over HTTP/1.1 fails when these files move.
const load = createRequire(import.meta.url);

/** undici's pool of HTTP/1.1 connections to one origin. */
export const Http1Pool: typeof Pool = load('undici/lib/dispatcher/pool.js') as typeof Pool;

const request = load('undici/lib/api/api-request.js') as (
  this: Dispatcher,
  options: Dispatcher.RequestOptions,
) => Promise<Dispatcher.ResponseData>;

/** What `pool.request` is when the whole package is loaded. */
export function requestFrom(pool: Pool, options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData> {
  return request.call(pool, options);
}
