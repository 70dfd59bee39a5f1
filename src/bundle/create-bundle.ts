/**
 * Makes a bundle out of what a hub (or any GOPROXY with a checksum database behind it) answers, by the protocol that the go command speaks: it needs
 * neither the hub's disk nor a go command. In this order: find out what is wanted, tell it with sizes, fetch it into a folder beside the bundle, prove
 * every version, write. What was fetched stays in that folder until the bundle is written, so that a run that was cut goes on where it was.
 */
import { hash } from 'node:crypto';
import { Gate } from '../base/gate.ts';
import { codeOf, HubError } from '../base/errors.ts';
import type { ProvedZip, ZipToProve } from '../origin/zip-prover.ts';
import type { BundleHead, DatabaseTree } from '../protocol/bundle-head.ts';
import { bundleItem, type ManifestEntry } from '../protocol/bundle-manifest.ts';
import { hashGoMod } from '../protocol/dirhash.ts';
import { listKey, lookupKey, moduleFileKey, parseModuleFileKey } from '../protocol/layout.ts';
import { nameOf } from '../protocol/main-go-mod.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { SignerKey } from '../protocol/note.ts';
import type { Sm2SignerKey } from '../protocol/sm2.ts';
import type { Version } from '../protocol/version.ts';
import { parseVersionInfo } from '../protocol/version-info.ts';
import { formatVersionList } from '../protocol/version-list.ts';
import { VULNDB_PREFIX } from '../protocol/vulnerability-database.ts';
import { type AllRecords, type Databases, fetchAllRecords, lookupsOf, proverOf } from './all-records.ts';
import type { BundleFile } from './bundle-file.ts';
import { fetchHead } from './create-records.ts';
import { writeBundle, type WrittenBundle } from './bundle-writer.ts';
import type { Wanted } from './closure.ts';
import { makePlan, type Plan, type PlanRequest, versionsOf } from './create-plan.ts';
import { FILE_BYTES_MAX, fetchFile, type FetchParts, type Lack, lack, QUEUE_MAX, SMALL_SLOTS } from './fetch-files.ts';
import type { ProxySource } from './proxy-source.ts';
import { Staging } from './staging.ts';
import type { StoredFiles } from './stored-files.ts';
import { readVulnerabilities, type VulnerabilitySource } from './vulnerability-source.ts';

export interface CreateRequest extends PlanRequest, Databases {
  readonly file: string;
  readonly created: string;
  readonly since: BundleFile | undefined;
  /** Trees that the hubs inside stand at. */
  readonly known: readonly DatabaseTree[];
  readonly partBytesMax: number | undefined;
}

export interface CreateParts {
  /** Trees of bundles that the same key signed: who imported those may import this one. */
  readonly made: readonly DatabaseTree[];
  readonly source: ProxySource;
  /** What the hub's store on this machine has, so that it need not be fetched; undefined: everything comes by `source`. */
  readonly stored: StoredFiles | undefined;
  /** Undefined: no vulnerability database is to be carried. */
  readonly vulnerabilities: VulnerabilitySource | undefined;
  readonly proveZip: (zip: ZipToProve, signal: AbortSignal) => Promise<ProvedZip>;
  /** Undefined: it is only to be told what would be done. */
  readonly signer: SignerKey | undefined;
  /** Signs as well. */
  readonly sm2: Sm2SignerKey | undefined;
}

/** What is to be fetched, as far as it is known before it is. */
export interface PlanSizes {
  readonly versions: number;
  /** Of these, of private modules. */
  readonly privateVersions: number;
  readonly zips: number;
  /** Files of the vulnerability database. */
  readonly vulnerabilities: number;
  /** In files that are not in the bundle that this one adds to. */
  readonly newFiles: number;
  readonly knownBytes: number;
  /** Zips that the source does not have itself yet. */
  readonly unknownZips: number;
}

export interface CreateWatch {
  readonly planning: (goMods: number) => void;
  readonly planned: (sizes: PlanSizes) => void;
  readonly fetching: (done: number, total: number, sizeBytes: number) => void;
  readonly writing: (sizeBytes: number) => void;
}

export interface CreatedBundle {
  readonly plan: PlanSizes;
  readonly lacks: readonly Lack[];
  /** Undefined when it was only to be told. */
  readonly written: (WrittenBundle & { readonly inherited: number }) | undefined;
}

/** @throws {HubError} log-invalid, log-forked, database-unavailable, origin-unavailable, storage-full, storage-fault, or the signal's reason */
export async function createBundle(
  request: CreateRequest,
  parts: CreateParts,
  watch: CreateWatch,
  signal: AbortSignal,
): Promise<CreatedBundle> {
  return new Maker(request, parts, watch, signal).run();
}

