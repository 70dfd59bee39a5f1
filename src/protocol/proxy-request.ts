/**
 * Requests of the GOPROXY protocol and of checksum databases below `/sumdb/NAME/`, from the path of a URL as it was sent.
 *
 * - Percent-escapes are decoded exactly once, as any HTTP server does, and the result is never decoded again. The go command sends `!` as
 *   `%21`, others send it as it is; a `+` is never a space. Escapes of slash, backslash and control characters have no honest use here.
 * - What is left must be the one canonical spelling of a thing: a module path and a version in their strict escaped forms, a tile in its
 *   strict syntax. So one thing has one storage key, and no other text reaches the store.
 * - Malformed (400) is what names something of the protocol wrongly; absent (404) is what is well-formed but nothing the hub has:
 *   another path, an unknown extension, a checksum database that is not configured.
 * - `@v/X.info` where X is no version of this module is a query, even when X is a version of another major: for
 *   `go get github.com/docker/docker@v20.10.7` the go command asks for `v20.10.7.info` and expects `v20.10.7+incompatible`.
 *
 * Time and memory are linear in the length of the path, and that is at most {@link REQUEST_PATH_BYTES_MAX}.
 *
 * https://go.dev/ref/mod#goproxy-protocol, https://go.dev/design/25530-sumdb#checksum-database
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { type ModulePath, unescapePath } from './module-path.ts';
import { TILE_WIDTH } from './tile.ts';
import { type Version, checkPathVersion, unescapeVersion } from './version.ts';

/** A tile as its URL names it. Width 256 is the full tile, whose URL has no `.p/W`. */
export interface TileName {
  readonly level: number | 'data';
  readonly index: number;
  readonly width: number;
}

/** A request of the GOPROXY protocol or of a checksum database below `/sumdb/NAME/`. https://go.dev/ref/mod#goproxy-protocol */
export type ProxyRequest =
  | { readonly kind: 'list'; readonly module: ModulePath }
  | { readonly kind: 'latest'; readonly module: ModulePath }
  | { readonly kind: 'file'; readonly file: 'info' | 'mod' | 'zip'; readonly module: ModulePath; readonly version: Version }
  /** `@v/QUERY.info` where QUERY is no canonical version of this module: a branch, a commit, a version prefix, a version of another major. */
  | { readonly kind: 'query'; readonly module: ModulePath; readonly query: string }
  | { readonly kind: 'sumdb-supported'; readonly database: string }
  | { readonly kind: 'sumdb-latest'; readonly database: string }
  | { readonly kind: 'sumdb-lookup'; readonly database: string; readonly module: ModulePath; readonly version: Version }
  | { readonly kind: 'sumdb-tile'; readonly database: string; readonly tile: TileName };

/** `reason` is one lower-case clause that repeats nothing of the request that could not stand in a log or on a terminal. */
export type ParsedRequest =
  | { readonly ok: true; readonly value: ProxyRequest }
  | { readonly ok: false; readonly status: 'malformed' | 'absent'; readonly reason: string };

/** Of the path as sent. The longest names that go.dev's own mirror knows stay below a tenth of it. */
export const REQUEST_PATH_BYTES_MAX = 4096;

/** Levels as golang.org/x/mod/sumdb/tlog bounds them. */
const TILE_LEVEL_MAX = 63;

/** Groups of three digits: an index stays below 10^15, which a JavaScript number holds exactly and no log comes near. */
const TILE_GROUPS_MAX = 5;

/**
 * `rawPath` is the URL's path with its leading slash, percent-encoded as it was sent, without the query. `databases` are the names of the
 * configured checksum databases; a name may hold slashes, and the longest that fits is meant.
 */
export function parseProxyRequest(rawPath: string, databases: readonly string[]): ParsedRequest {
  if (rawPath.length > REQUEST_PATH_BYTES_MAX) return malformed(`path is longer than ${REQUEST_PATH_BYTES_MAX} bytes`);
  if (!rawPath.startsWith('/')) return malformed('path has no leading slash');
  const path = decodePath(rawPath);
  if (!path.ok) return malformed(path.reason);
  return path.value.startsWith('/sumdb/') ? parseDatabaseRequest(path.value, databases) : parseModuleRequest(path.value);
}

