import type { BlobKey } from '../base/blob-key.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { unreachable } from '../base/invariant.ts';
import type { FileRow, Metadata } from '../meta/metadata.ts';
import type { ChecksumDatabase } from '../origin/checksum-database.ts';
import type { ZipProver } from '../origin/zip-prover.ts';
import { goModHashOfDigest } from '../protocol/dirhash.ts';
import { MODULES_PREFIX } from '../protocol/layout.ts';
import type { BlobStore, OpenBlob } from '../store/blob-store.ts';
import { condemn } from './condemn.ts';
import type { Filler } from './fill.ts';
import type { ListFiles } from './list-files.ts';
import { ListWalk } from './list-walk.ts';
import { artefactAt } from './module-files.ts';
import { digest } from './stored-files.ts';

export interface ScrubParts {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly prover: ZipProver;
  /** Undefined with `verify: off`: digests are compared, proofs are not. */
  readonly database: ChecksumDatabase | undefined;
  /** Fetches a bad file again, and proves files that metadata does not know. */
  readonly filler: Filler;
  /** Brings `@v/list` of every module up to date: a crash may have left it behind. */
  readonly lists: Pick<ListFiles, 'refresh' | 'room'>;
  readonly events: Events;
}

export interface ScrubReport {
  checked: number;
  sizeBytes: number;
  repaired: number;
  readonly setAside: { readonly key: string; readonly reason: string }[];
  /** Intact, but no database could vouch for them: stored with `verify: off`, or none can be asked now. */
  unproved: number;
  missing: number;
  unknown: number;
}

const rowsAtOnce = 200;

/** At most this many bad files are named in a report; all are counted in the log. */
const namedMax = 10_000;

/** Reads every stored file again, compares it with its seal and proves it once more. Works beside a running hub: everything it does is what a request would do. */
export async function scrubStore(
  parts: ScrubParts,
  onProgress: (progress: { checked: number; total: number }) => void,
  signal: AbortSignal,
): Promise<ScrubReport> {
  const report: ScrubReport = { checked: 0, sizeBytes: 0, repaired: 0, setAside: [], unproved: 0, missing: 0, unknown: 0 };
  const { files: total } = await parts.metadata.totals();
  for (let after: BlobKey | undefined; ; ) {
    const rows = await parts.metadata.filesAfter(after, rowsAtOnce);
    for (const { key } of rows) {
      signal.throwIfAborted();
      await scrubFile(parts, key, report, signal);
      onProgress({ checked: report.checked, total: Math.max(total, report.checked) });
    }
    after = rows.at(-1)?.key;
    if (after === undefined) break;
  }
  await proveUnknown(parts, report, signal);
  return report;
}

async function scrubFile(parts: ScrubParts, key: BlobKey, report: ScrubReport, signal: AbortSignal): Promise<void> {
  // Since the page was read the file may have been removed or stored anew.
  const row = await parts.metadata.file(key);
  if (row === undefined) return;
  report.checked += 1;
  report.sizeBytes += row.sizeBytes;
  const verdict = await judge(parts, row, signal);
  switch (verdict.kind) {
    case 'sound':
      return;
    case 'missing':
      // One that nobody has seen yet is in an import that is being brought to its end: its file is about to get its name, and is nobody's without the row.
      if (row.fingerprint === '') return;
      report.missing += 1;
      // What has no other copy is not forgotten: somebody has to hear that it is lost.
      return row.proof.kind === 'private' ? undefined : parts.metadata.forgetFile(key, row.fingerprint);
    case 'unproved':
      return proveNow(parts, key, report, signal);
    case 'unconfirmed':
      report.unproved += 1;
      return;
    case 'bad':
      if (await condemn(parts, { key, fingerprint: verdict.fingerprint, row }, verdict.reason)) {
        await repair(parts, key, verdict.reason, report, signal);
      }
      return;
    default:
      return unreachable(verdict);
  }
}

type Verdict =
  | { readonly kind: 'sound' | 'missing' }
  /** Intact, and stored while `verify` was off. */
  | { readonly kind: 'unproved' }
  /** Intact, and what it was proved by cannot be asked now. */
  | { readonly kind: 'unconfirmed' }
  | { readonly kind: 'bad'; readonly fingerprint: string; readonly reason: string };

