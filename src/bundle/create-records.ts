import { HubError } from '../base/errors.ts';
import type { TreeName } from '../protocol/bundle-head.ts';
import { formatLookupAnswer, LOOKUP_BYTES_MAX, openTreeNote, parseLookupAnswer, type SignedTree } from '../protocol/checksum-record.ts';
import { latestKey, lookupKey, supportedKey, tileKey } from '../protocol/layout.ts';
import { type ModuleAt, nameOf } from '../protocol/main-go-mod.ts';
import { escapePath } from '../protocol/module-path.ts';
import { decodeUtf8, NOTE_BYTES_MAX, type VerifierKey } from '../protocol/note.ts';
import { formatTilePath } from '../protocol/proxy-request.ts';
import { TILE_BYTES } from '../protocol/tile.ts';
import { escapeVersion } from '../protocol/version.ts';
import { CarriedLog, type CarriedRecord, proveWholeEdge } from './carried-log.ts';
import { type FetchParts, lack } from './fetch-files.ts';
import type { ProxySource } from './proxy-source.ts';

/** The part of a checksum database that proves what is carried, checked before anybody carries it. */
export interface CarriedRecords {
  readonly head: SignedTree;
  /** By `MODULE@VERSION`. */
  readonly records: ReadonlyMap<string, CarriedRecord>;
  /** Files of the bundle by their names: lookups, tiles, the head. */
  readonly files: ReadonlyMap<string, Buffer>;
}

export interface RecordsRequest {
  readonly database: VerifierKey;
  readonly versions: readonly ModuleAt[];
  /** Of which the database may have no record, without anything lacking. */
  readonly mayLack: (module: ModuleAt) => boolean;
  /** Trees that the readers of the bundle may stand at: they have to see that this one continues them. */
  readonly known: readonly TreeName[];
  /** The same for those of bundles made before; what is newer than the newest head now is left out. */
  readonly made: readonly TreeName[];
  readonly onRecord: () => void;
}

/**
 * Looks every version up, then takes the newest head, which has all of them, and the tiles that lead from each record to it. A version without a record
 * is noted as a lack.
 * @throws {HubError} log-invalid when the head or a tile does not verify; log-forked when the head does not continue a known tree; origin-unavailable …
 */
export async function fetchRecords(request: RecordsRequest, parts: FetchParts, signal: AbortSignal): Promise<CarriedRecords> {
  const { database, versions, known, made } = request;
  const { name } = database;
  const answers = new Map<string, Buffer>();
  await Promise.all(
    versions.map(async (version) => {
      const answer = await fetchAnswer(version, request, parts, signal);
      if (answer !== undefined) answers.set(nameOf(version), answer);
    }),
  );
  const head = await fetchHead(database, parts.source, signal);
  const log = new CarriedLog(head, async (tile) => {
    const tileName = tileKey(name, tile);
    const leave = await parts.small.enter({ priority: 'waited-for' }, signal);
    try {
      const from = { resource: `sumdb/${name}/${formatTilePath(tile)}`, sizeMaxBytes: TILE_BYTES };
      return (await parts.staging.fetch(tileName, from, signal)) ? await parts.staging.read(tileName) : undefined;
    } finally {
      leave();
    }
  });
  const files = new Map<string, Buffer>();
  const records = new Map<string, CarriedRecord>();
  for (const { path, version } of versions) {
    const answer = answers.get(nameOf({ path, version }));
    if (answer === undefined) continue;
    try {
      const record = await log.prove(answer, path, version);
      records.set(nameOf({ path, version }), record);
      files.set(lookupKey(name, path, version), Buffer.from(formatLookupAnswer({ ...record, note: head.note })));
    } catch (error) {
      // Kept until it was proved: it would be found again.
      await parts.staging.remove(lookupKey(name, path, version));
      lack(parts, { path, version, file: 'record' }, error);
    }
  }
  await proveWholeEdge(log);
  const madeBefore = made.filter(({ size }) => size <= head.size);
  for (const tree of [...known, ...madeBefore]) await continues(log, tree, name);
  for (const { tile, bytes } of await log.proved()) files.set(tileKey(name, tile), bytes);
  files.set(latestKey(name), Buffer.from(head.note));
  files.set(supportedKey(name), Buffer.alloc(0));
  return { head, records, files };
}

async function continues(log: CarriedLog, { size, root }: TreeName, name: string): Promise<void> {
  if (size > log.head.size)
    throw new HubError(
      'log-invalid',
      `the newest tree of ${name} that can be had has ${log.head.size} records, fewer than the ${size} known already`,
    );
  if ((await log.rootAt(size)).toString('base64') !== root)
    throw new HubError('log-forked', `the tree of ${name} with ${log.head.size} records does not continue the known one with ${size}`);
}

async function fetchAnswer(
  { path, version }: ModuleAt,
  { database, mayLack, onRecord }: RecordsRequest,
  parts: FetchParts,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const name = lookupKey(database.name, path, version);
  const resource = `sumdb/${database.name}/lookup/${escapePath(path)}@${escapeVersion(version)}`;
  const leave = await parts.small.enter({ priority: 'waited-for' }, signal);
  try {
    const isThere = await parts.staging.fetch(name, { resource, sizeMaxBytes: LOOKUP_BYTES_MAX }, signal);
    if (!isThere && mayLack({ path, version })) {
      onRecord();
      return undefined;
    }
    if (!isThere) throw new HubError('checksum-missing', `${database.name} has no record of it`);
    const bytes = await parts.staging.read(name);
    const answer = parseLookupAnswer(bytes);
    if (!answer.ok) throw new HubError('log-invalid', answer.reason);
    onRecord();
    return bytes;
  } catch (error) {
    lack(parts, { path, version, file: 'record' }, error);
    return undefined;
  } finally {
    leave();
  }
}

/** @throws {HubError} database-unavailable, log-invalid, origin-unavailable */
export async function fetchHead(database: VerifierKey, source: ProxySource, signal: AbortSignal): Promise<SignedTree> {
  const bytes = await source.get(`sumdb/${database.name}/latest`, NOTE_BYTES_MAX, signal);
  const note = bytes && decodeUtf8(bytes);
  if (note === undefined)
    throw new HubError(
      'database-unavailable',
      `${source.name} does not relay the checksum database ${database.name}, without which nothing can be proved`,
    );
  const head = openTreeNote(note, database);
  if (!head.ok) throw new HubError('log-invalid', `the head of ${database.name} from ${source.name} is refused: ${head.reason}`);
  return head.value;
}
