import { HubError } from '../base/errors.ts';
import { createdMs } from '../protocol/bundle-head.ts';
import type { BundleFile } from './bundle-file.ts';

/** What a hub remembers of the bundles that it took in. */
export interface ImportedBundle {
  readonly digest: string;
  readonly created: string;
  /** `NAME+HASH+KEY` of who signed it. */
  readonly key: string;
  readonly source: string;
  readonly importedAtMs: number;
  /** New to the hub. */
  readonly files: number;
  readonly sizeBytes: number;
}

export const IMPORTED_SETTING = 'bundles.imported';
/** The digest of the bundle whose files are being given their names; empty when none are. */
export const PLACING_SETTING = 'bundles.placing';

/** Bundles remembered, the newest; a bundle a day for years. */
const REMEMBERED_MAX = 2_000;
const DAY_MS = 86_400_000;

export function parseImported(text: string | undefined): readonly ImportedBundle[] {
  return text === undefined || text === '' ? [] : (JSON.parse(text) as readonly ImportedBundle[]);
}

export function formatImported(imported: readonly ImportedBundle[]): string {
  return JSON.stringify(imported.slice(-REMEMBERED_MAX));
}

/** Whole days since the newest bundle was made; undefined when none was imported. */
export function newestAgeDays(imported: readonly ImportedBundle[], nowMs: number): number | undefined {
  const newestMs = Math.max(...imported.map((bundle) => createdMs(bundle) ?? 0));
  return imported.length === 0 ? undefined : Math.max(0, Math.floor((nowMs - newestMs) / DAY_MS));
}

/**
 * Whether the bundle is the next in the row: never older than what the same key signed and was taken in, never from the future (which would shut out all
 * that come after it), and never without the one it adds to.
 * @throws {HubError} bundle-invalid
 */
export function checkOrder(bundle: BundleFile, imported: readonly ImportedBundle[], nowMs: number): void {
  const { head, key } = bundle;
  const created = createdMs(head) ?? 0;
  if (created > nowMs + DAY_MS)
    throw bundle.refused(`it says that it was made at ${head.created}, which is yet to come: set the clock of either machine right`);
  const newer = imported.find((other) => other.key === key.text && (createdMs(other) ?? 0) > created);
  if (newer !== undefined)
    throw bundle.refused(
      `it was made at ${head.created}, and one of the same key made at ${newer.created} was imported already: bring one that was made after it, and if the clock outside was set back, make it with --created and a time after ${newer.created}`,
    );
  const { parent } = head;
  if (parent === undefined || imported.some(({ digest }) => digest === parent)) return;
  throw bundle.refused(
    `it only adds to the bundle ${parent.slice(0, 12)}…, which was not imported here: import that one first, or bring one made without --since`,
  );
}

/** @throws {HubError} storage-full */
export function checkRoom(neededBytes: number, freeBytes: number | undefined): void {
  const spareBytes = 64 * 1024 * 1024;
  if (freeBytes === undefined || freeBytes >= neededBytes + spareBytes) return;
  throw new HubError('storage-full', `the bundle needs ${neededBytes} bytes, and ${freeBytes} are free: nothing of it was taken`);
}
