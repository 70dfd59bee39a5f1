import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bench, createBench, storedKeys } from '../../test/support/checksum-bench.ts';
import { TestChecksumDatabase, TestTransport, changeBody, onlyAt } from '../../test/support/checksum-database-server.ts';

const signal = AbortSignal.timeout(60_000);
const waited = { priority: 'waited-for' } as const;
const relay = { cachedOnly: false };

interface Split {
  readonly bench: Bench;
  /** What was met first. */
  readonly honest: TestChecksumDatabase;
  /** The same key, the same first records, and another record of the victim. */
  readonly forked: TestChecksumDatabase;
}

function split(commonSize: number, honestSize: number, forkedSize: number): Split {
  const honest = new TestChecksumDatabase();
  honest.add('common.example/m', 'v1.0.0');
  honest.pad(commonSize - 1);
  const forked = honest.split();
  honest.add('victim.example/m', 'v1.0.0');
  honest.pad(honestSize - honest.size);
  forked.add('victim.example/m', 'v1.0.0', { zipHash: `h1:${Buffer.alloc(32, 6).toString('base64')}` });
  forked.pad(forkedSize - forked.size);
  return { bench: createBench(honest), honest, forked };
}

/** Everything the database is asked for is refused, whoever asks. */
async function assertFrozen({ bench, honest }: Split): Promise<void> {
  for (const client of [bench.client(), bench.client()]) {
    for (const ask of [
      () => client.lookup('victim.example/m', 'v1.0.0', waited, signal),
      () => client.lookup('common.example/m', 'v1.0.0', waited, signal),
      () => client.lookupAnswer('common.example/m', 'v1.0.0', { cachedOnly: true }, signal),
      () => client.latest(relay, signal),
      () => client.tile({ level: 0, index: 0, width: 1 }, relay, signal),
    ]) {
      await assert.rejects(ask(), { code: 'log-forked' });
    }
    assert.match((await client.state()).frozen ?? '', /contradicts/);
  }
  assert.equal(bench.heads.heads.get(honest.name)?.note, honest.note(), 'the head does not move sideways');
  assert.ok(bench.alarms.some((alarm) => alarm.startsWith('log-forked')));
}

const shapes = [
  { name: 'a newer fork', commonSize: 5, honestSize: 10, forkedSize: 20 },
  { name: 'a much newer fork', commonSize: 300, honestSize: 600, forkedSize: 70_000 },
  { name: 'a fork of the same size', commonSize: 5, honestSize: 10, forkedSize: 10 },
  { name: 'an older fork', commonSize: 300, honestSize: 900, forkedSize: 400 },
  { name: 'a fork in the last record', commonSize: 255, honestSize: 256, forkedSize: 256 },
  { name: 'a fork at the border of a tile', commonSize: 256, honestSize: 257, forkedSize: 512 },
];
for (const { name, commonSize, honestSize, forkedSize } of shapes) {
  for (const restarted of [false, true]) {
    test(`${name} freezes the database${restarted ? ', straight after a restart' : ''}`, async () => {
      const all = split(commonSize, honestSize, forkedSize);
      const { bench, honest, forked } = all;
      const first = bench.client();
      await first.lookup('common.example/m', 'v1.0.0', waited, signal);
      // The tiles that show an older note to be false are in the honest log alone.
      if (forkedSize < honestSize) bench.transports.push(new TestTransport('https://two.example', honest));
      bench.transports[0]!.database = forked;
      const client = restarted ? bench.client() : first;
      await assert.rejects(client.lookup('victim.example/m', 'v1.0.0', waited, signal), { code: 'log-forked' });
      await assert.rejects(client.lookup('common.example/m', 'v1.0.0', waited, signal), { code: 'log-forked' });
      const evidence = bench.heads.forks.get(honest.name);
      assert.equal(evidence?.keptNote, honest.note());
      assert.equal(evidence?.contradictingNote, forked.note());
      assert.equal(evidence?.seenAtMs, bench.clock.nowMs);
      bench.transports[0]!.database = honest;
      await assertFrozen(all);
      assert.ok(!(await storedKeys(bench)).includes('lookup/victim.example/m@v1.0.0'));
    });
  }
}

