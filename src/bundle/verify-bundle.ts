import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Gate } from '../base/gate.ts';
import type { ProvedZip, ZipProver, ZipToProve } from '../origin/zip-prover.ts';
import type { BundleEntry, BundleFile } from './bundle-file.ts';
import { BundleCheck, InParent, nothingBeside, type TrustedDatabases } from './check-bundle.ts';
import { packVulnerabilityFile } from '../hub/vulnerability-shelf.ts';
import { diskError } from './staging.ts';
import { isVulnerabilityFile } from './vulnerability-import.ts';

export interface VerifyReport {
  readonly files: number;
  readonly sizeBytes: number;
  /** Proved up to the signed head of the checksum database. */
  readonly proved: number;
  /** Of a delta: what its proof begins with lies in a bundle before it. Signed all the same. */
  readonly unproved: number;
  readonly treeSize: number;
}

interface Progress {
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

/** Zips at once in front of the threads that prove them, and small files at once beside those. */
const ZIPS_AT_ONCE = 4;
const SMALL_AT_ONCE = 16;

/** Compares every byte with what was signed, and proves every module in it. @throws {HubError} bundle-invalid, checksum-mismatch, log-invalid, zip-invalid … */
export async function verifyBundle(
  bundle: BundleFile,
  { trusted, prover, onProgress }: Progress & { readonly trusted: TrustedDatabases; readonly prover: ZipProver },
  signal: AbortSignal,
): Promise<VerifyReport> {
  const check = await BundleCheck.open(bundle, trusted, nothingBeside);
  const folder = await mkdtemp(join(tmpdir(), 'goyi-verify-'));
  let [doneBytes, proved, unproved] = [0, 0, 0];
  const isDelta = bundle.head.parent !== undefined;
  const verifyOne = async (entry: BundleEntry, stop: AbortSignal): Promise<void> => {
    try {
      if (isZip(entry)) await verifyZip(check, entry, { folder, prover }, stop);
      else await check.small(entry);
      proved += 1;
    } catch (error) {
      if (!isDelta || !(error instanceof InParent)) throw error;
      unproved += 1;
    }
    onProgress((doneBytes += entry.sizeBytes), bundle.head.sizeBytes);
  };
  try {
    await eachCarried(bundle, verifyOne, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return { files: bundle.head.files, sizeBytes: bundle.head.sizeBytes, proved, unproved, treeSize: bundle.head.tree.size };
}

/** Runs `work` on every file, several at once. The first fault ends all of it. */
async function eachCarried(
  bundle: BundleFile,
  work: (entry: BundleEntry, signal: AbortSignal) => Promise<void>,
  outer: AbortSignal,
): Promise<void> {
  const gates = { zip: new Gate({ slotsMax: ZIPS_AT_ONCE, queueMax: 1 }), small: new Gate({ slotsMax: SMALL_AT_ONCE, queueMax: 1 }) };
  const failed = new AbortController();
  const signal = AbortSignal.any([outer, failed.signal]);
  const running = new Set<Promise<void>>();
  for (const entry of bundle.entries) {
    if (!entry.carried) continue;
    const gate = gates[isZip(entry) ? 'zip' : 'small'];
    const leave = await gate.enter({ priority: 'waited-for' }, signal).catch(() => undefined);
    if (leave === undefined) break;
    const one = work(entry, signal)
      .catch((error: unknown) => failed.abort(error))
      .finally(() => {
        leave();
        running.delete(one);
      });
    running.add(one);
  }
  await Promise.all(running);
  signal.throwIfAborted();
}

/** Where it lies, unless that is in two parts. */
async function verifyZip(
  check: BundleCheck,
  entry: BundleEntry,
  { folder, prover }: { readonly folder: string; readonly prover: ZipProver },
  signal: AbortSignal,
): Promise<void> {
  const prove = (zip: ZipToProve): Promise<ProvedZip> => prover.prove(zip, signal);
  const place = await check.bundle.place(entry);
  if (place !== undefined) {
    const within = { position: place.position, sizeBytes: entry.sizeBytes };
    await check.zip(entry, { localPath: place.path, within }, prove);
    return;
  }
  const path = join(folder, randomBytes(8).toString('hex'));
  try {
    await pipeline(check.bundle.stream(entry), createWriteStream(path), { signal });
    await check.zip(entry, path, prove);
  } finally {
    await rm(path, { force: true });
  }
}

/** Writes every file below a folder; `modules` there is a GOPROXY for `file://`. Each file comes to its name whole. Answers how many. @throws {HubError} bundle-invalid, storage-full, storage-fault */
export async function extractBundle(
  bundle: BundleFile,
  { folder, onProgress }: Progress & { readonly folder: string },
  signal: AbortSignal,
): Promise<number> {
  let [files, doneBytes] = [0, 0];
  for (const entry of bundle.entries) {
    if (!entry.carried) continue;
    signal.throwIfAborted();
    const path = join(folder, entry.name);
    const part = `${path}.part`;
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeWhole(part, bundle.stream(entry));
      await rename(part, path);
      if (isVulnerabilityFile(entry)) await writeFile(`${path}.gz`, await packVulnerabilityFile(await bundle.read(entry)));
    } catch (error) {
      await rm(part, { force: true }).catch(() => {});
      throw diskError(`write ${path}`, error);
    }
    files += 1;
    onProgress((doneBytes += entry.sizeBytes), bundle.head.sizeBytes);
  }
  return files;
}

async function writeWhole(path: string, chunks: AsyncIterable<Buffer>): Promise<void> {
  await using handle = await open(path, 'w');
  for await (const chunk of chunks) await handle.writeFile(chunk);
}

function isZip({ item }: BundleEntry): boolean {
  return item.kind === 'file' && item.file === 'zip';
}
