import { constants } from 'node:fs';
import { access, appendFile, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { HubError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { type BundleFile, openBundle } from '../bundle/bundle-file.ts';
import { createBundle, treesOf } from '../bundle/create-bundle.ts';
import type { TrustedDatabases } from '../bundle/check-bundle.ts';
import { importBundle, type ImportParts } from '../bundle/import-bundle.ts';
import { IMPORTED_SETTING, parseImported } from '../bundle/imported-bundles.ts';
import { prepareToWrite } from '../bundle/draft-parts.ts';
import { createMadeTrees } from '../bundle/made-trees.ts';
import { createProxySource } from '../bundle/proxy-source.ts';
import { openVulnerabilitySource } from '../bundle/vulnerability-source.ts';
import { extractBundle, verifyBundle } from '../bundle/verify-bundle.ts';
import { createStoredFiles, type StoredFiles } from '../bundle/stored-files.ts';
import type { BundleBackends, BundleKeyFiles, BundleKeys, CreateOrder } from '../cli/bundle-backends.ts';
import { foreignKeysOf, privateNamesOf } from '../cli/bundle-databases.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { createKeyFile, readKeyFile } from '../meta/key-file.ts';
import { createSm2KeyFile, readSm2KeyFile } from '../meta/sm2-key-file.ts';
import { BUNDLE_SM2_KEY_NAME } from '../protocol/bundle-sm2.ts';
import { parseSm2VerifierKey, type Sm2VerifierKey } from '../protocol/sm2.ts';
import { fileError, isInside, makePrivateFolder } from '../meta/private-folder.ts';
import type { Metadata } from '../meta/metadata.ts';
import { holdOutput } from '../meta/output-lock.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { createZipProver } from '../origin/zip-prover-pool.ts';
import { BUNDLE_KEY_NAME } from '../protocol/bundle-head.ts';
import { parseChecksumDatabaseEntry } from '../protocol/checksum-database-entry.ts';
import { parseVerifierKey, type VerifierKey } from '../protocol/note.ts';
import { createBundleServer } from '../server/bundle-server.ts';
import { CarriedFiles } from '../store/fs-carried.ts';
import { openFsStore } from '../store/fs-store.ts';
import { wishEntry } from '../api/wishes.ts';
import { openWishes } from '../hub/wishes.ts';
import { ListFiles } from '../hub/list-files.ts';
import { join } from 'node:path';
import { openOutboundClient } from './wire-hub.ts';

const DRAIN_MS = 5_000;
/** Of a command, which has the machine to itself for a while; a thread needs some 50 MB. */
const threadsFor = ({ limits }: HubConfig): number => Math.max(limits.proofThreads, Math.min(3, availableParallelism()));

export function createBundleBackends(version: string): BundleBackends {
  keepHeapSmall();
  return {
    async readKey({ keyFile, sm2KeyFile }, kind) {
      const key = kind === 'sm2' ? await readSm2KeyFile(sm2KeyOf(sm2KeyFile)) : await readKeyFile({ file: keyFile, name: BUNDLE_KEY_NAME });
      return key?.verifier.text;
    },
    async makeKey({ dataDir }, { keyFile, sm2KeyFile }, kind) {
      await refuseInside(keyFile, dataDir);
      const made =
        kind === 'sm2' ? await createSm2KeyFile(sm2KeyOf(sm2KeyFile)) : await createKeyFile({ file: keyFile, name: BUNDLE_KEY_NAME });
      return made?.verifier.text;
    },
    trusted: trustedKeys,
    async trust({ dataDir }, files, key) {
      await refuseInside(files.trustedFile, dataDir);
      const { keys, sm2Keys } = await trustedKeys(files);
      if ([...keys, ...sm2Keys].some(({ text }) => text === key)) return false;
      await makePrivateFolder(dirname(files.trustedFile));
      await appendFile(files.trustedFile, `${key}\n`, { mode: 0o600 }).catch((error: unknown) => {
        throw fileError(`write ${files.trustedFile}`, error);
      });
      return true;
    },
    open: (file, { keys, sm2Keys }, { sm2Required, listOnly }) =>
      openBundle({ file, keys, sm2: { keys: sm2Keys, required: sm2Required }, listOnly }),
    create: createFrom(version),
    async verify(bundle, trusted, { onProgress }, signal) {
      await using prover = createZipProver();
      return await verifyBundle(bundle, { trusted, prover, onProgress }, signal);
    },
    extract: (bundle, folder, { onProgress }, signal) => extractBundle(bundle, { folder, onProgress }, signal),
    import: importInto,
    async imported(config) {
      await using metadata = await openExisting(config);
      return parseImported(await metadata.setting(IMPORTED_SETTING));
    },
    async wishes(config) {
      await using metadata = await openExisting(config);
      const { database, foreign } = trustedHere(config);
      const heads = await Promise.all([database, ...foreign].map(({ name }) => metadata.head(name)));
      const trees = heads.flatMap((head) =>
        head === undefined ? [] : [{ database: head.database, size: head.treeSize, root: head.root }],
      );
      return { trees, wishes: (await openWishes(metadata, privacyOf(config))).map(wishEntry) };
    },
    serve: serveBundle,
  };
}

/**
 * What a bundle needs at any time is some 30 MB, and everything else goes through buffers; left alone, V8 lets the garbage of thousands of files grow to many times that
 * before it looks, so that more modules take more memory. Set before the first of them is read; figures are in docs/air-gap.md.
 */
function keepHeapSmall(): void {
  for (const flag of ['--heap-growing-percent=50', '--max-semi-space-size=4', '--semi-space-growth-factor=1']) setFlagsFromString(flag);
}

function createFrom(version: string): BundleBackends['create'] {
  return async (config, { hub, token, keyFile, sm2, store, vulnerabilities: place, request }, watch, signal) => {
    const signer = keyFile === undefined ? undefined : await readKeyFile({ file: keyFile, name: BUNDLE_KEY_NAME });
    if (keyFile !== undefined && signer === undefined)
      throw new HubError('config-invalid', `there is no key ${keyFile} to sign with: run goyi bundle key new`);
    const sm2Signer = sm2 && (await readSm2KeyFile(sm2KeyOf(sm2.file)));
    if (sm2?.required === true && sm2Signer === undefined)
      throw new HubError('config-invalid', `there is no key ${sm2.file} to sign with by SM2: run goyi bundle key new --sm2`);
    await prepareToWrite(request.file);
    await using owned = new AsyncDisposableStack();
    owned.use(await holdOutput(request.file));
    const client = owned.use(
      await openOutboundClient(config, { configuredOrigins: [hub, ...(place?.kind === 'url' ? [place.url] : [])], version }),
    );
    const prover = owned.use(createZipProver({ threadsMax: threadsFor(config) }));
    const stored = await openStored(config, { how: store, database: request.database.name, owned });
    const source = createProxySource(hub, client, token);
    const trees = keyFile === undefined ? undefined : createMadeTrees(`${keyFile}.trees`);
    const made = (await trees?.read()) ?? [];
    using vulnerabilities = place && openVulnerabilitySource(place, (url) => createProxySource(url, client));
    const created = await createBundle(
      request,
      { source, stored, vulnerabilities, signer, sm2: sm2Signer, made, proveZip: (zip, stop) => prover.prove(zip, stop) },
      watch,
      signal,
    );
    if (created.written !== undefined) await trees?.add(treesOf(created.written.head));
    return created;
  };
}

/** Who only asks makes no folder, or one that was mistyped would be a hub that wishes for nothing. @throws {HubError} storage-fault */
async function openExisting({ dataDir }: HubConfig): Promise<Metadata> {
  const file = join(dataDir, 'goyi.db');
  await access(file).catch((cause: unknown) => {
    throw new HubError('storage-fault', `there is no hub's data in ${dataDir}: name its folder with --data-dir`, { cause });
  });
  return openSqliteMetadata({ file, log: silentLog });
}

/** @throws {HubError} storage-fault when it is required and not there */
async function openStored(
  config: HubConfig,
  { how, database, owned }: { readonly how: CreateOrder['store']; readonly database: string; readonly owned: AsyncDisposableStack },
): Promise<StoredFiles | undefined> {
  if (how === 'no') return undefined;
  const root = config.dataDir;
  const file = join(root, 'goyi.db');
  try {
    await access(file, constants.R_OK | constants.W_OK);
  } catch (error) {
    if (how === 'if-there') return undefined;
    throw new HubError('storage-fault', `there is no hub's data in ${root} that this user may open: name its folder with --data-dir`, {
      cause: error,
    });
  }
  const store = owned.use(await openFsStore({ root, events: silentEvents, log: silentLog }));
  const metadata = owned.use(await openSqliteMetadata({ file, log: silentLog }));
  return createStoredFiles({ store, metadata, events: silentEvents, database, isPrivate: privacyOf(config) });
}

/** @throws {HubError} config-invalid */
function privacyOf(config: HubConfig): ImportParts['isPrivate'] {
  const names = privateNamesOf(config);
  return (module) => names.of(module).kind !== 'public';
}

function trustedHere(config: HubConfig): TrustedDatabases {
  return { database: provingDatabase(config), foreign: foreignKeysOf(config) };
}

async function importInto(
  config: HubConfig,
  bundle: BundleFile,
  { onProgress }: Pick<ImportParts, 'onProgress'>,
  signal: AbortSignal,
): ReturnType<BundleBackends['import']> {
  const root = config.dataDir;
  // A hub that is filled by bundles alone may never have run before.
  await using store = await openFsStore({ root, events: silentEvents, log: silentLog });
  await using metadata = await openSqliteMetadata({ file: join(root, 'goyi.db'), log: silentLog });
  await using prover = createZipProver({ threadsMax: threadsFor(config) });
  const isPrivate = privacyOf(config);
  const parts: ImportParts = {
    store,
    metadata,
    prover,
    trusted: trustedHere(config),
    ownLogs: config.ownDatabase === undefined ? [] : [config.ownDatabase, ...config.ownDatabase.former].map(({ name }) => name),
    isPrivate,
    begin: (digest) => CarriedFiles.begin(root, digest),
    reopen: (digest) => CarriedFiles.reopen(root, digest),
    sweep: (keep) => CarriedFiles.sweep(root, keep),
    nowMs: () => Date.now(),
    onProgress,
  };
  const report = await importBundle(bundle, parts, signal);
  // For readers of the folder without a hub.
  await using lists = new ListFiles({ store, metadata, log: silentLog, kindOf: (module) => (isPrivate(module) ? 'private' : 'public') });
  for (const module of report.modules) {
    await lists.room();
    lists.refresh(module);
  }
  await lists.settled();
  return report;
}

/** The first database of the configuration proves. */
function provingDatabase({ checksumDatabases }: HubConfig): VerifierKey {
  const entry = parseChecksumDatabaseEntry(checksumDatabases[0] ?? '');
  if (!entry.ok) throw new HubError('config-invalid', 'checksumDatabases names none, and bundles are proved by the first of them');
  return entry.value.key;
}

async function serveBundle(
  bundle: BundleFile,
  listen: { readonly host: string; readonly port: number },
  { onListening, onFault }: { readonly onListening: (address: string) => void; readonly onFault: (reason: string) => void },
  signal: AbortSignal,
): Promise<void> {
  const served = createBundleServer(bundle, onFault);
  const { server } = served;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new HubError('listen-failed', `cannot listen on ${listen.host}:${listen.port}: ${error.message}`, { cause: error })),
    );
    server.listen(listen, resolve);
  });
  const { port } = server.address() as AddressInfo;
  onListening(`http://${listen.host.includes(':') ? `[${listen.host}]` : listen.host}:${port}`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await served.close(DRAIN_MS);
}