/** `tile/8/0/x001/234.p/7`: below the database's address, as in its URL. Inverts {@link parseTilePath}. */
export function formatTilePath(tile: TileName): string {
  let groups = String(tile.index % 1000).padStart(3, '0');
  for (let rest = Math.floor(tile.index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups = `x${String(rest % 1000).padStart(3, '0')}/${groups}`;
  }
  const width = tile.width === TILE_WIDTH ? '' : `.p/${tile.width}`;
  return `tile/8/${tile.level}/${groups}${width}`;
}

/** Only height 8; the index in the fewest groups of three digits, all but the last after an `x`; `.p/W` with W from 1 to 255 or none. */
export function parseTilePath(text: string): Parsed<TileName> {
  const parts = /^tile\/8\/(data|0|[1-9]\d?)\/((?:x\d{3}\/){0,8}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(text);
  if (parts === null) return refused('tile is not of the form tile/8/LEVEL/INDEX or tile/8/LEVEL/INDEX.p/WIDTH');
  const [, levelText = '', groupsText = '', widthText] = parts;
  const level = levelText === 'data' ? 'data' : Number(levelText);
  if (level !== 'data' && level > TILE_LEVEL_MAX) return refused(`tile has a level above ${TILE_LEVEL_MAX}`);
  const groups = groupsText.split('/');
  if (groups[0] === 'x000') return refused('tile index has a leading group of zeros');
  if (groups.length > TILE_GROUPS_MAX) return refused('tile index is beyond every tree');
  const width = widthText === undefined ? TILE_WIDTH : Number(widthText);
  if (widthText !== undefined && width >= TILE_WIDTH) return refused(`partial tile has a width above ${TILE_WIDTH - 1}`);
  return parsed({ level, index: Number(groups.join('').replaceAll('x', '')), width });
}

function parseModuleRequest(path: string): ParsedRequest {
  if (path.endsWith('/@latest')) {
    const module = unescapePath(path.slice(1, -'/@latest'.length));
    return module.ok ? found({ kind: 'latest', module: module.value }) : malformed(module.reason);
  }
  const at = path.lastIndexOf('/@v/');
  if (at < 0) return absent('nothing is here: this is no path of the GOPROXY protocol');
  const module = unescapePath(path.slice(1, at));
  if (!module.ok) return malformed(module.reason);
  const name = path.slice(at + '/@v/'.length);
  return name === 'list' ? found({ kind: 'list', module: module.value }) : parseFileRequest(module.value, name);
}

function parseFileRequest(module: ModulePath, name: string): ParsedRequest {
  const dot = name.lastIndexOf('.');
  const file = name.slice(dot + 1);
  if (dot < 0 || (file !== 'info' && file !== 'mod' && file !== 'zip'))
    return absent('nothing is here: a module has list, and .info, .mod and .zip of its versions');
  const text = unescapeVersion(name.slice(0, dot));
  if (!text.ok) return malformed(text.reason);
  const version = checkPathVersion(module, text.value);
  if (version.ok) return found({ kind: 'file', file, module, version: version.value });
  if (file !== 'info') return malformed(version.reason);
  // An origin hands queries to git, which would read such a one as an option.
  return text.value.startsWith('-') ? malformed('a query does not begin with a dash') : found({ kind: 'query', module, query: text.value });
}

function parseDatabaseRequest(path: string, databases: readonly string[]): ParsedRequest {
  const start = '/sumdb/'.length;
  let database: string | undefined;
  for (const name of databases) {
    const longer = database === undefined || name.length > database.length;
    if (longer && path.charAt(start + name.length) === '/' && path.startsWith(name, start)) database = name;
  }
  if (database === undefined) return absent('this checksum database is not served here');
  const resource = path.slice(start + database.length + 1);
  if (resource === 'supported') return found({ kind: 'sumdb-supported', database });
  if (resource === 'latest') return found({ kind: 'sumdb-latest', database });
  if (resource.startsWith('lookup/')) return parseLookup(database, resource.slice('lookup/'.length));
  if (resource.startsWith('tile/')) {
    const tile = parseTilePath(resource);
    return tile.ok ? found({ kind: 'sumdb-tile', database, tile: tile.value }) : malformed(tile.reason);
  }
  return absent('nothing is here: a checksum database has supported, latest, lookup and tile');
}

function parseLookup(database: string, text: string): ParsedRequest {
  const at = text.indexOf('@');
  if (at < 0) return malformed('lookup is not of the form MODULE@VERSION');
  const module = unescapePath(text.slice(0, at));
  if (!module.ok) return malformed(module.reason);
  const plain = unescapeVersion(text.slice(at + 1));
  if (!plain.ok) return malformed(plain.reason);
  const version = checkPathVersion(module.value, plain.value);
  return version.ok ? found({ kind: 'sumdb-lookup', database, module: module.value, version: version.value }) : malformed(version.reason);
}

/** The path with its escapes decoded once; refused where an escape is broken, is no UTF-8, or hides what a path may not hold. */
function decodePath(raw: string): Parsed<string> {
  let escapes = false;
  for (let i = 0; i < raw.length; i++) {
    let code = raw.charCodeAt(i);
    if (code === PERCENT) {
      escapes = true;
      code = hexValue(raw.charCodeAt(i + 1)) * 16 + hexValue(raw.charCodeAt(i + 2));
      if (Number.isNaN(code)) return refused('path has a broken percent-escape');
      if (code === SLASH) return refused('path has an escaped slash');
      i += 2;
    } else if (code === SPACE || code >= DELETE || code === QUESTION || code === HASH) {
      return refused('path has a character that must be percent-encoded');
    }
    if (code < SPACE || code === DELETE || code === BACKSLASH) return refused('path has a control character or a backslash');
  }
  if (!escapes) return parsed(raw);
  try {
    return parsed(decodeURIComponent(raw));
  } catch {
    return refused('path has escapes that are no UTF-8');
  }
}

const SPACE = 0x20;
const HASH = 0x23;
const PERCENT = 0x25;
const SLASH = 0x2f;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;
const DELETE = 0x7f;

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : Number.NaN;
}

function found(value: ProxyRequest): ParsedRequest {
  return { ok: true, value };
}

function malformed(reason: string): ParsedRequest {
  return { ok: false, status: 'malformed', reason };
}

function absent(reason: string): ParsedRequest {
  return { ok: false, status: 'absent', reason };
}
