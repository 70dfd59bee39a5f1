import type { BlobKey } from '../base/blob-key.ts';
import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { type Priority, priorityOf, type Urgency } from '../base/gate.ts';
import { invariant } from '../base/invariant.ts';
import type { Log } from '../base/log.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { FileRow, FillFailure, Metadata, Proof } from '../meta/metadata.ts';
import type { ProvedRecord } from '../origin/checksum-database.ts';
import type { ModuleOrigin, OriginBody } from '../origin/module-origin.ts';
import type { ZipProver } from '../origin/zip-prover.ts';
import { goModHashOfDigest } from '../protocol/dirhash.ts';
import { moduleFileKey } from '../protocol/layout.ts';
import { escapePath } from '../protocol/module-path.ts';
import { escapeVersion } from '../protocol/version.ts';
import { parseVersionInfo } from '../protocol/version-info.ts';
import type { BlobStore } from '../store/blob-store.ts';
import { condemn } from './condemn.ts';
import { type Against, Evidence, type EvidenceParts } from './evidence.ts';
import { LeaseReturns } from './lease-returns.ts';
import { type Artefact, chunksOf, type StoredFiles } from './stored-files.ts';
import { pause } from './pause.ts';
import { type Lookup, type Progress, type Received, receive, sizeMaxBytes } from './receive.ts';

/** How often a process asks whether another's fill has ended. */
const leasePollMs = { first: 15, max: 250 };

/** Held by who waits for a fill of another process. */
const wantedKey = (key: BlobKey): string => `wanted ${key}`;

/** A herd that waited for a failure fails together; the next request after this tries again. */
const failureTtlMs = 1_000;

/** Fills under way get this long to come to an end when the hub stops. */
const stopMs = 5_000;

export interface FillParts extends EvidenceParts {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly stored: StoredFiles;
  readonly prover: ZipProver;
  readonly events: Events;
  readonly log: Log;
  readonly clock: Clock;
  /** Told after a `zip` has been stored, so that `@v/list` on disk can follow. */
  readonly onZipStored: (artefact: Artefact) => void;
}

/** Bytes that were checked and, where a database covers them, proved. */
interface Checked {
  readonly received: Received;
  readonly sha256: string;
  readonly h1: string | undefined;
  readonly proof: Proof;
  /** In which it was proved. */
  readonly record: ProvedRecord | undefined;
}

/**
 * The first fetch of an artefact: once in this process (single flight), once among all processes (lease), proved before it is stored, durable before it is answered.
 * It runs under its own signal: callers come and go, and each opens the stored file for itself.
 */
export class Filler implements AsyncDisposable {
  readonly #parts: FillParts;
  readonly #flights = new SingleFlight<void>();
  readonly #running = new Set<Promise<void>>();
  readonly #progress = new Map<BlobKey, Progress>();
  /** Of each fill under way: told when somebody waits for it. */
  readonly #raises = new Map<BlobKey, AbortController>();
  readonly #leases: LeaseReturns;
  readonly #evidence: Evidence;

  constructor(parts: FillParts) {
    this.#parts = parts;
    this.#leases = new LeaseReturns(parts);
    this.#evidence = new Evidence(parts);
  }

  /**
   * Resolves when the artefact is stored and recorded, proved unless `verify` is off. Who waits for what was being fetched ahead gives it its own priority.
   * @throws {HubError} not-found, upstream-refused, checksum-mismatch, checksum-missing, zip-invalid, upstream-invalid, log-…, origin-…, database-unavailable, storage-…, or the signal's reason
   */
  fill(artefact: Artefact, priority: Priority, signal: AbortSignal): Promise<void> {
    if (priority === 'waited-for') this.#raises.get(artefact.key)?.abort();
    return this.#flights.do(artefact.key, (own) => this.#tracked(this.#raisable(artefact, priority, own)), signal);
  }

  /** Percent of the bytes received, when the fill runs and its size is known. */
  progressPercent(artefact: Artefact): number | undefined {
    const progress = this.#progress.get(artefact.key);
    if (progress?.totalBytes === undefined || progress.totalBytes === 0) return undefined;
    return Math.min(100, Math.floor((100 * progress.receivedBytes) / progress.totalBytes));
  }

