import { hash } from 'node:crypto';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import type { ProvedZip, ZipToProve } from '../origin/zip-prover.ts';
import type { TreeName } from '../protocol/bundle-head.ts';
import { formatLookupAnswer, openTreeNote } from '../protocol/checksum-record.ts';
import { goModHashOfDigest } from '../protocol/dirhash.ts';
import { latestKey, lookupKey, tileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import { decodeUtf8, type VerifierKey } from '../protocol/note.ts';
import type { HashTile } from '../protocol/tile.ts';
import type { Version } from '../protocol/version.ts';
import { parseVersionInfo } from '../protocol/version-info.ts';
import { formatVersionList } from '../protocol/version-list.ts';
import type { BundleEntry, BundleFile } from './bundle-file.ts';
import { CarriedLog, type CarriedRecord, proveWholeEdge } from './carried-log.ts';
import { privateModulesOf } from './private-modules.ts';
import { checkVulnerabilityFile } from './vulnerability-check.ts';

/** What is known besides the bundle: where a delta's older part lies. Nothing of it is believed. */
export interface Beside {
  readonly tile: (database: string, tile: HashTile) => Promise<Buffer | undefined>;
  readonly lookup: (key: BlobKey) => Promise<Buffer | undefined>;
}

/** Beside a bundle that stands alone. */
export const nothingBeside: Beside = { tile: async () => undefined, lookup: async () => undefined };

/** By whose signatures a bundle is believed. */
export interface TrustedDatabases {
  /** Proves public modules. */
  readonly database: VerifierKey;
  /** Logs of hubs elsewhere, which prove their private modules. */
  readonly foreign: readonly VerifierKey[];
}

/** What a proof needs lies in a bundle before this one, as the manifest says. */
export class InParent extends HubError {}

/** A record, and the database that has it. */
export interface ProvedRecord extends CarriedRecord {
  readonly database: string;
  /** Only the log of the hub outside has it: the module is private there. */
  readonly isPrivate: boolean;
}

/** Everything in a bundle against everything that can be known about it. */
export class BundleCheck {
  readonly bundle: BundleFile;
  /** By the name of its database, the public one first. */
  readonly logs: ReadonlyMap<string, CarriedLog>;
  readonly #beside: Beside;
  readonly #records = new Map<string, Promise<CarriedRecord | undefined>>();
  readonly #private: ReadonlySet<ModulePath>;
  /** Versions of each module that have a zip, in this bundle or before it. */
  readonly #zips = new Map<ModulePath, Version[]>();

  private constructor(bundle: BundleFile, logs: ReadonlyMap<string, CarriedLog>, beside: Beside) {
    this.bundle = bundle;
    this.logs = logs;
    this.#beside = beside;
    this.#private = privateModulesOf(bundle);
    for (const { item } of bundle.entries) {
      if (item.kind !== 'file' || item.file !== 'zip') continue;
      const known = this.#zips.get(item.module);
      if (known === undefined) this.#zips.set(item.module, [item.version]);
      else known.push(item.version);
    }
  }

  /** Checks the heads of the checksum databases and their edges. @throws {HubError} bundle-invalid, log-invalid, storage-fault */
  static async open(bundle: BundleFile, { database, foreign }: TrustedDatabases, beside: Beside): Promise<BundleCheck> {
    const { head } = bundle;
    if (head.database !== database.name)
      throw bundle.refused(`its checksum database is ${head.database}, and ${database.name} is the one that proves here`);
    const logs = new Map([[database.name, await openLog(bundle, { key: database, tree: head.tree }, beside)]]);
    const { own } = head;
    if (own !== undefined) {
      const key = foreign.find(({ name }) => name === own.database);
      if (key === undefined)
        throw bundle.refused(
          `its private modules are proved by ${own.database}, whose key is not trusted here: put its line (goyi admin key show, outside) into checksumDatabases, after the first`,
        );
      logs.set(key.name, await openLog(bundle, { key, tree: own }, beside));
    }
    return new BundleCheck(bundle, logs, beside);
  }

  /** The proved record of a version; undefined when the bundle and those before it have none. @throws {HubError} log-invalid, checksum-mismatch */
  async record(module: ModulePath, version: Version): Promise<ProvedRecord | undefined> {
    const { database, own } = this.bundle.head;
    const known = await this.#recordIn(database, module, version);
    const recorded = own === undefined ? undefined : await this.#recordIn(own.database, module, version);
    if (known !== undefined && recorded !== undefined && known.text !== recorded.text)
      throw new HubError(
        'checksum-mismatch',
        `${own?.database} recorded other hashes of ${module}@${version} than ${database} in ${this.bundle.file}`,
      );
    if (known !== undefined) return { ...known, database, isPrivate: false };
    // The log of the hub outside says nothing of a public module that the public database does not say.
    if (!this.#private.has(module)) return undefined;
    return recorded && own && { ...recorded, database: own.database, isPrivate: true };
  }

  /** A small file, whole, with everything that can be said about it compared. @throws {HubError} bundle-invalid, log-invalid, checksum-… */
  async small(entry: BundleEntry): Promise<Buffer> {
    const bytes = await this.bundle.read(entry);
    const { item } = entry;
    switch (item.kind) {
      case 'file':
        await this.#file(entry, bytes);
        break;
      case 'lookup':
        await this.#lookup(entry, item, bytes);
        break;
      case 'tile':
        await this.#tile(item, bytes);
        break;
      case 'list':
        if (bytes.toString('latin1') !== formatVersionList(this.#zips.get(item.module) ?? []))
          throw this.bundle.refused(`${entry.name} is not the list of the versions that it has`);
        break;
      case 'latest-version':
        this.#latest(entry, item.module, bytes);
        break;
      case 'vulnerability':
      case 'vulnerability-index':
        checkVulnerabilityFile(this.bundle, { name: entry.name, item }, bytes);
        break;
      case 'head':
      case 'supported':
        break;
      default:
        item satisfies never;
    }
    return bytes;
  }

  /** @throws {HubError} checksum-mismatch, checksum-missing, log-invalid */
  async compare(entry: BundleEntry, h1: string): Promise<ProvedRecord> {
    const { item } = entry;
    const record = item.kind === 'file' ? await this.record(item.module, item.version) : undefined;
    if (item.kind !== 'file' || record === undefined) throw this.#unproved(entry);
    const recorded = item.file === 'zip' ? record.zipHash : record.modHash;
    if (recorded !== h1)
      throw new HubError('checksum-mismatch', `${entry.name} in ${this.bundle.file} has ${h1}, ${record.database} recorded ${recorded}`);
    return record;
  }

  /** What a prover finds in the zip, which was written to a file or lies in the bundle. @throws {HubError} bundle-invalid, zip-invalid, checksum-… */
  async zip(
    entry: BundleEntry,
    at: string | Pick<ZipToProve, 'localPath' | 'within' | 'copyTo'>,
    prove: (zip: ZipToProve) => Promise<ProvedZip>,
  ): Promise<{ readonly h1: string; readonly record: ProvedRecord }> {
    const { item } = entry;
    if (item.kind !== 'file') throw this.bundle.refused(`${entry.name} is no zip`);
    const place = typeof at === 'string' ? { localPath: at } : at;
    const sm3 = this.bundle.sm3Of(entry);
    const proved = await prove({ ...place, module: item.module, version: item.version, withSm3: sm3 !== undefined });
    if (proved.sha256 !== entry.sha256 || proved.sizeBytes !== entry.sizeBytes || proved.sm3 !== sm3) throw this.bundle.differs(entry);
    const { h1 } = proved;
    return { h1, record: await this.compare(entry, h1) };
  }

  async #file(entry: BundleEntry, bytes: Buffer): Promise<void> {
    const { item } = entry;
    if (item.kind !== 'file') return;
    if (item.file === 'mod') await this.compare(entry, goModHashOfDigest(hash('sha256', bytes)));
    if (item.file !== 'info') return;
    this.#info(entry, bytes, item.version);
    // No database covers what is in it; that there is such a version, one does.
    if ((await this.record(item.module, item.version)) === undefined) throw this.#unproved(entry);
  }

  #info(entry: BundleEntry, bytes: Buffer, version: Version | undefined): Version {
    const info = parseVersionInfo(bytes, version);
    if (!info.ok) throw this.bundle.refused(`${entry.name}: ${info.reason}`);
    return info.value.version;
  }

  #latest(entry: BundleEntry, module: ModulePath, bytes: Buffer): void {
    const version = this.#info(entry, bytes, undefined);
    if (this.#zips.get(module)?.includes(version) !== true)
      throw this.bundle.refused(`${entry.name} names ${version}, which it does not have`);
  }

  /** Whoever asks for it checks all of it, so nothing but the record and the head that proves it may be in it. */
  async #lookup(
    entry: BundleEntry,
    { database, module, version }: { readonly database: string; readonly module: ModulePath; readonly version: Version },
    bytes: Buffer,
  ): Promise<void> {
    const [record, log] = [await this.#recordIn(database, module, version), this.logs.get(database)];
    if (record === undefined || log === undefined || bytes.toString() !== formatLookupAnswer({ ...record, note: log.head.note }))
      throw this.bundle.refused(`${entry.name} has other things in it than its record and the head`);
    await this.record(module, version);
  }

  #unproved({ name, item }: BundleEntry): HubError {
    const { database, own } = this.bundle.head;
    const proverOf = (module: ModulePath): string => (this.#private.has(module) && own !== undefined ? own.database : database);
    const isNamed = item.kind === 'file' && this.bundle.find(lookupKey(proverOf(item.module), item.module, item.version)) !== undefined;
    const Unproved = isNamed ? InParent : HubError;
    return new Unproved('checksum-missing', `${name} in ${this.bundle.file} comes without its record, so nothing proves it`);
  }

  /** Those beside the edge are proved as wide as they are now, and compared as far as they were then. */
  async #tile({ database, tile }: { readonly database: string; readonly tile: HashTile }, bytes: Buffer): Promise<void> {
    const { level, index, width } = tile;
    const log = this.logs.get(database);
    if (log === undefined || index * 256 >= log.head.size / 256 ** level) throw this.bundle.refused(`it has a tile beyond its tree`);
    const proved = await log.tile(level, index);
    if (!bytes.equals(proved.subarray(0, bytes.length)) || bytes.length !== width * 32)
      throw new HubError('log-invalid', `tile ${index} of level ${level} in ${this.bundle.file} is not that of the signed tree`);
  }

  #recordIn(database: string, module: ModulePath, version: Version): Promise<CarriedRecord | undefined> {
    const key = lookupKey(database, module, version);
    let proving = this.#records.get(key);
    if (proving === undefined) {
      proving = this.#prove({ key, database }, module, version);
      proving.catch(() => {});
      this.#records.set(key, proving);
    }
    return proving;
  }

  async #prove(
    { key, database }: { readonly key: BlobKey; readonly database: string },
    module: ModulePath,
    version: Version,
  ): Promise<CarriedRecord | undefined> {
    const entry = this.bundle.find(key);
    // What the manifest does not name is not of this bundle, wherever else it may lie.
    if (entry === undefined) return undefined;
    const answer = entry.carried ? await this.bundle.read(entry) : await this.#beside.lookup(key);
    return answer && this.logs.get(database)?.prove(answer, module, version);
  }
}

async function openLog(
  bundle: BundleFile,
  { key, tree }: { readonly key: VerifierKey; readonly tree: TreeName },
  beside: Beside,
): Promise<CarriedLog> {
  const { name } = key;
  const entry = bundle.find(latestKey(name));
  if (entry?.carried !== true) throw bundle.refused(`it has no head of ${name}`);
  const opened = openTreeNote(decodeUtf8(await bundle.read(entry)) ?? '', key);
  if (!opened.ok) throw new HubError('log-invalid', `the head of ${name} in ${bundle.file} is refused: ${opened.reason}`);
  if (opened.value.size !== tree.size || opened.value.root.toString('base64') !== tree.root)
    throw bundle.refused(`its head of ${name} is not the tree that the bundle names`);
  const log = new CarriedLog(opened.value, async (tile) => {
    const entry = bundle.find(tileKey(name, tile));
    if (entry?.carried === true) return bundle.read(entry);
    const bytes = await beside.tile(name, tile);
    if (bytes === undefined && entry !== undefined) throw new InParent('log-invalid', `${entry.name}, which a proof needs, is not there`);
    return bytes;
  });
  await proveWholeEdge(log);
  return log;
}
