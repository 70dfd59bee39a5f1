import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answered, keyOf, openBench, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule } from '../../test/support/synthetic-module.ts';
import { codeOf, HubError } from '../base/errors.ts';
import { priorityOf, type Urgency } from '../base/gate.ts';
import { artefactAt } from './module-files.ts';

const small = makeModule('example.com/small', 'v1.2.3');
/** More than fits into memory's limit for one file. */
const large = makeModule('example.com/Large', 'v1.0.0', { fillBytes: 700_000 });
const zipOf = (module: typeof small): string => `${address(module)}zip`;

function publish(bench: StationBench, ...modules: (typeof small)[]): void {
  for (const module of modules) {
    bench.origin.publish(module);
    bench.database.record(module);
  }
}

test('info, mod and zip are proved, stored, recorded, and served from the store afterwards', async () => {
  await using bench = await openBench();
  publish(bench, small, large);
  for (const module of [small, large]) {
    for (const [file, wanted] of [
      ['info', module.info],
      ['mod', module.goMod],
      ['zip', module.zip],
    ] as const) {
      const first = await bench.ask(`${address(module)}${file}`);
      assert.ok(first.bytes.equals(Buffer.from(wanted)), file);
      assert.equal(first.outcome, 'miss');
      const second = await bench.ask(`${address(module)}${file}`, { fill: false });
      assert.ok(second.bytes.equals(Buffer.from(wanted)), file);
      assert.deepEqual([second.outcome, second.etag, second.immutable], ['hit', first.etag, true]);
      const row = await bench.metadata.file(keyOf(module, file));
      assert.equal(row?.h1, { info: undefined, mod: module.modHash, zip: module.zipHash }[file]);
      assert.equal(row?.proof.kind, file === 'info' ? 'none' : 'checksum-database');
      assert.equal(first.etag, `"${row?.sha256}"`);
    }
  }
  assert.deepEqual(await bench.metadata.totals(), {
    files: 6,
    versions: 2,
    sizeBytes: [small, large].reduce((sum, { info, goMod, zip }) => sum + info.length + goMod.length + zip.length, 0),
  });
  assert.equal(bench.origin.total, 6);
});

test('two hundred callers cost one fetch, and each of them reads a whole file of its own', async () => {
  await using bench = await openBench();
  publish(bench, large);
  const answers = await Promise.all(Array.from({ length: 200 }, () => bench.ask(zipOf(large))));
  assert.ok(answers.every(({ bytes }) => bytes.equals(large.zip)));
  assert.equal(bench.origin.asked.get(zipOf(large)), 1);
  assert.equal(bench.database.lookups, 1);
});

test('what was being fetched ahead gets the priority of who comes to wait for it', async () => {
  await using bench = await openBench();
  publish(bench, small);
  const release = held(bench);
  const urgency = urgencyOf(bench);
  const artefact = artefactAt(keyOf(small, 'mod'));
  assert.ok(artefact !== undefined);
  const ahead = bench.station.filler.fill(artefact, 'prefetch', new AbortController().signal);
  await until(() => urgency() !== undefined);
  assert.equal(priorityOf(urgency()!), 'prefetch');
  const waiting = bench.ask(`${address(small)}mod`);
  await until(() => priorityOf(urgency()!) === 'waited-for');
  release();
  await Promise.all([ahead, waiting]);
  assert.equal(bench.origin.total, 1);
});

test('what is fetched ahead gets the priority of who waits for it in another process', async () => {
  await using bench = await openBench();
  publish(bench, small);
  const release = held(bench);
  const urgency = urgencyOf(bench);
  const artefact = artefactAt(keyOf(small, 'mod'));
  assert.ok(artefact !== undefined);
  const ahead = bench.station.filler.fill(artefact, 'prefetch', new AbortController().signal);
  await until(() => urgency() !== undefined);
  assert.equal(priorityOf(urgency()!), 'prefetch');
  await bench.metadata.acquireLease(`wanted ${artefact.key}`);
  await until(() => priorityOf(urgency()!) === 'waited-for');
  release();
  await ahead;
});

