/**
 * `GET /api/v1/wishes`, and the request file that `goyi bundle wishes` writes: what clients of a hub without upstreams asked for and did not get, and where its
 * checksum databases stand, so that what is carried in can be shown to continue them. One JSON object; the outside reads it whatever wrote it.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { isDatabaseName } from '../protocol/layout.ts';
import { parseModulePath } from '../protocol/module-path.ts';

export const WISHES_PATH = '/api/v1/wishes';
export const WISHES_BYTES_MAX: number = 16 * 1024 * 1024;

/** No hub writes more. */
const WISH_LIST_MAX = 10_000;

const FORMAT = 'goyi wishes 1';

export interface WishEntry {
  readonly module: string;
  /** A canonical version or a query; null: any version. */
  readonly version: string | null;
  readonly count: number;
  /** RFC 3339, UTC. */
  readonly firstSeen: string;
  readonly lastSeen: string;
}

export interface WishTree {
  readonly database: string;
  readonly size: number;
  /** Base64 of the root. */
  readonly root: string;
}

export interface WishList {
  readonly trees: readonly WishTree[];
  readonly wishes: readonly WishEntry[];
}

export interface WishRowFields {
  readonly module: string;
  readonly version: string;
  readonly count: number;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

export function wishEntry({ module, version, count, firstSeenMs, lastSeenMs }: WishRowFields): WishEntry {
  const [firstSeen, lastSeen] = [firstSeenMs, lastSeenMs].map((ms) => new Date(ms).toISOString()) as [string, string];
  return { module, version: version === '' ? null : version, count, firstSeen, lastSeen };
}

export function formatWishList({ trees, wishes }: WishList): string {
  return `${JSON.stringify({ format: FORMAT, trees, wishes }, undefined, 1)}\n`;
}

/** What a build outside needs of it: names and trees, each checked. */
export function parseWishList(
  text: string,
): Parsed<Pick<WishList, 'trees'> & { readonly wishes: readonly Pick<WishEntry, 'module' | 'version'>[] }> {
  let value: { readonly format?: unknown; readonly trees?: unknown; readonly wishes?: unknown } | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return refused('it is no JSON');
  }
  if (value?.format !== FORMAT || !Array.isArray(value.trees) || !Array.isArray(value.wishes)) return refused(`it does not say ${FORMAT}`);
  const trees = value.trees as readonly (Partial<WishTree> | null)[];
  const wishes = value.wishes as readonly (Partial<WishEntry> | null)[];
  if (!trees.every(isTree)) return refused('one of its trees is malformed');
  if (wishes.length > WISH_LIST_MAX) return refused(`it has more than ${WISH_LIST_MAX} wishes`);
  if (!wishes.every(isWish)) return refused('one of its wishes is malformed');
  return parsed({ trees, wishes });
}

function isTree(tree: Partial<WishTree> | null): tree is WishTree {
  const { database, size, root } = tree ?? {};
  return (
    typeof database === 'string' &&
    isDatabaseName(database) &&
    Number.isSafeInteger(size) &&
    (size ?? -1) >= 0 &&
    typeof root === 'string' &&
    /^[\w+/]{43}=$/.test(root)
  );
}

function isWish(wish: Partial<WishEntry> | null): wish is WishEntry {
  const { module, version } = wish ?? {};
  const isVersion = version === null || (typeof version === 'string' && /^[\w.+~/-]{1,240}$/.test(version));
  return typeof module === 'string' && parseModulePath(module).ok && isVersion;
}
