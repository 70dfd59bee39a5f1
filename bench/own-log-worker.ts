/**
 * A process on a log of our own, for the suite `log`:
 *
 *     node bench/own-log-worker.ts append DATA_DIR LANES OFFSET look-ups|fills     says `ready`; from a line on standard input until the next it
 *                                                                                  appends new records, LANES at once; then prints what it did as JSON
 *     node bench/own-log-worker.ts seed DATA_DIR COUNT                             fills a log to so many records, its tiles in the store
 */
import { once } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { silentEvents } from '../src/base/events.ts';
import { silentLog } from '../src/base/log.ts';
import { createKeptStore } from '../src/hub/kept-store.ts';
import { noPrivateModules, openOwnDatabase, type OwnDatabase } from '../src/hub/own-database.ts';
import { createKeyFile, readKeyFile } from '../src/meta/key-file.ts';
import type { Metadata } from '../src/meta/metadata.ts';
import { openSignedHeads } from '../src/meta/signed-heads.ts';
import { openSqliteMetadata } from '../src/meta/sqlite-metadata.ts';
import type { ModulePath } from '../src/protocol/module-path.ts';
import type { Version } from '../src/protocol/version.ts';
import { openFsStore } from '../src/store/fs-store.ts';
import { LOG_NAME, moduleAt, proved } from './own-log-records.ts';

const [, , mode, dataDir = '', ...rest] = process.argv;
const version = 'v1.0.0' as Version;

await using files = await openFsStore({ root: dataDir, events: silentEvents, log: silentLog });
await using metadata = await openSqliteMetadata({ file: join(dataDir, 'goyi.db'), log: silentLog });
await using signedHeads = await openSignedHeads(`${dataDir}-keys`);
const keyFile = { file: join(`${dataDir}-keys`, 'log.key'), name: LOG_NAME };
const signer = (await readKeyFile(keyFile)) ?? (await createKeyFile(keyFile)) ?? (await readKeyFile(keyFile));
if (signer === undefined) throw new Error('there is no key');
await using database = await openOwnDatabase({
  name: LOG_NAME,
  signer,
  sign: 'all',
  store: createKeptStore(files, metadata),
  metadata,
  signedHeads,
  proving: { name: 'sum.public.example', lookup: async (module) => ({ recordId: 1, treeSize: 10, text: '', ...proved(module) }) },
  privateModules: noPrivateModules,
  events: silentEvents,
  log: silentLog,
  clock: systemClock,
});

if (mode === 'seed') await seed(metadata, database, Number(rest[0]));
else await append(database, { lanes: Number(rest[0]), offset: Number(rest[1]), looksUp: rest[2] === 'look-ups' });

async function seed(into: Metadata, log: OwnDatabase, count: number): Promise<void> {
  const atOnce = 5_000;
  for (let from = (await into.ownHead(LOG_NAME))?.size ?? 0; from < count; from += atOnce) {
    const entries = Array.from({ length: Math.min(atOnce, count - from) }, (_, i) => {
      const module = moduleAt(from + i);
      const { database: provedBy, ...hashes } = proved(module);
      return { module, version, provedBy, ...hashes };
    });
    await into.appendOwn(LOG_NAME, entries, from);
  }
  // Look-ups as plain files are not what is measured, and a million of them takes its time.
  await into.recordSetting(`own-log.${LOG_NAME}.published`, String(count));
  await log.settled();
}

async function append(log: OwnDatabase, options: { lanes: number; offset: number; looksUp: boolean }): Promise<void> {
  const latencies: number[] = [];
  let next = options.offset;
  let stopped = false;
  process.stdout.write('ready\n');
  await once(process.stdin, 'data');
  const startedMs = performance.now();
  const signal = new AbortController().signal;
  const lane = async (): Promise<void> => {
    while (!stopped) {
      const module = moduleAt(next++) as ModulePath;
      const askedMs = performance.now();
      if (options.looksUp) await log.lookupAnswer(module, version, { cachedOnly: false }, signal);
      else await log.recordProved(module, version, proved(module));
      latencies.push(performance.now() - askedMs);
    }
  };
  const lanes = Promise.all(Array.from({ length: options.lanes }, lane));
  await once(process.stdin, 'data');
  stopped = true;
  await lanes;
  const seconds = (performance.now() - startedMs) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (part: number): number => latencies[Math.floor(latencies.length * part)] ?? 0;
  process.stdout.write(`${JSON.stringify({ records: latencies.length, seconds, p50Ms: at(0.5), p99Ms: at(0.99) })}\n`);
  process.stdin.destroy();
}
