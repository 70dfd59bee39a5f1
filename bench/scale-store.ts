/**
 * Stores of any number of versions, made without fetching them: rows through the real statements in large transactions, files through the real store.
 *
 *     example.com/tX/mN          ten versions each, whose `info`, `mod` and `zip` have rows
 *     example.com/many           ten thousand of the versions, in stores that are larger than that; its upstream was never asked for a list
 *     example.com/longN          no versions; their upstream's list, which is kept, has ten thousand
 *
 * Of all others the upstream's list is kept. Bytes lie on the disk for what {@link ScaleStore.sample} names, and for nothing else.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { BlobKey } from '../src/base/blob-key.ts';
import { silentEvents } from '../src/base/events.ts';
import { silentLog } from '../src/base/log.ts';
import type { FileRow } from '../src/meta/metadata.ts';
import { connect, openDatabase } from '../src/meta/sqlite-open.ts';
import { SqliteWriter } from '../src/meta/sqlite-writer.ts';
import type { WriteCall } from '../src/meta/sqlite-writes.ts';
import { openFsStore } from '../src/store/fs-store.ts';
import { noise } from '../test/support/synthetic-module.ts';

export interface VersionName {
  readonly module: string;
  readonly version: string;
}

export const versionsOfMany = 10_000;
export const many = 'example.com/many';
export const longLists: readonly string[] = Array.from({ length: 10 }, (_, at) => `example.com/long${at}`);

const kinds = ['info', 'mod', 'zip'] as const;
const versionsEach = 10;
const sampleMax = 150;
const sizeBytes = { info: 64, mod: 300, zip: 8_000 } as const;
const callsAtOnce = 60_000;
const seedCacheKib = 256 * 1024;
const dayMs = 86_400_000;
/** When the oldest was stored, before now. The youngest is an hour old. */
const sinceMs = 100 * dayMs;

interface Bytes {
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly fingerprint: string;
}

export class ScaleStore {
  readonly dataDir: string;
  readonly versions: number;
  readonly ofMany: number;
  /** Versions whose files are really there, from all over the store. */
  readonly sample: readonly VersionName[];
  readonly #nowMs = Date.now();

  constructor(dataDir: string, versions: number) {
    this.dataDir = dataDir;
    this.versions = versions;
    this.ofMany = versions > versionsOfMany ? versionsOfMany : 0;
    this.sample = this.spread(Math.min(sampleMax, versions), 0.5);
  }

  get databaseFile(): string {
    return join(this.dataDir, 'goyi.db');
  }

  /** When the version stored as the `at`-th was stored, in milliseconds since the epoch. */
  storedAtMs(at: number): number {
    return Math.floor(this.#nowMs - sinceMs + (at / this.versions) * (sinceMs - dayMs / 24));
  }

  /** So many versions, evenly spread and in no order; another `phase` names others. */
  spread(count: number, phase: number): readonly VersionName[] {
    const golden = 0.618_033_988_749_894_9;
    return Array.from({ length: count }, (_, at) => this.#nameOf(Math.floor(((at * golden + phase) % 1) * this.versions)));
  }

  async write(progress: (line: string) => void): Promise<void> {
    const onDisk = await this.#writeFiles();
    (await openDatabase(this.databaseFile)).close();
    const database = connect(this.databaseFile, { readOnly: false });
    try {
      database.exec(`PRAGMA cache_size = -${seedCacheKib}`);
      const writer = new SqliteWriter(database, 'bench/scale');
      let calls: WriteCall[] = [];
      let transactions = 0;
      const flush = (): void => {
        const refused = writer.run(calls).find((outcome) => !outcome.ok);
        if (refused !== undefined) throw new Error(`a row is refused: ${JSON.stringify(refused)}`);
        calls = [];
      };
      for (let at = 0; at < this.versions; at += 1) {
        calls.push(...this.#callsFor(at, onDisk));
        if (calls.length < callsAtOnce) continue;
        flush();
        transactions += 1;
        if (transactions % 10 === 0) progress(`scale: writing the rows of ${this.versions} versions: ${at}`);
      }
      for (const module of longLists) calls.push(listCall(module, versionsOfMany, this.#nowMs));
      flush();
      database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      database.close();
    }
  }

  async #writeFiles(): Promise<ReadonlyMap<BlobKey, Bytes>> {
    const written = new Map<BlobKey, Bytes>();
    await using store = await openFsStore({ root: this.dataDir, events: silentEvents, log: silentLog });
    for (const name of this.sample) {
      for (const kind of kinds) {
        const key = keyOf(name, kind);
        const bytes = noise(key, sizeBytes[kind]);
        const { fingerprint } = await store.put(key, bytes);
        written.set(key, { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex'), fingerprint });
      }
    }
    return written;
  }

  *#callsFor(at: number, onDisk: ReadonlyMap<BlobKey, Bytes>): Generator<WriteCall> {
    const name = this.#nameOf(at);
    const storedAtMs = this.storedAtMs(at);
    for (const kind of kinds) {
      const row = rowOf({ name, kind, at, storedAtMs }, onDisk.get(keyOf(name, kind)));
      yield { name: 'recordFile', args: [row, storedAtMs * 1000] };
    }
    if (at >= this.ofMany && at % versionsEach === 0) yield listCall(name.module, versionsEach, this.#nowMs);
  }

  #nameOf(at: number): VersionName {
    if (at < this.ofMany) return { module: many, version: `v1.${at}.0` };
    const serial = Math.floor(at / versionsEach);
    return { module: `example.com/t${serial % 97}/m${serial}`, version: `v1.${at % versionsEach}.0` };
  }
}

export function keyOf({ module, version }: VersionName, kind: (typeof kinds)[number]): BlobKey {
  return `modules/${module}/@v/${version}.${kind}` as BlobKey;
}

/** The three requests for a version. */
export function pathsOf({ module, version }: VersionName): readonly string[] {
  return kinds.map((kind) => `/${module}/@v/${version}.${kind}`);
}

interface RowSettings {
  readonly name: VersionName;
  readonly kind: (typeof kinds)[number];
  readonly at: number;
  readonly storedAtMs: number;
}

function rowOf({ name, kind, at, storedAtMs }: RowSettings, bytes: Bytes | undefined): FileRow {
  return {
    key: keyOf(name, kind),
    kind,
    ...name,
    ...(bytes ?? { sizeBytes: sizeBytes[kind], sha256: at.toString(16).padStart(64, '0'), fingerprint: `${at}:1:1:1` }),
    h1: kind === 'info' ? undefined : `h1:${at.toString().padStart(43, 'A')}=`,
    origin: 'http://origin.example',
    proof:
      kind === 'info'
        ? { kind: 'none' }
        : { kind: 'checksum-database', database: 'sum.test.example', treeSize: 40_000_000, recordId: at, provedAtMs: storedAtMs },
    storedAtMs,
  };
}

function listCall(module: string, versions: number, fetchedAtMs: number): WriteCall {
  // In the order of text, which is not that of versions: the hub has to sort.
  const body = Array.from({ length: versions }, (_, at) => `v1.${at}.0\n`)
    .toSorted()
    .join('');
  return { name: 'recordAnswer', args: [{ name: `${module}/@v/list`, body, origin: 'http://origin.example', fetchedAtMs }] };
}