test('an older fork with nobody to show it by is refused, though not frozen', async () => {
  const { bench, forked } = split(300, 900, 400);
  const client = bench.client();
  const before = await client.lookup('common.example/m', 'v1.0.0', waited, signal);
  bench.transports[0]!.database = forked;
  await assert.rejects(client.lookup('victim.example/m', 'v1.0.0', waited, signal), { code: 'database-unavailable' });
  assert.deepEqual(await client.lookup('common.example/m', 'v1.0.0', waited, signal), before);
});

test('a forked latest freezes as well', async () => {
  const all = split(5, 10, 20);
  const { bench, forked } = all;
  const client = bench.client();
  await client.latest(relay, signal);
  bench.transports[0]!.database = forked;
  bench.clock.nowMs += 60_001;
  await assert.rejects(client.latest(relay, signal), { code: 'log-forked' });
  await assertFrozen(all);
});

test('a fork freezes though another transport tells the truth', async () => {
  const all = split(5, 10, 20);
  const { bench, honest, forked } = all;
  const client = bench.client();
  await client.latest(relay, signal);
  bench.transports.unshift(new TestTransport('https://forked.example', forked));
  await assert.rejects(client.lookup('victim.example/m', 'v1.0.0', waited, signal), { code: 'log-forked' });
  assert.equal(bench.transports[1]!.database, honest);
  await assertFrozen(all);
});

test('a forked note over honest tiles is a mirror that lies, not a fork: the note alone proves nothing about the tree', async () => {
  const { bench, honest, forked } = split(5, 10, 20);
  const client = bench.client();
  await client.latest(relay, signal);
  // Its tiles cannot be had, so nobody can show that the two trees contradict each other.
  bench.transports[0]!.lie = changeBody(/^lookup/, () => forked.lookupBody('victim.example/m', 'v1.0.0')!);
  await assert.rejects(client.lookup('victim.example/m', 'v1.0.0', waited, signal), (error: { code?: string }) =>
    ['log-invalid', 'database-unavailable'].includes(error.code ?? ''),
  );
  assert.equal(bench.heads.forks.size, 0);
  assert.equal(bench.heads.heads.get(honest.name)?.note, honest.note());
});

test('a signed tree of a larger size with the same beginning but false tiles is no fork', async () => {
  const { bench, honest, forked } = split(5, 10, 20);
  const client = bench.client();
  await client.latest(relay, signal);
  honest.pad(10);
  bench.clock.nowMs += 60_001;
  bench.transports[0]!.lie = onlyAt(/^tile/, (resource) => forked.answer(resource));
  assert.equal(await client.latest(relay, signal), honest.note(10), 'the kept head is answered');
  assert.equal(bench.heads.forks.size, 0);
  bench.transports[0]!.lie = undefined;
  bench.clock.nowMs += 60_001;
  assert.equal(await client.latest(relay, signal), honest.note(20));
});

test('another process stops within the time it syncs', async () => {
  const all = split(5, 10, 20);
  const { bench, forked } = all;
  const [one, two] = [bench.client(), bench.client()];
  await Promise.all([one.latest(relay, signal), two.lookup('common.example/m', 'v1.0.0', waited, signal)]);
  bench.transports[0]!.database = forked;
  await assert.rejects(one.lookup('victim.example/m', 'v1.0.0', waited, signal), { code: 'log-forked' });
  bench.clock.nowMs += 1000;
  await assert.rejects(two.lookup('common.example/m', 'v1.0.0', waited, signal), { code: 'log-forked' });
});

