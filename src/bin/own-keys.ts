import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { OwnDatabaseSet } from '../api/checksum-database.ts';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { KeyPlace, OwnKey } from '../cli/backends.ts';
import type { HubConfig, OwnDatabaseConfig } from '../cli/config/hub-config.ts';
import { keysFolderOf } from '../cli/config/own-database.ts';
import { createKeyFile, readKeyFile } from '../meta/key-file.ts';
import { isInside } from '../meta/private-folder.ts';
import { openSignedHeads } from '../meta/signed-heads.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import type { SignerKey } from '../protocol/note.ts';

export interface ReadiedKey extends OwnKey {
  /** Just now. */
  readonly made: boolean;
}

/** A database of our own with what signs it. Never leaves the process that read it. */
export interface OwnSigner extends OwnDatabaseConfig {
  readonly signer: SignerKey;
}

/**
 * Sees that every own database has its key before anything is served: that of the current one is made at the first start. Answers the public halves,
 * the current one first.
 * @throws {HubError} config-invalid when a key may not be used, or is gone though its database has signed; storage-full, storage-fault
 */
export async function readyOwnKeys({ ownDatabase, dataDir }: HubConfig): Promise<readonly ReadiedKey[]> {
  if (ownDatabase === undefined) return [];
  const former: ReadiedKey[] = [];
  // Before a key is made: a start that fails makes none.
  for (const database of ownDatabase.former) former.push({ ...(await mustRead(database, dataDir)), made: false });
  const made = (await readOwnKey(ownDatabase)) === undefined ? await makeOwnKey(ownDatabase, dataDir) : undefined;
  return [{ ...(await mustRead(ownDatabase, dataDir)), made: made !== undefined }, ...former];
}

async function mustRead(place: KeyPlace, dataDir: string): Promise<OwnKey> {
  await refuseInside(place, dataDir);
  const key = await readOwnKey(place);
  if (key === undefined) throw gone(place);
  return key;
}

/** What a worker signs with, the current one first: it reads the files by itself, so that no key is ever sent from process to process. @throws as above */
export async function readOwnSigners({ ownDatabase }: HubConfig): Promise<readonly OwnSigner[]> {
  if (ownDatabase === undefined) return [];
  const { name, keyFile, sign, former } = ownDatabase;
  return Promise.all(
    [{ name, keyFile, sign }, ...former].map(async (database) => {
      const signer = await readKeyFile({ file: database.keyFile, name: database.name });
      if (signer === undefined) throw gone(database);
      return { ...database, signer };
    }),
  );
}

/** What of it everybody may know. */
export function publicFacts([current, ...former]: readonly OwnSigner[]): OwnDatabaseSet | undefined {
  const factsOf = ({ name, sign, signer }: OwnSigner): Omit<OwnDatabaseSet, 'former'> => ({
    name,
    sign,
    verifierKey: signer.verifier.text,
  });
  return current === undefined ? undefined : { ...factsOf(current), former: former.map(factsOf) };
}

/** The public half; undefined when there is no such file. Makes nothing. @throws {HubError} config-invalid, storage-fault */
export async function readOwnKey({ name, keyFile }: KeyPlace): Promise<OwnKey | undefined> {
  const signer = await readKeyFile({ file: keyFile, name });
  return signer === undefined ? undefined : { name, keyFile, verifierKey: signer.verifier.text };
}

/**
 * Makes a key; undefined when there is a file already.
 * @throws {HubError} config-invalid when the file would lie in the data folder, or when a database of this name has signed with a key that is gone
 */
export async function makeOwnKey({ name, keyFile }: KeyPlace, dataDir: string): Promise<OwnKey | undefined> {
  await refuseInside({ name, keyFile }, dataDir);
  if (await hasSigned(name, dataDir)) throw gone({ name, keyFile });
  const signer = await createKeyFile({ file: keyFile, name });
  return signer === undefined ? undefined : { name, keyFile, verifierKey: signer.verifier.text };
}

/** Clients hold name and key together: a second key under the name of the first would be a log that none of them believes. */
async function hasSigned(name: string, dataDir: string): Promise<boolean> {
  await using heads = await openSignedHeads(keysFolderOf(dataDir));
  if ((await heads.last(name)) !== undefined || (await exists(join(dataDir, 'modules', 'sumdb', name)))) return true;
  const file = join(dataDir, 'goyi.db');
  if (!(await exists(file))) return false;
  // The records of a small log lie here alone until it has been calm for a moment.
  await using metadata = await openSqliteMetadata({ file, log: silentLog });
  return ((await metadata.ownHead(name))?.size ?? 0) > 0;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function refuseInside({ keyFile }: KeyPlace, dataDir: string): Promise<void> {
  if (!(await isInside(keyFile, dataDir))) return;
  throw new HubError(
    'config-invalid',
    `the key file ${keyFile} lies inside the data folder, which is copied and served: move it elsewhere`,
  );
}

function gone({ name, keyFile }: KeyPlace): HubError {
  return new HubError(
    'config-invalid',
    `the key file ${keyFile} is gone, and ${name} cannot be signed on with another key: put it back from its backup, or take this database out of the configuration and begin one of another name`,
  );
}
