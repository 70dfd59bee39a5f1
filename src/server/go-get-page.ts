/**
 * What `?go-get=1` is answered: that a private module is had from this hub by the GOPROXY protocol. Clients whose GOPROXY is the hub do not need it;
 * others ask `https://MODULE?go-get=1`, which a front proxy or the module's own host name leads here.
 *
 * The root that is named is the very path that was asked about, so nothing is said about which modules exist.
 *
 * https://go.dev/ref/mod#vcs-find
 */
import type { PrivateNames } from '../policy/private-names.ts';
import { type ModulePath, parseModulePath } from '../protocol/module-path.ts';

export const HTML = 'text/html; charset=utf-8';

export interface GoGetQuestion {
  /** Of the request, with whatever port. */
  readonly host: string | undefined;
  /** Of the target, percent-encoded as it was sent. */
  readonly path: string;
  readonly query: string;
}

/** The private module that is asked about; undefined when the request is none of these questions, or is about a module that is none of ours. */
export function askedAbout({ host, path, query }: GoGetQuestion, names: PrivateNames): ModulePath | undefined {
  if (!query.split('&').includes('go-get=1')) return undefined;
  const below = path.replace(/^\/+|\/+$/g, '');
  const vanity = `${(host ?? '').replace(/:\d{1,5}$/, '').toLowerCase()}${below === '' ? '' : `/${below}`}`;
  // People and tests ask HUB/PATH; the name in the path then says more than the host's.
  for (const candidate of [below, vanity]) {
    const module = parseModulePath(candidate);
    if (module.ok && names.of(module.value).kind === 'private') return module.value;
  }
  return undefined;
}

/** Nothing in it needs escaping: paths of modules have no such characters, and an address was checked when the configuration was read. */
export function goGetPage(module: ModulePath, address: string): string {
  return `<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta name="go-import" content="${module} mod ${address}">
<title>${module}</title>
</head>
<body>go get ${module}</body>
</html>
`;
}
