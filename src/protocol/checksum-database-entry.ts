/**
 * Which checksum database, written as in GOSUMDB: `NAME` of a known one, or `NAME+HASH+KEY`; either may be followed by a space and the
 * address where it answers. `sum.golang.google.cn` is the known `sum.golang.org` at that address. The name reads as `host[/path]`.
 * https://go.dev/ref/mod#environment-variables (GOSUMDB); the known key is that of cmd/go/internal/modfetch/key.go.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { isDatabaseName } from './layout.ts';
import { type VerifierKey, parseVerifierKey } from './note.ts';

export interface ChecksumDatabaseEntry {
  readonly name: string;
  readonly key: VerifierKey;
  /** Where it answers, when the entry says so; transports through mirrors do not count then. No trailing slash. */
  readonly url?: string;
}

const KNOWN_KEYS: ReadonlyMap<string, string> = new Map([
  ['sum.golang.org', 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8'],
]);
const ALIASES: ReadonlyMap<string, string> = new Map([['sum.golang.google.cn', 'sum.golang.org https://sum.golang.google.cn']]);

export function parseChecksumDatabaseEntry(text: string): Parsed<ChecksumDatabaseEntry> {
  const trimmed = text.trim();
  const [keyText, address, ...rest] = (ALIASES.get(trimmed) ?? trimmed).split(/[ \t]+/);
  if (keyText === undefined || keyText === '' || rest.length > 0)
    return refused('a checksum database reads NAME, NAME+HASH+KEY, or either and a URL');
  if (!keyText.includes('+') && !KNOWN_KEYS.has(keyText))
    return refused(`${keyText} is no checksum database with a known key: write NAME+HASH+KEY`);
  const key = parseVerifierKey(KNOWN_KEYS.get(keyText) ?? keyText);
  if (!key.ok) return key;
  const { name } = key.value;
  if (!isDatabaseName(name)) return refused(`the name ${JSON.stringify(name)} of a checksum database must read host[/path]`);
  if (address === undefined) return parsed({ name, key: key.value });
  const url = URL.parse(address);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    return refused(`${name} must be followed by an http or https URL`);
  if (url.search !== '' || url.hash !== '') return refused(`the URL of ${name} must not have a query or a fragment`);
  return parsed({ name, key: key.value, url: url.href.replace(/\/+$/, '') });
}
