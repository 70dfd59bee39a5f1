import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentEvents } from '../base/events.ts';
import { silentLog } from '../base/log.ts';
import { type Bench, createBench, storedKeys } from '../../test/support/checksum-bench.ts';
import { TestChecksumDatabase, TestTransport, changeBody, tilePath } from '../../test/support/checksum-database-server.ts';
import { formatLookupAnswer, openTreeNote, parseLookupAnswer } from '../protocol/checksum-record.ts';
import { edgeTiles } from '../protocol/tile.ts';
import { createChecksumDatabase } from './checksum-client.ts';

const signal = AbortSignal.timeout(60_000);
const waited = { priority: 'waited-for' } as const;
const relay = { cachedOnly: false };
const cachedOnly = { cachedOnly: true };

/** Some 66,000 records: three levels of tiles, an edge at each. */
const large = new TestChecksumDatabase();
large.pad(300);
large.add('early.example/m', 'v1.0.0');
large.pad(65_536 + 3 * 256 + 7 - 302);
large.add('late.example/m', 'v1.0.0');

function small(): TestChecksumDatabase {
  const database = new TestChecksumDatabase();
  database.add('a.example/m', 'v1.0.0');
  database.add('b.example/m', 'v1.0.0');
  return database;
}

function shutAll(bench: Bench, isDown = true): void {
  for (const transport of bench.transports) transport.isDown = isDown;
}

test('a lookup is proved and says what the record says', async () => {
  const bench = createBench(large.split());
  const client = bench.client();
  for (const module of ['early.example/m', 'late.example/m']) {
    const record = await client.lookup(module, 'v1.0.0', waited, signal);
    const recordId = large.idOf(module, 'v1.0.0')!;
    const text = large.text(recordId);
    const [zipHash, modHash] = text.split('\n').map((line) => line.split(' ')[2]);
    assert.deepEqual(record, { database: large.name, recordId, treeSize: large.size, zipHash, modHash, text });
  }
  assert.deepEqual(bench.alarms, []);
});

test('what is in memory is answered without asking anybody', async () => {
  const bench = createBench(small());
  const client = bench.client();
  await client.lookup('a.example/m', 'v1.0.0', waited, signal);
  const asked = bench.transports[0]!.asked.length;
  await client.lookup('a.example/m', 'v1.0.0', waited, signal);
  await client.lookupAnswer('a.example/m', 'v1.0.0', relay, signal);
  assert.equal(bench.transports[0]!.asked.length, asked);
});

test('trees of every shape', async () => {
  const database = new TestChecksumDatabase();
  for (const size of [1, 2, 3, 255, 256, 257, 511, 512, 513, 1000]) {
    database.pad(size - 1 - database.size);
    database.add(`m${size}.example/m`, 'v1.0.0');
    const bench = createBench(database);
    const client = bench.client();
    for (const earlier of [1, 2, 3, 255, 256, 257, 511, 512, 513, 1000].filter((n) => n <= size)) {
      assert.equal((await client.lookup(`m${earlier}.example/m`, 'v1.0.0', waited, signal))?.recordId, earlier - 1);
    }
    assert.deepEqual(bench.alarms, []);
  }
});

test('an empty database is met, has nothing, and grows', async () => {
  const bench = createBench(new TestChecksumDatabase());
  const client = bench.client();
  assert.equal(await client.lookup('a.example/m', 'v1.0.0', waited, signal), undefined);
  assert.equal((await client.state()).treeSize, 0);
  bench.database.add('a.example/m', 'v1.0.0');
  assert.equal((await client.lookup('a.example/m', 'v1.0.0', waited, signal))?.recordId, 0);
  assert.deepEqual(bench.advances, [0, 1]);
});

test('an unknown version is absent, not a fault', async () => {
  const client = createBench(small()).client();
  assert.equal(await client.lookup('a.example/m', 'v1.9.0', waited, signal), undefined);
  assert.equal(await client.lookupAnswer('a.example/m', 'v1.9.0', relay, signal), undefined);
});

