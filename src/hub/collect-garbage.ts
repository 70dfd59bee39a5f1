import type { BlobKey } from '../base/blob-key.ts';
import type { Metadata, UnusedFile } from '../meta/metadata.ts';
import { parseModuleFileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { ListFiles } from './list-files.ts';
import { usesBehindMaxMs } from './usage.ts';

export interface GarbageItem {
  readonly module: string;
  readonly version: string;
  files: number;
  sizeBytes: number;
  lastUsedAtMs: number;
}

export interface GarbageReport {
  readonly items: readonly GarbageItem[];
  readonly files: number;
  readonly sizeBytes: number;
}

export interface GarbageParts {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly lists: Pick<ListFiles, 'refresh' | 'room'>;
}

const rowsAtOnce = 1_000;
const itemsMax = 10_000;

/**
 * Removes (or, in a dry run, counts) what was last used before the cutoff; what may have been used since then, and not yet written down, stays.
 * Records and tiles of checksum databases are small and stay.
 */
export async function collectGarbage(
  parts: GarbageParts,
  request: { cutoffMs: number; dryRun: boolean },
  signal: AbortSignal,
): Promise<GarbageReport> {
  const items = new Map<string, GarbageItem>();
  let files = 0;
  let sizeBytes = 0;
  for (let last: UnusedFile | undefined; ; ) {
    const rows = await parts.metadata.filesUnusedSince(request.cutoffMs - usesBehindMaxMs, rowsAtOnce, last);
    for (const row of rows) {
      files += 1;
      sizeBytes += row.sizeBytes;
      count(items, row);
    }
    signal.throwIfAborted();
    if (!request.dryRun) await removePage(parts, rows, signal);
    last = rows.at(-1);
    if (last === undefined) return { items: [...items.values()], files, sizeBytes };
  }
}

/** A module's list is written once a page, not once a version. */
async function removePage(parts: GarbageParts, rows: readonly UnusedFile[], signal: AbortSignal): Promise<void> {
  const changed = new Set<ModulePath>();
  try {
    for (const { key } of rows) {
      signal.throwIfAborted();
      await removeFile(parts, key);
      const file = parseModuleFileKey(key);
      if (file?.file === 'zip') changed.add(file.module);
    }
  } finally {
    for (const module of changed) parts.lists.refresh(module);
  }
  await parts.lists.room();
}

/** The row goes first: a crash between leaves a file without a row, which is proved again before anybody gets it. */
async function removeFile({ store, metadata }: GarbageParts, key: BlobKey): Promise<void> {
  await metadata.forgetFile(key);
  await store.remove(key);
}

function count(items: Map<string, GarbageItem>, row: UnusedFile): void {
  const name = `${row.module}@${row.version}`;
  const item = items.get(name);
  if (item !== undefined) {
    item.files += 1;
    item.sizeBytes += row.sizeBytes;
    item.lastUsedAtMs = Math.max(item.lastUsedAtMs, row.lastUsedAtMs);
  } else if (items.size < itemsMax) {
    items.set(name, { module: row.module, version: row.version, files: 1, sizeBytes: row.sizeBytes, lastUsedAtMs: row.lastUsedAtMs });
  }
}
