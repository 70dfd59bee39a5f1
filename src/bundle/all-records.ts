import { HubError } from '../base/errors.ts';
import type { DatabaseTree } from '../protocol/bundle-head.ts';
import { lookupKey } from '../protocol/layout.ts';
import { type ModuleAt, nameOf } from '../protocol/main-go-mod.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { VerifierKey } from '../protocol/note.ts';
import type { CarriedRecord } from './carried-log.ts';
import { type FetchParts, lack } from './fetch-files.ts';
import { fetchRecords } from './create-records.ts';

/** The log that the hub outside signs itself, and what it alone proves. */
export interface OwnLog {
  readonly key: VerifierKey;
  readonly isPrivate: (module: ModulePath) => boolean;
}

export interface Databases {
  readonly database: VerifierKey;
  /** Undefined: no private modules are carried. */
  readonly own: OwnLog | undefined;
}

/** Everything that proves what is carried. */
export interface AllRecords {
  /** Of each database the tree under which its records are proved, the public one first. */
  readonly trees: readonly DatabaseTree[];
  /** By `MODULE@VERSION`: those that prove. */
  readonly records: ReadonlyMap<string, CarriedRecord>;
  /** Files of the bundle by their names: lookups, tiles, heads. */
  readonly files: ReadonlyMap<string, Buffer>;
}

export interface AllRecordsRequest extends Databases {
  readonly wanted: readonly VersionsOf[];
  /** Trees that the readers of the bundle stand at, and those of bundles made before. */
  readonly known: readonly DatabaseTree[];
  readonly made: readonly DatabaseTree[];
  readonly onRecord: () => void;
}

/** Which versions are to be looked up in a database. */
export interface VersionsOf {
  readonly database: string;
  readonly versions: readonly ModuleAt[];
}

/** The database that proves a module. */
export function proverOf({ database, own }: Databases, path: ModulePath): string {
  return own?.isPrivate(path) === true ? own.key.name : database.name;
}

/**
 * What has to be looked up where: public modules in the public database, and everything that is carried in the log of the hub outside, so that a client inside has one
 * database for both kinds. `isInherited`: a bundle before has the record.
 */
export function lookupsOf(
  databases: Databases,
  versions: readonly ModuleAt[],
  isInherited: (name: string) => boolean,
): readonly VersionsOf[] {
  const { database, own } = databases;
  const fresh = (name: string): readonly ModuleAt[] => versions.filter(({ path, version }) => !isInherited(lookupKey(name, path, version)));
  const ofPublic = fresh(database.name).filter(({ path }) => proverOf(databases, path) === database.name);
  return [
    { database: database.name, versions: ofPublic },
    ...(own === undefined ? [] : [{ database: own.key.name, versions: fresh(own.key.name) }]),
  ];
}

/** @throws {HubError} as {@link fetchRecords} */
export async function fetchAllRecords(request: AllRecordsRequest, parts: FetchParts, signal: AbortSignal): Promise<AllRecords> {
  const { database, own, wanted, known, made, onRecord } = request;
  const trees: DatabaseTree[] = [];
  const records = new Map<string, CarriedRecord>();
  const files = new Map<string, Buffer>();
  const wantedIn = (name: string): readonly ModuleAt[] => wanted.find((some) => some.database === name)?.versions ?? [];
  const asked = new Set(wantedIn(database.name).map(nameOf));
  for (const key of [database, ...(own === undefined ? [] : [own.key])]) {
    const ofThis = ({ database: name }: DatabaseTree): boolean => name === key.name;
    const isOwn = key.name === own?.key.name;
    // What the public database was asked for in vain is not proved by ours: it may be a private module that is not to leave.
    const isProvable = (module: ModuleAt): boolean => !isOwn || !asked.has(nameOf(module)) || records.has(nameOf(module));
    const fetched = await fetchRecords(
      {
        database: key,
        versions: wantedIn(key.name).filter(isProvable),
        // A log that records private modules alone has nothing to say about the others.
        mayLack: ({ path }) => isOwn && own?.isPrivate(path) !== true,
        known: known.filter(ofThis),
        made: made.filter(ofThis),
        onRecord,
      },
      parts,
      signal,
    );
    trees.push({ database: key.name, size: fetched.head.size, root: fetched.head.root.toString('base64') });
    for (const [name, bytes] of fetched.files) files.set(name, bytes);
    for (const [name, record] of fetched.records) {
      const proved = records.get(name);
      if (proved === undefined) records.set(name, record);
      else if (proved.text !== record.text) drop(name, { key, files }, parts);
    }
  }
  return { trees, records, files };
}

/** A record of ours that differs from the public one proves nothing inside either: it stays outside, and whoever makes the bundle hears of it. */
function drop(name: string, { key, files }: { readonly key: VerifierKey; readonly files: Map<string, Buffer> }, parts: FetchParts): void {
  const at = name.lastIndexOf('@');
  const [path, version] = [name.slice(0, at) as ModulePath, name.slice(at + 1) as ModuleAt['version']];
  files.delete(lookupKey(key.name, path, version));
  lack(
    parts,
    { path, version, file: 'record' },
    new HubError('checksum-mismatch', `${key.name} recorded other hashes than the public database`),
  );
}
