import { codeOf, HubError } from '../base/errors.ts';
import type { Metadata } from '../meta/metadata.ts';
import type { RecordHashes } from '../protocol/checksum-record.ts';
import { moduleFileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import type { OwnRecords } from './evidence.ts';
import type { Filler } from './fill.ts';
import { type Homes, isPrivateHome } from './homes.ts';
import { artefactOf } from './module-files.ts';
import type { PrivateModules } from './own-database.ts';
import type { Artefact, StoredFiles } from './stored-files.ts';

export interface PrivateVersionsParts {
  readonly homes: Homes;
  readonly stored: StoredFiles;
  readonly filler: Filler;
  readonly metadata: Pick<Metadata, 'file'>;
  readonly ownDatabases: readonly OwnRecords[];
}

/** What a private version is to a log of our own, and what it means that a file of one is not there. */
export class PrivateVersions implements PrivateModules {
  readonly #parts: PrivateVersionsParts;

  constructor(parts: PrivateVersionsParts) {
    this.#parts = parts;
  }

  isPrivate(module: ModulePath): boolean {
    return isPrivateHome(this.#parts.homes.of(module));
  }

  /** Makes and stores what is not stored yet. Undefined: there is no such version. @throws {HubError} what a fill throws but not-found */
  async hash(module: ModulePath, version: Version, signal: AbortSignal): Promise<RecordHashes | undefined> {
    try {
      const [modHash, zipHash] = [
        await this.#hashOf(artefactOf('mod', module, version), signal),
        await this.#hashOf(artefactOf('zip', module, version), signal),
      ];
      return { modHash, zipHash };
    } catch (error) {
      if (codeOf(error) === 'not-found') return undefined;
      throw error;
    }
  }

  /** Gives the version its records, so that what was served once is on record for ever. @throws {HubError} as {@link hash}, and what a log throws */
  async record(module: ModulePath, version: Version, signal: AbortSignal): Promise<void> {
    await Promise.all(this.#parts.ownDatabases.map((own) => own.recordBuilt(module, version, signal)));
  }

  /**
   * Makes all of a version whose clients see only what is archived, stores it and gives it its records. Who calls it has found that it may be archived.
   * @throws {HubError} what a fill and a log throw
   */
  async archive(module: ModulePath, version: Version, signal: AbortSignal): Promise<void> {
    for (const kind of ['info', 'mod', 'zip'] as const) {
      const artefact = artefactOf(kind, module, version);
      if (!(await this.#parts.stored.has(artefact))) await this.#parts.filler.fill(artefact, 'prefetch', signal);
    }
    await this.record(module, version, signal);
  }

  /** Why a file that lives nowhere but here cannot be opened: it never was here, or it is lost, which is no absence. */
  async missing({ module, version, kind, key }: Artefact): Promise<HubError> {
    const { metadata, ownDatabases } = this.#parts;
    const rows = await Promise.all((['mod', 'zip'] as const).map((file) => metadata.file(moduleFileKey(module, version, file))));
    const isStored = rows.some((row) => row?.proof.kind === 'private') || (await metadata.file(key))?.proof.kind === 'private';
    const records = isStored ? [] : await Promise.all(ownDatabases.map((own) => own.recorded(module, version)));
    if (!isStored && records.every((record) => record === undefined || record.provedBy !== undefined))
      return new HubError(
        'not-found',
        `${module}@${version} is not here: it is a private module, of which the hub has what was put here alone`,
      );
    return new HubError(
      'storage-fault',
      `the .${kind} of ${module}@${version} was stored here and is lost or damaged: put it back from a backup, or publish the same bytes again`,
    );
  }

  async #hashOf(artefact: Artefact, signal: AbortSignal): Promise<string> {
    const { stored, filler, homes, metadata } = this.#parts;
    if (!(await stored.has(artefact))) {
      if (homes.of(artefact.module).kind !== 'source') throw await this.missing(artefact);
      await filler.fill(artefact, 'waited-for', signal);
    }
    const row = await metadata.file(artefact.key);
    if (row?.h1 === undefined) throw new HubError('storage-fault', `${artefact.key} vanishes from the store as soon as it is stored`);
    return row.h1;
  }
}