test('a fork whose evidence cannot be recorded freezes this process all the same, and is recorded later', async () => {
  const all = split(5, 10, 20);
  const { bench, honest, forked } = all;
  const client = bench.client();
  await client.latest(relay, signal);
  bench.transports[0]!.database = forked;
  bench.heads.faults = (point, operation) => {
    if (operation === 'recordFork' && point === 'before') throw new Error('disk');
  };
  await assert.rejects(client.lookup('victim.example/m', 'v1.0.0', waited, signal), { code: 'log-forked' });
  bench.transports[0]!.database = honest;
  await assert.rejects(client.lookup('common.example/m', 'v1.0.0', waited, signal));
  assert.match((await client.state()).frozen ?? '', /contradicts/);
  bench.heads.faults = () => {};
  await assert.rejects(client.lookup('common.example/m', 'v1.0.0', waited, signal), { code: 'log-forked' });
  await assertFrozen(all);
});

test('when the operator keeps the head, the database is as it was', async () => {
  const { bench, honest, forked } = split(5, 10, 20);
  const client = bench.client();
  const before = await client.lookup('victim.example/m', 'v1.0.0', waited, signal);
  bench.transports[0]!.database = forked;
  bench.clock.nowMs += 60_001;
  await assert.rejects(client.latest(relay, signal), { code: 'log-forked' });
  bench.heads.clearFork(honest.name, { forgetHead: false });
  bench.transports[0]!.database = honest;
  assert.deepEqual(await client.lookup('victim.example/m', 'v1.0.0', waited, signal), before);
  assert.equal(await client.latest(relay, signal), honest.note());
});

test('when the operator forgets the head, the other log is met anew and nothing of the former one is believed', async () => {
  const { bench, honest, forked } = split(5, 300, 600);
  const [client, idle] = [bench.client(), bench.client()];
  await client.lookup('victim.example/m', 'v1.0.0', waited, signal);
  await idle.lookup('victim.example/m', 'v1.0.0', waited, signal);
  bench.transports[0]!.database = forked;
  bench.clock.nowMs += 60_001;
  await assert.rejects(client.latest(relay, signal), { code: 'log-forked' });
  bench.heads.clearFork(honest.name, { forgetHead: true });
  for (const each of [client, idle, bench.client()]) {
    assert.equal((await each.lookup('victim.example/m', 'v1.0.0', waited, signal))?.text, forked.text(5));
    assert.equal(await each.latest(relay, signal), forked.note());
    const tile = { level: 0, index: 0, width: 256 };
    assert.deepEqual(await each.tile(tile, relay, signal), forked.hashes(tile));
  }
  assert.equal(bench.heads.forks.size, 0);
});

test('a kept head that this key did not sign is not believed', async () => {
  const { bench, honest } = split(5, 10, 20);
  const stranger = new TestChecksumDatabase({ seed: 'another key' });
  stranger.pad(10);
  bench.heads.heads.set(honest.name, {
    database: honest.name,
    treeSize: 10,
    root: stranger.root().toString('base64'),
    note: stranger.note(),
  });
  await assert.rejects(bench.client().latest(relay, signal), { code: 'log-invalid' });
  bench.heads.heads.set(honest.name, { database: honest.name, treeSize: 9, root: honest.root().toString('base64'), note: honest.note() });
  await assert.rejects(bench.client().latest(relay, signal), { code: 'log-invalid' });
});

test('a log that was cut off and grown again is a fork', async () => {
  const { bench, honest } = split(5, 10, 20);
  const client = bench.client();
  await client.latest(relay, signal);
  const regrown = new TestChecksumDatabase();
  regrown.add('common.example/m', 'v1.0.0');
  bench.transports[0]!.database = regrown;
  await client.lookup('common.example/m', 'v1.0.0', waited, signal);
  regrown.add('again.example/m', 'v1.0.0');
  await assert.rejects(client.lookup('again.example/m', 'v1.0.0', waited, signal), { code: 'log-forked' });
  assert.equal(bench.heads.forks.get(honest.name)?.contradictingNote, regrown.note());
});