test('names that are none are refused without asking anybody', async () => {
  const bench = createBench(small());
  const client = bench.client();
  for (const [module, version] of [
    ['a.example/../m', 'v1.0.0'],
    ['a.example/m', 'v1'],
    ['a.example/m', 'v2.0.0'],
    ['a.example/m\nb.example/m', 'v1.0.0'],
  ] as const) {
    await assert.rejects(client.lookup(module, version, waited, signal), { code: 'bad-request' });
  }
  assert.deepEqual(bench.transports[0]!.asked, []);
});

test('capital letters are asked for and stored escaped', async () => {
  const database = small();
  database.add('a.example/Big', 'v1.0.0-Beta');
  const bench = createBench(database);
  assert.equal((await bench.client().lookup('a.example/Big', 'v1.0.0-Beta', waited, signal))?.recordId, 2);
  assert.ok(bench.transports[0]!.asked.includes('lookup/a.example/!big@v1.0.0-!beta'));
  assert.ok((await storedKeys(bench)).includes('lookup/a.example/!big@v1.0.0-!beta'));
  assert.equal(await bench.client().lookup('a.example/big', 'v1.0.0-Beta', waited, signal), undefined);
});

test('everything seen before is answered with every transport dead, after a restart too', async () => {
  const bench = createBench(large.split());
  const first = bench.client();
  const before = await first.lookup('early.example/m', 'v1.0.0', waited, signal);
  shutAll(bench);
  for (const client of [first, bench.client()]) {
    assert.deepEqual(await client.lookup('early.example/m', 'v1.0.0', waited, signal), before);
    assert.equal(await client.lookupAnswer('early.example/m', 'v1.0.0', cachedOnly, signal), large.lookupBody('early.example/m', 'v1.0.0'));
    assert.equal(await client.latest(relay, signal), large.note());
    for (const tile of edgeTiles(large.size)) assert.deepEqual(await client.tile(tile, cachedOnly, signal), large.hashes(tile));
    const recordTile = { level: 0, index: 1, width: 256 };
    assert.deepEqual(await client.tile(recordTile, cachedOnly, signal), large.hashes(recordTile));
    await assert.rejects(client.lookup('late.example/m', 'v1.0.0', waited, signal), { code: 'database-unavailable' });
    await assert.rejects(client.lookupAnswer('late.example/m', 'v1.0.0', cachedOnly, signal), { code: 'not-cached' });
    await assert.rejects(client.tile({ level: 0, index: 7, width: 256 }, cachedOnly, signal), { code: 'not-cached' });
  }
});

test('a tile that is kept in memory keeps nothing else alive, wherever it came from', async () => {
  const bench = createBench(large.split());
  const tile = { level: 0, index: 1, width: 256 };
  for (const client of [bench.client(), bench.client()]) {
    const bytes = await client.tile(tile, relay, signal);
    assert.equal(bytes?.buffer.byteLength, bytes?.length);
    assert.deepEqual(await client.tile(tile, relay, signal), large.hashes(tile));
  }
});

test('the store is a sumdb folder that a file:// GOPROXY can serve', async () => {
  const database = small();
  const bench = createBench(database);
  await bench.client().lookup('a.example/m', 'v1.0.0', waited, signal);
  assert.deepEqual(await storedKeys(bench), ['latest', 'lookup/a.example/m@v1.0.0', 'supported', 'tile/8/0/000.p/2']);
  const stored = await bench.store.readSmall(`modules/sumdb/${database.name}/lookup/a.example/m@v1.0.0` as never, 10_000);
  assert.equal(stored?.bytes.toString(), database.lookupBody('a.example/m', 'v1.0.0'));
});

