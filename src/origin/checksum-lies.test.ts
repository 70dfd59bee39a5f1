import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBench, storedKeys } from '../../test/support/checksum-bench.ts';
import {
  type Lie,
  TestChecksumDatabase,
  TestTransport,
  absentEverywhere,
  captivePortal,
  changeBody,
  flipBit,
  found,
  onlyAt,
  testHash,
  tilePath,
} from '../../test/support/checksum-database-server.ts';
import { formatChecksumRecord, formatLookupAnswer } from '../protocol/checksum-record.ts';
import { generateSignerKey } from '../protocol/note.ts';
import { TILE_BYTES, hashesAtLevel } from '../protocol/tile.ts';

const signal = AbortSignal.timeout(60_000);
const waited = { priority: 'waited-for' } as const;
const relay = { cachedOnly: false };
const MODULE = 'victim.example/m';
const OTHER = 'other.example/m';

/** Three levels of tiles; the victim's record lies in a full tile whose parent is full too. */
const large = new TestChecksumDatabase();
large.pad(300);
const victimId = large.add(MODULE, 'v1.0.0');
const otherId = large.add(OTHER, 'v1.0.0');
large.pad(65_536 + 3 * 256 + 7 - large.size);

const evil = formatChecksumRecord({ module: MODULE, version: 'v1.0.0', zipHash: testHash('evil zip'), modHash: testHash('evil mod') });
const otherKey = generateSignerKey(large.name).signer;
const strangerKey = generateSignerKey('stranger.example').signer;
const answer = (recordId: number, text: string, note = large.note()): string => formatLookupAnswer({ recordId, text, note });
const honestText = large.text(victimId);
const swapped = (text: string): string => text.split('\n').slice(0, 2).toReversed().join('\n').concat('\n');

/** The lies about the record or its note, each of them refused with every honest tile at hand. */
const lookupLies: { name: string; lie: Lie }[] = [
  { name: 'a forged record with the true number', lie: changeBody(/^lookup/, () => answer(victimId, evil)) },
  { name: 'a forged record with another number', lie: changeBody(/^lookup/, () => answer(otherId, evil)) },
  { name: 'the true record with another number', lie: changeBody(/^lookup/, () => answer(victimId + 1, honestText)) },
  { name: 'the true record with a number beyond the tree', lie: changeBody(/^lookup/, () => answer(large.size, honestText)) },
  {
    name: 'the true record under a tree that cannot have it',
    lie: changeBody(/^lookup/, () => answer(victimId, honestText, large.note(victimId))),
  },
  { name: 'the lines of the record exchanged', lie: changeBody(/^lookup/, () => answer(victimId, swapped(honestText))) },
  { name: 'a line added to the record', lie: changeBody(/^lookup/, () => answer(victimId, honestText + evil)) },
  { name: 'no signature', lie: changeBody(/^lookup/, () => answer(victimId, honestText, large.note().split('\n\n')[0]!.concat('\n\n'))) },
  { name: 'another signature', lie: flipBit(/^lookup/, -8) },
  {
    name: 'the signature of a stranger',
    lie: changeBody(/^lookup/, () => answer(victimId, honestText, large.note(large.size, { signers: [strangerKey] }))),
  },
  {
    name: 'the signature of another key of the same name',
    lie: changeBody(/^lookup/, () => answer(victimId, honestText, large.note(large.size, { signers: [otherKey] }))),
  },
  {
    name: 'another root under the true signature',
    lie: changeBody(/^lookup/, (body) => body.toString().replace(/\n[^\n]{43}=\n\n—/, `\n${Buffer.alloc(32).toString('base64')}\n\n—`)),
  },
  { name: 'no note', lie: changeBody(/^lookup/, () => `${victimId}\n${honestText}\n`) },
  { name: 'no number', lie: changeBody(/^lookup/, (body) => body.toString().replace(/^\d+\n/, '')) },
  { name: 'the beginning of an answer', lie: changeBody(/^lookup/, (body) => body.subarray(0, body.length >> 1)) },
  { name: 'nothing at all', lie: changeBody(/^lookup/, () => '') },
  { name: 'an endless answer', lie: changeBody(/^lookup/, () => 'x'.repeat(70_000)) },
  { name: 'a captive portal', lie: onlyAt(/^lookup/, captivePortal) },
];

