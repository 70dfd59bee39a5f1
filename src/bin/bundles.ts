import { appendFile, mkdir, readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { HubError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { type BundleFile, openBundle } from '../bundle/bundle-file.ts';
import { createBundle } from '../bundle/create-bundle.ts';
import { importBundle, type ImportParts } from '../bundle/import-bundle.ts';
import { IMPORTED_SETTING, parseImported } from '../bundle/imported-bundles.ts';
import { createMadeTrees } from '../bundle/made-trees.ts';
import { createProxySource } from '../bundle/proxy-source.ts';
import { extractBundle, verifyBundle } from '../bundle/verify-bundle.ts';
import type { BundleBackends, BundleKeyFiles } from '../cli/bundle-backends.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { createKeyFile, readKeyFile } from '../meta/key-file.ts';
import { fileError, isInside, makePrivateFolder } from '../meta/private-folder.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { createZipProver } from '../origin/zip-prover-pool.ts';
import { createPrivateNames } from '../policy/private-names.ts';
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

export function createBundleBackends(version: string): BundleBackends {
  return {
    async readKey({ keyFile }) {
      return (await readKeyFile({ file: keyFile, name: BUNDLE_KEY_NAME }))?.verifier.text;
    },
    async makeKey({ dataDir }, { keyFile }) {
      await refuseInside(keyFile, dataDir);
      return (await createKeyFile({ file: keyFile, name: BUNDLE_KEY_NAME }))?.verifier.text;
    },
    trusted: trustedKeys,
    async trust({ dataDir }, files, key) {
      await refuseInside(files.trustedFile, dataDir);
      if ((await trustedKeys(files)).some(({ text }) => text === key.text)) return false;
      await makePrivateFolder(dirname(files.trustedFile));
      await appendFile(files.trustedFile, `${key.text}\n`, { mode: 0o600 }).catch((error: unknown) => {
        throw fileError(`write ${files.trustedFile}`, error);
      });
      return true;
    },
    open: (file, keys, { listOnly } = { listOnly: false }) => openBundle({ file, keys, listOnly }),
    async create(config, { hub, token, keyFile, request }, watch, signal) {
      const signer = keyFile === undefined ? undefined : await readKeyFile({ file: keyFile, name: BUNDLE_KEY_NAME });
      if (keyFile !== undefined && signer === undefined)
        throw new HubError('config-invalid', `there is no key ${keyFile} to sign with: run goyi bundle key new`);
      await mkdir(dirname(request.file), { recursive: true });
      await using client = await openOutboundClient(config, { configuredOrigins: [hub], version });
      await using prover = createZipProver({ threadsMax: config.limits.proofThreads });
      const source = createProxySource(hub, client, token);
      const trees = keyFile === undefined ? undefined : createMadeTrees(`${keyFile}.trees`, request.database.name);
      const made = (await trees?.read()) ?? [];
      const created = await createBundle(
        request,
        { source, signer, made, proveZip: (zip, stop) => prover.prove(zip, stop) },
        watch,
        signal,
      );
      if (created.written !== undefined) await trees?.add(created.written.head.tree);
      return created;
    },
    async verify(bundle, database, { onProgress }, signal) {
      await using prover = createZipProver();
      return await verifyBundle(bundle, { database, prover, onProgress }, signal);
    },
    extract: (bundle, folder, { onProgress }, signal) => extractBundle(bundle, { folder, onProgress }, signal),
    import: importInto,
    async imported(config) {
      await using metadata = await openSqliteMetadata({ file: join(config.dataDir, 'goyi.db'), log: silentLog });
      return parseImported(await metadata.setting(IMPORTED_SETTING));
    },
    async wishes(config) {
      await using metadata = await openSqliteMetadata({ file: join(config.dataDir, 'goyi.db'), log: silentLog });
      const { name: database } = provingDatabase(config);
      const [wishes, head] = await Promise.all([openWishes(metadata, privacyOf(config)), metadata.head(database)]);
      return { trees: head === undefined ? [] : [{ database, size: head.treeSize, root: head.root }], wishes: wishes.map(wishEntry) };
    },
    serve: serveBundle,
  };
}

/** @throws {HubError} config-invalid */
function privacyOf(config: HubConfig): ImportParts['isPrivate'] {
  const names = createPrivateNames(config.private.map(({ match, home }) => ({ match, public: home.kind === 'public' })));
  if (!names.ok) throw new HubError('config-invalid', names.reason);
  return (module) => names.value.of(module).kind !== 'public';
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
  await using prover = createZipProver({ threadsMax: config.limits.proofThreads });
  const isPrivate = privacyOf(config);
  const parts: ImportParts = {
    store,
    metadata,
    prover,
    database: provingDatabase(config),
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
export function provingDatabase({ checksumDatabases }: HubConfig): VerifierKey {
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

/** Those that the operator named, and the own one: whoever has its private half can read this folder anyway. */
async function trustedKeys({ keyFile, trustedFile }: BundleKeyFiles): Promise<readonly VerifierKey[]> {
  const own = await readKeyFile({ file: keyFile, name: BUNDLE_KEY_NAME });
  const text = await readFile(trustedFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw fileError(`read ${trustedFile}`, error);
  });
  const keys = text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    const key = parseVerifierKey(line.trim());
    if (!key.ok) throw new HubError('config-invalid', `line ${i + 1} of ${trustedFile} is no key: ${key.reason}`);
    return [key.value];
  });
  return own === undefined ? keys : [own.verifier, ...keys];
}

async function refuseInside(file: string, dataDir: string): Promise<void> {
  if (await isInside(file, dataDir))
    throw new HubError('config-invalid', `${file} lies inside the data folder, which is copied and served: name a place elsewhere`);
}
