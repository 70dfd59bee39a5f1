/**
 * Where the things of the GOPROXY protocol lie below the data folder or the bucket's prefix. `modules/` is itself a whole GOPROXY
 * that `file://` or any static server can serve:
 *
 *     modules/<escaped module>/@v/<escaped version>.{info,mod,zip,ziphash}
 *     modules/<escaped module>/@v/list
 *     modules/sumdb/<database>/{supported,latest,lookup/<escaped module>@<escaped version>,tile/8/…}
 *
 * `sumdb` cannot be taken for a module: the first element of a module path has a dot. Keys are made from checked names only, so none of
 * them leads out of `modules/`, and since names are escaped no two keys are the same on a disk that ignores case.
 *
 * https://go.dev/ref/mod#module-cache, https://go.dev/ref/mod#serving-from-proxy
 */
import type { BlobKey } from '../base/blob-key.ts';
import { invariant } from '../base/invariant.ts';
import { checkFilePath } from './file-path.ts';
import { type ModulePath, escapePath, unescapePath } from './module-path.ts';
import { type TileName, formatTilePath, parseTilePath } from './proxy-request.ts';
import { type Version, checkPathVersion, escapeVersion, unescapeVersion } from './version.ts';

/** `ziphash` holds the `h1:…` of the zip, as the go command writes it into its own cache. */
export type ModuleFile = 'info' | 'mod' | 'zip' | 'ziphash';

export interface ModuleFileName {
  readonly module: ModulePath;
  readonly version: Version;
  readonly file: ModuleFile;
}

/** Every key of this layout begins so. */
export const MODULES_PREFIX = 'modules/';

export function moduleFileKey(module: ModulePath, version: Version, file: ModuleFile): BlobKey {
  return `${versionsFolder(module)}${escapeVersion(version)}.${file}` as BlobKey;
}

/** The stored versions of a module. */
export function listKey(module: ModulePath): BlobKey {
  return `${versionsFolder(module)}list` as BlobKey;
}

/** Inverts {@link listKey}; undefined for every other key. */
export function parseListKey(key: string): ModulePath | undefined {
  if (!key.startsWith(MODULES_PREFIX) || !key.endsWith('/@v/list')) return undefined;
  const module = unescapePath(key.slice(MODULES_PREFIX.length, -'/@v/list'.length));
  return module.ok ? module.value : undefined;
}

/** Inverts {@link moduleFileKey}; undefined for every other key. */
export function parseModuleFileKey(key: string): ModuleFileName | undefined {
  const at = key.lastIndexOf('/@v/');
  const dot = key.lastIndexOf('.');
  if (!key.startsWith(MODULES_PREFIX) || at < MODULES_PREFIX.length || dot < at) return undefined;
  const file = key.slice(dot + 1);
  if (file !== 'info' && file !== 'mod' && file !== 'zip' && file !== 'ziphash') return undefined;
  const module = unescapePath(key.slice(MODULES_PREFIX.length, at));
  const plain = unescapeVersion(key.slice(at + '/@v/'.length, dot));
  if (!module.ok || !plain.ok) return undefined;
  const version = checkPathVersion(module.value, plain.value);
  return version.ok ? { module: module.value, version: version.value, file } : undefined;
}

/** An empty file whose presence tells the go command that this GOPROXY carries the database. */
export function supportedKey(database: string): BlobKey {
  return `${sumdbFolder(database)}supported` as BlobKey;
}

/** The newest signed note of the database; replaced, never immutable. */
export function latestKey(database: string): BlobKey {
  return `${sumdbFolder(database)}latest` as BlobKey;
}

/** The answer of the database to a look-up: record and signed note. */
export function lookupKey(database: string, module: ModulePath, version: Version): BlobKey {
  return `${sumdbFolder(database)}lookup/${escapePath(module)}@${escapeVersion(version)}` as BlobKey;
}

export function tileKey(database: string, tile: TileName): BlobKey {
  return `${sumdbFolder(database)}${formatTilePath(tile)}` as BlobKey;
}

/** Inverts {@link lookupKey}; undefined for every other key. */
export function parseLookupKey(database: string, key: string): { readonly module: ModulePath; readonly version: Version } | undefined {
  const prefix = `${sumdbFolder(database)}lookup/`;
  const at = key.lastIndexOf('@');
  if (!key.startsWith(prefix) || at < prefix.length) return undefined;
  const module = unescapePath(key.slice(prefix.length, at));
  const plain = unescapeVersion(key.slice(at + 1));
  if (!module.ok || !plain.ok) return undefined;
  const version = checkPathVersion(module.value, plain.value);
  return version.ok ? { module: module.value, version: version.value } : undefined;
}

/** Inverts {@link tileKey}; undefined for every other key. */
export function parseTileKey(database: string, key: string): TileName | undefined {
  const prefix = sumdbFolder(database);
  const tile = key.startsWith(prefix) ? parseTilePath(key.slice(prefix.length)) : undefined;
  return tile?.ok === true ? tile.value : undefined;
}

function versionsFolder(module: ModulePath): string {
  return `${MODULES_PREFIX}${escapePath(module)}/@v/`;
}

/** What all keys of a database begin with. The configuration has checked its name; one that could leave the folder would be a fault there. */
export function sumdbFolder(database: string): string {
  invariant(isDatabaseName(database), `checksum database name ${JSON.stringify(database)} is no relative path`);
  return `${MODULES_PREFIX}sumdb/${database}/`;
}

/** Whether a checksum database of this name can be stored and asked for below `/sumdb/`: it reads as `host[/path]`. */
export function isDatabaseName(name: string): boolean {
  return name.length <= 255 && checkFilePath(name).ok && !/[^A-Za-z0-9._~/-]/.test(name);
}
