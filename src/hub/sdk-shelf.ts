import type { BlobKey } from '../base/blob-key.ts';
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import { invariant } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import { SingleFlight, untilAborted } from '../base/single-flight.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { OfficialSdk, OfficialSdks } from '../origin/official-sdks.ts';
import type { SdkPacker } from '../origin/sdk-packer.ts';
import type { NamePolicy } from '../policy/name-policy.ts';
import {
  type GoRelease,
  type SdkName,
  TOOLCHAIN_MODULE,
  compareReleases,
  formatArchiveName,
  nearestReleases,
  parseToolchainVersion,
  toolchainVersion,
} from '../protocol/go-release.ts';
import { parseHash } from '../protocol/dirhash.ts';
import { moduleFileKey } from '../protocol/layout.ts';
import {
  SDK_MANIFEST_BYTES_MAX,
  SDK_PREFIX,
  type SdkManifest,
  type SdkOrigin,
  formatSdkManifest,
  parseSdkManifest,
  parseSdkManifestKey,
  sdkArchiveKey,
  sdkManifestKey,
} from '../protocol/sdk-manifest.ts';
import type { BlobStore, OpenBlob, StagedBlob } from '../store/blob-store.ts';
import { boundedCache } from './bounded-cache.ts';
import { LeaseReturns } from './lease-returns.ts';
import { pause } from './pause.ts';
import type { Served } from './served.ts';
import type { AnswerOptions, Station } from './station.ts';
import { chunksOf, digest } from './stored-files.ts';

export interface SdkShelfParts {
  /** Through which the toolchain modules come, proved like every other. */
  readonly station: Pick<Station, 'answer'>;
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly packer: SdkPacker;
  /** Where the Go project's own archives come from; undefined: they are not wanted. */
  readonly official?: OfficialSdks | undefined;
  readonly policy: NamePolicy;
  readonly log: Log;
  readonly clock: Clock;
  readonly limits: { readonly waitMs: number };
}

/** An archive that can be had. Without a manifest it has not been made yet, so its size and SHA-256 are not known. */
export interface ListedSdk {
  readonly name: SdkName;
  readonly manifest: SdkManifest | undefined;
  /** What the Go project's list says of it. */
  readonly official?: OfficialSdk | undefined;
}

export interface ScrubbedSdk {
  readonly key: BlobKey;
  readonly sizeBytes: number;
  /** Undefined when it is what was sealed. */
  readonly reason: string | undefined;
}

interface Made {
  readonly sha256: string;
  readonly origin: SdkOrigin;
}

/** How often a process asks whether another has made the archive. */
const leasePollMs = { first: 50, max: 500 };
/** A herd that waited for a failure fails together. */
const failureTtlMs = 1_000;
const stopMs = 5_000;
/** An archive that was made can be gone before it is opened, once. */
const attemptsMax = 2;

/**
 * Archives of Go SDKs, made of toolchain modules, or fetched where the Go project's list has them and a mirror is configured, at the first request: once in this process, once among all processes, and then for ever the same bytes.
 * First the archive is sealed, then its manifest: an archive without one is taken out of the way and made again.
 */
export class SdkShelf implements AsyncDisposable {
  readonly #parts: SdkShelfParts;
  readonly #leases: LeaseReturns;
  readonly #flights = new SingleFlight<void>();
  readonly #running = new Set<Promise<void>>();
  readonly #manifests = boundedCache<string, SdkManifest>(2_000);
  /** Fingerprints under which archives were last found to be what was sealed. */
  readonly #sound = boundedCache<string, string>(2_000);

  constructor(parts: SdkShelfParts) {
    this.#parts = parts;
    this.#leases = new LeaseReturns(parts);
  }