test('without a head and without a transport there is nothing', async () => {
  const bench = createBench(small(), []);
  const client = bench.client();
  await assert.rejects(client.latest(relay, signal), { code: 'database-unavailable' });
  await assert.rejects(client.lookup('a.example/m', 'v1.0.0', waited, signal), { code: 'database-unavailable' });
  await assert.rejects(client.latest(cachedOnly, signal), { code: 'not-cached' });
  assert.deepEqual(await client.state(), { treeSize: undefined, frozen: undefined });
});

test('one request serves all who ask for the same thing at once', async () => {
  const bench = createBench(large.split());
  const client = bench.client();
  await Promise.all([...Array(50)].map(() => client.lookup('early.example/m', 'v1.0.0', waited, signal)));
  const { asked } = bench.transports[0]!;
  assert.equal(new Set(asked).size, asked.length, `asked twice: ${asked.filter((x, i) => asked.indexOf(x) !== i).join()}`);
});

test('the head follows newer notes, and what was stored under older heads can be proved without a transport', async () => {
  const database = new TestChecksumDatabase();
  const bench = createBench(database);
  const client = bench.client();
  const modules: string[] = [];
  // Across the borders of tiles at both levels, by steps of every kind.
  for (const step of [1, 1, 100, 153, 1, 1, 254, 1, 2000, 60_000, 2_500, 1, 500, 65_536]) {
    database.pad(step - 1);
    database.add(`m${modules.length}.example/m`, 'v1.0.0');
    modules.push(`m${modules.length}.example/m`);
    assert.equal((await client.lookup(modules.at(-1)!, 'v1.0.0', waited, signal))?.treeSize, database.size);
  }
  assert.equal(bench.advances.length, modules.length);
  shutAll(bench);
  const restarted = bench.client();
  for (const module of modules) assert.equal((await restarted.lookup(module, 'v1.0.0', waited, signal))?.treeSize, database.size, module);
  assert.deepEqual(bench.store.aside, []);
});

test('an older note is fine, and the answer has our own', async () => {
  const database = large.split();
  const bench = createBench(database);
  bench.transports[0]!.lie = changeBody(/^lookup/, () => database.lookupBody('early.example/m', 'v1.0.0', database.note(40_000))!);
  const client = bench.client();
  assert.equal(await client.lookupAnswer('early.example/m', 'v1.0.0', relay, signal), database.lookupBody('early.example/m', 'v1.0.0'));
  assert.deepEqual(bench.advances, [database.size]);
});

test('many newer notes at once move the head once, to the newest', async () => {
  const database = new TestChecksumDatabase();
  database.pad(10);
  const bench = createBench(database);
  const client = bench.client();
  await client.latest(relay, signal);
  for (let i = 0; i < 40; i += 1) database.add(`m${i}.example/m`, 'v1.0.0');
  // Each answer has a note just large enough for its own record.
  bench.transports[0]!.lie = (resource) => {
    const [, n] = /^lookup\/m(\d+)\./.exec(resource) ?? [];
    return n === undefined
      ? undefined
      : { status: 200, body: Buffer.from(database.lookupBody(`m${n}.example/m`, 'v1.0.0', database.note(11 + Number(n)))!) };
  };
  await Promise.all([...Array(40)].map((_, i) => client.lookup(`m${i}.example/m`, 'v1.0.0', waited, signal)));
  assert.equal(bench.advances.at(-1), database.size);
  assert.ok(bench.advances.length <= 4, `heads ${bench.advances.join()}`);
});

test('a note with signatures nobody knows and further lines is believed, and handed on with the known signature alone', async () => {
  const database = small();
  const witness = new TestChecksumDatabase({ name: 'witness.example' }).signer;
  const bench = createBench(database);
  const note = database.note(2, { lines: 'some day this will mean something\n', signers: [witness, database.signer] });
  bench.transports[0]!.lie = changeBody(/^latest/, () => note);
  const kept = openTreeNote(await bench.client().latest(relay, signal), database.key);
  assert.ok(kept.ok);
  assert.ok(kept.value.note.includes('some day'));
  assert.ok(!kept.value.note.includes('witness'));
});

