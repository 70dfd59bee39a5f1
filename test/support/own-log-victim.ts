/**
 * A process that appends to a log of our own over the real store, metadata and signed heads, prints what it would have answered, and kills itself
 * with SIGKILL at the step of its choice: node own-log-victim.ts DATA_DIR DIES_AT FROM COUNT
 *
 * A step is the moment before or after a call that writes: a transaction of metadata, a line or a sync of the signed heads, a system call of the store.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentEvents } from '../../src/base/events.ts';
import { silentLog } from '../../src/base/log.ts';
import { noPrivateModules, openOwnDatabase } from '../../src/hub/own-database.ts';
import { realHeadFileOperations } from '../../src/meta/head-files.ts';
import { openSignedHeads } from '../../src/meta/signed-heads.ts';
import { openSqliteMetadata } from '../../src/meta/sqlite-metadata.ts';
import { realOperations } from '../../src/store/fs-operations.ts';
import { openFsStore } from '../../src/store/fs-store.ts';
import { hashesOf, ownSigner } from './own-log-bench.ts';
import { ownDatabaseName } from './station-bench.ts';

const [, , dataDir = '', diesAt = '0', from = '0', count = '0'] = process.argv;
let steps = 0;

function step(): void {
  steps += 1;
  if (steps === Number(diesAt)) process.kill(process.pid, 'SIGKILL');
}

function stepping<T extends object>(operations: T): T {
  const wrapped = Object.entries(operations).map(([name, operation]) => [
    name,
    async (...args: unknown[]): Promise<unknown> => {
      step();
      const result: unknown = await (operation as (...args: unknown[]) => unknown)(...args);
      step();
      return result;
    },
  ]);
  return Object.fromEntries(wrapped) as T;
}

const { open, statfs, ...writing } = realOperations;
await using store = await openFsStore({
  root: dataDir,
  events: silentEvents,
  log: silentLog,
  operations: { open, statfs, ...stepping(writing) },
});
await using metadata = await openSqliteMetadata({ file: join(dataDir, 'goyi.db'), log: silentLog, faults: () => step() });
await using signedHeads = await openSignedHeads(`${dataDir}-keys`, { operations: stepping(realHeadFileOperations), fileBytesMax: 20_000 });
await using database = await openOwnDatabase({
  name: ownDatabaseName,
  signer: ownSigner,
  sign: 'all',
  store,
  metadata,
  signedHeads,
  proving: {
    name: 'sum.public.example',
    lookup: async (module, version) => ({
      database: 'sum.public.example',
      recordId: 1,
      treeSize: 10,
      text: '',
      ...hashesOf(`${module}@${version}`),
    }),
  },
  privateModules: noPrivateModules,
  events: silentEvents,
  log: silentLog,
  clock: systemClock,
  limits: { calmMs: 5 },
});
const signal = new AbortController().signal;
const lanes = 8;
const total = Number(count);
await Promise.all(
  Array.from({ length: lanes }, async (_, lane) => {
    for (let i = lane; i < total; i += lanes) {
      const body = await database.lookupAnswer(`m${Number(from) + i}.example/m`, 'v1.0.0', { cachedOnly: false }, signal);
      writeSync(1, `${JSON.stringify({ body })}\n`);
      if (i % 16 === lane) writeSync(1, `${JSON.stringify({ note: await database.latest() })}\n`);
    }
  }),
);
await database.settled();
writeSync(1, `${JSON.stringify({ steps })}\n`);
