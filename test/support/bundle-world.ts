import { join } from 'node:path';
import { hash } from 'node:crypto';
import { type BundleFile, openBundle } from '../../src/bundle/bundle-file.ts';
import { writeBundle } from '../../src/bundle/bundle-writer.ts';
import { type ImportParts, type ImportReport, importBundle } from '../../src/bundle/import-bundle.ts';
import { silentEvents } from '../../src/base/events.ts';
import { silentLog } from '../../src/base/log.ts';
import type { FileRow, Metadata } from '../../src/meta/metadata.ts';
import { openSqliteMetadata } from '../../src/meta/sqlite-metadata.ts';
import { createZipProver } from '../../src/origin/zip-prover-pool.ts';
import { parseVerifierKey, type SignerKey, type VerifierKey } from '../../src/protocol/note.ts';
import { CarriedFiles } from '../../src/store/fs-carried.ts';
import { openFsStore } from '../../src/store/fs-store.ts';
import { runGoyi } from './hub-process.ts';
import type { SyntheticWorld } from './synthetic-world.ts';

const never = new AbortController().signal;

/** The command on the side where the internet is: the data folder of the hub, whose key signs. */
export function outside(world: SyntheticWorld): (...args: readonly string[]) => ReturnType<typeof runGoyi> {
  return goyiIn(world, 'data');
}

/** The same for the data folder of another hub, on a disk that only a wrapped command sees. */
export function goyiIn(
  world: SyntheticWorld,
  data: string,
  wrap: readonly string[] = [],
): (...args: readonly string[]) => ReturnType<typeof runGoyi> {
  return (...args) => {
    const env = {
      GOYI_DATA_DIR: join(world.folder, data),
      GOYI_CHECKSUM_DATABASES: world.goSumDb,
      GOYI_LIMITS_PROOF_THREADS: '1',
    };
    return runGoyi(['bundle', ...args], env, wrap);
  };
}

export function keyOf(output: string): VerifierKey {
  const key = parseVerifierKey(output.split('\n').find((line) => line.startsWith('goyi-bundle+')) ?? '');
  if (!key.ok) throw new Error(`no key in ${output}`);
  return key.value;
}

/** Files by their names; undefined: it is left out. */
export type FileChanges = ReadonlyMap<string, Buffer | undefined>;

export async function filesOf(bundle: BundleFile): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const entry of bundle.entries) if (entry.carried) files.set(entry.name, await bundle.read(entry));
  return files;
}

/** The same bundle with some files changed, as somebody makes it whose key is trusted. */
export async function resigned(
  honest: BundleFile,
  { file, signer, changes }: { readonly file: string; readonly signer: SignerKey; readonly changes: FileChanges },
): Promise<string> {
  const all = await filesOf(honest);
  for (const [name, bytes] of changes) {
    if (bytes === undefined) all.delete(name);
    else all.set(name, bytes);
  }
  const inherited = honest.entries.filter(({ name, carried }) => !carried && !changes.has(name));
  const changed = [...all].map(([name, bytes]) => ({ name, sizeBytes: bytes.length, sha256: hash('sha256', bytes), carried: true }));
  const entries = [...changed, ...inherited.map(({ name, sizeBytes, sha256 }) => ({ name, sizeBytes, sha256, carried: false }))].toSorted(
    (x, y) => (x.name < y.name ? -1 : 1),
  );
  const { created, source, database, tree, own, parent } = honest.head;
  const content = { head: { created, source, database, tree, own, parent }, entries, source: (name: string) => all.get(name) as Buffer };
  await writeBundle(content, { file, signer, partBytesMax: undefined, onBytes: () => {} }, AbortSignal.timeout(10_000));
  return file;
}

export interface InsideOptions {
  readonly root: string;
  readonly database: VerifierKey;
  /** Logs of hubs elsewhere. */
  readonly foreign?: readonly VerifierKey[];
}

/** A data folder that bundles are imported into by this process, so that hundreds of them take seconds. */
export interface Inside extends AsyncDisposable {
  readonly root: string;
  readonly metadata: Metadata;
  import(file: string, keys: readonly VerifierKey[], changes?: Partial<ImportParts>): Promise<ImportReport>;
  /** Every row, what the hub remembers of bundles, and where the checksum database stands. */
  state(): Promise<{ readonly rows: readonly FileRow[]; readonly imported: string | undefined; readonly head: number | undefined }>;
}

export async function openInside({ root, database, foreign = [] }: InsideOptions): Promise<Inside> {
  await using stack = new AsyncDisposableStack();
  const store = stack.use(await openFsStore({ root, events: silentEvents, log: silentLog }));
  const metadata = stack.use(await openSqliteMetadata({ file: join(root, 'goyi.db'), log: silentLog }));
  const prover = stack.use(createZipProver({ threadsMax: 1 }));
  const owned = stack.move();
  return {
    root,
    metadata,
    async import(file, keys, changes = {}) {
      await using bundle = await openBundle({ file, keys });
      return await importBundle(
        bundle,
        { ...partsOf({ root, store, metadata, prover, trusted: { database, foreign } }), ...changes },
        never,
      );
    },
    async state() {
      const rows = await metadata.filesAfter(undefined, 10_000);
      return { rows, imported: await metadata.setting('bundles.imported'), head: (await metadata.head(database.name))?.treeSize };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function partsOf({
  root,
  ...parts
}: Pick<ImportParts, 'store' | 'metadata' | 'prover' | 'trusted'> & { readonly root: string }): ImportParts {
  return {
    ...parts,
    ownLogs: [],
    isPrivate: () => false,
    begin: (digest) => CarriedFiles.begin(root, digest),
    reopen: (digest) => CarriedFiles.reopen(root, digest),
    sweep: (keep) => CarriedFiles.sweep(root, keep),
    nowMs: () => Date.now(),
    onProgress: () => {},
  };
}
