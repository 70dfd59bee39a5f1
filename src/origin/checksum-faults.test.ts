import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bench, createBench, storedKeys } from '../../test/support/checksum-bench.ts';
import { TestChecksumDatabase, TestTransport, found, onlyAt } from '../../test/support/checksum-database-server.ts';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';

const signal = AbortSignal.timeout(60_000);
const waited = { priority: 'waited-for' } as const;
const relay = { cachedOnly: false };
const full = new HubError('storage-full', 'no space left');

/** Some tiles at two levels; `old` lies in a full tile, `edge` at the edge. */
function medium(): TestChecksumDatabase {
  const database = new TestChecksumDatabase();
  database.pad(100);
  database.add('old.example/m', 'v1.0.0');
  database.pad(700);
  database.add('edge.example/m', 'v1.0.0');
  return database;
}

function key(bench: Bench, path: string): BlobKey {
  return `modules/sumdb/${bench.database.name}/${path}` as BlobKey;
}

async function warm(bench: Bench): Promise<void> {
  const client = bench.client();
  await client.lookup('old.example/m', 'v1.0.0', waited, signal);
  await client.lookup('edge.example/m', 'v1.0.0', waited, signal);
}

test('a head that cannot be kept is not used', async () => {
  for (const point of ['before', 'after'] as const) {
    const bench = createBench(medium());
    await warm(bench);
    const client = bench.client();
    bench.database.add('new.example/m', 'v1.0.0');
    bench.heads.faults = (at, operation) => {
      if (operation === 'advanceHead' && at === point) throw new HubError('storage-fault', 'disk');
    };
    await assert.rejects(client.lookup('new.example/m', 'v1.0.0', waited, signal), { code: 'storage-fault' }, point);
    bench.heads.faults = () => {};
    assert.equal((await client.lookup('new.example/m', 'v1.0.0', waited, signal))?.treeSize, bench.database.size);
    assert.equal(bench.heads.heads.get(bench.database.name)?.treeSize, bench.database.size);
    assert.equal(bench.heads.forks.size, 0);
  }
});

test('when the head cannot be moved, what lies under the kept one is proved all the same', async () => {
  const bench = createBench(medium());
  const client = bench.client();
  await client.latest(relay, signal);
  const { size } = bench.database;
  bench.database.pad(500);
  bench.storeFaults = (point, operation) => {
    if (point === 'before' && (operation === 'seal' || operation === 'replace')) throw full;
  };
  assert.equal((await client.lookup('old.example/m', 'v1.0.0', waited, signal))?.treeSize, size);
  assert.ok(bench.degradations.length > 0);
  bench.storeFaults = () => {};
  assert.equal((await client.lookup('edge.example/m', 'v1.0.0', waited, signal))?.treeSize, size + 500);
});

test('the tiles of a head are stored before the head is: a full store refuses first contact', async () => {
  const bench = createBench(medium());
  bench.storeFaults = (point, operation) => {
    if (point === 'before' && operation === 'seal') throw full;
  };
  await assert.rejects(bench.client().lookup('old.example/m', 'v1.0.0', waited, signal), { code: 'storage-full' });
  assert.equal(bench.heads.heads.size, 0);
});

for (const operation of ['read-small', 'seal', 'replace', 'set-aside'] as const) {
  for (const point of ['before', 'after'] as const) {
    test(`any one store operation failing (${operation}, ${point}) leaves nothing that a later start cannot prove`, async () => {
      for (let failing = 0; failing < 12; failing += 1) {
        const bench = createBench(medium());
        let calls = 0;
        bench.storeFaults = (at, what) => {
          if (at === point && what === operation && calls++ === failing) throw new HubError('storage-fault', 'disk');
        };
        await bench.client().lookup('old.example/m', 'v1.0.0', waited, signal).catch(isStorageFault);
        bench.database.pad(333);
        bench.database.add('new.example/m', 'v1.0.0');
        await bench.client().lookup('new.example/m', 'v1.0.0', waited, signal).catch(isStorageFault);
        bench.storeFaults = () => {};
        const client = bench.client();
        for (const module of ['old.example/m', 'new.example/m']) assert.ok(await client.lookup(module, 'v1.0.0', waited, signal));
        bench.transports[0]!.isDown = true;
        const restarted = bench.client();
        for (const module of ['old.example/m', 'new.example/m']) assert.ok(await restarted.lookup(module, 'v1.0.0', waited, signal));
      }
    });
  }
}

function isStorageFault(error: unknown): undefined {
  assert.ok(error instanceof HubError && error.code === 'storage-fault', String(error));
}

test('any byte changed in any stored file is found, and healed when a transport answers', async () => {
  const bench = createBench(medium());
  await warm(bench);
  const paths = (await storedKeys(bench)).filter((path) => /^(tile|lookup)/.test(path));
  assert.ok(paths.length >= 5, paths.join());
  for (const path of paths) {
    const { bytes } = (await bench.store.readSmall(key(bench, path), 10_000))!;
    for (const change of [
      flipped(bytes, 4),
      flipped(bytes, bytes.length >> 1),
      bytes.subarray(0, bytes.length - 1),
      bytes.subarray(0, 0),
      Buffer.concat([bytes, bytes]),
    ]) {
      bench.store.tamper(key(bench, path), change);
      for (const module of ['old.example/m', 'edge.example/m']) {
        const record = await bench.client().lookup(module, 'v1.0.0', waited, signal);
        assert.equal(record?.text, bench.database.text(record?.recordId ?? -1), path);
      }
      const healed = await bench.store.readSmall(key(bench, path), 100_000);
      if (path.startsWith('tile')) assert.ok(healed?.bytes.equals(bytes), `${path} is whole again`);
    }
  }
  assert.equal(bench.heads.forks.size, 0);
});

