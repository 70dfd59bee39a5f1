import type { BlobKey } from '../base/blob-key.ts';
import type { Metadata, UnusedFile } from '../meta/metadata.ts';
import { parseModuleFileKey } from '../protocol/layout.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { ListFiles } from './list-files.ts';

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

const rowsAtOnce = 1_000;
const itemsMax = 10_000;

/** Removes (or, in a dry run, counts) what was last used before the cutoff. Records and tiles of checksum databases are small and stay. */
export async function collectGarbage(
  parts: { store: BlobStore; metadata: Metadata; lists: ListFiles },
  request: { cutoffMs: number; dryRun: boolean },
  signal: AbortSignal,
): Promise<GarbageReport> {
  const items = new Map<string, GarbageItem>();
  let files = 0;
  let sizeBytes = 0;
  for (let last: UnusedFile | undefined; ; ) {
    const rows = await parts.metadata.filesUnusedSince(request.cutoffMs, rowsAtOnce, last);
    for (const row of rows) {
      signal.throwIfAborted();
      files += 1;
      sizeBytes += row.sizeBytes;
      count(items, row);
      if (!request.dryRun) await removeFile(parts, row.key);
    }
    last = rows.at(-1);
    if (last === undefined) return { items: [...items.values()], files, sizeBytes };
  }
}

/** The row goes first: a crash between leaves a file without a row, which is proved again before anybody gets it. */
async function removeFile(parts: { store: BlobStore; metadata: Metadata; lists: ListFiles }, key: BlobKey): Promise<void> {
  await parts.metadata.forgetFile(key);
  await parts.store.remove(key);
  const file = parseModuleFileKey(key);
  if (file?.file === 'zip') parts.lists.refresh(file.module);
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