/** The lies about tiles, told from the first contact on. */
const tileLies: { name: string; lie: Lie }[] = [
  { name: 'no tiles', lie: onlyAt(/^tile/, absentEverywhere) },
  { name: 'a captive portal for tiles', lie: onlyAt(/^tile/, captivePortal) },
  { name: 'full tiles cut short', lie: changeBody(/^tile\/8\/0\/001$/, (body) => body.subarray(0, -32)) },
  { name: 'full tiles too long', lie: changeBody(/^tile\/8\/0\/001$/, (body) => Buffer.concat([body, body.subarray(0, 32)])) },
  { name: 'an odd number of bytes', lie: changeBody(/^tile/, (body) => body.subarray(1)) },
  { name: 'edges wider than asked', lie: changeBody(/\.p\//, (body) => Buffer.concat([body, body])) },
  { name: 'edges narrower than asked', lie: changeBody(/\.p\/[^1]/, (body) => body.subarray(32)) },
  { name: 'full tiles for edges', lie: changeBody(/\.p\//, () => Buffer.alloc(TILE_BYTES)) },
  { name: 'empty tiles', lie: changeBody(/^tile/, () => '') },
];

async function refuses(lie: Lie, codes: readonly string[]): Promise<void> {
  const bench = createBench(large.split());
  bench.transports[0]!.lie = lie;
  const client = bench.client();
  for (const ask of [() => client.lookup(MODULE, 'v1.0.0', waited, signal), () => client.lookupAnswer(MODULE, 'v1.0.0', relay, signal)]) {
    await assert.rejects(ask(), (error: { code?: string }) => codes.includes(error.code ?? ''));
  }
  assert.deepEqual(
    (await storedKeys(bench)).filter((key) => key.startsWith('lookup/')),
    [],
  );
  assert.equal(bench.heads.forks.size, 0, 'a mirror that lies is no fork');
  // And it recovers by itself.
  bench.transports[0]!.lie = undefined;
  assert.equal((await client.lookup(MODULE, 'v1.0.0', waited, signal))?.text, honestText);
}

/** One way lies and another tells the truth, in either order. */
async function prefersTheTruth(lie: Lie): Promise<void> {
  for (const liarFirst of [true, false]) {
    const database = large.split();
    const transports = [new TestTransport('https://one.example', database), new TestTransport('https://two.example', database)];
    transports[liarFirst ? 0 : 1]!.lie = lie;
    const bench = createBench(database, transports);
    assert.equal((await bench.client().lookup(MODULE, 'v1.0.0', waited, signal))?.text, honestText);
    assert.equal(await bench.client().lookupAnswer(MODULE, 'v1.0.0', relay, signal), large.lookupBody(MODULE, 'v1.0.0'));
    assert.equal(bench.heads.forks.size, 0);
  }
}

for (const { name, lie } of lookupLies) {
  test(`${name} is refused`, () => refuses(lie, ['log-invalid']));
  test(`${name} does not stop an honest transport`, () => prefersTheTruth(lie));
}

for (const { name, lie } of tileLies) {
  test(`${name}: refused`, () => refuses(lie, ['log-invalid', 'database-unavailable']));
  test(`${name}: does not stop an honest transport`, () => prefersTheTruth(lie));
}

const proofTiles = [
  { level: 0, index: 1 },
  { level: 1, index: 0 },
  { level: 0, index: 259 },
  { level: 1, index: 1 },
  { level: 2, index: 0 },
];
for (const { level, index } of proofTiles) {
  const width = Math.min(256, hashesAtLevel(large.size, level) - 256 * index);
  for (const position of [0, width >> 1, width - 1]) {
    const path = tilePath(level, index, width);
    test(`CVE-2026-56865: one forged hash (${position}) in ${path} is found`, async () => {
      const lie = flipBit(new RegExp(`^${path.replaceAll('.', '\\.')}$`), 32 * position + 5);
      await refuses(lie, ['log-invalid']);
      await prefersTheTruth(lie);
    });
  }
}

test('CVE-2026-56865: a forged record with a level-0 tile forged to have it is refused, whatever tiles are shared', async () => {
  const forged = large.split();
  // A log of its own in which the victim's record is evil, under the honest head: all tiles but the edges of the true one may be false.
  const other = new TestChecksumDatabase();
  other.pad(300);
  other.addText(evil);
  other.addText(large.text(otherId));
  other.pad(large.size - other.size);
  for (const falsePaths of [/^tile\/8\/0\/001$/, /^tile\/8\/(0\/001|1\/000)$/, /^tile\/8\/(0\/001|1\/000|2\/000\.p\/1)$/, /^tile/]) {
    const lie: Lie = (resource) => {
      if (resource.startsWith('lookup')) return found(answer(victimId, evil));
      return falsePaths.test(resource) ? other.answer(resource) : undefined;
    };
    await refuses(lie, ['log-invalid']);
  }
  assert.equal(forged.text(victimId), honestText);
});

test('CVE-2026-42501: a true record of another module is no answer', async () => {
  const lie = changeBody(/^lookup/, () => large.lookupBody(OTHER, 'v1.0.0')!);
  await refuses(lie, ['log-invalid']);
  await prefersTheTruth(lie);
});

test('CVE-2026-42501: a true record of another version is no answer', async () => {
  const database = large.split();
  database.add(MODULE, 'v1.0.1');
  const bench = createBench(database);
  bench.transports[0]!.lie = changeBody(/^lookup/, () => database.lookupBody(MODULE, 'v1.0.1')!);
  await assert.rejects(bench.client().lookup(MODULE, 'v1.0.0', waited, signal), { code: 'log-invalid' });
});

test('CVE-2026-42501: an empty record that is in the log is no answer', async () => {
  const database = large.split();
  const emptyId = database.addText('\n');
  const bench = createBench(database);
  bench.transports[0]!.lie = changeBody(/^lookup/, () => formatLookupAnswer({ recordId: emptyId, text: '\n', note: database.note() }));
  await assert.rejects(bench.client().lookup(MODULE, 'v1.0.0', waited, signal), { code: 'log-invalid' });
});

test('CVE-2026-42501: a record that is in the log but has no go.mod line is no answer', async () => {
  const database = large.split();
  const text = `${MODULE} v1.0.0 ${testHash('zip')}\n`;
  const id = database.addText(text);
  const bench = createBench(database);
  bench.transports[0]!.lie = changeBody(/^lookup/, () => formatLookupAnswer({ recordId: id, text, note: database.note() }));
  await assert.rejects(bench.client().lookup(MODULE, 'v1.0.0', waited, signal), { code: 'log-invalid' });
});

test('CVE-2026-56864: hash lines in the note, signed but never in the log, do not count', async () => {
  for (const text of [large.text(otherId), honestText]) {
    const id = text === honestText ? victimId : otherId;
    await refuses(
      changeBody(/^lookup/, () => answer(id, text, large.note(large.size, { lines: evil }))),
      ['log-invalid'],
    );
  }
});

test('CVE-2026-56864: hash lines after the signature do not count', async () => {
  await refuses(
    changeBody(/^lookup/, (body) => `${body.toString()}${evil}`),
    ['log-invalid'],
  );
  await refuses(
    changeBody(/^lookup/, () => `${answer(otherId, large.text(otherId))}\n${evil}`),
    ['log-invalid'],
  );
});

test('a latest of a captive portal is refused, and the next transport asked', async () => {
  const database = large.split();
  const bench = createBench(database);
  bench.transports[0]!.lie = captivePortal;
  const client = bench.client();
  await assert.rejects(client.latest(relay, signal), { code: 'log-invalid' });
  assert.equal(bench.heads.heads.size, 0);
  bench.transports.push(new TestTransport('https://two.example', database));
  assert.equal(await client.latest(relay, signal), database.note());
});

test('an absence counts only when all say so and none faults', async () => {
  const database = large.split();
  const [one, two] = [new TestTransport('https://one.example', database), new TestTransport('https://two.example', database)];
  const bench = createBench(database, [one, two]);
  const client = bench.client();
  await client.latest(relay, signal);
  one.lie = onlyAt(/^lookup/, absentEverywhere);
  assert.equal((await client.lookup(MODULE, 'v1.0.0', waited, signal))?.text, honestText, 'a liar must not make a module vanish');
  two.isDown = true;
  await assert.rejects(client.lookup(OTHER, 'v1.0.0', waited, signal), { code: 'database-unavailable' });
  two.isDown = false;
  two.lie = onlyAt(/^lookup/, captivePortal);
  await assert.rejects(client.lookup(OTHER, 'v1.0.0', waited, signal), { code: 'log-invalid' });
  two.lie = onlyAt(/^lookup/, absentEverywhere);
  assert.equal(await client.lookup(OTHER, 'v1.0.0', waited, signal), undefined);
});

test('an upstream without the database (404 for everything) is passed over', async () => {
  const database = large.split();
  const one = new TestTransport('https://one.example', database, absentEverywhere);
  const bench = createBench(database, [one, new TestTransport('https://two.example', database)]);
  assert.equal((await bench.client().lookup(MODULE, 'v1.0.0', waited, signal))?.text, honestText);
  assert.deepEqual(bench.alarms, []);
});

test('statuses that are neither 200 nor 404 are faults', async () => {
  for (const status of [204, 206, 301, 403, 429, 500, 503]) {
    const bench = createBench(large.split());
    bench.transports[0]!.lie = () => ({ status, body: Buffer.from('') });
    await assert.rejects(bench.client().lookup(MODULE, 'v1.0.0', waited, signal), { code: 'database-unavailable' });
  }
});

test('a transport that lied is asked after the others for a while', async () => {
  const database = large.split();
  const [one, two] = [
    new TestTransport('https://one.example', database, onlyAt(/^lookup/, captivePortal)),
    new TestTransport('https://two.example', database),
  ];
  const bench = createBench(database, [one, two]);
  const client = bench.client();
  await client.lookup(MODULE, 'v1.0.0', waited, signal);
  const asked = one.asked.length;
  await client.lookup(OTHER, 'v1.0.0', waited, signal);
  assert.equal(one.asked.length, asked);
  bench.clock.nowMs += 60_001;
  await client.lookup('unknown.example/m', 'v1.0.0', waited, signal).catch(() => {});
  assert.ok(one.asked.length > asked);
});
