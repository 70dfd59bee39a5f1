import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { addMany, lookUp, openOwnLogBench, signal, textOf } from '../../test/support/own-log-bench.ts';
import { ownDatabaseName } from '../../test/support/station-bench.ts';
import type { BlobKey } from '../base/blob-key.ts';
import { HubError } from '../base/errors.ts';

const online = { cachedOnly: false };

suite('files in the store', () => {
  const prefix = `modules/sumdb/${ownDatabaseName}/`;

  async function filesOf(bench: { store: { keys(prefix: string): AsyncIterable<BlobKey> } }): Promise<string[]> {
    const keys: string[] = [];
    for await (const key of bench.store.keys(prefix)) keys.push(key.slice(prefix.length));
    return keys.sort();
  }

  test('at a calm moment there is all that a reader of plain files needs, and partial tiles go when they are full', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    await addMany(database, 0, 2);
    assert.deepEqual(await filesOf(bench), [], 'nothing is written on the way of an answer');
    await database.settled();
    assert.deepEqual(await filesOf(bench), [
      'latest',
      'lookup/m0.example/m@v1.0.0',
      'lookup/m1.example/m@v1.0.0',
      'supported',
      'tile/8/0/000.p/2',
      'tile/8/data/000.p/2',
    ]);
    const read = async (name: string): Promise<string> =>
      String((await bench.store.readSmall(`${prefix}${name}` as BlobKey, 10_000))?.bytes);
    const note = await database.latest();
    assert.equal(await read('latest'), note);
    assert.equal(await read('lookup/m1.example/m@v1.0.0'), `1\n${textOf('m1.example/m')}\n${note}`);
    await addMany(database, 2, 300);
    await database.settled();
    const later = (await filesOf(bench)).filter((name) => name.startsWith('tile'));
    assert.deepEqual(later, ['tile/8/0/000', 'tile/8/0/001.p/44', 'tile/8/1/000.p/1', 'tile/8/data/000', 'tile/8/data/001.p/44']);
    assert.equal((await filesOf(bench)).length, later.length + 302);
    assert.equal(await read('lookup/m1.example/m@v1.0.0'), `1\n${textOf('m1.example/m')}\n${note}`, 'its answer is as true as it was');
  });

  test('what lies in the way under the name of a tile is set aside', async () => {
    await using bench = await openOwnLogBench();
    await bench.store.put(`${prefix}tile/8/0/000` as BlobKey, Buffer.from('left by another log of this name'));
    const database = await bench.open();
    await addMany(database, 0, 256);
    await database.settled();
    assert.equal((await bench.store.readSmall(`${prefix}tile/8/0/000` as BlobKey, 8192))?.bytes.length, 8192);
    assert.equal(bench.store.aside.length, 1);
  });

  test('a store that is full or broken costs no answer, and the files come later', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    bench.storeFaults = (point, operation) => {
      if (point === 'before' && operation !== 'open' && operation !== 'read-small') throw new HubError('storage-full', 'no space');
    };
    await addMany(database, 0, 600);
    await database.settled();
    assert.equal((await lookUp(database, 'm599.example/m'))?.recordId, 599);
    assert.equal((await database.tile({ level: 0, index: 1, width: 256 }, online, signal))?.length, 8192);
    assert.equal((await bench.metadata.ownTiles(ownDatabaseName, 10)).length, 2);
    bench.storeFaults = () => {};
    await database.settled();
    assert.deepEqual(await bench.metadata.ownTiles(ownDatabaseName, 10), []);
    assert.equal((await filesOf(bench)).filter((name) => name.startsWith('lookup')).length, 600);
  });

  test('files show no head that is not remembered', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    await addMany(database, 0, 3);
    bench.signedHeads.faults = () => {
      throw new HubError('storage-fault', 'the folder of the keys is gone');
    };
    await database.settled();
    assert.deepEqual(await filesOf(bench), []);
    bench.signedHeads.faults = () => {};
    await database.settled();
    assert.equal(bench.signedHeads.heads.get(ownDatabaseName)?.treeSize, 3);
    assert.equal((await filesOf(bench)).filter((name) => name.startsWith('lookup')).length, 3);
  });
});
