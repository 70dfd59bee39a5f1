/** A log of our own with everything around it: what survives a crash, what can be told to fail, and any number of processes on it. */
import { hash } from 'node:crypto';
import { type Events, silentEvents } from '../../src/base/events.ts';
import { HubError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import { OwnDatabase, type OwnDatabaseParts, noPrivateModules, openOwnDatabase } from '../../src/hub/own-database.ts';
import type { Metadata } from '../../src/meta/metadata.ts';
import { type MetadataFaults, openSqliteMetadata } from '../../src/meta/sqlite-metadata.ts';
import type { SignedHead, SignedHeads } from '../../src/meta/signed-heads.ts';
import type { ProvedRecord } from '../../src/origin/checksum-database.ts';
import { type RecordHashes, formatChecksumRecord, openTreeNote, parseLookupAnswer } from '../../src/protocol/checksum-record.ts';
import type { ModulePath } from '../../src/protocol/module-path.ts';
import { type SignerKey, generateSignerKey } from '../../src/protocol/note.ts';
import type { Version } from '../../src/protocol/version.ts';
import { type MemoryStore, type StoreFaults, createMemoryStore } from '../../src/store/memory-store.ts';
import { FakeClock, ownDatabaseName } from './station-bench.ts';

export const ownSigner: SignerKey = generateSignerKey(ownDatabaseName, Buffer.alloc(32, 9)).signer;

export const signal: AbortSignal = AbortSignal.timeout(300_000);

/** `h1:` and a hash that depends on the seed alone. */
export function h1(seed: string): string {
  return `h1:${hash('sha256', seed, 'base64')}`;
}

export function hashesOf(module: string, flavour = ''): RecordHashes {
  return { zipHash: h1(`${module}${flavour}`), modHash: h1(`${module}${flavour}/go.mod`) };
}

/** Remembers in memory; outlives the processes of a bench, as the folder beside the data does. */
export class MemorySignedHeads implements SignedHeads {
  readonly heads: Map<string, SignedHead> = new Map();
  faults: (point: 'before' | 'after') => void = () => {};

  async remember(head: SignedHead): Promise<void> {
    this.faults('before');
    const kept = this.heads.get(head.name);
    if (kept?.treeSize === head.treeSize && kept.root !== head.root)
      throw new HubError('log-forked', `another head of ${head.treeSize} records of ${head.name} is remembered`);
    if (kept === undefined || kept.treeSize < head.treeSize) this.heads.set(head.name, head);
    this.faults('after');
  }

  async last(name: string): Promise<SignedHead | undefined> {
    return this.heads.get(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A public database that has a record of every version of `*.example`, except of what it was told that there is not. */
export class ProvingDatabase {
  readonly name = 'sum.public.example';
  readonly absent: Set<string> = new Set();
  lookups = 0;
  failure: HubError | undefined;
  gate: Promise<void> | undefined;

  async lookup(module: string, version: string): Promise<ProvedRecord | undefined> {
    this.lookups += 1;
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    if (this.absent.has(module)) return undefined;
    return { database: this.name, recordId: 1, treeSize: 10, text: '', ...hashesOf(`${module}@${version}`) };
  }
}

export interface OwnLogBench extends AsyncDisposable {
  metadata: Metadata;
  readonly store: MemoryStore;
  readonly signedHeads: MemorySignedHeads;
  readonly proving: ProvingDatabase;
  readonly clock: FakeClock;
  readonly seen: string[];
  storeFaults: StoreFaults;
  metadataFaults: MetadataFaults;
  /** Another process on the same data. */
  open(changes?: Partial<OwnDatabaseParts>): Promise<OwnDatabase>;
}

export async function openOwnLogBench(file = ':memory:'): Promise<OwnLogBench> {
  const opened: OwnDatabase[] = [];
  const seen: string[] = [];
  const events: Events = {
    ...silentEvents,
    drifted: ({ kind, module }) => seen.push(`drift ${kind} ${module}`),
    fileSetAside: ({ key }) => seen.push(`set aside ${key}`),
    headAdvanced: ({ treeSize }) => seen.push(`head ${treeSize}`),
  };
  const clock = new FakeClock();
  const bench: OwnLogBench = {
    metadata: await openSqliteMetadata({
      file,
      log: silentLog,
      clock,
      sharedMs: () => clock.monotonic,
      faults: (...call) => bench.metadataFaults(...call),
    }),
    store: createMemoryStore({ faults: (...call) => bench.storeFaults(...call) }),
    signedHeads: new MemorySignedHeads(),
    proving: new ProvingDatabase(),
    clock,
    seen,
    storeFaults: () => {},
    metadataFaults: () => {},
    async open(changes = {}) {
      const { metadata, store, signedHeads, proving } = bench;
      const database = await openOwnDatabase({
        name: ownDatabaseName,
        signer: ownSigner,
        sign: 'all',
        store,
        metadata,
        signedHeads,
        proving,
        privateModules: noPrivateModules,
        events,
        log: silentLog,
        clock,
        ...changes,
      });
      opened.push(database);
      return database;
    },
    async [Symbol.asyncDispose]() {
      for (const database of opened) await database[Symbol.asyncDispose]();
      await bench.metadata[Symbol.asyncDispose]();
      await bench.store[Symbol.asyncDispose]();
    },
  };
  return bench;
}

export interface Shown {
  readonly recordId: number;
  readonly text: string;
  readonly size: number;
  readonly root: string;
  readonly note: string;
}

/** A look-up as a client does it; fails when the answer is malformed, not signed by us, or does not cover its record. */
export async function lookUp(database: OwnDatabase, module: string, options = { cachedOnly: false }): Promise<Shown | undefined> {
  const body = await database.lookupAnswer(module, 'v1.0.0', options, signal);
  return body === undefined ? undefined : openAnswer(body);
}

export function openAnswer(body: string): Shown {
  const answer = parseLookupAnswer(Buffer.from(body));
  if (!answer.ok) throw new Error(answer.reason);
  const { recordId, text, note } = answer.value;
  const tree = openTreeNote(note, ownSigner.verifier);
  if (!tree.ok) throw new Error(tree.reason);
  if (tree.value.size <= recordId) throw new Error(`a tree of ${tree.value.size} records was shown with record ${recordId}`);
  return { recordId, text, size: tree.value.size, root: tree.value.root.toString('base64'), note };
}

export const version: Version = 'v1.0.0' as Version;

/** The record of a module as {@link ProvingDatabase} has it. */
export function textOf(module: string): string {
  return formatChecksumRecord({ module, version, ...hashesOf(`${module}@${version}`) });
}

/** Appends the records of `mFROM.example/m` to `m(TO - 1).example/m`, as fills do. */
export async function addMany(database: OwnDatabase, from: number, to: number): Promise<void> {
  await Promise.all(
    Array.from({ length: to - from }, (_, i) => {
      const module = `m${from + i}.example/m` as ModulePath;
      return database.recordProved(module, version, {
        database: 'sum.public.example',
        ...hashesOf(`${module}@${version}`),
      });
    }),
  );
}