test('changed files are not believed with every transport down either', async () => {
  const bench = createBench(medium());
  await warm(bench);
  const path = 'lookup/old.example/m@v1.0.0';
  const { bytes } = (await bench.store.readSmall(key(bench, path), 10_000))!;
  bench.store.tamper(key(bench, path), Buffer.from(bytes.toString().replace(/h1:./, 'h1:x')));
  bench.transports[0]!.isDown = true;
  await assert.rejects(bench.client().lookup('old.example/m', 'v1.0.0', waited, signal), { code: 'database-unavailable' });
  assert.ok(await bench.client().lookup('edge.example/m', 'v1.0.0', waited, signal));
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = copy[at]! ^ 1;
  return copy;
}

test('a store that was emptied under a kept head fills again', async () => {
  const bench = createBench(medium());
  await warm(bench);
  for (const path of await storedKeys(bench)) await bench.store.remove(key(bench, path));
  assert.ok(await bench.client().lookup('old.example/m', 'v1.0.0', waited, signal));
  assert.deepEqual(bench.advances, [bench.database.size]);
});

test('a store that was emptied fills again even when no mirror has the old edges any more', async () => {
  const bench = createBench(medium());
  await warm(bench);
  const { size } = bench.database;
  for (const path of await storedKeys(bench)) await bench.store.remove(key(bench, path));
  bench.database.pad(20);
  const gone = new RegExp(`\\.p/${size % 256}$`);
  bench.transports[0]!.lie = onlyAt(gone, () => ({ status: 404, body: Buffer.from('gone') }));
  assert.equal((await bench.client().lookup('old.example/m', 'v1.0.0', waited, signal))?.treeSize, size + 20);
  assert.equal(bench.heads.forks.size, 0);
});

test('old edges are cut from the full tiles that a mirror has instead', async () => {
  const bench = createBench(medium());
  await warm(bench);
  const { size } = bench.database;
  for (const path of await storedKeys(bench)) await bench.store.remove(key(bench, path));
  bench.database.pad(1000);
  bench.transports[0]!.lie = (resource) => {
    if (/^(latest|tile\/8\/0\/003\.p)/.test(resource)) return { status: 404, body: Buffer.from('gone') };
    return resource.startsWith('lookup')
      ? found(bench.database.lookupBody('old.example/m', 'v1.0.0', bench.database.note(size))!)
      : undefined;
  };
  assert.equal((await bench.client().lookup('old.example/m', 'v1.0.0', waited, signal))?.treeSize, size);
});

test('metadata that cannot be read is a storage fault, and passes', async () => {
  const bench = createBench(medium());
  await warm(bench);
  const client = bench.client();
  bench.heads.faults = () => {
    throw new HubError('storage-fault', 'disk');
  };
  await assert.rejects(client.lookup('old.example/m', 'v1.0.0', waited, signal), { code: 'storage-fault' });
  bench.heads.faults = () => {};
  assert.ok(await client.lookup('old.example/m', 'v1.0.0', waited, signal));
});

test('a stuck transport is joined by the next one', async () => {
  const database = medium();
  const [one, two] = [new TestTransport('https://one.example', database), new TestTransport('https://two.example', database)];
  one.isStuck = true;
  const bench = createBench(database, [one, two]);
  assert.ok(await bench.client({ hedgeMs: 5 }).lookup('old.example/m', 'v1.0.0', waited, signal));
});

test('when all are stuck it ends, with the time over', async () => {
  const bench = createBench(medium());
  const client = bench.client({ raceMs: 40, refreshWaitMs: 20 });
  bench.transports[0]!.isStuck = true;
  await assert.rejects(client.lookup('old.example/m', 'v1.0.0', waited, signal), { code: 'origin-timeout' });
  bench.transports[0]!.isStuck = false;
  assert.ok(await client.lookup('old.example/m', 'v1.0.0', waited, signal));
  bench.transports[0]!.isStuck = true;
  bench.clock.nowMs += 60_001;
  assert.equal(await client.latest(relay, signal), bench.database.note(), 'latest does not wait for the end');
});

test('disposing ends what is under way', async () => {
  const bench = createBench(medium());
  const client = bench.client();
  bench.transports[0]!.isStuck = true;
  const waiting = client.lookup('old.example/m', 'v1.0.0', waited, signal);
  setImmediate(() => void client[Symbol.asyncDispose]());
  await assert.rejects(waiting, { code: 'canceled' });
});

test('a full store under a tile does not stop the answer, only keeps it from being kept', async () => {
  const bench = createBench(medium());
  const client = bench.client();
  await client.latest(relay, signal);
  bench.storeFaults = (point, operation) => {
    if (point === 'before' && operation !== 'read-small' && operation !== 'open') throw full;
  };
  assert.ok(await client.lookup('old.example/m', 'v1.0.0', waited, signal));
  assert.ok(bench.degradations.length > 0);
  bench.storeFaults = () => {};
  assert.ok(!(await storedKeys(bench)).includes('lookup/old.example/m@v1.0.0'));
});
