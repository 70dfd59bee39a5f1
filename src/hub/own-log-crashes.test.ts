// Processes that share a log of our own die between any two of their effects, alone and at once: the log goes on, and nothing that was shown is ever untrue.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  hashesOf,
  openAnswer,
  openOwnLogBench,
  type OwnLogBench,
  ownSigner,
  type Shown,
  signal,
} from '../../test/support/own-log-bench.ts';
import { ownDatabaseName } from '../../test/support/station-bench.ts';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';
import type { OwnRecord } from '../meta/own-log.ts';
import { formatChecksumRecord, openTreeNote, recordHash } from '../protocol/checksum-record.ts';
import { parseTilePath } from '../protocol/proxy-request.ts';
import { EMPTY_TREE, growTree } from '../protocol/tree-growth.ts';
import type { OwnDatabase } from './own-database.ts';

const effects: ReadonlySet<string> = new Set(
  'appendOwn dropOwnTiles recordSetting acquireLease releaseLease put replace remove setAside remember'.split(' '),
);

/** A process that dies at a step of its choice: from then on nothing that it does has any effect. */
class Mortal {
  steps = 0;
  dead = false;
  diesAt = Number.POSITIVE_INFINITY;

  step(hasEffect: boolean): void {
    if (hasEffect) this.steps += 1;
    if (this.steps >= this.diesAt) this.dead = true;
    if (this.dead) throw new HubError('storage-fault', 'the process is dead');
  }

  /** Every call with an effect is a step before it and a step after it: it can have its effect without anybody hearing of it. */
  guard<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (of, name) => {
        const value: unknown = Reflect.get(of, name);
        if (typeof value !== 'function') return value;
        const method = value.bind(of) as (...args: unknown[]) => unknown;
        if (name === 'keys') return method;
        return async (...args: unknown[]): Promise<unknown> => {
          const hasEffect = effects.has(String(name));
          this.step(hasEffect);
          const result = await method(...args);
          this.step(hasEffect);
          return result;
        };
      },
    });
  }
}

interface Process {
  readonly mortal: Mortal;
  readonly database: OwnDatabase;
}

class World {
  readonly bench: OwnLogBench;
  readonly shown: Shown[] = [];
  readonly processes: (Process | undefined)[] = [undefined, undefined];

  constructor(bench: OwnLogBench) {
    this.bench = bench;
  }

  async start(slot: number): Promise<Process> {
    const { bench } = this;
    const mortal = new Mortal();
    const process = {
      mortal,
      database: await bench.open({
        metadata: mortal.guard(bench.metadata),
        store: mortal.guard(bench.store),
        signedHeads: mortal.guard(bench.signedHeads),
        limits: { calmMs: 0 },
      }),
    };
    this.processes[slot] = process;
    return process;
  }

  async living(slot: number): Promise<Process> {
    const process = this.processes[slot];
    if (process === undefined || process.mortal.dead) {
      // The lease that it held goes with it, as that of a dead process does.
      await this.bench.metadata.releaseLease(`own-log ${ownDatabaseName}`);
      return this.start(slot);
    }
    return process;
  }

  async lookUp(process: Process, module: string): Promise<void> {
    const body = await process.database.lookupAnswer(module, 'v1.0.0', { cachedOnly: false }, signal).catch((error: unknown) => {
      if (process.mortal.dead) return undefined;
      throw error;
    });
    if (body !== undefined) this.shown.push(openAnswer(body));
  }

  async latest(process: Process): Promise<void> {
    const note = await process.database.latest().catch((error: unknown) => {
      if (process.mortal.dead) return undefined;
      throw error;
    });
    if (note !== undefined) this.#keepNote(note);
  }

  #keepNote(note: string): void {
    const tree = openTreeNote(note, ownSigner.verifier);
    assert.ok(tree.ok);
    this.shown.push({ recordId: -1, text: '', size: tree.value.size, root: tree.value.root.toString('base64'), note });
  }

  /** The log is one line, and everything that was ever shown, by an answer or a file, lies on it. */
  async verify(): Promise<void> {
    const { metadata, signedHeads, store } = this.bench;
    const records: OwnRecord[] = [];
    for (let page = await metadata.ownRecords(ownDatabaseName, 0, 1000); page.length > 0; ) {
      records.push(...page);
      page = await metadata.ownRecords(ownDatabaseName, records.length, 1000);
    }
    assert.deepEqual(
      records.map(({ id }) => id),
      records.map((_, id) => id),
    );
    assert.equal(new Set(records.map(({ module }) => module)).size, records.length);
    const leaves = records.map((record) => recordHash(formatChecksumRecord(record)));
    const roots = new Map<number, string>();
    const rootAt = (size: number): string => {
      assert.ok(size <= records.length, `a tree of ${size} was shown, and there are ${records.length} records`);
      const root = roots.get(size) ?? growTree(EMPTY_TREE, leaves.slice(0, size)).root.toString('base64');
      roots.set(size, root);
      return root;
    };
    const checkShown = ({ recordId, text, size, root }: Shown): void => {
      assert.equal(root, rootAt(size), `the tree of ${size}`);
      if (recordId >= 0) assert.equal(text, formatChecksumRecord(records[recordId]!));
    };
    for (const shown of this.shown) checkShown(shown);
    const last = signedHeads.heads.get(ownDatabaseName);
    if (last !== undefined) assert.equal(last.root, rootAt(last.treeSize));
    const tree = growTree(EMPTY_TREE, leaves);
    const prefix = `modules/sumdb/${ownDatabaseName}/`;
    for await (const key of store.keys(prefix)) {
      const bytes = (await store.readSmall(key, 100_000))?.bytes;
      // A partial tile that is full by now.
      if (bytes === undefined) continue;
      const name = key.slice(prefix.length);
      if (name.startsWith('lookup/')) checkShown(openAnswer(String(bytes)));
      if (name === 'latest') checkShown({ ...openAnswer(`0\n${formatChecksumRecord(records[0]!)}\n${String(bytes)}`), recordId: -1 });
      const tile = parseTilePath(name);
      if (!tile.ok || tile.value.level === 'data') continue;
      const { level, index, width } = tile.value;
      const full = tree.full.find((one) => one.level === level && one.index === index)?.bytes;
      const hashes = level === 0 ? Buffer.concat(leaves.slice(index * 256, index * 256 + width)) : full;
      if (hashes !== undefined) assert.deepEqual(bytes, hashes.subarray(0, width * 32), name);
    }
    assert.ok(!this.bench.seen.some((event) => event.startsWith('set aside')), 'no two contents ever had one name');
  }
}

