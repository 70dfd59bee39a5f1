import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { HubError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { type Log, silentLog } from '../base/log.ts';
import type { AccessBackends } from '../cli/access-backends.ts';
import type { Backends } from '../cli/backends.ts';
import type { HubConfig } from '../cli/config/hub-config.ts';
import { collectGarbage } from '../hub/collect-garbage.ts';
import { scrubStore } from '../hub/scrub.ts';
import type { ScrubbedSdk } from '../hub/sdk-shelf.ts';
import { isDataDirHeld } from '../meta/data-lock.ts';
import type { ForkEvidence, Metadata } from '../meta/metadata.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { parseChecksumDatabaseEntry } from '../protocol/checksum-database-entry.ts';
import { openFsStore } from '../store/fs-store.ts';
import { resolveUpstreams } from './default-upstreams.ts';
import { createAccessCommands } from './access-commands.ts';
import { type WiredHub, wireHub } from './wire-hub.ts';

export type AdminBackends = Pick<Backends, 'scrub' | 'gc' | 'forks' | 'clearFork' | 'status' | keyof AccessBackends>;

/** The commands that work on a data folder, beside a running hub or without one. */
export function createAdmin({ version, env }: { version: string; env: NodeJS.ProcessEnv }): AdminBackends {
  const wired = (config: HubConfig): Promise<WiredHub> => wireForCommand(config, { version, env });
  return {
    ...createAccessCommands((config) => openMetadata(config, silentLog)),

    async scrub(config, { onProgress }, signal) {
      await using hub = await wired(config);
      const { store, metadata, prover, proving: database } = hub;
      const { filler, lists } = hub.station;
      const report = await scrubStore({ store, metadata, prover, database, filler, lists, events: silentEvents }, onProgress, signal);
      const onArchive = ({ key, sizeBytes, reason }: ScrubbedSdk): void => {
        report.checked += 1;
        report.sizeBytes += sizeBytes;
        if (reason !== undefined) report.setAside.push({ key, reason });
        onProgress({ checked: report.checked, total: report.checked });
      };
      await hub.sdks.scrub({ rest: async () => {}, onArchive }, signal);
      return report;
    },

    async gc(config, { unusedForMs, dryRun }, signal) {
      await using hub = await wired(config);
      const { store, metadata } = hub;
      const report = await collectGarbage(
        { store, metadata, lists: hub.station.lists },
        { cutoffMs: Date.now() - unusedForMs, dryRun },
        signal,
      );
      return { ...report, freeBytesAfter: (await store.health()).freeBytes };
    },

    async forks(config) {
      await using metadata = await openMetadata(config, silentLog);
      return await forksOf(config, metadata);
    },

    async clearFork(config, { database, forgetHead }) {
      await using metadata = await openMetadata(config, silentLog);
      if ((await metadata.fork(database)) === undefined) return false;
      await metadata.clearFork(database, { forgetHead });
      return true;
    },

    async status(config) {
      await using metadata = await openMetadata(config, silentLog);
      await using store = await openFsStore({ root: config.dataDir, events: silentEvents, log: silentLog });
      const databases = databaseNames(config).map(async (name) => {
        const [head, fork] = await Promise.all([metadata.head(name), metadata.fork(name)]);
        return { name, treeSize: head?.treeSize, frozen: fork !== undefined };
      });
      const own = ownNames(config).map(async (name) => ({ name, treeSize: (await metadata.ownHead(name))?.size ?? 0, frozen: false }));
      const { freeBytes } = await store.health();
      return {
        dataDir: config.dataDir,
        ...(await metadata.totals()),
        freeBytes,
        inUse: await isDataDirHeld(config.dataDir),
        databases: await Promise.all([...databases, ...own]),
      };
    },
  };
}

async function wireForCommand(config: HubConfig, { version, env }: { version: string; env: NodeJS.ProcessEnv }): Promise<WiredHub> {
  await using metadata = await openMetadata(config, silentLog);
  const upstreams = await resolveUpstreams(config, { env, metadata, log: silentLog });
  // The background scrubber belongs to a running hub.
  const hub = await wireHub({ ...config, limits: { ...config.limits, scrubEveryMs: 0 } }, upstreams, {
    events: silentEvents,
    log: silentLog,
    version,
    env,
    // Records are appended by a running hub, at the latest when they are looked up.
    signers: [],
  });
  await hub.probe();
  return hub;
}

/** A command that looks at a data folder must not make one. */
async function openMetadata(config: HubConfig, log: Log): Promise<Metadata> {
  const file = join(config.dataDir, 'goyi.db');
  try {
    await access(file);
  } catch (error) {
    throw new HubError('storage-fault', `there is no hub's data in ${config.dataDir}: name its folder with --data-dir`, { cause: error });
  }
  return openSqliteMetadata({ file, log });
}

function databaseNames(config: HubConfig): readonly string[] {
  return config.checksumDatabases.flatMap((text) => {
    const entry = parseChecksumDatabaseEntry(text);
    return entry.ok ? [entry.value.name] : [];
  });
}

/** Of the databases that the hub signs, the current one first. */
function ownNames({ ownDatabase }: HubConfig): readonly string[] {
  return ownDatabase === undefined ? [] : [ownDatabase, ...ownDatabase.former].map(({ name }) => name);
}

async function forksOf(config: HubConfig, metadata: Metadata): Promise<readonly ForkEvidence[]> {
  const forks = await Promise.all(databaseNames(config).map((name) => metadata.fork(name)));
  return forks.filter((fork) => fork !== undefined);
}
