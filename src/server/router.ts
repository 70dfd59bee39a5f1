import { parsed, refused, type Parsed } from '../base/parsed.ts';
import type { VulnerabilityQuestion } from '../hub/vulnerability-shelf.ts';
import { parseProxyRequest, type ProxyRequest } from '../protocol/proxy-request.ts';
import { parseVulnerabilityKey, VULNDB_PREFIX } from '../protocol/vulnerability-database.ts';

/** A request's target, still percent-encoded: nothing normalises it, so that one parser alone decides what a path means. */
export interface Target {
  readonly path: string;
  /** Without its `?`; '' when there is none. */
  readonly query: string;
}

export type Route =
  | { readonly kind: 'welcome' }
  | { readonly kind: 'setup'; readonly shell: 'sh' | 'powershell' }
  | { readonly kind: 'healthz' }
  | { readonly kind: 'readyz' }
  | { readonly kind: 'metrics' }
  | { readonly kind: 'index'; readonly query: string }
  /** A page of the documentation, '' for the list. */
  | { readonly kind: 'manual'; readonly name: string }
  | { readonly kind: 'sdk'; readonly path: string; readonly query: string; readonly cachedOnly: boolean }
  | ({ readonly kind: 'vulnerabilities' } & VulnerabilityQuestion)
  | { readonly kind: 'proxy'; readonly request: ProxyRequest; readonly cachedOnly: boolean }
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'absent'; readonly reason: string };

const DOCS = '/docs/';
const PACKED = '.gz';
const CACHED_ONLY = '/cached-only';

const WELCOME: Route = { kind: 'welcome' };
const SETUP_SH: Route = { kind: 'setup', shell: 'sh' };
const SETUP_PS1: Route = { kind: 'setup', shell: 'powershell' };
const HEALTHZ: Route = { kind: 'healthz' };
const READYZ: Route = { kind: 'readyz' };
const METRICS: Route = { kind: 'metrics' };

/** Takes the target as the request line has it: `/path?query`, or `http://host/path?query` as sent to a proxy. RFC 9112 §3.2 */
export function parseTarget(raw: string, lengthMax: number): Parsed<Target> {
  if (raw.length > lengthMax) return refused(`the address is longer than ${lengthMax} characters`);
  if (/[^\x21-\x7e]/.test(raw)) return refused('the address holds a character that must be percent-encoded');
  let target = raw;
  if (!raw.startsWith('/')) {
    const absolute = /^https?:\/\/[^/?#]+/i.exec(raw);
    if (absolute === null) return refused('the address does not begin with a slash');
    target = raw.slice(absolute[0].length);
    if (!target.startsWith('/')) target = `/${target}`;
  }
  const mark = target.indexOf('?');
  return parsed(mark === -1 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark + 1) });
}

/** What a target asks for. `databases` are the names of the configured checksum databases. */
export function route(target: Target, databases: readonly string[]): Route {
  const { path } = target;
  switch (path) {
    case '/':
      return WELCOME;
    case '/setup.sh':
      return SETUP_SH;
    case '/setup.ps1':
      return SETUP_PS1;
    case '/index':
      return { kind: 'index', query: target.query };
    case '/-/healthz':
      return HEALTHZ;
    case '/-/readyz':
      return READYZ;
    case '/-/metrics':
      return METRICS;
    case '/docs':
      return { kind: 'manual', name: '' };
    default: {
      if (path.startsWith(DOCS)) return { kind: 'manual', name: path.slice(DOCS.length) };
      if (path.startsWith(`/${VULNDB_PREFIX}`)) return vulnerabilityRoute(path.slice(1));
      const cachedOnly = path.startsWith(`${CACHED_ONLY}/`);
      const below = cachedOnly ? path.slice(CACHED_ONLY.length) : path;
      if (below === '/dl' || below.startsWith('/dl/')) return { kind: 'sdk', path: below, query: target.query, cachedOnly };
      const answer = parseProxyRequest(below, databases);
      if (answer.ok) return { kind: 'proxy', request: answer.value, cachedOnly };
      return { kind: answer.status, reason: answer.reason };
    }
  }
}

/** `vulndb/index/modules.json` and `….json.gz`; none of the names has anything to be escaped. */
export function parseVulnerabilityPath(path: string): VulnerabilityQuestion | undefined {
  const isPacked = path.endsWith(PACKED);
  const file = parseVulnerabilityKey(isPacked ? path.slice(0, -PACKED.length) : path);
  return file && { file, isPacked };
}

function vulnerabilityRoute(path: string): Route {
  const question = parseVulnerabilityPath(path);
  return question === undefined
    ? {
        kind: 'absent',
        reason:
          'nothing is here: a vulnerability database has index/db.json, index/modules.json, index/vulns.json and ID/GO-….json, each with .gz as well',
      }
    : { kind: 'vulnerabilities', ...question };
}
