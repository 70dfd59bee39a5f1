import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { addMany, openOwnLogBench, signal, textOf } from '../../test/support/own-log-bench.ts';
import { ownDatabaseName } from '../../test/support/station-bench.ts';
import type { BlobKey } from '../base/blob-key.ts';
import { recordHash } from '../protocol/checksum-record.ts';
import { formatTilePath } from '../protocol/proxy-request.ts';
import { TILE_WIDTH, edgeTiles } from '../protocol/tile.ts';
import { EMPTY_TREE, growTree } from '../protocol/tree-growth.ts';
import type { OwnDatabase } from './own-database.ts';

const online = { cachedOnly: false };

suite('tiles', () => {
  const size = 66_100;
  const modules = Array.from({ length: size }, (_, i) => `m${i}.example/m`);
  const tree = growTree(
    EMPTY_TREE,
    modules.map((module) => recordHash(textOf(module))),
  );
  const full = new Map(tree.full.map(({ level, index, bytes }) => [`${level}/${index}`, bytes]));

  async function addAll(database: OwnDatabase): Promise<void> {
    for (let from = 0; from < size; from += 5000) await addMany(database, from, Math.min(size, from + 5000));
  }

  test('every width of every tile, before and after the store has it; what lies beyond is absent', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open();
    await addAll(database);
    const ask = (level: number | 'data', index: number, width: number): Promise<Buffer | undefined> =>
      database.tile({ level, index, width }, online, signal);
    const look = async (): Promise<void> => {
      for (const [key, bytes] of [...full].filter((_, at) => at % 37 === 0 || at > 250)) {
        const [level = 0, index = 0] = key.split('/').map(Number);
        for (const width of [1, 77, 255, 256])
          assert.deepEqual(await ask(level, index, width), bytes.subarray(0, width * 32), `${key} ${width}`);
      }
      for (const [i, { level, index, width }] of edgeTiles(size).entries()) {
        for (const part of [1, width]) assert.deepEqual(await ask(level, index, part), tree.edges[i]!.subarray(0, part * 32));
        for (const beyond of [width + 1, 255, 256]) if (beyond > width) assert.equal(await ask(level, index, beyond), undefined);
      }
      for (const [level, index, width] of [
        [0, 259, 1],
        [1, 2, 1],
        [2, 0, 2],
        [3, 0, 1],
        [63, 0, 1],
        ['data', 258, 53],
        ['data', 259, 1],
        [0, Number.MAX_SAFE_INTEGER, 256],
        [0, 0, 0],
      ] as const)
        assert.equal(await ask(level, index, width), undefined, formatTilePath({ level, index, width }));
      const texts = (from: number, count: number): string =>
        modules
          .slice(from, from + count)
          .map((module) => `${textOf(module)}\n`)
          .join('');
      assert.equal(String(await ask('data', 3, 256)), texts(768, 256));
      assert.equal(String(await ask('data', 258, 52)), texts(258 * 256, 52));
    };
    await look();
    await database.settled();
    assert.deepEqual(await bench.metadata.ownTiles(ownDatabaseName, 10), []);
    await look();
    const fresh = await bench.open();
    assert.deepEqual(await fresh.tile({ level: 1, index: 0, width: 256 }, online, signal), full.get('1/0'));
  });

  test('tiles that the store lost or changed are made again, whatever their level', async () => {
    await using bench = await openOwnLogBench();
    const first = await bench.open();
    await addAll(first);
    await first.settled();
    const key = (level: number, index: number): BlobKey =>
      `modules/sumdb/${ownDatabaseName}/${formatTilePath({ level, index, width: TILE_WIDTH })}` as BlobKey;
    const flipped = (bytes: Buffer): Buffer => Buffer.from(bytes).fill(1, 40, 41);
    bench.store.tamper(key(0, 7), flipped(full.get('0/7')!));
    bench.store.tamper(key(0, 8), full.get('0/7')!);
    bench.store.tamper(key(0, 9), Buffer.from('short'));
    await bench.store.remove(key(0, 10));
    const database = await bench.open();
    for (const index of [7, 8, 9, 10]) {
      assert.deepEqual(await database.tile({ level: 0, index, width: 256 }, online, signal), full.get(`0/${index}`));
      assert.deepEqual((await bench.store.readSmall(key(0, index), 8192))?.bytes, full.get(`0/${index}`));
    }
    assert.equal(bench.seen.filter((event) => event.startsWith('set aside')).length, 3);
    // The tile above is lost, and one of those below it is bad.
    bench.store.tamper(key(1, 0), flipped(full.get('1/0')!));
    bench.store.tamper(key(0, 100), flipped(full.get('0/100')!));
    await bench.store.remove(key(0, 101));
    const again = await bench.open();
    assert.deepEqual(await again.tile({ level: 1, index: 0, width: 256 }, online, signal), full.get('1/0'));
    assert.deepEqual(await again.tile({ level: 0, index: 100, width: 256 }, online, signal), full.get('0/100'));
  });

  test('a tile that was proved, left memory and was changed since is not believed again', async () => {
    await using bench = await openOwnLogBench();
    const database = await bench.open({ limits: { tileCacheBytes: 1 } });
    await addMany(database, 0, 1024);
    await database.settled();
    const ask = (index: number): Promise<Buffer | undefined> => database.tile({ level: 0, index, width: 256 }, online, signal);
    for (const index of [0, 1, 2, 0, 1]) assert.deepEqual(await ask(index), full.get(`0/${index}`));
    bench.store.tamper(`modules/sumdb/${ownDatabaseName}/tile/8/0/000` as BlobKey, Buffer.from(full.get('0/0')!).fill(1, 40, 41));
    assert.deepEqual(await ask(0), full.get('0/0'));
    assert.equal(bench.store.aside.length, 1);
    const data = `modules/sumdb/${ownDatabaseName}/tile/8/data/002` as BlobKey;
    const texts = await database.tile({ level: 'data', index: 2, width: 256 }, online, signal);
    for (const bad of [Buffer.from(String(texts).replace('m600', 'm601')), Buffer.from('short'), Buffer.alloc(2_000_000, '\n')]) {
      bench.store.tamper(data, bad);
      assert.deepEqual(await database.tile({ level: 'data', index: 2, width: 256 }, online, signal), texts);
      assert.deepEqual((await bench.store.readSmall(data, 100_000))?.bytes, texts);
    }
  });

  test('a process sees at once what another appended', async () => {
    await using bench = await openOwnLogBench();
    const left = await bench.open();
    const right = await bench.open();
    await addMany(left, 0, 300);
    assert.deepEqual(await right.tile({ level: 0, index: 0, width: 256 }, online, signal), full.get('0/0'));
    assert.equal((await right.tile({ level: 0, index: 1, width: 44 }, online, signal))?.length, 44 * 32);
    assert.equal(await right.tile({ level: 0, index: 1, width: 45 }, online, signal), undefined);
    await addMany(left, 300, 520);
    assert.equal((await right.tile({ level: 0, index: 1, width: 44 }, online, signal))?.length, 44 * 32);
    assert.deepEqual(await right.tile({ level: 0, index: 1, width: 256 }, online, signal), full.get('0/1'));
  });
});