test('who waits for the fill of another process says so as long as it waits', async () => {
  await using bench = await openBench();
  publish(bench, small);
  const artefact = artefactAt(keyOf(small, 'mod'));
  assert.ok(artefact !== undefined);
  const wanted = `wanted ${artefact.key}`;
  const acquire = bench.metadata.acquireLease.bind(bench.metadata);
  let elsewhere = true;
  bench.metadata.acquireLease = async (key) => (elsewhere && key === artefact.key ? { kind: 'held', ours: false } : acquire(key));
  const seen: boolean[] = [];
  const asking = bench.ask(`${address(small)}mod`);
  while (!seen.at(-1)) seen.push(await bench.metadata.isLeaseHeld(wanted));
  elsewhere = false;
  assert.equal((await asking).outcome, 'miss');
  assert.equal(await bench.metadata.isLeaseHeld(wanted), false);
});

/** Of the last request to the origin. */
function urgencyOf(bench: StationBench): () => Urgency | undefined {
  const fetch = bench.origin.fetch.bind(bench.origin);
  let urgency: Urgency | undefined;
  bench.origin.fetch = (request, ...rest) => {
    urgency = request;
    return fetch(request, ...rest);
  };
  return () => urgency;
}

async function until(holds: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 10_000; !holds(); ) {
    assert.ok(performance.now() < endMs, 'it never came true');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Holds bodies back until told. */
function held(bench: StationBench): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.origin.gate = promise;
  return resolve;
}

test('the first caller leaves: it hears so at once, and the others get the file', async () => {
  await using bench = await openBench();
  publish(bench, large);
  const release = held(bench);
  const first = new AbortController();
  const left = bench.ask(zipOf(large), { signal: first.signal });
  const others = [bench.ask(zipOf(large)), bench.ask(zipOf(large))];
  first.abort(new HubError('canceled', 'gone'));
  await assert.rejects(left, { code: 'canceled' });
  release();
  for (const other of await Promise.all(others)) assert.ok(other.bytes.equals(large.zip));
  assert.equal(bench.origin.total, 1);
});

test('all callers leave: the fill goes on, and the next one finds the file', async () => {
  await using bench = await openBench();
  publish(bench, large);
  const release = held(bench);
  const leave = new AbortController();
  const asks = [1, 2, 3].map(() => bench.ask(zipOf(large), { signal: leave.signal }));
  leave.abort(new HubError('canceled', 'gone'));
  for (const ask of asks) await assert.rejects(ask, { code: 'canceled' });
  release();
  assert.ok((await bench.ask(zipOf(large))).bytes.equals(large.zip));
  assert.equal(bench.origin.total, 1);
});

