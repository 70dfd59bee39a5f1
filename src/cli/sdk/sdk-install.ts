import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HubError } from '../../base/errors.ts';
import { type SdkName, formatArchiveName } from '../../protocol/go-release.ts';
import type { LogProof } from '../../protocol/log-proof.ts';
import type { VerifierKey } from '../../protocol/note.ts';
import { doing } from '../name-index.ts';
import { type InstalledSdk, type SdkFolder, type SdkReceipt, processes } from './sdk-folder.ts';
import type { OfferedSdk, SdkSource } from './sdk-source.ts';
import { type UnpackedSdk, unpackSdk } from './sdk-unpack.ts';
import { type ProvedSdk, proveUnpacked } from './sdk-verify.ts';

export interface InstallParts {
  readonly source: SdkSource;
  readonly folder: SdkFolder;
  readonly key: VerifierKey;
  readonly now: () => Date;
}

/** How far it is. `unpacking` counts files. */
export type InstallProgress =
  | { readonly step: 'waiting' }
  | { readonly step: 'fetching'; readonly received: number; readonly total: number | undefined }
  | { readonly step: 'unpacking'; readonly files: number };

/**
 * Fetches, checks, unpacks, proves, and only then shows an SDK under its name. Whatever fails before leaves what was there as it was; what was
 * fetched stays for the next attempt.
 * @throws {HubError} as {@link SdkSource}, {@link unpackSdk} and {@link proveUnpacked}; conflict when another process does the same
 */
export async function installSdk(
  parts: InstallParts,
  sdk: OfferedSdk,
  onProgress: (progress: InstallProgress) => void,
  signal: AbortSignal,
): Promise<InstalledSdk> {
  const { source, folder, key, now } = parts;
  await using archive = await fetchArchive(parts, sdk, onProgress, signal);
  const proof = await proofOf(source, sdk, signal);
  await using staged = await folder.stage();
  const onFile = (files: number): void => onProgress({ step: 'unpacking', files });
  const checked = await checkArchive({ sdk, path: archive.path, into: staged.folder, proof, key, onFile }, signal);
  signal.throwIfAborted();
  const receipt: SdkReceipt = {
    file: formatArchiveName(sdk.name),
    sha256: archive.sha256,
    origin: sdk.origin,
    ...checked.proved,
    from: source.shown,
    installedAt: now().toISOString(),
  };
  const installed = await staged.keep(sdk.name, receipt);
  await rm(archive.path, { force: true });
  return installed;
}

/** The archive below `staging/`, with a digest that was compared. Disposing of it lets go of its lock and leaves the file. */
export interface FetchedArchive extends AsyncDisposable {
  readonly path: string;
  readonly sha256: string;
}

/** @throws {HubError} as {@link SdkSource} */
export async function fetchArchive(
  { source, folder }: Pick<InstallParts, 'source' | 'folder'>,
  sdk: OfferedSdk,
  onProgress: (progress: InstallProgress) => void,
  signal: AbortSignal,
): Promise<FetchedArchive> {
  await doing(`make ${folder.staging}`, () => mkdir(folder.staging, { recursive: true }));
  await folder.sweep();
  const path = join(folder.staging, `${formatArchiveName(sdk.name)}.part`);
  const unlock = await lock(`${path}.lock`, formatArchiveName(sdk.name));
  try {
    onProgress({ step: 'waiting' });
    const sha256 = await source.digest(sdk, signal);
    await source.fetch(sdk, { path, sha256, onBytes: (received, total) => onProgress({ step: 'fetching', received, total }) }, signal);
    return { path, sha256, [Symbol.asyncDispose]: unlock };
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** Undefined for an archive of the Go project itself, of which the index's SHA-256 is all that there is. */
export async function proofOf(source: SdkSource, sdk: OfferedSdk, signal: AbortSignal): Promise<LogProof | undefined> {
  return sdk.origin === 'official' ? undefined : source.proof(sdk, signal);
}

export interface ArchiveCheck {
  readonly sdk: OfferedSdk;
  readonly path: string;
  readonly into: string | undefined;
  readonly proof: LogProof | undefined;
  readonly key: VerifierKey;
  readonly onFile: (files: number) => void;
}

/** Unpacks, or only reads, and proves. An archive that does not hold is removed. @throws {HubError} */
export async function checkArchive(
  { sdk, path, into, proof, key, onFile }: ArchiveCheck,
  signal: AbortSignal,
): Promise<{ readonly unpacked: UnpackedSdk; readonly proved: ProvedSdk | undefined }> {
  try {
    const form = sdk.name.os === 'windows' ? 'zip' : 'tar.gz';
    const unpacked = await unpackSdk({ path, form, into, onFile }, signal);
    if (!unpacked.files.some(({ name }) => name === goCommand(sdk.name)))
      throw new HubError('zip-invalid', `${formatArchiveName(sdk.name)} has no ${goCommand(sdk.name)}`);
    return { unpacked, proved: proof === undefined ? undefined : proveUnpacked(sdk.name, unpacked, { proof, key }) };
  } catch (error) {
    if (error instanceof HubError && (error.code === 'zip-invalid' || error.code === 'checksum-mismatch')) await rm(path, { force: true });
    throw error;
  }
}

/** Below GOROOT. */
export function goCommand({ os }: Pick<SdkName, 'os'>): string {
  return os === 'windows' ? 'bin/go.exe' : 'bin/go';
}

/** One process a file; the lock of a dead one is taken over. */
async function lock(path: string, what: string): Promise<() => Promise<void>> {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      await using file = await open(path, 'wx');
      await file.writeFile(processes.ownIdentity());
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') await doing(`make ${path}`, () => Promise.reject(error as Error));
      const owner = await readFile(path, 'utf8').catch(() => '');
      if (processes.isAlive(owner)) throw new HubError('conflict', `another goyi (process ${owner.split('-')[1]}) is fetching ${what}`);
      await rm(path, { force: true });
    }
  }
  throw new HubError('conflict', `another goyi is fetching ${what}`);
}