  /** Of a fill that runs in this process, so far. */
  receivedBytes(artefact: Artefact): number {
    return this.#progress.get(artefact.key)?.receivedBytes ?? 0;
  }

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

  #tracked(run: Promise<void>): Promise<void> {
    const tracked = run.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
    return tracked;
  }

  async #raisable(artefact: Artefact, priority: Priority, signal: AbortSignal): Promise<void> {
    const raise = new AbortController();
    this.#raises.set(artefact.key, raise);
    try {
      await this.#underLease(artefact, { priority, raised: raise.signal }, signal);
    } finally {
      this.#raises.delete(artefact.key);
    }
  }

  async #underLease(artefact: Artefact, urgency: Urgency, signal: AbortSignal): Promise<void> {
    const { stored } = this.#parts;
    if (!(await this.#acquireInTurn(artefact, urgency, signal))) return;
    let failure: FillFailure | undefined;
    const watch = this.#watchWanted(artefact.key, urgency);
    try {
      // Another process may have sealed it between our look at the store and our lease.
      if (!(await stored.has(artefact))) await this.#measured(artefact, urgency, signal);
    } catch (error) {
      const code = codeOf(error);
      // An absence is remembered in memory only, where it is bounded: a flood of misses leaves no rows.
      if (code !== undefined && code !== 'not-found' && code !== 'canceled') failure = { code, message: messageOf(error) };
      throw error;
    } finally {
      clearInterval(watch);
      await this.#leases.giveBack(artefact.key, failure && { ...failure, failureTtlMs });
    }
  }

  /** Waits for the lease, or answers false when another process has stored it meanwhile. That process is told when somebody waits here. */
  async #acquireInTurn(artefact: Artefact, urgency: Urgency, signal: AbortSignal): Promise<boolean> {
    let told = false;
    try {
      for (let waitMs = leasePollMs.first; !(await this.#acquire(artefact.key)); waitMs = Math.min(waitMs * 2, leasePollMs.max)) {
        if (!told && priorityOf(urgency) === 'waited-for') {
          told = true;
          await this.#leases.acquire(wantedKey(artefact.key));
        }
        await pause(waitMs, signal);
        signal.throwIfAborted();
        if (await this.#parts.stored.has(artefact)) return false;
      }
      return true;
    } finally {
      if (told) await this.#leases.giveBack(wantedKey(artefact.key));
    }
  }

  /** What is fetched ahead here gets the priority of whoever waits for it in another process. */
  #watchWanted(key: BlobKey, urgency: Urgency): NodeJS.Timeout | undefined {
    if (priorityOf(urgency) === 'waited-for') return undefined;
    const look = async (): Promise<void> => {
      if (await this.#parts.metadata.isLeaseHeld(wantedKey(key))) this.#raises.get(key)?.abort();
    };
    return setInterval(() => void look().catch(() => {}), leasePollMs.max).unref();
  }

  /** This process runs one fill of a key at a time: a lease that is ours already is one whose return was lost. */
  async #acquire(key: BlobKey): Promise<boolean> {
    const attempt = await this.#leases.acquire(key);
    if (attempt.kind === 'failed') throw new HubError(attempt.failure.code, attempt.failure.message);
    return attempt.kind === 'acquired' || attempt.ours;
  }

  async #measured(artefact: Artefact, urgency: Urgency, signal: AbortSignal): Promise<void> {
    const { events, clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    const report = { kind: artefact.kind, module: artefact.module, version: artefact.version };
    try {
      const row = await this.#fetchAndSeal(artefact, urgency, signal);
      const seconds = (clock.monotonicMs() - startedMs) / 1000;
      events.filled({ ...report, outcome: 'stored', seconds, sizeBytes: row.sizeBytes, origin: row.origin });
    } catch (error) {
      const code = codeOf(error) ?? 'storage-fault';
      const seconds = (clock.monotonicMs() - startedMs) / 1000;
      events.filled({ ...report, outcome: code, seconds, sizeBytes: 0, origin: '' });
      if (code === 'checksum-mismatch' || code === 'checksum-missing' || code === 'zip-invalid' || code === 'upstream-invalid') {
        events.verificationFailed({
          reason: code,
          subject: `${artefact.module}@${artefact.version} ${artefact.kind}`,
          detail: messageOf(error),
        });
      }
      throw error;
    } finally {
      this.#progress.delete(artefact.key);
    }
  }

  async #fetchAndSeal(artefact: Artefact, urgency: Urgency, signal: AbortSignal): Promise<FileRow> {
    const leave = new AbortController();
    try {
      const home = this.#parts.homes.of(artefact.module);
      if (home.kind === 'none' || home.origin === undefined)
        throw new HubError('not-found', `${artefact.module} is private: nobody is asked for what is not stored here`);
      const lookup =
        home.kind === 'public' ? this.#startLookup(artefact, home.origin, urgency, AbortSignal.any([signal, leave.signal])) : undefined;
      const leftover = await this.#checkLeftover(artefact, lookup, signal);
      if (leftover !== undefined) return await this.#seal(artefact, leftover.checked, leftover.origin);
      const resource = `${escapePath(artefact.module)}/@v/${escapeVersion(artefact.version)}.${artefact.kind}`;
      const commit = home.kind !== 'public' && artefact.kind !== 'info' ? await this.#commitOf(artefact, urgency, signal) : undefined;
      const answer = await home.origin.fetch(
        { resource, sizeMaxBytes: sizeMaxBytes[artefact.kind], commit, ...urgency },
        (body, offeredBy, bodySignal) => this.#check(artefact, body, { lookup, offeredBy }, bodySignal),
        signal,
      );
      if (answer.kind === 'absent') throw new HubError('not-found', answer.reason);
      return await this.#seal(artefact, answer.value, answer.origin);
    } finally {
      leave.abort(new HubError('canceled', 'nobody waits for this proof any more'));
    }
  }

  /** All files of a version that is made from source are of one commit: that which its `.info` names, which therefore comes first. */
  async #commitOf({ module, version }: Artefact, urgency: Urgency, signal: AbortSignal): Promise<string | undefined> {
    const info: Artefact = { kind: 'info', module, version, key: moduleFileKey(module, version, 'info') };
    if (!(await this.#parts.stored.has(info))) await this.fill(info, priorityOf(urgency), signal);
    const served = await this.#parts.stored.open(info);
    const parsed = served?.kind === 'bytes' ? parseVersionInfo(served.bytes, version) : undefined;
    return parsed?.ok === true ? parsed.value.commit : undefined;
  }

  /**
   * The look-up runs beside the download, so that proving costs no extra round trip.
   * It is asked of another transport than the first upstream, which will most likely serve the bytes.
   */
  #startLookup(artefact: Artefact, origin: ModuleOrigin, urgency: Urgency, signal: AbortSignal): Lookup | undefined {
    const { database } = this.#parts;
    if (database === undefined || artefact.kind === 'info') return undefined;
    const likely = origin.states().find((state) => state.breaker === 'closed')?.name;
    const lookup: Lookup = {
      record: database.lookup(
        artefact.module,
        artefact.version,
        { ...urgency, ...(likely !== undefined && { avoidOrigin: likely }) },
        signal,
      ),
    };
    lookup.record.catch((error: Error) => {
      lookup.failure = error;
    });
    return lookup;
  }

  /**
   * A file that lies in the store without a row (a restored backup, a crash between the rename and the transaction), or with a row that says it was stored
   * while `verify` was off: it is proved like any other, or goes. It is proved as a copy, which nobody can change meanwhile.
   */
  async #checkLeftover(
    artefact: Artefact,
    lookup: Lookup | undefined,
    signal: AbortSignal,
  ): Promise<{ checked: Checked; origin: string } | undefined> {
    const { store, metadata } = this.#parts;
    const opened = await store.open(artefact.key);
    if (opened === undefined) return undefined;
    await using blob = opened;
    const row = await metadata.file(artefact.key);
    if (!(await this.#evidence.vouches(artefact))) {
      const reason = 'it lies under the name of a private module, and nothing on record says that these are its bytes';
      await condemn(this.#parts, { key: artefact.key, fingerprint: blob.fingerprint, row }, reason);
      return undefined;
    }
    try {
      const body = { sizeBytes: blob.sizeBytes, [Symbol.asyncIterator]: () => chunksOf(blob) };
      return { checked: await this.#check(artefact, body, { lookup, offeredBy: undefined }, signal), origin: row?.origin ?? 'store' };
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'checksum-mismatch' && code !== 'zip-invalid' && code !== 'upstream-invalid') throw error;
      await condemn(this.#parts, { key: artefact.key, fingerprint: blob.fingerprint, row }, messageOf(error));
      return undefined;
    }
  }

  async #check(artefact: Artefact, body: OriginBody, against: Against, signal: AbortSignal): Promise<Checked> {
    const progress: Progress = { receivedBytes: 0, totalBytes: body.sizeBytes };
    this.#progress.set(artefact.key, progress);
    const received = await receive(body, { store: this.#parts.store, progress, kind: artefact.kind, lookup: against.lookup });
    try {
      const { sha256, h1 } = await this.#hash(artefact, received, signal);
      const record = h1 === undefined ? undefined : await this.#evidence.prove(artefact, h1, against);
      return { received, sha256, h1, proof: this.#evidence.proofOf(artefact, record), record };
    } catch (error) {
      await received.staged?.[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The digest of the file and the artefact's own hash, after the rules for its kind. */
  async #hash(
    artefact: Artefact,
    { staged, small, hash }: Received,
    signal: AbortSignal,
  ): Promise<{ sha256: string; h1: string | undefined }> {
    const { kind, module, version } = artefact;
    if (kind === 'zip') {
      invariant(staged !== undefined, 'a zip is received into a file, where the prover reads it');
      const { sha256, h1, sizeBytes } = await this.#parts.prover.prove({ localPath: staged.localPath, module, version }, signal);
      if (sizeBytes !== staged.sizeBytes)
        throw new HubError('storage-fault', `${staged.localPath} has ${sizeBytes} bytes where ${staged.sizeBytes} were written`);
      return { sha256, h1 };
    }
    const sha256 = hash.digest('hex');
    if (kind === 'mod') return { sha256, h1: goModHashOfDigest(sha256) };
    const info = parseVersionInfo(small ?? Buffer.alloc(0), version);
    if (!info.ok) throw new HubError('upstream-invalid', `the upstream's .info of ${module}@${version} is refused: ${info.reason}`);
    return { sha256, h1: undefined };
  }

  /** Bytes first, then the row: what a crash leaves between the two is proved again and is never lost. */
  async #seal(artefact: Artefact, checked: Checked, origin: string): Promise<FileRow> {
    const { kind, module, version, key } = artefact;
    const { store, metadata, clock, stored } = this.#parts;
    const { sha256, h1, proof, record } = checked;
    await using staged = checked.received.staged;
    const { small } = checked.received;
    invariant(staged !== undefined || small !== undefined, 'what was received is in memory or in a file');
    const placed = staged === undefined ? await store.place(key, small as Buffer, 'put') : await staged.seal(key, sha256);
    const row: FileRow = { key, kind, module, version, ...placed, sha256, h1, origin, proof, storedAtMs: clock.wallMs() };
    // Handed in together, they share a transaction. The bytes are sealed and proved: what our own log cannot take now it takes at the look-up.
    const recorded = metadata.recordFile(row, staged === undefined ? small : undefined);
    await Promise.all([recorded, ...(record === undefined ? [] : this.#recordProved(artefact, record))]);
    stored.adopt(artefact, row, small);
    if (kind === 'zip') this.#parts.onZipStored(artefact);
    return row;
  }

  #recordProved({ module, version }: Artefact, record: ProvedRecord): readonly Promise<void>[] {
    return this.#parts.ownDatabases.map((own) =>
      own.recordProved(module, version, record).catch((error: unknown) => {
        if (!(error instanceof HubError)) throw error;
        this.#parts.log.warn('the own checksum database does not take the record of what was stored', {
          database: own.name,
          module,
          version,
          reason: error.message,
        });
      }),
    );
  }
}
