/**
 * Takes a bundle into the data of a hub, whole or not at all. In this order:
 *
 * 1. everything is read, hashed and proved, and what the hub lacks is written into a folder that nobody serves from. Whatever is wrong, the folder goes
 *    and nothing has changed;
 * 2. one transaction of metadata: all rows, the head of the checksum database, what was imported. Before it there is the old state, after it the new one;
 * 3. the files get their names, which takes moments. Killed here, the next start of the hub, or the next import, goes on with it.
 *
 * A running hub serves all the time: what it had before is touched by no step, and of what is new it knows nothing before 2.
 */
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import { Gate } from '../base/gate.ts';
import type { FileRow, HeadRow, ImportChange, Metadata, Proof } from '../meta/metadata.ts';
import type { ZipProver } from '../origin/zip-prover.ts';
import { goModHashOfDigest } from '../protocol/dirhash.ts';
import { tileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { LOOKUP_BYTES_MAX } from '../protocol/checksum-record.ts';
import { type HashTile, TILE_BYTES, TILE_WIDTH } from '../protocol/tile.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { CarriedFiles } from '../store/fs-carried.ts';
import type { BundleEntry, BundleFile } from './bundle-file.ts';
import type { CarriedLog } from './carried-log.ts';
import { type Beside, BundleCheck, type ProvedRecord, type TrustedDatabases } from './check-bundle.ts';
import { checkAgainstKnown, checkNames } from './private-modules.ts';
import { takeZip } from './take-zip.ts';
import { inOrderOfPlacing, isVulnerabilityFile, vulnerabilityFilesToTake } from './vulnerability-import.ts';
import { checkOrder, checkRoom, formatImported, IMPORTED_SETTING, parseImported, PLACING_SETTING } from './imported-bundles.ts';

export interface ImportParts {
  readonly store: Pick<BlobStore, 'open' | 'readSmall' | 'health'>;
  readonly metadata: Metadata;
  readonly prover: ZipProver;
  readonly trusted: TrustedDatabases;
  /** Names of the logs that this hub signs itself. */
  readonly ownLogs: readonly string[];
  readonly isPrivate: (module: ModulePath) => boolean;
  readonly begin: (digest: string) => Promise<CarriedFiles>;
  readonly reopen: (digest: string) => Promise<CarriedFiles | undefined>;
  /** Removes what killed imports left, all but the one of this digest. */
  readonly sweep: (keep: string | undefined) => Promise<void>;
  readonly nowMs: () => number;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

export interface ImportReport {
  /** It had been imported before, and everything of it is here: nothing was done. */
  readonly known: boolean;
  /** Files that the hub had not, and their bytes. */
  readonly files: number;
  readonly sizeBytes: number;
  /** Files that it had already. */
  readonly present: number;
  /** Of bundles before it, and not here any more. */
  readonly missing: number;
  /** Files of the vulnerability database that were replaced or added. */
  readonly vulnerabilities: number;
  readonly treeSize: number;
  /** Whose lists may have changed. */
  readonly modules: readonly ModulePath[];
}

const LEASE = 'bundle-import';
/** Zips read ahead of the threads that prove them, so that the disk and the processors work at the same time. */
const AT_ONCE = 6;
const SMALL_AT_ONCE = 16;

/**
 * @throws {HubError} bundle-invalid, log-invalid, log-forked, checksum-mismatch, checksum-missing, zip-invalid, policy-denied, overloaded while another import
 * runs, storage-full, storage-fault, or the signal's reason: then nothing has changed
 */
export async function importBundle(bundle: BundleFile, parts: ImportParts, signal: AbortSignal): Promise<ImportReport> {
  const { metadata } = parts;
  if ((await metadata.acquireLease(LEASE)).kind !== 'acquired')
    throw new HubError('overloaded', 'another bundle is being imported: wait for its end');
  try {
    await finishImport(parts);
    await parts.sweep(undefined);
    return await new Import(bundle, parts, signal).run();
  } finally {
    await metadata.releaseLease(LEASE);
  }
}

/**
 * What a hub does before it serves: an import that was killed is brought to its end, or forgotten. One that runs is left alone. Writes nothing where none was
 * killed, so that a hub on a full or read-only disk starts and serves what it has.
 */
export async function tidyImports(
  parts: Pick<ImportParts, 'metadata' | 'reopen' | 'sweep'> & { readonly anyLeft: () => Promise<boolean> },
): Promise<boolean> {
  const { metadata, sweep, anyLeft } = parts;
  if (((await metadata.setting(PLACING_SETTING)) ?? '') === '' && !(await anyLeft())) return false;
  if ((await metadata.acquireLease(LEASE)).kind !== 'acquired') return false;
  try {
    const finished = await finishImport(parts);
    await sweep(undefined);
    return finished;
  } finally {
    await metadata.releaseLease(LEASE);
  }
}

/** Goes on where a process was killed after it had decided. */
async function finishImport({ metadata, reopen }: Pick<ImportParts, 'metadata' | 'reopen'>): Promise<boolean> {
  const digest = await metadata.setting(PLACING_SETTING);
  if (digest === undefined || digest === '') return false;
  const carried = await reopen(digest);
  if (carried !== undefined) await placeAll(carried, metadata);
  await metadata.recordSetting(PLACING_SETTING, '');
  await carried?.discard();
  return true;
}

/** A row without a fingerprint is one whose file has not been seen under its name: it is hashed before a byte of it is served, whatever comes between. */
const UNSEEN = '';

async function placeAll(carried: CarriedFiles, metadata: Metadata): Promise<void> {
  const noted: Promise<void>[] = [];
  await carried.place(
    async (key) => {
      const row = await metadata.file(key);
      return row === undefined || row.fingerprint === UNSEEN;
    },
    async (key, fingerprint) => {
      if ((await metadata.file(key)) !== undefined) noted.push(metadata.recordFingerprint(key, fingerprint));
    },
  );
  await Promise.all(noted);
}

class Import {
  readonly #bundle: BundleFile;
  readonly #parts: ImportParts;
  readonly #signal: AbortSignal;
  readonly #rows: FileRow[] = [];
  readonly #count = { present: 0, missing: 0, vulnerabilities: 0, doneBytes: 0 };

  constructor(bundle: BundleFile, parts: ImportParts, signal: AbortSignal) {
    this.#bundle = bundle;
    this.#parts = parts;
    this.#signal = signal;
  }

  async run(): Promise<ImportReport> {
    const { metadata, nowMs, store } = this.#parts;
    const imported = parseImported(await metadata.setting(IMPORTED_SETTING));
    const { digest, head } = this.#bundle;
    const isKnown = imported.some((other) => other.digest === digest);
    const wanted = await this.#wanted(isKnown);
    // Taken in before, it is read again only for what was lost since then.
    if (isKnown && wanted.every(({ item }) => item.kind !== 'file')) return this.#report(true);
    if (!isKnown) checkOrder(this.#bundle, imported, nowMs());
    checkNames(this.#bundle, this.#parts.isPrivate);
    const check = await BundleCheck.open(this.#bundle, this.#parts.trusted, this.#beside());
    const heads = await Promise.all([...check.logs].map(([name, log]) => this.#nextHead(name, log)));
    await checkAgainstKnown(check, this.#parts);
    checkRoom(
      wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      (await store.health()).freeBytes,
    );
    const carried = await this.#parts.begin(digest);
    try {
      await this.#take(check, new Set(wanted), carried);
      this.#signal.throwIfAborted();
      await carried.seal();
      const { key, sizeBytes } = { key: this.#bundle.key.text, sizeBytes: this.#sizeBytes };
      const entry = { digest, created: head.created, key, source: head.source, importedAtMs: nowMs(), files: this.#rows.length, sizeBytes };
      const settings = { [IMPORTED_SETTING]: formatImported(isKnown ? imported : [...imported, entry]), [PLACING_SETTING]: digest };
      const switched = await metadata.recordImport({ rows: this.#rows, heads, settings });
      if (!switched)
        throw new HubError(
          'overloaded',
          'the hub took in other things while the bundle was read, which have to be compared with it: import it again',
        );
    } catch (error) {
      // What was decided stays, even when nobody was told that it was.
      if ((await metadata.setting(PLACING_SETTING).catch(() => digest)) !== digest) await carried.discard();
      throw error;
    }
    await finishImport(this.#parts);
    return this.#report(false);
  }

  #report(known: boolean): ImportReport {
    // Of one that is known the lists are looked at again: who was killed behind the last step has not written them.
    const files = known
      ? this.#bundle.entries.flatMap(({ item }) => (item.kind === 'file' ? [{ ...item, kind: item.file }] : []))
      : this.#rows;
    const modules = new Set(files.filter(({ kind }) => kind === 'zip').map(({ module }) => module as ModulePath));
    const { present, missing, vulnerabilities } = this.#count;
    const treeSize = this.#bundle.head.tree.size;
    return {
      known,
      files: this.#rows.length,
      sizeBytes: this.#sizeBytes,
      present,
      missing,
      vulnerabilities,
      treeSize,
      modules: [...modules],
    };
  }

  get #sizeBytes(): number {
    return this.#rows.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** What the head of a database is to become, and from which on. */
  async #nextHead(database: string, log: CarriedLog): Promise<ImportChange['heads'][number]> {
    const kept = await this.#parts.metadata.head(database);
    if (kept !== undefined) await this.#continues(log, kept);
    const { size: treeSize, root, note } = log.head;
    return { next: { database, treeSize, root: root.toString('base64'), note }, expectedTreeSize: kept?.treeSize };
  }

  /** The trees of the bundle and of the hub are one log. */
  async #continues(log: CarriedLog, kept: HeadRow): Promise<void> {
    const { head } = log;
    if (head.size < kept.treeSize)
      throw this.#bundle.refused(
        `its tree of ${kept.database} has ${head.size} records, and the hub knows one of ${kept.treeSize} already: bring a newer bundle`,
      );
    const root = await log.rootAt(kept.treeSize).catch((error: unknown) => {
      if (!(error instanceof HubError) || error.code !== 'log-invalid') throw error;
      throw this.#bundle.refused(
        `it cannot be shown that its tree continues the one of ${kept.treeSize} records that the hub knows (${error.message}): have it made with --wishes or --since, which tell what the hub knows`,
      );
    });
    if (root.toString('base64') === kept.root) return;
    const detail = `the tree of ${head.size} records in a bundle contradicts the kept one of ${kept.treeSize}`;
    const seenAtMs = this.#parts.nowMs();
    await this.#parts.metadata.recordFork({ database: kept.database, keptNote: kept.note, contradictingNote: head.note, detail, seenAtMs });
    throw new HubError('log-forked', `the checksum database ${kept.database} is frozen: ${detail}`);
  }

  /** Carried files that the hub lacks. Of a bundle that is known no vulnerability database: a later one may have brought another. */
  async #wanted(isKnown: boolean): Promise<readonly BundleEntry[]> {
    const wanted: BundleEntry[] = [];
    for (const entry of this.#bundle.entries) {
      const { item } = entry;
      if (item.kind === 'list' || item.kind === 'latest-version' || isVulnerabilityFile(entry)) continue;
      const isPresent = item.kind === 'file' && (await this.#isPresent(entry.name as BlobKey, item.file));
      if (isPresent) this.#count.present += 1;
      else if (entry.carried) wanted.push(entry);
      else if (item.kind === 'file') this.#count.missing += 1;
    }
    if (isKnown) return wanted;
    const vulnerabilities = await vulnerabilityFilesToTake(this.#bundle, this.#parts.store);
    this.#count.present += vulnerabilities.present;
    this.#count.missing += vulnerabilities.missing;
    this.#count.vulnerabilities = vulnerabilities.wanted.length;
    return [...wanted, ...vulnerabilities.wanted];
  }

  async #isPresent(key: BlobKey, file: FileRow['kind']): Promise<boolean> {
    const row = await this.#parts.metadata.file(key);
    if (row === undefined || (row.proof.kind === 'private') !== this.#parts.isPrivate(row.module as ModulePath)) return false;
    const isProved = file === 'info' || row.proof.kind !== 'none';
    return isProved && this.#isStored(key);
  }

  /** A row outlives its file: one that was lost is put back. */
  async #isStored(key: BlobKey): Promise<boolean> {
    const blob = await this.#parts.store.open(key);
    await blob?.[Symbol.asyncDispose]();
    return blob !== undefined;
  }

  /** Reads, proves and writes: small files many at once, zips while the ones before them are being proved. */
  async #take(check: BundleCheck, wanted: ReadonlySet<BundleEntry>, carried: CarriedFiles): Promise<void> {
    const gates = { small: new Gate({ slotsMax: SMALL_AT_ONCE, queueMax: 1 }), zip: new Gate({ slotsMax: AT_ONCE, queueMax: 1 }) };
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#signal, failed.signal]);
    const running = new Set<Promise<void>>();
    for (const entry of inOrderOfPlacing(this.#bundle.entries)) {
      if (!entry.carried || signal.aborted) continue;
      // Files get their names in the order in which they were added.
      if (entry.item.kind === 'vulnerability-index') await Promise.all(running);
      const isZip = entry.item.kind === 'file' && entry.item.file === 'zip';
      const leave = await gates[isZip ? 'zip' : 'small'].enter({ priority: 'waited-for' }, signal).catch(() => undefined);
      if (leave === undefined) break;
      const work = this.#takeOne(check, entry, { carried, isWanted: wanted.has(entry), isZip }, signal)
        .catch((error: unknown) => failed.abort(error))
        .finally(() => {
          leave();
          running.delete(work);
        });
      running.add(work);
    }
    await Promise.all(running);
    signal.throwIfAborted();
  }

  async #takeOne(
    check: BundleCheck,
    entry: BundleEntry,
    { carried, isWanted, isZip }: { carried: CarriedFiles; isWanted: boolean; isZip: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const key = entry.name as BlobKey;
    if (isZip) {
      // One that is there already is read for its digest alone: what is there was proved.
      if (!isWanted) for await (const chunk of this.#bundle.stream(entry)) this.#progress(chunk.length);
      else {
        const onBytes = (sizeBytes: number): void => this.#progress(sizeBytes);
        const { prover } = this.#parts;
        const { h1, record } = await takeZip(check, entry, { carried, prover, stream: () => this.#counted(entry), onBytes }, signal);
        this.#rows.push(this.#row(entry, h1, record));
      }
      return;
    }
    const bytes = await check.small(entry);
    this.#progress(bytes.length);
    if (!isWanted) return;
    await carried.add(key, [bytes]);
    const { item } = entry;
    if (item.kind !== 'file') return;
    const record = await check.record(item.module, item.version);
    this.#rows.push(this.#row(entry, item.file === 'mod' ? goModHashOfDigest(entry.sha256) : undefined, record));
  }

  async *#counted(entry: BundleEntry): AsyncGenerator<Buffer> {
    for await (const chunk of this.#bundle.stream(entry, 'given')) {
      this.#signal.throwIfAborted();
      this.#progress(chunk.length);
      yield chunk;
    }
  }

  #progress(sizeBytes: number): void {
    this.#count.doneBytes += sizeBytes;
    this.#parts.onProgress(this.#count.doneBytes, this.#bundle.head.sizeBytes);
  }

  #row({ name, item, sizeBytes, sha256 }: BundleEntry, h1: string | undefined, record: ProvedRecord | undefined): FileRow {
    if (item.kind !== 'file') throw this.#bundle.refused(`${name} is no file of a module`);
    const { database, tree, source } = this.#bundle.head;
    const now = this.#parts.nowMs();
    const isPrivate = this.#parts.isPrivate(item.module);
    if (isPrivate && record?.isPrivate !== true)
      throw new HubError('checksum-missing', `${name} in ${this.#bundle.file} comes without its record, so nothing proves it`);
    const proof: Proof = isPrivate
      ? { kind: 'private' }
      : h1 === undefined || record === undefined
        ? { kind: 'none' }
        : { kind: 'checksum-database', database, treeSize: tree.size, recordId: record.recordId, provedAtMs: now };
    const origin = `bundle of ${source}`;
    const { module, version, file: kind } = item;
    return { key: name as BlobKey, kind, module, version, sizeBytes, sha256, fingerprint: UNSEEN, h1, origin, proof, storedAtMs: now };
  }

  #beside(): Beside {
    const { store } = this.#parts;
    const read = async (key: BlobKey, sizeMaxBytes: number): Promise<Buffer | undefined> =>
      (await store.readSmall(key, sizeMaxBytes))?.bytes;
    return {
      lookup: (key) => read(key, LOOKUP_BYTES_MAX),
      tile: async (database, tile: HashTile) =>
        (await read(tileKey(database, tile), TILE_BYTES)) ??
        (tile.width < TILE_WIDTH
          ? (await read(tileKey(database, { ...tile, width: TILE_WIDTH }), TILE_BYTES))?.subarray(0, tile.width * 32)
          : undefined),
    };
  }
}