const slots = fc.nat({ max: 1 });
const act = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('look up' as const),
      slot: slots,
      from: fc.nat({ max: 900 }),
      count: fc.integer({ min: 1, max: 300 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('latest' as const), slot: slots }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('settle' as const), slot: slots }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('die' as const), slot: slots, after: fc.nat({ max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('die' as const), slot: slots, after: fc.nat({ max: 500 }) }) },
);

test('whenever and wherever processes die, the log goes on without a fork', async (t) => {
  let deaths = 0;
  let largest = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(act, { minLength: 1, maxLength: 4 }), { minLength: 3, maxLength: 12, size: 'max' }),
      async (rounds) => {
        await using bench = await openOwnLogBench();
        const world = new World(bench);
        for (const round of rounds) {
          // What is in one round happens at once.
          for (const slot of [0, 1]) await world.living(slot);
          await Promise.all(
            round.map(async (one) => {
              const process = world.processes[one.slot]!;
              if (one.kind === 'die') process.mortal.diesAt = process.mortal.steps + one.after;
              else if (one.kind === 'latest') await world.latest(process);
              else if (one.kind === 'settle') await process.database.settled();
              else await Promise.all(Array.from({ length: one.count }, (_, i) => world.lookUp(process, `m${one.from + i}.example/m`)));
            }),
          );
          deaths += world.processes.filter((process) => process?.mortal.dead === true).length;
          await world.verify();
        }
        const last = await world.start(0);
        await last.database.settled();
        for (const { text } of world.shown.slice(-50)) if (text !== '') await world.lookUp(last, text.split(' ')[0] ?? '');
        await world.verify();
        largest = Math.max(largest, (await bench.metadata.ownHead(ownDatabaseName))?.size ?? 0);
      },
    ),
    { numRuns: 25 },
  );
  t.diagnostic(`${deaths} deaths; the largest log had ${largest} records`);
  assert.ok(deaths > 15 && largest > 300, 'enough happened for this to mean something');
});

test('a process dies at each of its steps in turn, on the way over a full tile', async (t) => {
  const ask = async (world: World, process: Process, from: number, to: number): Promise<void> => {
    await Promise.all(Array.from({ length: to - from }, (_, i) => world.lookUp(process, `m${from + i}.example/m`)));
  };
  let steps = 0;
  for (let survived = false; !survived; steps += 1) {
    await using bench = await openOwnLogBench();
    const world = new World(bench);
    const first = await world.start(0);
    const entries = Array.from({ length: 250 }, (_, i) => `m${i}.example/m`).map((module) => ({
      module,
      version: 'v1.0.0',
      provedBy: undefined,
      ...hashesOf(`${module}@v1.0.0`),
    }));
    await bench.metadata.appendOwn(ownDatabaseName, entries, 0);
    // Files of all but the newest records are there already.
    await bench.metadata.recordSetting(`own-log.${ownDatabaseName}.published`, '245');
    first.mortal.diesAt = first.mortal.steps + steps + 1;
    await ask(world, first, 250, 258);
    await first.database.settled();
    survived = !first.mortal.dead;
    first.mortal.dead = true;
    const second = await world.living(0);
    await ask(world, second, 245, 265);
    await second.database.settled();
    await world.verify();
    assert.equal((await bench.metadata.ownHead(ownDatabaseName))?.size, 265, `death at step ${steps}`);
    assert.deepEqual(await bench.metadata.ownTiles(ownDatabaseName, 10), [], `death at step ${steps}`);
    for (const name of ['tile/8/0/000', 'tile/8/data/000', 'tile/8/0/001.p/9', 'tile/8/data/001.p/9', 'lookup/m264.example/m@v1.0.0'])
      assert.ok((await bench.store.readSmall(`modules/sumdb/${ownDatabaseName}/${name}` as BlobKey, 100_000)) !== undefined, name);
  }
  t.diagnostic(`${steps} steps`);
  assert.ok(steps > 40);
});
