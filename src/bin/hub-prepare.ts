/** The entry of the short-lived process that readies a data folder before the workers start, so that the primary never needs the memory for it. */
import { join } from 'node:path';
import { codeOf, messageOf } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { restoreKept } from '../hub/settle-files.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { openFsStore } from '../store/fs-store.ts';
import { resolveUpstreams } from './default-upstreams.ts';
import { readyOwnKeys } from './own-keys.ts';
import type { Prepared, Readied } from './prepare.ts';
import { openProcessLog } from './process-log.ts';

/** Makes or checks the keys, migrates metadata, sweeps what a killed hub left half-written, and finds the upstreams. */
async function prepare(config: HubConfig, isTerminal: boolean): Promise<Readied> {
  const log = openProcessLog(config.log, isTerminal);
  const keys = await readyOwnKeys(config);
  await using store = await openFsStore({ root: config.dataDir, events: silentEvents, log });
  const swept = await store.sweep();
  if (swept > 0) log.info('half-written files of an ended process were removed', { files: swept });
  await using metadata = await openSqliteMetadata({ file: join(config.dataDir, 'goyi.db'), log });
  const restored = await restoreKept({ store, metadata });
  if (restored > 0) log.warn('files that the machine had not written when it stopped were restored', { files: restored });
  return { keys, upstreams: await resolveUpstreams(config, { env: process.env, metadata, log }) };
}

process.once('message', ({ config, isTerminal }: { config: HubConfig; isTerminal: boolean }) => {
  const answer = (prepared: Prepared): void => {
    process.send?.(prepared, () => process.disconnect?.());
  };
  prepare(config, isTerminal).then(
    (readied) => answer({ ok: true, ...readied }),
    (error: unknown) => answer({ ok: false, code: codeOf(error) ?? 'storage-fault', message: messageOf(error) }),
  );
});