const sm2KeyOf = (file: string): { readonly file: string; readonly name: string } => ({ file, name: BUNDLE_SM2_KEY_NAME });

/** Those that the operator named, and the own ones: whoever has their private halves can read this folder anyway. */
async function trustedKeys({ keyFile, sm2KeyFile, trustedFile }: BundleKeyFiles): Promise<BundleKeys> {
  const own = await readKeyFile({ file: keyFile, name: BUNDLE_KEY_NAME });
  const ownSm2 = await readSm2KeyFile(sm2KeyOf(sm2KeyFile));
  const text = await readFile(trustedFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw fileError(`read ${trustedFile}`, error);
  });
  const keys: VerifierKey[] = own === undefined ? [] : [own.verifier];
  const sm2Keys: Sm2VerifierKey[] = ownSm2 === undefined ? [] : [ownSm2.verifier];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const sm2 = parseSm2VerifierKey(line.trim());
    const key = parseVerifierKey(line.trim());
    if (sm2.ok) sm2Keys.push(sm2.value);
    else if (key.ok) keys.push(key.value);
    else throw new HubError('config-invalid', `line ${i + 1} of ${trustedFile} is no key: ${key.reason}`);
  }
  return { keys, sm2Keys };
}

async function refuseInside(file: string, dataDir: string): Promise<void> {
  if (await isInside(file, dataDir))
    throw new HubError('config-invalid', `${file} lies inside the data folder, which is copied and served: name a place elsewhere`);
}
