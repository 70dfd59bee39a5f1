/**
 * The entry of the short-lived process beside a primary: it reads the command line and the configuration, tells the primary, and readies the data
 * folder once the primary holds it. A command line that starts no hub after all (`serve --help`) it runs to its end.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { invariant } from '../base/invariant.ts';
import { tidyImports } from '../bundle/import-bundle.ts';
import { rereadConfig } from '../cli/commands/serve.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { restoreKept } from '../hub/settle-files.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { CarriedFiles } from '../store/fs-carried.ts';
import { openFsStore } from '../store/fs-store.ts';
import { resolveUpstreams } from './default-upstreams.ts';
import { readyOwnKeys } from './own-keys.ts';
import type { FromPreparer, Readied, ToPreparer } from './prepare.ts';
import { openProcessLog } from './process-log.ts';
import { runCommand } from './run-command.ts';

/** Makes or checks the keys, migrates metadata, sweeps what a killed hub left half-written, and finds the upstreams. `inUse`: workers of this hub are running. */
async function prepare(config: HubConfig, { inUse }: { readonly inUse: boolean }): Promise<Readied> {
  const log = openProcessLog(config.log, process.stderr.isTTY === true);
  const keys = await readyOwnKeys(config);
  await using store = await openFsStore({ root: config.dataDir, events: silentEvents, log });
  const swept = await store.sweep();
  if (swept > 0) log.info('half-written files of an ended process were removed', { files: swept });
  await using metadata = await openSqliteMetadata({ file: join(config.dataDir, 'goyi.db'), log });
  // What a running worker places at this moment must not give way to what is kept of the file before it.
  const restored = inUse ? 0 : await restoreKept({ store, metadata });
  if (restored > 0) log.warn('files that the machine had not written when it stopped were restored', { files: restored });
  const root = config.dataDir;
  const imports = {
    metadata,
    reopen: (digest: string) => CarriedFiles.reopen(root, digest),
    sweep: (keep?: string) => CarriedFiles.sweep(root, keep),
    anyLeft: () => CarriedFiles.anyLeft(root),
  };
  if (!inUse && (await tidyImports(imports))) log.info('the import of a bundle that was killed has been brought to its end');
  return { keys, upstreams: await resolveUpstreams(config, { env: process.env, metadata, log }) };
}

/** The primary may give up while this waits, or be killed: then nobody wants the rest. */
function onceHeld(): Promise<HubConfig> {
  return new Promise((resolve) => {
    process.once('message', (order: ToPreparer) => {
      invariant(order.kind === 'make-ready', 'the configuration was read once');
      resolve(order.config);
    });
  });
}

async function start(version: string): Promise<void> {
  process.exitCode = await runCommand({
    version,
    signal: new AbortController().signal,
    serve: async (config, { configFile, notes }) => {
      const held = onceHeld();
      await tell({ kind: 'configured', config, configFile, notes });
      await tell({ kind: 'ready', ...(await prepare(await held, { inUse: false })) });
      return 0;
    },
  });
}

async function reload(): Promise<void> {
  try {
    const folder = process.env['INIT_CWD'] || process.cwd();
    const reread = await rereadConfig({ argv: process.argv.slice(2), env: process.env, folder, cores: availableParallelism() });
    if (!reread.ok) return await tell({ kind: 'faulty', faults: reread.faults });
    const held = onceHeld();
    await tell({ kind: 'configured', config: reread.config, configFile: undefined, notes: [] });
    await tell({ kind: 'ready', ...(await prepare(await held, { inUse: true })) });
  } catch (error) {
    await tell({ kind: 'failed', message: messageOf(error) });
  }
}

function tell(message: FromPreparer): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

const onAbandoned = (): void => process.exit(1);
process.once('disconnect', onAbandoned);
process.once('message', (order: ToPreparer) => {
  invariant(order.kind !== 'make-ready', 'first the configuration is read');
  void (order.kind === 'start' ? start(order.version) : reload()).finally(() => {
    process.off('disconnect', onAbandoned);
    process.disconnect?.();
  });
});
