import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { codeOf, type ErrorCode, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { Priority } from '../base/gate.ts';
import { SingleFlight } from '../base/single-flight.ts';
import type { FileRow, Metadata, Proof } from '../meta/metadata.ts';
import type { ChecksumDatabase, ProvedRecord } from '../origin/checksum-database.ts';
import type { ModuleOrigin, OriginBody } from '../origin/module-origin.ts';
import type { ZipProver } from '../origin/zip-prover.ts';
import { goModHashOfDigest } from '../protocol/dirhash.ts';
import { escapePath } from '../protocol/module-path.ts';
import { escapeVersion } from '../protocol/version.ts';
import { parseVersionInfo } from '../protocol/version-info.ts';
import type { BlobStore, StagedBlob } from '../store/blob-store.ts';
import type { Served } from './served.ts';
import { type Artefact, chunksOf, type StoredFiles, smallFileBytesMax } from './stored-files.ts';

const mebibyte = 1024 * 1024;

/** The limits of golang.org/x/mod/zip; an `.info` is a few hundred bytes. */
const sizeMaxBytes: Record<Artefact['kind'], number> = { info: 64 * 1024, mod: 16 * mebibyte, zip: 500 * mebibyte };

/** How often a process asks whether another's fill has ended. */
const leasePollMs = { first: 15, max: 250 };

/** A herd that waited for a failure fails together; the next request after this tries again. */
const failureTtlMs = 1_000;

export interface FillParts {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly stored: StoredFiles;
  readonly origin: ModuleOrigin;
  readonly prover: ZipProver;
  /** The database that proves; undefined with `verify: off`. */
  readonly database: ChecksumDatabase | undefined;
  readonly events: Events;
  readonly clock: Clock;
  /** Told after a `zip` has been stored, so that `@v/list` on disk can follow. */
  readonly onZipStored: (artefact: Artefact) => void;
}

/** Bytes in staging that were checked and, where a database covers them, proved. */
interface Checked {
  readonly staged: StagedBlob;
  readonly h1: string | undefined;
  readonly proof: Proof;
  readonly small: Buffer | undefined;
}

interface Progress {
  receivedBytes: number;
  totalBytes: number | undefined;
}

/**
 * The first fetch of an artefact: once in this process (single flight), once among all processes (lease), proved before it is stored, durable before it is answered.
 * It runs under its own signal: callers come and go.
 */
export class Filler {
  readonly #parts: FillParts;
  readonly #flights = new SingleFlight<Served>();
  readonly #progress = new Map<string, Progress>();

  constructor(parts: FillParts) {
    this.#parts = parts;
  }

  /**
   * @throws {HubError} not-found, upstream-refused, checksum-mismatch, checksum-missing, zip-invalid, upstream-invalid, log-…, origin-…, database-unavailable, storage-…, or the signal's reason
   */
  fill(artefact: Artefact, priority: Priority, signal: AbortSignal): Promise<Served> {
    return this.#flights.do(artefact.key, (own) => this.#underLease(artefact, priority, own), signal);
  }

  /** Percent of the bytes received, when the fill runs and its size is known. */
  progressPercent(artefact: Artefact): number | undefined {
    const progress = this.#progress.get(artefact.key);
    if (progress?.totalBytes === undefined || progress.totalBytes === 0) return undefined;
    return Math.min(100, Math.floor((100 * progress.receivedBytes) / progress.totalBytes));
  }

  get running(): number {
    return this.#flights.size;
  }

  stop(): void {
    this.#flights.abortAll(new HubError('canceled', 'the hub is stopping'));
  }

  async #underLease(artefact: Artefact, priority: Priority, signal: AbortSignal): Promise<Served> {
    const { metadata, stored } = this.#parts;
    for (let waitMs = leasePollMs.first; ; waitMs = Math.min(waitMs * 2, leasePollMs.max)) {
      const attempt = await metadata.acquireLease(artefact.key);
      if (attempt.kind === 'acquired') break;
      if (attempt.kind === 'failed') throw new HubError(attempt.failure.code, attempt.failure.message);
      await sleep(waitMs, signal);
      const filled = await stored.open(artefact);
      if (filled !== undefined) return filled;
    }
    let failure: (Error & { code?: ErrorCode }) | undefined;
    try {
      // Another process may have sealed it between our look at the store and our lease.
      return (await stored.open(artefact)) ?? (await this.#measured(artefact, priority, signal));
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      const code = codeOf(failure);
      // An absence is remembered in memory only, where it is bounded: a flood of misses leaves no rows.
      const shared = code !== undefined && code !== 'not-found' && code !== 'canceled';
      await metadata.releaseLease(artefact.key, shared ? { code, message: messageOf(failure), failureTtlMs } : undefined);
    }
  }

  async #measured(artefact: Artefact, priority: Priority, signal: AbortSignal): Promise<Served> {
    const { events, clock } = this.#parts;
    const startedMs = clock.monotonicMs();
    const report = { kind: artefact.kind, module: artefact.module, version: artefact.version };
    try {
      const { served, row } = await this.#fetchAndSeal(artefact, priority, signal);
      const seconds = (clock.monotonicMs() - startedMs) / 1000;
      events.filled({ ...report, outcome: 'stored', seconds, sizeBytes: row.sizeBytes, origin: row.origin });
      return { ...served, outcome: 'miss' };
    } catch (error) {
      const code = codeOf(error) ?? 'storage-fault';
      const seconds = (clock.monotonicMs() - startedMs) / 1000;
      events.filled({ ...report, outcome: code, seconds, sizeBytes: 0, origin: '' });
      if (code === 'checksum-mismatch' || code === 'checksum-missing' || code === 'zip-invalid' || code === 'upstream-invalid') {
        events.verificationFailed({ reason: code, subject: `${artefact.module}@${artefact.version} ${artefact.kind}`, detail: messageOf(error) });
      }
      throw error;
    } finally {
      this.#progress.delete(artefact.key);
    }
  }

  async #fetchAndSeal(artefact: Artefact, priority: Priority, signal: AbortSignal): Promise<{ served: Served; row: FileRow }> {
    const record = this.#startLookup(artefact, priority, signal);
    const fromStore = await this.#checkLeftover(artefact, record, signal);
    if (fromStore !== undefined) return this.#seal(artefact, fromStore, 'store');
    const resource = `${escapePath(artefact.module)}/@v/${escapeVersion(artefact.version)}.${artefact.kind}`;
    const answer = await this.#parts.origin.fetch(
      { resource, sizeMaxBytes: sizeMaxBytes[artefact.kind], priority },
      (body, _origin, bodySignal) => this.#check(artefact, body, record, bodySignal),
      signal,
    );
    if (answer.kind === 'absent') throw new HubError('not-found', answer.reason);
    return this.#seal(artefact, answer.value, answer.origin);
  }

  /**
   * The look-up runs beside the download, so that proving costs no extra round trip.
   * It is asked of another transport than the first upstream, which will most likely serve the bytes.
   */
  #startLookup(artefact: Artefact, priority: Priority, signal: AbortSignal): Promise<ProvedRecord | undefined> | undefined {
    const { database, origin } = this.#parts;
    if (database === undefined || artefact.kind === 'info') return undefined;
    const likely = origin.states().find((state) => state.breaker === 'closed')?.name;
    const lookup = database.lookup(artefact.module, artefact.version, { priority, ...(likely !== undefined && { avoidOrigin: likely }) }, signal);
    lookup.catch(() => {}); // Seen where it is awaited, unless the download fails first.
    return lookup;
  }

  /** A file that lies in the store without a row (a restored backup, a crash between the rename and the transaction) is proved like any other, or goes. */
  async #checkLeftover(artefact: Artefact, record: Promise<ProvedRecord | undefined> | undefined, signal: AbortSignal): Promise<Checked | undefined> {
    const { store, events } = this.#parts;
    const blob = await store.open(artefact.key);
    if (blob === undefined) return undefined;
    try {
      const body = { sizeBytes: blob.sizeBytes, [Symbol.asyncIterator]: () => chunksOf(blob) };
      return await this.#check(artefact, body, record, signal);
    } catch (error) {
      const code = codeOf(error);
      if (code !== 'checksum-mismatch' && code !== 'zip-invalid' && code !== 'upstream-invalid') throw error;
      await store.setAside(artefact.key, messageOf(error));
      events.fileSetAside({ key: artefact.key, reason: messageOf(error) });
      return undefined;
    } finally {
      await blob[Symbol.asyncDispose]();
    }
  }

  async #check(artefact: Artefact, body: OriginBody, record: Promise<ProvedRecord | undefined> | undefined, signal: AbortSignal): Promise<Checked> {
    const progress: Progress = { receivedBytes: 0, totalBytes: body.sizeBytes };
    this.#progress.set(artefact.key, progress);
    const staged = await this.#parts.store.stage();
    try {
      const received = await receive(body, staged, progress, artefact.kind);
      const h1 = await this.#hash(artefact, staged, received, signal);
      const proof = await this.#prove(artefact, h1, await record);
      return { staged, h1, proof, small: received.small };
    } catch (error) {
      await staged[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The artefact's own hash, after the rules for its kind. */
  async #hash(artefact: Artefact, staged: StagedBlob, received: Received, signal: AbortSignal): Promise<string | undefined> {
    switch (artefact.kind) {
      case 'info': {
        const info = parseVersionInfo(received.small ?? Buffer.alloc(0), artefact.version);
        if (!info.ok) throw new HubError('upstream-invalid', `the upstream's .info of ${artefact.module}@${artefact.version} is refused: ${info.reason}`);
        return undefined;
      }
      case 'mod':
        return goModHashOfDigest(received.goModSha256);
      case 'zip': {
        const { module, version } = artefact;
        return (await this.#parts.prover.prove({ localPath: staged.localPath, module, version }, signal)).h1;
      }
    }
  }

  async #prove(artefact: Artefact, h1: string | undefined, record: ProvedRecord | undefined): Promise<Proof> {
    const { database, clock } = this.#parts;
    if (database === undefined || h1 === undefined) return { kind: 'none' };
    const what = `${artefact.module}@${artefact.version}${artefact.kind === 'mod' ? '/go.mod' : ''}`;
    if (record === undefined) throw new HubError('checksum-missing', `${what} is served by an upstream, but ${database.name} has no record of it: it cannot be proved and is not stored`);
    const recorded = artefact.kind === 'mod' ? record.modHash : record.zipHash;
    if (recorded !== h1) {
      throw new HubError('checksum-mismatch', `${what} does not match the checksum database: the upstream's bytes have ${h1}, ${database.name} recorded ${recorded}`);
    }
    return { kind: 'checksum-database', database: record.database, treeSize: record.treeSize, recordId: record.recordId, provedAtMs: clock.wallMs() };
  }

  /** Bytes first, then the row: what a crash leaves between the two is proved again and is never lost. */
  async #seal(artefact: Artefact, checked: Checked, origin: string): Promise<{ served: Served; row: FileRow }> {
    await using staged = checked.staged;
    const { kind, module, version, key } = artefact;
    const sealed = await staged.seal(key);
    const row: FileRow = { key, kind, module, version, ...sealed, h1: checked.h1, origin, proof: checked.proof, storedAtMs: this.#parts.clock.wallMs() };
    await this.#parts.metadata.recordFile(row);
    const served = await this.#parts.stored.adopt(artefact, row, checked.small);
    if (served === undefined) throw new HubError('storage-fault', `${key} vanished from the store after it had been sealed`);
    if (kind === 'zip') this.#parts.onZipStored(artefact);
    return { served, row };
  }
}

interface Received {
  /** 64 lower-case hex digits; of a go.mod only, as a zip is hashed in the prover's thread. */
  readonly goModSha256: string;
  /** All bytes, when they are few. */
  readonly small: Buffer | undefined;
}

async function receive(body: OriginBody, staged: StagedBlob, progress: Progress, kind: Artefact['kind']): Promise<Received> {
  const limitBytes = sizeMaxBytes[kind];
  const hash = createHash('sha256');
  let kept: Buffer[] | undefined = [];
  for await (const chunk of body) {
    progress.receivedBytes += chunk.length;
    if (progress.receivedBytes > limitBytes) throw new HubError('upstream-invalid', `the upstream sent more than ${limitBytes} bytes`);
    if (kind === 'mod') hash.update(chunk);
    if (progress.receivedBytes > smallFileBytesMax) kept = undefined;
    kept?.push(Buffer.from(chunk));
    await staged.append(chunk);
  }
  return { goModSha256: hash.digest('hex'), small: kept === undefined ? undefined : Buffer.concat(kept) };
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
