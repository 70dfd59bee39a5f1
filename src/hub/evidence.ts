import type { Clock } from '../base/clock.ts';
import { HubError } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import { type Log, withoutCredentials } from '../base/log.ts';
import type { Metadata, Proof } from '../meta/metadata.ts';
import type { ChecksumDatabase, ProvedRecord } from '../origin/checksum-database.ts';
import type { RecordHashes } from '../protocol/checksum-record.ts';
import { moduleFileKey } from '../protocol/layout.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import { noteDrift } from './drift.ts';
import { type Homes, isPrivateHome } from './homes.ts';
import type { Lookup } from './receive.ts';
import type { Artefact } from './stored-files.ts';

/** What a fill has to do with a log of our own. */
export interface OwnRecords {
  readonly name: string;
  /** What the log has of the version; `provedBy` is the public database, undefined for a private module's own. */
  recorded(module: ModulePath, version: Version): Promise<(RecordHashes & { readonly provedBy: string | undefined }) | undefined>;
  /** Appends what a public database proved, durably, where the log takes such records. */
  recordProved(module: ModulePath, version: Version, proved: ProvedRecord): Promise<void>;
  /** Appends the hashes of a private version, durably, where the log has none yet; makes the version when it has to. */
  recordBuilt(module: ModulePath, version: Version, signal: AbortSignal): Promise<void>;
}

export interface EvidenceParts {
  readonly metadata: Pick<Metadata, 'file' | 'recordDrift'>;
  readonly homes: Homes;
  /** The database that proves; undefined with `verify: off`. */
  readonly database: ChecksumDatabase | undefined;
  /** Logs of our own. What one has of a version no origin can change, and each gets a record of what was proved. */
  readonly ownDatabases: readonly OwnRecords[];
  readonly events: Pick<Events, 'drifted'>;
  readonly log: Log;
  readonly clock: Clock;
}

/** What bytes are compared with, and who offers them; undefined for what lies in the store. */
export interface Against {
  readonly lookup: Lookup | undefined;
  readonly offeredBy: string | undefined;
}

/** What is on record about the bytes of a version, here and in the public checksum database. */
export class Evidence {
  readonly #parts: EvidenceParts;

  constructor(parts: EvidenceParts) {
    this.#parts = parts;
  }

  /**
   * Compares with our own records first: they hold whatever any database says today. Answers the public record that proves; undefined for a private
   * module, which none has, and with `verify: off`. @throws {HubError} checksum-mismatch, checksum-missing, what the look-up throws
   */
  async prove(artefact: Artefact, h1: string, against: Against): Promise<ProvedRecord | undefined> {
    const { database, ownDatabases, homes, metadata } = this.#parts;
    const { module, version } = artefact;
    for (const own of ownDatabases) {
      const record = await own.recorded(module, version);
      if (record !== undefined) await this.#compare(artefact, h1, against, { by: own.name, recorded: hashIn(record, artefact) });
    }
    if (isPrivateHome(homes.of(module))) {
      const row = await metadata.file(artefact.key);
      if (row?.proof.kind === 'private' && row.h1 !== undefined)
        await this.#compare(artefact, h1, against, { by: 'this hub', recorded: row.h1 });
      return undefined;
    }
    if (database === undefined || against.lookup === undefined) return undefined;
    const record = await against.lookup.record;
    if (record === undefined)
      throw new HubError(
        'checksum-missing',
        `${fileNameOf(artefact)} is served by an upstream, but ${database.name} has no record of it: it cannot be proved and is not stored`,
      );
    await this.#compare(artefact, h1, against, { by: database.name, recorded: hashIn(record, artefact) });
    return record;
  }

  /** Whether there is anything that a file can be compared with which lies in the store and has no valid row. */
  async vouches(artefact: Artefact): Promise<boolean> {
    const { homes, metadata, ownDatabases } = this.#parts;
    if (!isPrivateHome(homes.of(artefact.module))) return true;
    if (artefact.kind === 'info') return false;
    if ((await metadata.file(artefact.key))?.proof.kind === 'private') return true;
    for (const own of ownDatabases) if ((await own.recorded(artefact.module, artefact.version)) !== undefined) return true;
    return false;
  }

  proofOf({ module }: Artefact, record: ProvedRecord | undefined): Proof {
    if (isPrivateHome(this.#parts.homes.of(module))) return { kind: 'private' };
    if (record === undefined) return { kind: 'none' };
    const { database, treeSize, recordId } = record;
    return { kind: 'checksum-database', database, treeSize, recordId, provedAtMs: this.#parts.clock.wallMs() };
  }

  async #compare(
    artefact: Artefact,
    h1: string,
    { offeredBy }: Against,
    { by, recorded }: { by: string; recorded: string },
  ): Promise<void> {
    if (recorded === h1) return;
    if (offeredBy !== undefined) await this.#noteDrift(artefact, { recorded, offered: h1, origin: offeredBy });
    throw new HubError(
      'checksum-mismatch',
      `${fileNameOf(artefact)} does not match the checksum database: the upstream's bytes have ${h1}, ${by} recorded ${recorded}`,
    );
  }

  /** Other bytes than those of a version that we hold, or hold a record of, are news about the origin; of any other version they are just wrong. */
  async #noteDrift(artefact: Artefact, hashes: { recorded: string; offered: string; origin: string }): Promise<void> {
    const { kind, module, version } = artefact;
    if (kind === 'info' || !(await this.#holds(artefact))) return;
    const { recorded: recordedHash, offered: offeredHash, origin } = hashes;
    await noteDrift(this.#parts, { module, version, kind, recordedHash, offeredHash, origin: withoutCredentials(origin) });
  }

  async #holds({ module, version }: Artefact): Promise<boolean> {
    const { metadata, ownDatabases } = this.#parts;
    for (const own of ownDatabases) if ((await own.recorded(module, version)) !== undefined) return true;
    for (const file of ['mod', 'zip'] as const) if ((await metadata.file(moduleFileKey(module, version, file))) !== undefined) return true;
    return false;
  }
}

function hashIn(record: RecordHashes, { kind }: Artefact): string {
  return kind === 'mod' ? record.modHash : record.zipHash;
}

function fileNameOf({ kind, module, version }: Artefact): string {
  return `${module}@${version}${kind === 'mod' ? '/go.mod' : ''}`;
}
