import { hash } from 'node:crypto';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import type { ProvedZip, ZipToProve } from '../origin/zip-prover.ts';
import { openTreeNote } from '../protocol/checksum-record.ts';
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

/** What is known besides the bundle: where a delta's older part lies. Nothing of it is believed. */
export interface Beside {
  readonly tile: (tile: HashTile) => Promise<Buffer | undefined>;
  readonly lookup: (key: BlobKey) => Promise<Buffer | undefined>;
}

/** Beside a bundle that stands alone. */
export const nothingBeside: Beside = { tile: async () => undefined, lookup: async () => undefined };

/** Everything in a bundle against everything that can be known about it. */
export class BundleCheck {
  readonly bundle: BundleFile;
  readonly log: CarriedLog;
  readonly #beside: Beside;
  readonly #records = new Map<string, Promise<CarriedRecord | undefined>>();
  /** Versions of each module that have a zip, in this bundle or before it. */
  readonly #zips = new Map<ModulePath, Version[]>();

  private constructor(bundle: BundleFile, log: CarriedLog, beside: Beside) {
    this.bundle = bundle;
    this.log = log;
    this.#beside = beside;
    for (const { item } of bundle.entries) {
      if (item.kind !== 'file' || item.file !== 'zip') continue;
      const known = this.#zips.get(item.module);
      if (known === undefined) this.#zips.set(item.module, [item.version]);
      else known.push(item.version);
    }
  }

  /** Checks the head of the checksum database and its edge. @throws {HubError} bundle-invalid, log-invalid, storage-fault */
  static async open(bundle: BundleFile, database: VerifierKey, beside: Beside): Promise<BundleCheck> {
    const { head } = bundle;
    if (head.database !== database.name)
      throw bundle.refused(`its checksum database is ${head.database}, and ${database.name} is the one that proves here`);
    const entry = bundle.find(latestKey(database.name));
    if (entry?.carried !== true) throw bundle.refused(`it has no head of ${database.name}`);
    const tree = openTreeNote(decodeUtf8(await bundle.read(entry)) ?? '', database);
    if (!tree.ok) throw new HubError('log-invalid', `the head of ${database.name} in ${bundle.file} is refused: ${tree.reason}`);
    if (tree.value.size !== head.tree.size || tree.value.root.toString('base64') !== head.tree.root)
      throw bundle.refused(`its head of ${database.name} is not the tree that the bundle names`);
    const log = new CarriedLog(tree.value, async (tile) => {
      const carried = bundle.find(tileKey(database.name, tile));
      return carried?.carried === true ? bundle.read(carried) : beside.tile(tile);
    });
    await proveWholeEdge(log);
    return new BundleCheck(bundle, log, beside);
  }

  /** The proved record of a version; undefined when neither the bundle nor what is beside it has one. @throws {HubError} log-invalid */
  record(module: ModulePath, version: Version): Promise<CarriedRecord | undefined> {
    const key = lookupKey(this.bundle.head.database, module, version);
    let proving = this.#records.get(key);
    if (proving === undefined) {
      proving = this.#prove(key, module, version);
      proving.catch(() => {});
      this.#records.set(key, proving);
    }
    return proving;
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
        await this.record(item.module, item.version);
        break;
      case 'tile': {
        const { level, index, width } = item.tile;
        const proved = await this.#tile(item.tile);
        if (!bytes.equals(proved.subarray(0, bytes.length)) || bytes.length !== width * 32)
          throw new HubError('log-invalid', `tile ${index} of level ${level} in ${this.bundle.file} is not that of the signed tree`);
        break;
      }
      case 'list':
        if (bytes.toString('latin1') !== formatVersionList(this.#zips.get(item.module) ?? []))
          throw this.bundle.refused(`${entry.name} is not the list of the versions that it has`);
        break;
      case 'latest-version':
        this.#info(entry, bytes, undefined);
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
  async compare(entry: BundleEntry, h1: string): Promise<CarriedRecord> {
    const { item } = entry;
    const record = item.kind === 'file' ? await this.record(item.module, item.version) : undefined;
    if (item.kind !== 'file' || record === undefined)
      throw new HubError('checksum-missing', `${entry.name} in ${this.bundle.file} comes without its record, so nothing proves it`);
    const recorded = item.file === 'zip' ? record.zipHash : record.modHash;
    if (recorded !== h1)
      throw new HubError(
        'checksum-mismatch',
        `${entry.name} in ${this.bundle.file} has ${h1}, ${this.bundle.head.database} recorded ${recorded}`,
      );
    return record;
  }

  /** What a prover finds in the zip, which was written to a file or lies in the bundle. @throws {HubError} bundle-invalid, zip-invalid, checksum-… */
  async zip(
    entry: BundleEntry,
    at: string | Pick<ZipToProve, 'localPath' | 'within' | 'copyTo'>,
    prove: (zip: ZipToProve) => Promise<ProvedZip>,
  ): Promise<{ readonly h1: string; readonly record: CarriedRecord }> {
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
    if (item.file === 'info') this.#info(entry, bytes, item.version);
    else if (item.file === 'mod') await this.compare(entry, goModHashOfDigest(hash('sha256', bytes)));
  }

  #info(entry: BundleEntry, bytes: Buffer, version: Version | undefined): void {
    const info = parseVersionInfo(bytes, version);
    if (!info.ok) throw this.bundle.refused(`${entry.name}: ${info.reason}`);
  }

  /** Those beside the edge are proved as wide as they are now, and compared as far as they were then. */
  async #tile({ level, index }: HashTile): Promise<Buffer> {
    if (index * 256 >= this.log.head.size / 256 ** level) throw this.bundle.refused(`it has a tile beyond its tree`);
    return this.log.tile(level, index);
  }

  async #prove(key: BlobKey, module: ModulePath, version: Version): Promise<CarriedRecord | undefined> {
    const entry = this.bundle.find(key);
    const answer = entry?.carried === true ? await this.bundle.read(entry) : await this.#beside.lookup(key);
    return answer && this.log.prove(answer, module, version);
  }
}