test('a caller waits for a bounded time, the fill goes on', async () => {
  await using bench = await openBench({ waitMs: 30 });
  publish(bench, large);
  const release = held(bench);
  await assert.rejects(bench.ask(zipOf(large)), { code: 'still-fetching', message: /example\.com\/Large@v1\.0\.0.*run the command again/ });
  release();
  await eventually(async () => (await bench.ask(zipOf(large))).bytes.equals(large.zip));
  assert.equal(bench.origin.total, 1);
});

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 10_000; ; ) {
    if (await holds().catch(() => false)) return;
    assert.ok(performance.now() < endMs, 'it never came true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const evil = makeModule(small.path, small.version, { files: { 'small.go': 'package evil\n' } });
const broken = makeModule(small.path, small.version, { entries: [{ name: 'elsewhere/x', content: 'x' }] });

const lies = [
  { name: 'another zip', file: 'zip', told: evil.zip, code: 'checksum-mismatch' },
  { name: 'a cut zip', file: 'zip', told: small.zip.subarray(0, 200), code: 'zip-invalid' },
  { name: 'a zip against the rules', file: 'zip', told: broken.zip, code: 'zip-invalid' },
  { name: 'nothing', file: 'zip', told: '', code: 'zip-invalid' },
  { name: 'another go.mod', file: 'mod', told: `${small.goMod}// more\n`, code: 'checksum-mismatch' },
  { name: 'an .info of another version', file: 'info', told: '{"Version":"v1.2.4"}', code: 'upstream-invalid' },
  { name: 'an endless .info', file: 'info', told: Buffer.alloc(100_000, ' '), code: 'upstream-invalid' },
] as const;

for (const { name, file, told, code } of lies) {
  test(`${name} from the upstream: refused, nothing stored, and healed by the truth or by the next upstream`, async () => {
    const path = `${address(small)}${file}`;
    await using bench = await openBench();
    publish(bench, small);
    bench.origin.first.set(path, told);
    await assert.rejects(bench.ask(path), { code });
    assert.equal(await bench.store.open(keyOf(small, file)), undefined);
    assert.equal((await bench.metadata.totals()).files, 0);
    assert.ok(bench.seen.includes(`verification failed ${code}`));
    const again = bench.ask(path);
    await assert.rejects(again, { code }, 'the failure is shared for a moment');
    assert.equal(bench.origin.total, 1);

    bench.clock.pass(1_001);
    const honest = new Map(bench.origin.first);
    bench.origin.publish(small, honest);
    bench.origin.upstreams.push(honest);
    const saved = await bench.ask(path);
    assert.ok(saved.bytes.equals(Buffer.from({ info: small.info, mod: small.goMod, zip: small.zip }[file])));
    assert.equal((await bench.metadata.file(keyOf(small, file)))?.origin, 'https://upstream-1.example');
  });
}

test('a version that no database has a record of is refused, not absent', async () => {
  await using bench = await openBench();
  bench.origin.publish(small);
  for (const file of ['mod', 'zip']) await assert.rejects(bench.ask(`${address(small)}${file}`), { code: 'checksum-missing' });
  assert.equal((await bench.metadata.totals()).files, 0);
});

test('without a database that answers nothing can be proved, and a large zip is not fetched to its end', async () => {
  await using bench = await openBench();
  publish(bench, large);
  bench.database.down = true;
  await assert.rejects(bench.ask(zipOf(large)), { code: 'database-unavailable' });
  assert.equal(await bench.store.open(keyOf(large, 'zip')), undefined);
  assert.ok(bench.origin.sentBytes < 100_000, `${bench.origin.sentBytes} bytes were read`);
  bench.database.down = false;
  bench.clock.pass(1_001);
  assert.ok((await bench.ask(zipOf(large))).bytes.equals(large.zip));
});

test('an .info without a time is served as it came', async () => {
  await using bench = await openBench();
  const timeless = makeModule('example.com/timeless', 'v1.0.0', { info: '{"Version":"v1.0.0"}' });
  publish(bench, timeless);
  assert.equal((await bench.ask(`${address(timeless)}info`)).bytes.toString(), '{"Version":"v1.0.0"}');
});

test('what is absent is remembered for a while, in memory only', async () => {
  await using bench = await openBench();
  publish(bench, small);
  bench.origin.first.clear();
  await assert.rejects(bench.ask(zipOf(small)), { code: 'not-found' });
  await assert.rejects(bench.ask(zipOf(small)), { code: 'not-found' });
  assert.equal(bench.origin.total, 1);
  assert.deepEqual(
    bench.seen.filter((line) => line.startsWith('cached')),
    ['cached zip negative'],
  );
  bench.clock.pass(60_001);
  publish(bench, small);
  assert.ok((await bench.ask(zipOf(small))).bytes.equals(small.zip));
});

test('a refusal and a fault are not absences', async () => {
  await using bench = await openBench();
  publish(bench, small);
  bench.origin.first.set(zipOf(small), { status: 403, reason: 'the licence forbids it' });
  await assert.rejects(bench.ask(zipOf(small)), { code: 'upstream-refused', message: 'the licence forbids it' });
  bench.clock.pass(1_001);
  bench.origin.goDown();
  await assert.rejects(bench.ask(zipOf(small)), { code: 'origin-unavailable' });
});

test('a request that forbids fetching is told so, and asks nobody', async () => {
  await using bench = await openBench();
  publish(bench, small);
  await assert.rejects(bench.ask(zipOf(small), { fill: false }), { code: 'not-cached' });
  assert.deepEqual([bench.origin.total, bench.database.lookups], [0, 0]);
});

test('a hub that stops ends its fills before it gives its parts back', async () => {
  const bench = await openBench();
  publish(bench, large);
  held(bench);
  const ask: Promise<Answered> = bench.ask(zipOf(large));
  const refused = assert.rejects(ask, (error) => codeOf(error) === 'canceled');
  await new Promise((resolve) => setImmediate(resolve));
  await bench[Symbol.asyncDispose]();
  await refused;
  assert.equal(bench.station.filler.running, 0);
});
