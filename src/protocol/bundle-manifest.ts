/**
 * The list of all files of a bundle, one a line in the order of their names:
 *
 *     + <SHA-256> <bytes> <name>     the bundle has it
 *     = <SHA-256> <bytes> <name>     its parent, or a bundle before that, has it
 *
 * So each bundle says what there is altogether when it was made, which makes the next delta possible from the manifest alone and leaves nothing to
 * mix. Names are those of the store (`layout.ts`), checked by the same parsers, and nothing else can be carried:
 *
 *     modules/<escaped module>/@v/<escaped version>.{info,mod,zip}     modules/<escaped module>/@v/list
 *     modules/<escaped module>/@latest                                 modules/sumdb/<database>/{supported,latest,lookup/…,tile/8/…}
 *     vulndb/ID/GO-YYYY-NNNN.json                                      vulndb/index/{db,modules,vulns}.json
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import type { ArtefactKind } from '../base/events.ts';
import { LOOKUP_BYTES_MAX } from './checksum-record.ts';
import {
  latestKey,
  MODULES_PREFIX,
  parseListKey,
  parseLookupKey,
  parseModuleFileKey,
  parseTileKey,
  sumdbFolder,
  supportedKey,
} from './layout.ts';
import { escapePath, type ModulePath, unescapePath } from './module-path.ts';
import { NOTE_BYTES_MAX } from './note.ts';
import type { HashTile } from './tile.ts';
import { HASH_BYTES } from './tree-hash.ts';
import type { Version } from './version.ts';
import { INDEX_BYTES_MAX, parseVulnerabilityKey, VULNERABILITY_BYTES_MAX, type VulnerabilityIndex } from './vulnerability-database.ts';

export interface ManifestEntry {
  readonly name: string;
  readonly sizeBytes: number;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
  /** Whether this bundle has the bytes. */
  readonly carried: boolean;
}

/** What a file of a bundle is. */
export type BundleItem =
  | { readonly kind: 'file'; readonly file: ArtefactKind; readonly module: ModulePath; readonly version: Version }
  | { readonly kind: 'list' | 'latest-version'; readonly module: ModulePath }
  | { readonly kind: 'lookup'; readonly database: string; readonly module: ModulePath; readonly version: Version }
  | { readonly kind: 'tile'; readonly database: string; readonly tile: HashTile }
  | { readonly kind: 'head' | 'supported'; readonly database: string }
  | { readonly kind: 'vulnerability'; readonly id: string }
  | { readonly kind: 'vulnerability-index'; readonly index: VulnerabilityIndex };

export const MANIFEST_ENTRIES_MAX = 400_000;

const MIB = 1024 * 1024;
const sizesMax: Readonly<Record<ArtefactKind, number>> = { info: 64 * 1024, mod: 16 * MIB, zip: 500 * MIB };

export function formatManifest(entries: readonly ManifestEntry[]): string {
  return entries.map(({ name, sizeBytes, sha256, carried }) => `${carried ? '+' : '='} ${sha256} ${sizeBytes} ${name}\n`).join('');
}

/** Names are looked at by {@link bundleItem}. */
export function parseManifest(text: string): Parsed<readonly ManifestEntry[]> {
  const entries: ManifestEntry[] = [];
  const line = /([+=]) ([0-9a-f]{64}) (0|[1-9]\d{0,14}) ([\x21-\x7e]{1,4096})\n/y;
  let last = '';
  while (line.lastIndex < text.length) {
    const at = line.lastIndex;
    const [, sign, sha256 = '', size, name = ''] = line.exec(text) ?? [];
    if (sign === undefined) return refused(`line ${entries.length + 1} of its manifest (at byte ${at}) is malformed`);
    if (name <= last) return refused(`line ${entries.length + 1} of its manifest is out of order`);
    if (entries.length === MANIFEST_ENTRIES_MAX) return refused(`its manifest has more than ${MANIFEST_ENTRIES_MAX} lines`);
    last = name;
    entries.push({ name, sizeBytes: Number(size), sha256, carried: sign === '+' });
  }
  return parsed(entries);
}

/** What the file is, if one of this name and size can be in a bundle of these databases. */
export function bundleItem(
  databases: readonly string[],
  { name, sizeBytes }: Pick<ManifestEntry, 'name' | 'sizeBytes'>,
): Parsed<BundleItem> {
  const found = itemNamed(databases, name);
  if (found === undefined) return refused(`${name} is nothing that this goyi knows`);
  const { item, sizeMaxBytes } = found;
  return sizeBytes <= sizeMaxBytes
    ? parsed(item)
    : refused(`${name} has ${sizeBytes} bytes, more than the ${sizeMaxBytes} that are allowed`);
}

type Named = { readonly item: BundleItem; readonly sizeMaxBytes: number } | undefined;

function itemNamed(databases: readonly string[], name: string): Named {
  for (const database of databases) if (name.startsWith(sumdbFolder(database))) return itemOfDatabase(database, name);
  const vulnerability = parseVulnerabilityKey(name);
  if (vulnerability !== undefined)
    return { item: vulnerability, sizeMaxBytes: vulnerability.kind === 'vulnerability' ? VULNERABILITY_BYTES_MAX : INDEX_BYTES_MAX };
  const file = parseModuleFileKey(name);
  if (file !== undefined) {
    const { module, version } = file;
    return file.file === 'ziphash'
      ? undefined
      : { item: { kind: 'file', file: file.file, module, version }, sizeMaxBytes: sizesMax[file.file] };
  }
  const listed = parseListKey(name);
  if (listed !== undefined) return { item: { kind: 'list', module: listed }, sizeMaxBytes: 16 * MIB };
  const latest = latestVersionModule(name);
  return latest === undefined ? undefined : { item: { kind: 'latest-version', module: latest }, sizeMaxBytes: sizesMax.info };
}

function itemOfDatabase(database: string, name: string): Named {
  if (name === supportedKey(database)) return { item: { kind: 'supported', database }, sizeMaxBytes: 0 };
  if (name === latestKey(database)) return { item: { kind: 'head', database }, sizeMaxBytes: NOTE_BYTES_MAX };
  const lookup = parseLookupKey(database, name);
  if (lookup !== undefined) return { item: { kind: 'lookup', database, ...lookup }, sizeMaxBytes: LOOKUP_BYTES_MAX };
  const tile = parseTileKey(database, name);
  if (tile === undefined || tile.level === 'data') return undefined;
  const { level, index, width } = tile;
  return { item: { kind: 'tile', database, tile: { level, index, width } }, sizeMaxBytes: width * HASH_BYTES };
}

const LATEST_VERSION = '/@latest';

/** The `.info` of the version that stands for the latest, for who reads the files without a hub. */
export function latestVersionName(module: ModulePath): string {
  return `${MODULES_PREFIX}${escapePath(module)}${LATEST_VERSION}`;
}

function latestVersionModule(name: string): ModulePath | undefined {
  if (!name.startsWith(MODULES_PREFIX) || !name.endsWith(LATEST_VERSION)) return undefined;
  const module = unescapePath(name.slice(MODULES_PREFIX.length, -LATEST_VERSION.length));
  return module.ok ? module.value : undefined;
}
