/**
 * The JSON of `@v/VERSION.info` and `@latest`: `{"Version":"v1.5.2","Time":"2018-02-14T15:44:20Z"}` with an optional `Origin`.
 *
 * Go reads JSON keys without regard to case, the last of several wins, and we relay an upstream's bytes as they are: text in which Go
 * could see another version or time than we do is refused, so that what was checked here is what the client gets.
 *
 * https://go.dev/ref/mod#goproxy-protocol
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { foldKey } from './file-path.ts';
import { type Version, parseVersion } from './version.ts';

export interface VersionInfo {
  readonly version: Version;
  /** RFC 3339, as it was sent; absent where the upstream does not know it. */
  readonly time?: string;
  /** `Origin.Hash`, when that reads as the whole name of a Git commit. */
  readonly commit?: string;
}

/** Bytes; real ones, `Origin` included, stay below one KiB. */
export const INFO_BYTES_MAX: number = 64 * 1024;

/** Nested objects and arrays; real ones have two. */
const INFO_DEPTH_MAX = 16;

/**
 * The version is canonical, and exactly `expected` when that is given. Of a query's answer the caller still has to check that the version
 * is of the module's major ({@link checkPathVersion}).
 */
export function parseVersionInfo(bytes: Uint8Array, expected?: Version): Parsed<VersionInfo> {
  if (bytes.length > INFO_BYTES_MAX) return refused(`version info is longer than ${INFO_BYTES_MAX} bytes`);
  const fields = parseFields(bytes);
  if (fields === undefined) return refused('version info is no JSON object in UTF-8');
  for (const key of fields.keys()) {
    const fold = foldKey(key);
    if ((fold === 'version' && key !== 'Version') || (fold === 'time' && key !== 'Time'))
      return refused('version info has a second spelling of Version or Time');
  }
  const text = fields.get('Version');
  if (typeof text !== 'string') return refused('version info has no Version');
  const version = parseVersion(text);
  if (!version.ok) return version;
  if (expected !== undefined && version.value !== expected) return refused(`version info is of ${version.value}, not of ${expected}`);
  const commit = commitOf(fields.get('Origin'));
  const info = { version: version.value, ...(commit !== undefined && { commit }) };
  const time = fields.get('Time') ?? undefined;
  if (time === undefined) return parsed(info);
  if (typeof time !== 'string' || !isRfc3339(time)) return refused('version info has a Time that is not of RFC 3339');
  return parsed({ ...info, time });
}

function commitOf(origin: unknown): string | undefined {
  const hash = typeof origin === 'object' && origin !== null && 'Hash' in origin ? origin.Hash : undefined;
  return typeof hash === 'string' && /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(hash) ? hash : undefined;
}

/** As Go writes it, without `Origin`. Otherwise it inverts {@link parseVersionInfo}. */
export function formatVersionInfo(info: VersionInfo): string {
  return JSON.stringify({ Version: info.version, ...(info.time === undefined ? {} : { Time: info.time }) });
}

function parseFields(bytes: Uint8Array): ReadonlyMap<string, unknown> | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (nestsTooDeep(text)) return undefined;
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? new Map(Object.entries(value)) : undefined;
  } catch {
    return undefined;
  }
}

/** Counts brackets outside strings, before the parser sees them. */
function nestsTooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (inString) {
      if (character === '\\') i += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    if (depth > INFO_DEPTH_MAX) return true;
  }
  return false;
}

/** As strictly as Go's `time.Time.UnmarshalJSON`. */
function isRfc3339(text: string): boolean {
  const fields = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,64})?(?:Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/.exec(text);
  if (fields === null) return false;
  const iso = `${fields[1]}.000Z`;
  const timeMs = Date.parse(iso);
  return !Number.isNaN(timeMs) && new Date(timeMs).toISOString() === iso;
}
