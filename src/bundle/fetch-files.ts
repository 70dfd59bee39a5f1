import { codeOf, type ErrorCode, HubError, messageOf } from '../base/errors.ts';
import type { ArtefactKind } from '../base/events.ts';
import type { Gate } from '../base/gate.ts';
import { moduleFileKey } from '../protocol/layout.ts';
import { escapePath, type ModulePath, parseModulePath } from '../protocol/module-path.ts';
import { checkPathVersion, escapeVersion, type Version } from '../protocol/version.ts';
import { INFO_BYTES_MAX, parseVersionInfo } from '../protocol/version-info.ts';
import type { Wanted } from './closure.ts';
import type { ProxySource } from './proxy-source.ts';
import type { Staging } from './staging.ts';

/** What could not be had, and why. */
export interface Lack {
  readonly path: string;
  readonly version: string;
  readonly file: ArtefactKind | 'record' | undefined;
  readonly code: ErrorCode;
  readonly reason: string;
}

export interface FetchParts {
  readonly source: ProxySource;
  readonly staging: Staging;
  readonly small: Gate;
  readonly lacks: Lack[];
  readonly onFile: (sizeBytes: number) => void;
}

export const FILE_BYTES_MAX: Readonly<Record<ArtefactKind, number>> = {
  info: INFO_BYTES_MAX,
  mod: 16 * 1024 * 1024,
  zip: 500 * 1024 * 1024,
};

/** Files asked for at once; a graph is thousands of small ones. */
export const SMALL_SLOTS = 16;
export const QUEUE_MAX = 400_000;

/** True when the file is in staging; else the lack is noted. @throws {HubError} storage-full, storage-fault, or the signal's reason */
export async function fetchFile({ path, version, file }: Wanted, parts: FetchParts, signal: AbortSignal): Promise<boolean> {
  const resource = `${escapePath(path)}/@v/${escapeVersion(version)}.${file}`;
  const name = moduleFileKey(path, version, file);
  const leave = await parts.small.enter({ priority: 'waited-for' }, signal);
  try {
    if (await parts.staging.fetch(name, { resource, sizeMaxBytes: FILE_BYTES_MAX[file] }, signal)) {
      parts.onFile((await parts.staging.sizeOf(name)) ?? 0);
      return true;
    }
    lack(parts, { path, version, file }, new HubError('not-found', `${parts.source.name} does not have it`));
  } catch (error) {
    lack(parts, { path, version, file }, error);
  } finally {
    leave();
  }
  return false;
}

/** @throws what no other file would fare better with */
export function lack(
  { lacks }: Pick<FetchParts, 'lacks'>,
  { path, version, file }: { readonly path: string; readonly version: string; readonly file: Lack['file'] },
  error: unknown,
): void {
  const code = codeOf(error);
  if (code === undefined || code === 'storage-full' || code === 'storage-fault' || code === 'canceled') throw error;
  if (!lacks.some((other) => other.path === path && other.version === version && other.file === file))
    lacks.push({ path, version, file, code, reason: messageOf(error) });
}

/** The version that a query stands for; undefined when the source knows none. @throws {HubError} upstream-invalid, origin-unavailable … */
export async function askVersion(
  path: ModulePath,
  query: string,
  { source }: FetchParts,
  signal: AbortSignal,
): Promise<{ readonly version: Version; readonly info: Buffer } | undefined> {
  const resource = query === 'latest' ? '@latest' : `@v/${encodeURIComponent(escapeVersion(query))}.info`;
  const info = await source.get(`${escapePath(path)}/${resource}`, INFO_BYTES_MAX, signal);
  if (info === undefined) return undefined;
  const read = parseVersionInfo(info);
  const version = read.ok ? checkPathVersion(path, read.value.version) : read;
  if (!version.ok)
    throw new HubError('upstream-invalid', `${source.name} answers ${path}@${query} with what is refused: ${version.reason}`);
  return { version: version.value, info };
}

/** Itself, and every path above it that could be a module, the longest first. */
export function pathsFrom(path: ModulePath): readonly ModulePath[] {
  const elements = path.split('/');
  return elements.flatMap((_, i) => {
    const above = parseModulePath(elements.slice(0, elements.length - i).join('/'));
    return above.ok ? [above.value] : [];
  });
}