interface Hashes {
  readonly sha256: string;
  readonly h1: string | undefined;
}

class Maker {
  readonly #request: CreateRequest;
  readonly #parts: CreateParts;
  readonly #watch: CreateWatch;
  readonly #signal: AbortSignal;
  readonly #staging: Staging;
  readonly #lacks: Lack[] = [];
  #vulnerabilities: ReadonlyMap<string, Buffer> = new Map();
  readonly #entries = new Map<string, ManifestEntry>();
  readonly #bytes = new Map<string, Buffer>();
  readonly #hashes = new Map<string, Promise<Hashes>>();
  /** More may wait here than in front of the threads. */
  readonly #proving = new Gate({ slotsMax: PROVE_SLOTS, queueMax: QUEUE_MAX });

  constructor(request: CreateRequest, parts: CreateParts, watch: CreateWatch, signal: AbortSignal) {
    this.#request = request;
    this.#parts = parts;
    this.#watch = watch;
    this.#signal = signal;
    this.#staging = new Staging(`${request.file}.staging`, parts.source, parts.stored);
  }

  async run(): Promise<CreatedBundle> {
    let goMods = 0;
    const { database: key, own } = this.#request;
    // Without these nothing can be proved: a source that is away or has none is told before anything is fetched.
    for (const one of own === undefined ? [key] : [key, own.key]) await fetchHead(one, this.#parts.source, this.#signal);
    const plan = await makePlan(
      this.#request,
      this.#fetchParts(() => this.#watch.planning((goMods += 1))),
      this.#signal,
    );
    const fresh = plan.wanted.filter(({ path, version, file }) => this.#inherited(moduleFileKey(path, version, file)) === undefined);
    const { vulnerabilities: database } = this.#parts;
    if (database !== undefined) this.#vulnerabilities = await readVulnerabilities(database, this.#signal);
    const sizes = await this.#sizes(plan, fresh);
    this.#watch.planned(sizes);
    const { signer } = this.#parts;
    if (signer === undefined) return { plan: sizes, lacks: this.#lacks, written: undefined };
    const records = await this.#fetch(plan, fresh);
    await this.#addFiles(plan, fresh, records);
    const written = await this.#write(records, signer).catch(async (error: unknown) => {
      // Where a stored file had changed since it was proved, everything that is stored is looked at, and what is bad is fetched.
      if (codeOf(error) !== 'storage-fault' || !(await this.#refetchChanged(fresh))) throw error;
      await this.#addFiles(plan, fresh, records);
      return this.#write(records, signer);
    });
    await this.#staging.clear();
    return { plan: sizes, lacks: this.#lacks, written };
  }

  #fetchParts(onFile: (sizeBytes: number) => void, slotsMax: number = SMALL_SLOTS): FetchParts {
    const small = new Gate({ slotsMax, queueMax: QUEUE_MAX });
    return { source: this.#parts.source, staging: this.#staging, small, lacks: this.#lacks, onFile };
  }

  #inherited(name: string): ManifestEntry | undefined {
    return this.#request.since?.find(name);
  }

  async #sizes(plan: Plan, fresh: readonly Wanted[]): Promise<PlanSizes> {
    const gate = new Gate({ slotsMax: SMALL_SLOTS, queueMax: QUEUE_MAX });
    let [knownBytes, unknownZips] = [0, 0];
    await Promise.all(
      fresh.map(async ({ path, version, file }) => {
        const name = moduleFileKey(path, version, file);
        const leave = await gate.enter({ priority: 'waited-for' }, this.#signal);
        try {
          const resource = name.slice(name.indexOf('/') + 1);
          const staged = await this.#staging.sizeOf(name);
          const size = staged ?? (file === 'zip' ? await this.#parts.source.size(resource, this.#signal).catch(() => undefined) : 0);
          knownBytes += size ?? 0;
          if (size === undefined) unknownZips += 1;
        } finally {
          leave();
        }
      }),
    );
    this.#signal.throwIfAborted();
    const zips = plan.wanted.filter(({ file }) => file === 'zip').length;
    const { size: vulnerabilities } = this.#vulnerabilities;
    const changed = [...this.#vulnerabilities].filter(([name, bytes]) => this.#inherited(name)?.sha256 !== hash('sha256', bytes));
    knownBytes += changed.reduce((sum, [, bytes]) => sum + bytes.length, 0);
    const versions = versionsOf(plan.wanted);
    const privateVersions = versions.filter(({ path }) => this.#request.own?.isPrivate(path) === true).length;
    return {
      versions: versions.length,
      privateVersions,
      zips,
      vulnerabilities,
      newFiles: fresh.length + changed.length,
      knownBytes,
      unknownZips,
    };
  }

  async #fetch(plan: Plan, fresh: readonly Wanted[]): Promise<AllRecords> {
    const { database, own, since, known } = this.#request;
    // A version of which only another file is new was proved when its record was carried.
    const wanted = lookupsOf(this.#request, versionsOf(plan.wanted), (name) => this.#inherited(name) !== undefined);
    const total = fresh.length + wanted.reduce((sum, { versions }) => sum + versions.length, 0);
    let [done, sizeBytes] = [0, 0];
    const onFile = (size: number): void => {
      done += 1;
      sizeBytes += size;
      this.#watch.fetching(done, total, sizeBytes);
    };
    const small = this.#fetchParts(onFile);
    const zips = this.#fetchParts(onFile, ZIP_SLOTS);
    await Promise.all(
      fresh.map(async (file) => {
        const isHere = await fetchFile(file, file.file === 'zip' ? zips : small, this.#signal);
        // Proved while the next ones come.
        if (isHere && file.file === 'zip') void this.#hash(file).catch(() => {});
      }),
    );
    const trees = [...(since === undefined ? [] : treesOf(since.head)), ...known];
    const { made } = this.#parts;
    return fetchAllRecords({ database, own, wanted, known: trees, made, onRecord: () => onFile(0) }, small, this.#signal);
  }

  async #addFiles(plan: Plan, fresh: readonly Wanted[], records: AllRecords): Promise<void> {
    const { since } = this.#request;
    const databases = records.trees.map(({ database }) => database);
    // A newer vulnerability database takes the place of the older one as a whole.
    const isReplaced = ({ name }: ManifestEntry): boolean => this.#vulnerabilities.size > 0 && name.startsWith(VULNDB_PREFIX);
    for (const entry of since?.entries ?? [])
      if (lasts(entry, databases) && !isReplaced(entry)) this.#entries.set(entry.name, { ...entry, carried: false });
    for (const [name, bytes] of this.#vulnerabilities) this.#add(name, bytes);
    const gate = new Gate({ slotsMax: PROVE_SLOTS, queueMax: QUEUE_MAX });
    await Promise.all(
      fresh.map(async (wanted) => {
        const leave = await gate.enter({ priority: 'waited-for' }, this.#signal);
        try {
          await this.#addFile(wanted, records);
        } finally {
          leave();
        }
      }),
    );
    this.#addRecords(records, databases);
    // The latest version of what is not carried, such as a private module, is nobody's business inside.
    for (const { name, info, module } of plan.latest)
      if (this.#entries.has(moduleFileKey(module.path, module.version, 'zip'))) this.#add(name, info);
    this.#addLists();
  }

  /** Of versions of which there is a file: a record by itself would tell a name, and say nothing of whose module it is. */
  #addRecords({ files }: AllRecords, databases: readonly string[]): void {
    const versions = new Set<string>();
    for (const name of this.#entries.keys()) {
      const file = parseModuleFileKey(name);
      if (file !== undefined) versions.add(nameOf({ path: file.module, version: file.version }));
    }
    for (const [name, bytes] of files) {
      const item = bundleItem(databases, { name, sizeBytes: 0 });
      const isAlone =
        item.ok && item.value.kind === 'lookup' && !versions.has(nameOf({ path: item.value.module, version: item.value.version }));
      if (!isAlone) this.#add(name, bytes, isOfHead(name, databases));
    }
  }

  /** `always`: also when a bundle before has the very same. */
  #add(name: string, bytes: Buffer, always = false): void {
    const entry = { name, sizeBytes: bytes.length, sha256: hash('sha256', bytes) };
    const carried = always || this.#inherited(name)?.sha256 !== entry.sha256;
    this.#entries.set(name, { ...entry, carried });
    if (carried) this.#bytes.set(name, bytes);
  }

  async #addFile({ path, version, file }: Wanted, records: AllRecords): Promise<void> {
    const name = moduleFileKey(path, version, file);
    const sizeBytes = await this.#staging.sizeOf(name);
    const record = records.records.get(nameOf({ path, version }));
    const prover = proverOf(this.#request, path);
    const isProved = record !== undefined || this.#inherited(lookupKey(prover, path, version)) !== undefined;
    if (sizeBytes === undefined || !isProved) return;
    try {
      if (sizeBytes > FILE_BYTES_MAX[file]) throw new HubError('zip-invalid', `it has ${sizeBytes} bytes`);
      const { sha256, h1 } = await this.#hash({ path, version, file });
      const recorded = file === 'zip' ? record?.zipHash : record?.modHash;
      if (h1 !== undefined && recorded !== undefined && h1 !== recorded)
        throw new HubError('checksum-mismatch', `its bytes have ${h1}, ${prover} recorded ${recorded}`);
      this.#entries.set(name, { name, sizeBytes, sha256, carried: true });
    } catch (error) {
      await this.#staging.remove(name);
      lack({ lacks: this.#lacks }, { path, version, file }, error);
    }
  }

  async #refetchChanged(fresh: readonly Wanted[]): Promise<boolean> {
    const changed = await this.#staging.refuseChanged();
    for (const wanted of fresh) {
      const name = moduleFileKey(wanted.path, wanted.version, wanted.file);
      if (!changed.has(name)) continue;
      this.#hashes.delete(name);
      const fault = changed.get(name);
      if (fault !== undefined) lack({ lacks: this.#lacks }, wanted, fault);
    }
    this.#entries.clear();
    this.#bytes.clear();
    return changed.size > 0;
  }

  /** Of a file in staging, each read once. @throws {HubError} zip-invalid, upstream-invalid, storage-fault */
  #hash(wanted: Wanted): Promise<Hashes> {
    const name = moduleFileKey(wanted.path, wanted.version, wanted.file);
    let hashing = this.#hashes.get(name);
    if (hashing === undefined) {
      hashing = this.#read(wanted, name);
      this.#hashes.set(name, hashing);
    }
    return hashing;
  }

  async #prove({ path, version }: Wanted, name: string): Promise<Hashes> {
    const leave = await this.#proving.enter({ priority: 'waited-for' }, this.#signal);
    try {
      return await this.#parts.proveZip({ localPath: this.#staging.path(name), module: path, version }, this.#signal);
    } finally {
      leave();
    }
  }

  async #read(wanted: Wanted, name: string): Promise<Hashes> {
    const { file, version } = wanted;
    if (file === 'zip') return this.#staging.stored(name) ?? this.#prove(wanted, name);
    const bytes = await this.#staging.read(name);
    const sha256 = hash('sha256', bytes);
    if (file === 'mod') return { sha256, h1: hashGoMod(bytes) };
    const info = parseVersionInfo(bytes, version);
    if (!info.ok) throw new HubError('upstream-invalid', info.reason);
    return { sha256, h1: undefined };
  }

  /** What `go list -m -versions` and `go get` without a version see inside: what is there. */
  #addLists(): void {
    const versions = new Map<ModulePath, Version[]>();
    for (const entry of this.#entries.values()) {
      const file = parseModuleFileKey(entry.name);
      if (file?.file !== 'zip') continue;
      const { module, version } = file;
      const known = versions.get(module);
      if (known === undefined) versions.set(module, [version]);
      else known.push(version);
    }
    for (const [module, all] of versions) this.#add(listKey(module), Buffer.from(formatVersionList(all)));
  }

  async #write({ trees }: AllRecords, signer: SignerKey): Promise<WrittenBundle & { readonly inherited: number }> {
    const { file, created, database, since, partBytesMax } = this.#request;
    const entries = [...this.#entries.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const { source } = this.#parts;
    const [{ size, root } = { size: 0, root: '' }, own] = trees;
    const content = {
      head: { created, source: source.name, database: database.name, tree: { size, root }, own, parent: since?.digest },
      entries,
      source: (name: string) => this.#bytes.get(name) ?? { path: this.#staging.path(name) },
    };
    let sizeBytes = 0;
    const onBytes = (count: number): void => this.#watch.writing((sizeBytes += count));
    const written = await writeBundle(content, { file, signer, sm2: this.#parts.sm2, partBytesMax, onBytes }, this.#signal);
    return { ...written, inherited: entries.filter(({ carried }) => !carried).length };
  }
}

export function treesOf(head: BundleHead): readonly DatabaseTree[] {
  return [{ database: head.database, ...head.tree }, ...(head.own === undefined ? [] : [head.own])];
}

const ZIP_SLOTS = 6;
const PROVE_SLOTS = 4;

/** The head and the edge of its tree, with which everything that a bundle proves begins. */
function isOfHead(name: string, databases: readonly string[]): boolean {
  const item = bundleItem(databases, { name, sizeBytes: 0 });
  return item.ok && (item.value.kind === 'head' || (item.value.kind === 'tile' && item.value.tile.width < 256));
}

/** What stays true of an older bundle: all but the edge of its tree, which no reader of the newer one asks for. */
function lasts(entry: ManifestEntry, databases: readonly string[]): boolean {
  const item = bundleItem(databases, entry);
  return item.ok && !isOfHead(entry.name, databases);
}
