import type { Clock } from '../base/clock.ts';
import { codeOf, HubError, messageOf } from '../base/errors.ts';
import type { Events } from '../base/events.ts';
import type { FileRow, Metadata } from '../meta/metadata.ts';
import type { OriginBody } from '../origin/module-origin.ts';
import type { ZipProver } from '../origin/zip-prover.ts';
import { hashGoMod } from '../protocol/dirhash.ts';
import { parseGoMod } from '../protocol/go-mod.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import { formatVersionInfo } from '../protocol/version-info.ts';
import type { BlobStore, SealedBlob, StagedBlob } from '../store/blob-store.ts';
import { condemn } from './condemn.ts';
import type { OwnRecords } from './evidence.ts';
import type { Homes } from './homes.ts';
import { artefactOf } from './module-files.ts';
import { receive, sizeMaxBytes } from './receive.ts';
import type { Artefact, StoredFiles } from './stored-files.ts';
import type { Turns } from './turns.ts';

export interface PublishParts {
  readonly store: BlobStore;
  readonly metadata: Metadata;
  readonly stored: StoredFiles;
  readonly prover: ZipProver;
  readonly homes: Homes;
  readonly ownDatabases: readonly OwnRecords[];
  readonly events: Events;
  readonly clock: Clock;
  /** One publisher of a version at a time, among all processes. */
  readonly turns: Turns;
  readonly onZipStored: (artefact: Artefact) => void;
}

export interface PublishRequest {
  readonly module: ModulePath;
  readonly version: Version;
  readonly zip: OriginBody;
  /** Who publishes, as it is to stand in the record of where the file came from. */
  readonly by: string;
}

export interface Published {
  /** False when the very same version was here already. */
  readonly isNew: boolean;
  /** `h1:…` of the zip and of the go.mod, as they stand in a go.sum. */
  readonly zipHash: string;
  readonly modHash: string;
}

/**
 * Takes in a version of a module that lives in no repository. The path in the address, the folder in the zip and the go.mod have to name the same module;
 * a version never changes: the same content again is no news, other content is refused.
 *
 * The order that keeps a crash safe: the zip is sealed, then its rows and those of `.mod` and `.info` share a transaction, then every log of our own
 * has the record, and only then this resolves. What a crash leaves before the rows is set aside by whoever publishes next.
 * @throws {HubError} bad-request, policy-denied, conflict, too-large, canceled, overloaded, storage-…, and what a log of our own throws
 */
export async function publishModule(parts: PublishParts, request: PublishRequest, signal: AbortSignal): Promise<Published> {
  const { module, version } = request;
  const home = parts.homes.of(module);
  if (home.kind !== 'archive' || home.origin !== undefined)
    throw new HubError(
      'policy-denied',
      `${module} is no module that is published here: no rule of private with uploads: true is the first to match it`,
    );
  const progress = { receivedBytes: 0, totalBytes: request.zip.sizeBytes };
  const { staged } = await receive(request.zip, { store: parts.store, progress, kind: 'zip', lookup: undefined }).catch(
    (error: unknown) => {
      if (codeOf(error) !== 'upstream-invalid') throw error;
      throw new HubError('too-large', `the zip of a module is at most ${sizeMaxBytes.zip} bytes long`);
    },
  );
  if (staged === undefined) throw new HubError('storage-fault', 'a zip was received and is in no file');
  await using zip = staged;
  const found = await prove(parts, zip, request, signal);
  return await parts.turns.run(`publish ${module}@${version}`, () => store(parts, zip, { ...request, ...found }, signal), signal);
}

interface Found {
  readonly sha256: string;
  readonly zipHash: string;
  readonly modHash: string;
  readonly goMod: Buffer;
}