test('latest is fetched again when it is older than the freshness, and never goes back', async () => {
  const database = small();
  const bench = createBench(database);
  const client = bench.client();
  assert.equal(await client.latest(relay, signal), database.note(2));
  database.pad(5);
  assert.equal(await client.latest(relay, signal), database.note(2));
  bench.clock.nowMs += 60_001;
  assert.equal(await client.latest(relay, signal), database.note(7));
  // A mirror that is behind.
  bench.transports[0]!.lie = changeBody(/^latest/, () => database.note(3));
  bench.clock.nowMs += 60_001;
  assert.equal(await client.latest(relay, signal), database.note(7));
  shutAll(bench);
  bench.clock.nowMs += 60_001;
  assert.equal(await client.latest(relay, signal), database.note(7));
  assert.deepEqual(bench.alarms, []);
});

test('a process answers no older head than another process of the hub did', async () => {
  const database = small();
  const bench = createBench(database);
  const [one, two] = [bench.client(), bench.client()];
  await one.latest(relay, signal);
  await two.latest(relay, signal);
  database.pad(300);
  bench.clock.nowMs += 60_001;
  assert.ok(await two.lookupAnswer('a.example/m', 'v1.0.0', cachedOnly, signal).catch(() => true), 'which syncs it at this moment');
  await one.latest(relay, signal);
  assert.equal(await two.latest(cachedOnly, signal), database.note(302));
  assert.deepEqual(bench.advances, [2, 302]);
});

test('two processes that advance at the same time agree', async () => {
  const database = small();
  const bench = createBench(database);
  const clients = [bench.client(), bench.client(), bench.client()];
  const answers = await Promise.all(clients.map((client) => client.lookup('b.example/m', 'v1.0.0', waited, signal)));
  for (const answer of answers) assert.equal(answer?.treeSize, 2);
  for (let i = 0; i < 5; i += 1) {
    database.pad(200);
    database.add(`m${i}.example/m`, 'v1.0.0');
    await Promise.all(clients.map((client) => client.lookup(`m${i}.example/m`, 'v1.0.0', waited, signal)));
  }
  assert.equal((await clients[0]!.state()).treeSize, database.size);
  assert.deepEqual(bench.alarms, []);
});

test('a tile at any width it has in the tree; beyond, nothing', async () => {
  const database = large.split();
  const client = createBench(database).client();
  const widths = [
    { level: 0, index: 0, width: 256 },
    { level: 0, index: 0, width: 1 },
    { level: 0, index: 100, width: 77 },
    { level: 1, index: 0, width: 256 },
    { level: 1, index: 0, width: 255 },
    { level: 1, index: 1, width: 2 },
    { level: 2, index: 0, width: 1 },
    { level: 0, index: 259, width: 7 },
  ];
  for (const tile of widths)
    assert.deepEqual(await client.tile(tile, relay, signal), database.hashes(tile), tilePath(tile.level, tile.index, tile.width));
  const beyond = [
    { level: 0, index: 259, width: 8 },
    { level: 0, index: 259, width: 256 },
    { level: 0, index: 260, width: 1 },
    { level: 1, index: 1, width: 256 },
    { level: 2, index: 0, width: 2 },
    { level: 3, index: 0, width: 1 },
    { level: 63, index: 0, width: 1 },
    { level: 0, index: 2 ** 45, width: 1 },
  ];
  for (const tile of beyond) assert.equal(await client.tile(tile, relay, signal), undefined, tilePath(tile.level, tile.index, tile.width));
});

test('a partial tile is served after it has become full, and by a mirror that only has the full one', async () => {
  const database = small();
  const bench = createBench(database);
  const client = bench.client();
  await client.latest(relay, signal);
  database.pad(1000);
  bench.clock.nowMs += 60_001;
  bench.transports[0]!.lie = (resource) =>
    /^tile\/8\/0\/00[0-2]\.p/.test(resource) ? { status: 404, body: Buffer.from('gone') } : undefined;
  await client.latest(relay, signal);
  for (const width of [1, 2, 3, 255]) {
    const tile = { level: 0, index: 0, width };
    assert.deepEqual(await client.tile(tile, relay, signal), database.hashes(tile));
  }
});