async function judge(parts: ScrubParts, row: FileRow, signal: AbortSignal): Promise<Verdict> {
  const opened = await parts.store.open(row.key);
  if (opened === undefined) return { kind: 'missing' };
  await using blob = opened;
  const reason = await findFault(parts, row, blob, signal);
  if (reason !== undefined) return { kind: 'bad', fingerprint: blob.fingerprint, reason };
  if (blob.fingerprint !== row.fingerprint) await parts.metadata.recordFingerprint(row.key, blob.fingerprint);
  if (row.kind === 'info') return { kind: 'sound' };
  if (row.proof.kind === 'private') return { kind: 'sound' };
  if (row.proof.kind === 'none') return { kind: 'unproved' };
  if (parts.database === undefined) return { kind: 'sound' };
  const recorded = await recordedHash(parts.database, row, signal);
  if (recorded === undefined) return { kind: 'unconfirmed' };
  if (recorded === row.h1) return { kind: 'sound' };
  return { kind: 'bad', fingerprint: blob.fingerprint, reason: `${parts.database.name} records ${recorded} and the file has ${row.h1}` };
}

/** Why the bytes cannot be served any more; undefined when they are what they should be. */
async function findFault(parts: ScrubParts, row: FileRow, blob: OpenBlob, signal: AbortSignal): Promise<string | undefined> {
  if (blob.sizeBytes !== row.sizeBytes) return `it has ${blob.sizeBytes} bytes and was sealed with ${row.sizeBytes}`;
  try {
    if ((await digest(blob, signal)) !== row.sha256) return 'its digest differs from the sealed one';
    const h1 = await hashAgain(parts, row, blob.localPath, signal);
    return h1 === row.h1 ? undefined : `its module hash is ${h1} and was recorded as ${row.h1}`;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'zip-invalid' || code === 'storage-fault') return messageOf(error);
    throw error;
  }
}

async function hashAgain(parts: ScrubParts, row: FileRow, localPath: string | undefined, signal: AbortSignal): Promise<string | undefined> {
  if (row.kind === 'mod') return goModHashOfDigest(row.sha256);
  if (row.kind === 'info' || localPath === undefined) return row.h1;
  return (await parts.prover.prove({ localPath, module: row.module, version: row.version }, signal)).h1;
}

/**
 * What the database says the hash is; undefined when it cannot be asked. That is no fault of the file, and neither is a transport that says
 * there is no such record: unlike a record, an absence is not signed, and the file was proved before.
 */
async function recordedHash(database: ChecksumDatabase, row: FileRow, signal: AbortSignal): Promise<string | undefined> {
  try {
    const record = await database.lookup(row.module, row.version, { priority: 'prefetch' }, signal);
    return row.kind === 'mod' ? record?.modHash : record?.zipHash;
  } catch (error) {
    signal.throwIfAborted();
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

async function repair(parts: ScrubParts, key: BlobKey, reason: string, report: ScrubReport, signal: AbortSignal): Promise<void> {
  try {
    await fill(parts, key, signal);
    report.repaired += 1;
  } catch (error) {
    signal.throwIfAborted();
    addAside(report, key, `${reason}; not replaced: ${messageOf(error)}`);
  }
}

/** Files that lie in the store and have no row: a restored backup, files copied in by hand. Passes every zip and every list on the disk. */
async function proveUnknown(parts: ScrubParts, report: ScrubReport, signal: AbortSignal): Promise<void> {
  const walk = new ListWalk(parts.lists);
  for await (const key of parts.store.keys(MODULES_PREFIX)) {
    signal.throwIfAborted();
    await walk.pass(key);
    if (artefactAt(key) === undefined || (await parts.metadata.file(key)) !== undefined) continue;
    report.unknown += 1;
    await proveNow(parts, key, report, signal);
  }
  walk.end();
}

/** Proves a stored file as one that was just fetched. A bad one is set aside and fetched; one that cannot be proved now stays and is not served. */
async function proveNow(parts: ScrubParts, key: BlobKey, report: ScrubReport, signal: AbortSignal): Promise<void> {
  if (parts.database === undefined && (await parts.metadata.file(key)) !== undefined) {
    report.unproved += 1;
    return;
  }
  try {
    await fill(parts, key, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (await isThere(parts.store, key)) report.unproved += 1;
    else addAside(report, key, messageOf(error));
  }
}

async function fill(parts: ScrubParts, key: BlobKey, signal: AbortSignal): Promise<void> {
  const artefact = artefactAt(key);
  if (artefact === undefined) throw new HubError('not-found', 'its name is no module file');
  await parts.filler.fill(artefact, 'prefetch', signal);
}

async function isThere(store: BlobStore, key: BlobKey): Promise<boolean> {
  const opened = await store.open(key);
  if (opened === undefined) return false;
  await using _blob = opened;
  return true;
}

function addAside(report: ScrubReport, key: BlobKey, reason: string): void {
  if (report.setAside.length < namedMax) report.setAside.push({ key, reason });
}