async function prove(
  { prover }: PublishParts,
  staged: StagedBlob,
  { module, version }: PublishRequest,
  signal: AbortSignal,
): Promise<Found> {
  const zip = await prover.prove({ localPath: staged.localPath, module, version, keepGoMod: true }, signal).catch((error: unknown) => {
    throw codeOf(error) === 'zip-invalid' ? new HubError('bad-request', messageOf(error)) : error;
  });
  if (zip.goMod === undefined)
    throw new HubError('bad-request', `the zip of ${module}@${version} has no go.mod: run go mod init ${module} and make it again`);
  const goMod = Buffer.from(zip.goMod);
  const parsed = parseGoMod(goMod.toString());
  if (!parsed.ok) throw new HubError('bad-request', `the go.mod of ${module}@${version} is refused: ${parsed.reason}`);
  if (parsed.value.module !== module)
    throw new HubError('bad-request', `the go.mod in the zip names ${parsed.value.module}, and it is published as ${module}`);
  return { sha256: zip.sha256, zipHash: zip.h1, modHash: hashGoMod(goMod), goMod };
}

async function store(parts: PublishParts, staged: StagedBlob, version: PublishRequest & Found, signal: AbortSignal): Promise<Published> {
  const { module, version: name, zipHash, modHash } = version;
  const zip = artefactOf('zip', module, name);
  for (const own of parts.ownDatabases) {
    const record = await own.recorded(module, name);
    if (record !== undefined && (record.zipHash !== zipHash || record.modHash !== modHash)) throw isOther(version, record.zipHash);
  }
  const row = await parts.metadata.file(zip.key);
  if (row?.proof.kind === 'private') {
    if (row.h1 !== zipHash) throw isOther(version, row.h1 ?? '');
    if (await isWhole(parts, version)) {
      await recordInLogs(parts, version, signal);
      return { isNew: false, zipHash, modHash };
    }
  }
  const time = `${new Date(parts.clock.wallMs()).toISOString().slice(0, 19)}Z`;
  const info = Buffer.from(formatVersionInfo({ version: name, time }));
  const mod = artefactOf('mod', module, name);
  const infoFile = artefactOf('info', module, name);
  for (const artefact of [zip, mod, infoFile]) await clearKey(parts, artefact);
  const rows = [
    rowOf(parts, version, zip, { ...(await staged.seal(zip.key, version.sha256)), h1: zipHash }),
    rowOf(parts, version, mod, { ...(await parts.store.put(mod.key, version.goMod)), h1: modHash }),
    rowOf(parts, version, infoFile, { ...(await parts.store.put(infoFile.key, info)), h1: undefined }),
  ];
  // Handed in together they share a transaction.
  await Promise.all(rows.map((one) => parts.metadata.recordFile(one)));
  await recordInLogs(parts, version, signal);
  parts.onZipStored(zip);
  return { isNew: true, zipHash, modHash };
}

function rowOf({ clock }: PublishParts, { by }: PublishRequest, artefact: Artefact, file: SealedBlob & Pick<FileRow, 'h1'>): FileRow {
  return { ...artefact, ...file, origin: `published by ${by}`, proof: { kind: 'private' }, storedAtMs: clock.wallMs() };
}

async function isWhole({ stored }: PublishParts, { module, version }: PublishRequest): Promise<boolean> {
  const files = await Promise.all((['info', 'mod', 'zip'] as const).map((kind) => stored.has(artefactOf(kind, module, version))));
  return files.every(Boolean);
}

/** What lies there without being this version's: the name was public once, or a publisher's machine died in the middle. */
async function clearKey(parts: PublishParts, { key }: Artefact): Promise<void> {
  const opened = await parts.store.open(key);
  if (opened === undefined) return;
  await using blob = opened;
  const row = await parts.metadata.file(key);
  await condemn(parts, { key, fingerprint: blob.fingerprint, row }, 'another file is published under this name');
}

async function recordInLogs({ ownDatabases }: PublishParts, { module, version }: PublishRequest, signal: AbortSignal): Promise<void> {
  await Promise.all(ownDatabases.map((own) => own.recordBuilt(module, version, signal)));
}

function isOther({ module, version, zipHash }: PublishRequest & Found, recorded: string): HubError {
  return new HubError(
    'conflict',
    `${module}@${version} is here with other content, ${recorded}, and a version never changes: publish ${zipHash} under a new version`,
  );
}
