import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openBundle, type BundleFile } from '../../src/bundle/bundle-file.ts';
import { type ImportParts, type ImportReport, importBundle } from '../../src/bundle/import-bundle.ts';
import { silentEvents } from '../../src/base/events.ts';
import { silentLog } from '../../src/base/log.ts';
import type { FileRow, Metadata } from '../../src/meta/metadata.ts';
import { openSqliteMetadata } from '../../src/meta/sqlite-metadata.ts';
import { createZipProver } from '../../src/origin/zip-prover-pool.ts';
import { parseVerifierKey, type VerifierKey } from '../../src/protocol/note.ts';
import { CarriedFiles } from '../../src/store/fs-carried.ts';
import { openFsStore } from '../../src/store/fs-store.ts';
import { runGoyi } from './hub-process.ts';
import type { SyntheticWorld } from './synthetic-world.ts';

const never = new AbortController().signal;

/** The command on the side where the internet is: the data folder of the hub, whose key signs. */
export function outside(world: SyntheticWorld): (...args: readonly string[]) => ReturnType<typeof runGoyi> {
  return goyiIn(world, 'data');
}

/** The same for the data folder of another hub. */
export function goyiIn(world: SyntheticWorld, data: string): (...args: readonly string[]) => ReturnType<typeof runGoyi> {
  return (...args) =>
    runGoyi(['bundle', ...args], {
      GOYI_DATA_DIR: join(world.folder, data),
      GOYI_CHECKSUM_DATABASES: world.goSumDb,
      GOYI_LIMITS_PROOF_THREADS: '1',
    });
}

export function keyOf(output: string): VerifierKey {
  const key = parseVerifierKey(output.split('\n').find((line) => line.startsWith('goyi-bundle+')) ?? '');
  if (!key.ok) throw new Error(`no key in ${output}`);
  return key.value;
}

export interface InsideOptions {
  readonly root: string;
  readonly database: VerifierKey;
  readonly keys: readonly VerifierKey[];
  readonly changes?: Partial<ImportParts>;
}

/** An import in this process, so that a thousand of them take seconds. */
export async function importHere(file: string, { root, database, keys, changes = {} }: InsideOptions): Promise<ImportReport> {
  await using bundle = await openBundle({ file, keys });
  await using store = await openFsStore({ root, events: silentEvents, log: silentLog });
  await using metadata = await openSqliteMetadata({ file: join(root, 'goyi.db'), log: silentLog });
  await using prover = createZipProver({ threadsMax: 1 });
  return await importBundle(bundle, { ...partsOf({ root, store, metadata, prover, database }), ...changes }, never);
}

export function partsOf({
  root,
  ...parts
}: Pick<ImportParts, 'store' | 'metadata' | 'prover' | 'database'> & { readonly root: string }): ImportParts {
  return {
    ...parts,
    isPrivate: () => false,
    begin: (digest) => CarriedFiles.begin(root, digest),
    reopen: (digest) => CarriedFiles.reopen(root, digest),
    sweep: (keep) => CarriedFiles.sweep(root, keep),
    nowMs: () => Date.now(),
    onProgress: () => {},
  };
}

/** Every row of a data folder, and what the hub remembers of bundles. */
export async function stateOf(
  root: string,
): Promise<{ readonly rows: readonly FileRow[]; readonly imported: string; readonly head: number | undefined }> {
  await using metadata: Metadata = await openSqliteMetadata({ file: join(root, 'goyi.db'), log: silentLog });
  const rows = await metadata.filesAfter(undefined, 10_000);
  const head = await metadata.head('sum.test.example');
  return { rows, imported: (await metadata.setting('bundles.imported')) ?? '', head: head?.treeSize };
}

export function readEntries(file: string, keys: readonly VerifierKey[]): Promise<BundleFile> {
  return openBundle({ file, keys });
}

export async function bytesOf(file: string): Promise<Buffer> {
  return readFile(file);
}

export async function forget(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
