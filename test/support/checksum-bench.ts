import { createChecksumDatabase, type ChecksumLimits } from '../../src/origin/checksum-client.ts';
import type { ChecksumDatabase } from '../../src/origin/checksum-database.ts';
import type { HeadMetadata } from '../../src/origin/checksum-head.ts';
import type { ChecksumRelay } from '../../src/origin/checksum-relay.ts';
import type { ForkEvidence, HeadRow } from '../../src/meta/metadata.ts';
import { type Events, silentEvents } from '../../src/base/events.ts';
import { silentLog } from '../../src/base/log.ts';
import { type MemoryStore, type StoreFaults, createMemoryStore } from '../../src/store/memory-store.ts';
import { TestChecksumDatabase, TestTransport } from './checksum-database-server.ts';

export type HeadFaults = (point: 'before' | 'after', operation: 'head' | 'advanceHead' | 'fork' | 'recordFork') => void;

/** The part of metadata that keeps heads, in memory; it outlives the clients, as a database does. */
export class MemoryHeads implements HeadMetadata {
  readonly heads: Map<string, HeadRow> = new Map();
  readonly forks: Map<string, ForkEvidence> = new Map();
  faults: HeadFaults = () => {};

  async head(database: string): Promise<HeadRow | undefined> {
    this.faults('before', 'head');
    return this.heads.get(database);
  }

  async advanceHead(next: HeadRow, expectedTreeSize: number | undefined): Promise<boolean> {
    this.faults('before', 'advanceHead');
    const kept = this.heads.get(next.database);
    if (kept?.treeSize !== expectedTreeSize || (kept !== undefined && next.treeSize <= kept.treeSize)) return false;
    this.heads.set(next.database, next);
    this.faults('after', 'advanceHead');
    return true;
  }

  async fork(database: string): Promise<ForkEvidence | undefined> {
    this.faults('before', 'fork');
    return this.forks.get(database);
  }

  async recordFork(evidence: ForkEvidence): Promise<void> {
    this.faults('before', 'recordFork');
    if (!this.forks.has(evidence.database)) this.forks.set(evidence.database, evidence);
    this.faults('after', 'recordFork');
  }

  clearFork(database: string, { forgetHead }: { forgetHead: boolean }): void {
    this.forks.delete(database);
    if (forgetHead) this.heads.delete(database);
  }
}

/** A database with everything around its client: what survives a restart, what was noticed, and a clock that stands still. */
export interface Bench {
  readonly database: TestChecksumDatabase;
  readonly transports: TestTransport[];
  readonly store: MemoryStore;
  readonly heads: MemoryHeads;
  readonly clock: { nowMs: number; wallMs(): number; monotonicMs(): number };
  /** `reason: detail` of every verification that failed. */
  readonly alarms: string[];
  /** Sizes of the heads that were kept, in order. */
  readonly advances: number[];
  readonly degradations: string[];
  storeFaults: StoreFaults;
  /** Another process of the same hub, or the same one after a restart: nothing in memory, the same store and metadata. */
  client(limits?: Partial<ChecksumLimits>): ChecksumDatabase & ChecksumRelay & AsyncDisposable;
}

export function createBench(
  database: TestChecksumDatabase,
  transports: TestTransport[] = [new TestTransport('https://one.example', database)],
): Bench {
  const clock = {
    nowMs: 1_000_000,
    wallMs: () => clock.nowMs,
    monotonicMs: () => clock.nowMs,
  };
  const events: Events = {
    ...silentEvents,
    verificationFailed: ({ reason, detail }) => void bench.alarms.push(`${reason}: ${detail}`),
    headAdvanced: ({ treeSize }) => void bench.advances.push(treeSize),
    storageDegraded: ({ reason }) => void bench.degradations.push(reason),
  };
  const bench: Bench = {
    database,
    transports,
    store: createMemoryStore({ faults: (...call) => bench.storeFaults(...call) }),
    heads: new MemoryHeads(),
    clock,
    alarms: [],
    advances: [],
    degradations: [],
    storeFaults: () => {},
    client: (limits = {}) =>
      createChecksumDatabase({
        name: database.name,
        key: database.key,
        transports: () => transports,
        store: bench.store,
        metadata: bench.heads,
        events,
        log: silentLog,
        clock,
        freshnessMs: 60_000,
        limits: { hedgeMs: 50, raceMs: 5000, refreshWaitMs: 500, ...limits },
      }),
  };
  return bench;
}

/** Every key of the database in the store, without what stands before it. */
export async function storedKeys(bench: Bench): Promise<string[]> {
  const prefix = `modules/sumdb/${bench.database.name}/`;
  const keys: string[] = [];
  for await (const key of bench.store.keys(prefix)) keys.push(key.slice(prefix.length));
  return keys.sort();
}
