import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { FileRow, Metadata } from '../meta/metadata.ts';
import type { ChecksumDatabase } from '../origin/checksum-database.ts';
import type { ZipProver } from '../origin/zip-prover.ts';
import { goModHashOfDigest } from '../protocol/dirhash.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Filler } from './fill.ts';
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
  readonly events: Events;
}

export interface ScrubReport {
  checked: number;
  sizeBytes: number;
  repaired: number;
  readonly setAside: { readonly key: string; readonly reason: string }[];
  unproved: number;
  missing: number;
  unknown: number;
}

const rowsAtOnce = 200;

/** At most this many bad files are named in a report; all are counted in the log. */
const namedMax = 10_000;

/** Reads every stored file again, compares it with its seal and proves it once more. Works beside a running hub: everything it does is what a request would do. */
export async function scrubStore(parts: ScrubParts, onProgress: (progress: { checked: number; total: number }) => void, signal: AbortSignal): Promise<ScrubReport> {
  const report: ScrubReport = { checked: 0, sizeBytes: 0, repaired: 0, setAside: [], unproved: 0, missing: 0, unknown: 0 };
  const { files: total } = await parts.metadata.totals();
  for (let after: FileRow['key'] | undefined; ; ) {
    const rows = await parts.metadata.filesAfter(after, rowsAtOnce);
    for (const row of rows) {
      signal.throwIfAborted();
      await scrubRow(parts, row, report, signal);
      onProgress({ checked: report.checked, total: Math.max(total, report.checked) });
    }
    after = rows.at(-1)?.key;
    if (after === undefined) break;
  }
  await proveUnknown(parts, report, signal);
  return report;
}

async function scrubRow(parts: ScrubParts, row: FileRow, report: ScrubReport, signal: AbortSignal): Promise<void> {
  report.checked += 1;
  report.sizeBytes += row.sizeBytes;
  if (row.proof.kind === 'none' && row.kind !== 'info') report.unproved += 1;
  const fault = await findFault(parts, row, signal);
  if (fault === undefined) return;
  if (fault === 'missing') {
    report.missing += 1;
    await parts.metadata.forgetFile(row.key);
    return;
  }
  await parts.store.setAside(row.key, fault);
  await parts.metadata.forgetFile(row.key);
  parts.events.fileSetAside({ key: row.key, reason: fault });
  await repair(parts, row, fault, report, signal);
}

async function repair(parts: ScrubParts, row: FileRow, fault: string, report: ScrubReport, signal: AbortSignal): Promise<void> {
  const artefact = artefactAt(row.key);
  try {
    if (artefact === undefined) throw new HubError('not-found', 'its name is no module file');
    const served = await parts.filler.fill(artefact, 'prefetch', signal);
    if (served.kind === 'blob') await served.blob[Symbol.asyncDispose]();
    report.repaired += 1;
  } catch (error) {
    signal.throwIfAborted();
    if (report.setAside.length < namedMax) report.setAside.push({ key: row.key, reason: `${fault}; not replaced: ${messageOf(error)}` });
  }
}

/** Why the stored file cannot be served any more; undefined when it is what it should be. A database that does not answer is no fault of the file. */
async function findFault(parts: ScrubParts, row: FileRow, signal: AbortSignal): Promise<string | undefined> {
  const blob = await parts.store.open(row.key);
  if (blob === undefined) return 'missing';
  try {
    if (blob.sizeBytes !== row.sizeBytes) return `it has ${blob.sizeBytes} bytes and was sealed with ${row.sizeBytes}`;
    if ((await digest(blob)) !== row.sha256) return 'its digest differs from the sealed one';
    if (row.h1 === undefined) return undefined;
    const h1 = await hashAgain(parts, row, blob.localPath, signal);
    if (h1 !== row.h1) return `its module hash is ${h1} and was recorded as ${row.h1}`;
    if (blob.fingerprint !== row.fingerprint) await parts.metadata.recordFingerprint(row.key, blob.fingerprint);
    return await contradictsDatabase(parts, row, signal);
  } finally {
    await blob[Symbol.asyncDispose]();
  }
}

async function hashAgain(parts: ScrubParts, row: FileRow, localPath: string | undefined, signal: AbortSignal): Promise<string> {
  if (row.kind === 'mod') return goModHashOfDigest(row.sha256);
  if (localPath === undefined || row.h1 === undefined) return row.h1 ?? '';
  try {
    return (await parts.prover.prove({ localPath, module: row.module, version: row.version }, signal)).h1;
  } catch (error) {
    if (codeOf(error) === 'zip-invalid') return messageOf(error);
    throw error;
  }
}

async function contradictsDatabase(parts: ScrubParts, row: FileRow, signal: AbortSignal): Promise<string | undefined> {
  if (parts.database === undefined || row.proof.kind === 'none') return undefined;
  const record = await parts.database.lookup(row.module, row.version, { priority: 'prefetch' }, signal);
  const recorded = row.kind === 'mod' ? record?.modHash : record?.zipHash;
  if (recorded === row.h1) return undefined;
  return `${parts.database.name} records ${recorded ?? 'nothing'} and the file has ${row.h1}`;
}

/** Files that lie in the store and have no row: a restored backup, files copied in by hand. Each is proved like a fetched one, or set aside. */
async function proveUnknown(parts: ScrubParts, report: ScrubReport, signal: AbortSignal): Promise<void> {
  for await (const key of parts.store.keys('modules/')) {
    signal.throwIfAborted();
    const artefact = artefactAt(key);
    if (artefact === undefined || (await parts.metadata.file(key)) !== undefined) continue;
    report.unknown += 1;
    try {
      const served = await parts.filler.fill(artefact, 'prefetch', signal);
      if (served.kind === 'blob') await served.blob[Symbol.asyncDispose]();
    } catch (error) {
      signal.throwIfAborted();
      if (report.setAside.length < namedMax) report.setAside.push({ key, reason: messageOf(error) });
    }
  }
}