  /** Every archive that can be had from here, in no particular order. @throws {HubError} as {@link Station.answer} for a list */
  async list(options: AnswerOptions, signal: AbortSignal): Promise<readonly ListedSdk[]> {
    const stored = new Map<string, ListedSdk>();
    for await (const key of this.#parts.store.keys(SDK_PREFIX)) {
      const name = parseSdkManifestKey(key);
      const manifest = name === undefined ? undefined : await this.#manifest(name);
      if (name !== undefined && manifest !== undefined) stored.set(formatArchiveName(name), { name, manifest });
    }
    const offered = await this.#offered(options, signal).catch((error: unknown) => {
      // In a closed network what is here is what there is.
      if (codeOf(error) === undefined || stored.size === 0) throw error;
      return [];
    });
    const listed = new Map(offered.map((name): [string, ListedSdk] => [formatArchiveName(name), { name, manifest: undefined }]));
    const official = await this.#official(options, signal).catch((error: unknown) => {
      if (codeOf(error) === undefined) throw error;
      return new Map<string, OfficialSdk>();
    });
    for (const [file, sdk] of official) listed.set(file, { name: sdk.name, manifest: undefined, official: sdk });
    return [...new Map([...listed, ...stored]).values()].filter(({ name }) => this.#refusal(name) === undefined);
  }

  /** What is known of an archive, which is made if it is not there. @throws {HubError} as {@link SdkShelf.open} */
  async describe(name: SdkName, options: AnswerOptions, signal: AbortSignal): Promise<SdkManifest> {
    await using found = await this.#get(name, options, signal);
    return found.manifest;
  }

  /** @throws {HubError} policy-denied, not-found with the nearest releases, not-cached, still-fetching, zip-invalid, upstream-invalid, checksum-mismatch, and what the way of a module throws */
  async open(name: SdkName, options: AnswerOptions, signal: AbortSignal): Promise<Served> {
    const { blob, manifest, outcome } = await this.#get(name, options, signal);
    const contentType = name.os === 'windows' ? 'application/zip' : 'application/octet-stream';
    return { kind: 'blob', blob, contentType, immutable: true, etag: `"${manifest.sha256}"`, outcome };
  }

  /**
   * Reads every stored archive and compares it with its seal; a bad one is taken out of sight, to be made anew at the next request. `onArchive` is told of
   * each, with what is wrong with it; `rest` is waited for before each. @throws {HubError} storage-fault, and the signal's reason
   */
  async scrub(
    { rest, onArchive }: { readonly rest: () => Promise<void>; readonly onArchive: (seen: ScrubbedSdk) => void },
    signal: AbortSignal,
  ): Promise<void> {
    for await (const key of this.#parts.store.keys(SDK_PREFIX)) {
      const name = parseSdkManifestKey(key);
      if (name === undefined) continue;
      await rest();
      signal.throwIfAborted();
      const manifest = await this.#manifest(name);
      const archive = sdkArchiveKey(name);
      const opened = manifest && (await this.#parts.store.open(archive));
      if (manifest === undefined || opened === undefined) continue;
      await using blob = opened;
      const isSound = (await digest(blob, signal)) === manifest.sha256;
      const reason = isSound ? undefined : 'the scrubber found another digest than the sealed one';
      if (reason !== undefined) await this.#giveUp(name, reason);
      onArchive({ key: archive, sizeBytes: blob.sizeBytes, reason });
    }
  }

  /** Archives that are being made. */
  get running(): number {
    return this.#flights.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#flights.abortAll(new HubError('canceled', 'the hub is stopping'));
    const patience = new AbortController();
    await Promise.race([Promise.allSettled(this.#running), pause(stopMs, patience.signal)]);
    patience.abort();
    await this.#leases[Symbol.asyncDispose]();
  }

  /** The caller disposes of it. */
  async #get(name: SdkName, options: AnswerOptions, signal: AbortSignal): Promise<Found> {
    const refusal = this.#refusal(name);
    if (refusal !== undefined) throw refusal;
    const stored = await this.#stored(name);
    if (stored !== undefined) return new Found(stored, 'hit');
    const file = formatArchiveName(name);
    if (!options.fill) throw new HubError('not-cached', `${file} is not stored here, and the request forbids fetching it`);
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      await this.#wait(name, options, signal);
      const made = await this.#stored(name);
      if (made !== undefined) return new Found(made, 'miss');
    }
    throw new HubError('storage-fault', `${file} vanishes from the store as soon as it is stored`);
  }

  /** A caller waits for a bounded time; the work goes on without it. */
  async #wait(name: SdkName, options: AnswerOptions, signal: AbortSignal): Promise<void> {
    const file = formatArchiveName(name);
    const patience = AbortSignal.timeout(this.#parts.limits.waitMs);
    const run = this.#flights.do(file, (own) => this.#tracked(this.#underLease(name, options, own)), signal);
    try {
      await untilAborted(run, patience);
    } catch (error) {
      if (patience.aborted && error === patience.reason)
        throw new HubError('still-fetching', `still making ${file}: run the command again`);
      const code = codeOf(error);
      throw code === 'not-found' || code === 'upstream-refused' ? await this.#absence(name, error as HubError, options, signal) : error;
    }
  }

  #tracked(run: Promise<void>): Promise<void> {
    const tracked = run.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }

  async #underLease(name: SdkName, options: AnswerOptions, signal: AbortSignal): Promise<void> {
    const key = sdkArchiveKey(name);
    for (let waitMs = leasePollMs.first; ; waitMs = Math.min(waitMs * 2, leasePollMs.max)) {
      const attempt = await this.#leases.acquire(key);
      if (attempt.kind === 'failed') throw new HubError(attempt.failure.code, attempt.failure.message);
      if (attempt.kind === 'acquired' || attempt.ours) break;
      await pause(waitMs, signal);
      signal.throwIfAborted();
      if (await this.#isStored(name)) return;
    }
    let failure: Parameters<LeaseReturns['giveBack']>[1];
    try {
      // Another process may have sealed it between our look at the store and our lease.
      if (!(await this.#isStored(name))) await this.#make(name, options, signal);
    } catch (error) {
      const code = codeOf(error);
      if (code !== undefined && code !== 'not-found' && code !== 'canceled') failure = { code, message: messageOf(error), failureTtlMs };
      throw error;
    } finally {
      await this.#leases.giveBack(key, failure);
    }
  }

  async #isStored(name: SdkName): Promise<boolean> {
    const stored = await this.#stored(name);
    await stored?.blob[Symbol.asyncDispose]();
    return stored !== undefined;
  }

  /** What the list of the Go project has is had from there alone, so that one name is never now the one archive and now the other. */
  async #make(name: SdkName, options: AnswerOptions, signal: AbortSignal): Promise<void> {
    const { store, log, clock } = this.#parts;
    const official = (await this.#official({ ...options, fill: true }, signal)).get(formatArchiveName(name));
    const startedMs = clock.monotonicMs();
    await using staged = await store.stage({ digest: 'given' });
    const { sha256: given, origin } =
      official === undefined ? await this.#pack(name, staged, options, signal) : await this.#fetch(official, staged, signal);
    const key = sdkArchiveKey(name);
    await store.setAside(key, 'an archive without a manifest: the hub ended while it was being stored');
    const { sha256, sizeBytes, fingerprint } = await staged.seal(key, given);
    await store.put(sdkManifestKey(name), Buffer.from(formatSdkManifest({ name, sha256, sizeBytes, fingerprint, origin })));
    const seconds = Math.round(clock.monotonicMs() - startedMs) / 1_000;
    const fields = { file: formatArchiveName(name), sizeBytes, seconds };
    if (origin.kind === 'official') log.info('an SDK archive was fetched', { ...fields, mirror: origin.mirror });
    else log.info('an SDK archive was made of its toolchain module', fields);
  }

  async #fetch(official: OfficialSdk, staged: StagedBlob, signal: AbortSignal): Promise<Made> {
    const { official: source } = this.#parts;
    invariant(source !== undefined, 'what stands in a list has a source');
    const { mirror } = await source.fetch(official, staged, signal);
    return { sha256: official.sha256, origin: { kind: 'official', index: source.index, mirror } };
  }

  async #pack(name: SdkName, staged: StagedBlob, options: AnswerOptions, signal: AbortSignal): Promise<Made> {
    const { station, metadata, packer } = this.#parts;
    const version = toolchainVersion(name);
    const request = { kind: 'file', file: 'zip', module: TOOLCHAIN_MODULE, version } as const;
    const served = await station.answer(request, { ...options, fill: true }, signal);
    await using zip = served.kind === 'blob' ? served.blob : undefined;
    await using copy = zip?.localPath === undefined ? await this.#localCopy(served) : undefined;
    const localPath = zip?.localPath ?? copy?.localPath ?? '';
    const form = name.os === 'windows' ? 'zip' : 'tar.gz';
    const sdk = { localPath, module: TOOLCHAIN_MODULE, version, form } as const;
    const packed = await packer.pack(sdk, (piece) => staged.append(piece), signal);
    const h1 = parseHash(packed.h1);
    const recorded = (await metadata.file(moduleFileKey(TOOLCHAIN_MODULE, version, 'zip')))?.h1;
    if (!h1.ok || packed.h1 !== recorded)
      throw new HubError('checksum-mismatch', `what was read of ${TOOLCHAIN_MODULE}@${version} has ${packed.h1} and not ${recorded}`);
    return { sha256: packed.sha256, origin: { kind: 'toolchain-module', module: TOOLCHAIN_MODULE, version, h1: h1.value } };
  }

  /** The Go project's list; empty without a mirror. @throws {HubError} as {@link OfficialSdks.list} */
  async #official({ fill }: AnswerOptions, signal: AbortSignal): Promise<ReadonlyMap<string, OfficialSdk>> {
    const { official } = this.#parts;
    return official === undefined || !fill ? new Map<string, OfficialSdk>() : official.list(signal);
  }

  /** Of what is in memory, or in a store that is not on this machine. */
  async #localCopy(served: Served): ReturnType<BlobStore['stage']> {
    const copy = await this.#parts.store.stage();
    try {
      if (served.kind === 'bytes') await copy.append(served.bytes);
      else for await (const chunk of chunksOf(served.blob)) await copy.append(chunk);
      return copy;
    } catch (error) {
      await copy[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The archive, if its bytes are still those that were sealed. The caller disposes of it. */
  async #stored(name: SdkName): Promise<{ readonly blob: OpenBlob; readonly manifest: SdkManifest } | undefined> {
    const { store } = this.#parts;
    const manifest = await this.#manifest(name);
    if (manifest === undefined) return undefined;
    const key = sdkArchiveKey(name);
    const blob = await store.open(key);
    let isSound = false;
    try {
      isSound = blob !== undefined && (await this.#isSound(key, blob, manifest));
      if (blob !== undefined && isSound) return { blob, manifest };
      await this.#giveUp(name, blob === undefined ? 'its archive is gone' : 'its bytes were changed after they had been sealed');
      return undefined;
    } finally {
      if (!isSound) await blob?.[Symbol.asyncDispose]();
    }
  }

  /** The next request makes it anew. The manifest goes first: without one the archive counts for nothing. */
  async #giveUp(name: SdkName, reason: string): Promise<void> {
    const { store, log } = this.#parts;
    const key = sdkArchiveKey(name);
    log.error('a stored SDK archive is given up and made anew', { key, reason });
    this.#manifests.delete(key);
    await store.setAside(sdkManifestKey(name), reason);
    await store.setAside(key, reason);
  }

  async #isSound(key: string, blob: OpenBlob, { fingerprint, sizeBytes, sha256 }: SdkManifest): Promise<boolean> {
    if (blob.fingerprint === fingerprint || blob.fingerprint === this.#sound.get(key)) return true;
    if (blob.sizeBytes !== sizeBytes || (await digest(blob)) !== sha256) return false;
    this.#sound.set(key, blob.fingerprint);
    return true;
  }

  async #manifest(name: SdkName): Promise<SdkManifest | undefined> {
    const archiveKey = sdkArchiveKey(name);
    const known = this.#manifests.get(archiveKey);
    if (known !== undefined) return known;
    const key = sdkManifestKey(name);
    const file = await this.#parts.store.readSmall(key, SDK_MANIFEST_BYTES_MAX);
    if (file === undefined) return undefined;
    const manifest = parseSdkManifest(file.bytes.toString('utf8'), name);
    if (!manifest.ok) {
      await this.#parts.store.setAside(key, manifest.reason);
      return undefined;
    }
    this.#manifests.set(archiveKey, manifest.value);
    return manifest.value;
  }

  #refusal(name: SdkName): HubError | undefined {
    const verdict = this.#parts.policy.verdict(TOOLCHAIN_MODULE, toolchainVersion(name));
    if (verdict.kind === 'allow') return undefined;
    return new HubError('policy-denied', `${formatArchiveName(name)} is blocked by policy: ${verdict.reason}`);
  }

  async #offered(options: AnswerOptions, signal: AbortSignal): Promise<readonly SdkName[]> {
    const served = await this.#parts.station.answer({ kind: 'list', module: TOOLCHAIN_MODULE }, options, signal);
    if (served.kind === 'blob') {
      await served.blob[Symbol.asyncDispose]();
      return [];
    }
    return served.bytes
      .toString('latin1')
      .split('\n')
      .flatMap((line) => parseToolchainVersion(line) ?? []);
  }

  /** A sentence that helps on, for what no upstream has. A refusal of what stands in the list stays one. */
  async #absence(name: SdkName, error: HubError, options: AnswerOptions, signal: AbortSignal): Promise<HubError> {
    const offered = await this.#offered(options, signal).catch(() => []);
    const isListed = offered.some((sdk) => formatArchiveName(sdk) === formatArchiveName(name));
    if (error.code === 'upstream-refused' && (isListed || offered.length === 0)) return error;
    const alike = offered.filter(({ os, arch }) => os === name.os && arch === name.arch);
    const platforms = offered.filter(({ release }) => release === name.release).map(({ os, arch }) => `${os}-${arch}`);
    const nearest = nearestReleases(
      name.release,
      alike.map(({ release }) => release),
    );
    const hint =
      platforms.length > 0
        ? `; ${name.release} is there for ${platforms.slice(0, 8).join(', ')}`
        : nearest.length > 0
          ? `; the nearest are ${nearest.join(', ')}`
          : '';
    return new HubError('not-found', `there is no ${formatArchiveName(name)}${hint}`);
  }
}

class Found implements AsyncDisposable {
  readonly blob: OpenBlob;
  readonly manifest: SdkManifest;
  readonly outcome: 'hit' | 'miss';

  constructor({ blob, manifest }: { readonly blob: OpenBlob; readonly manifest: SdkManifest }, outcome: 'hit' | 'miss') {
    this.blob = blob;
    this.manifest = manifest;
    this.outcome = outcome;
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.blob[Symbol.asyncDispose]();
  }
}

/** The releases of a listing, the newest first, each with its archives. */
export function byRelease(listed: readonly ListedSdk[]): readonly { readonly release: GoRelease; readonly sdks: readonly ListedSdk[] }[] {
  const releases = Map.groupBy(listed, ({ name }) => name.release);
  return [...releases]
    .sort(([a], [b]) => compareReleases(b, a))
    .map(([release, sdks]) => ({
      release,
      sdks: sdks.toSorted((a, b) => (formatArchiveName(a.name) < formatArchiveName(b.name) ? -1 : 1)),
    }));
}