test('a client whose own head is ahead makes us look for a newer one', async () => {
  const database = small();
  const bench = createBench(database);
  const client = bench.client();
  await client.latest(relay, signal);
  database.pad(10);
  const tile = { level: 0, index: 0, width: 12 };
  assert.equal(await client.tile(tile, relay, signal), undefined, 'not at once after the last look');
  bench.clock.nowMs += 2001;
  assert.deepEqual(await client.tile(tile, relay, signal), database.hashes(tile));
});

test('tiles of records are relayed when their texts are in the log', async () => {
  const database = large.split();
  const bench = createBench(database);
  const client = bench.client();
  const text = (index: number, width: number): string => [...Array(width)].map((_, i) => `${database.text(256 * index + i)}\n`).join('');
  assert.equal((await client.tile({ level: 'data', index: 1, width: 256 }, relay, signal))?.toString(), text(1, 256));
  assert.equal((await client.tile({ level: 'data', index: 259, width: 5 }, relay, signal))?.toString(), text(259, 5));
  assert.equal(await client.tile({ level: 'data', index: 259, width: 9 }, relay, signal), undefined);
  bench.transports[0]!.lie = changeBody(/data\/002/, (body) => body.toString().replace('h1:padding', 'h1:patting'));
  await assert.rejects(client.tile({ level: 'data', index: 2, width: 256 }, relay, signal), { code: 'log-invalid' });
  shutAll(bench);
  assert.equal((await client.tile({ level: 'data', index: 1, width: 3 }, cachedOnly, signal))?.toString(), text(1, 3));
});

test('the mirror that served the bytes is asked last', async () => {
  const database = small();
  const transports = [new TestTransport('https://one.example', database), new TestTransport('https://two.example', database)];
  const bench = createBench(database, transports);
  const client = bench.client();
  await client.latest(relay, signal);
  await client.lookup('a.example/m', 'v1.0.0', { ...waited, avoidOrigin: 'https://one.example' }, signal);
  assert.ok(transports[1]!.asked.includes('lookup/a.example/m@v1.0.0'));
  assert.ok(!transports[0]!.asked.includes('lookup/a.example/m@v1.0.0'));
  transports[1]!.isDown = true;
  assert.ok(await client.lookup('b.example/m', 'v1.0.0', { ...waited, avoidOrigin: 'https://one.example' }, signal), 'but it is asked');
});

test('a caller that leaves harms nobody', async () => {
  const database = small();
  const bench = createBench(database);
  const client = bench.client();
  await client.latest(relay, signal);
  const leaver = new AbortController();
  const left = client.lookup('a.example/m', 'v1.0.0', waited, leaver.signal);
  const stayed = client.lookup('a.example/m', 'v1.0.0', waited, signal);
  leaver.abort(new Error('gone'));
  await assert.rejects(left, { message: 'gone' });
  assert.equal((await stayed)?.recordId, 0);
});

test('a lookup answer that is relayed can be taken apart again', async () => {
  const database = small();
  const body = await createBench(database).client().lookupAnswer('a.example/m', 'v1.0.0', relay, signal);
  const answer = parseLookupAnswer(Buffer.from(body ?? ''));
  assert.ok(answer.ok);
  assert.equal(formatLookupAnswer(answer.value), body);
});

test('a key that is not of this database is a bug of the caller', () => {
  const bench = createBench(small());
  const key = new TestChecksumDatabase({ name: 'other.example' }).key;
  const make = (): unknown =>
    createChecksumDatabase({
      name: 'sum.test.example',
      key,
      transports: () => [],
      store: bench.store,
      metadata: bench.heads,
      events: silentEvents,
      log: silentLog,
      clock: bench.clock,
      freshnessMs: 1,
    });
  assert.throws(make, { name: 'InvariantError' });
});
