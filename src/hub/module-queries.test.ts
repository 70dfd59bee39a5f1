import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBench, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule } from '../../test/support/synthetic-module.ts';

const path = 'example.com/m';
const list = `${path}/@v/list`;
const latest = `${path}/@latest`;

function publish(bench: StationBench, version: string, recipe: Parameters<typeof makeModule>[2] = {}, module = path): void {
  const made = makeModule(module, version, recipe);
  bench.origin.publish(made);
  bench.database.record(made);
}

const versionOf = ({ bytes }: { bytes: Buffer }): string => (JSON.parse(bytes.toString()) as { Version: string }).Version;

test('a list is sorted, without pseudo-versions and without what is no version of the module', async () => {
  await using bench = await openBench();
  bench.origin.first.set(
    list,
    'v1.10.0 2020-01-01\nv1.2.0\nv0.0.0-20200101000000-abcdefabcdef\nv3.0.0\nnonsense\nv1.2.0\nv2.0.0+incompatible\n',
  );
  const answer = await bench.ask(list);
  assert.equal(answer.bytes.toString(), 'v1.2.0\nv1.10.0\nv2.0.0+incompatible\n');
  assert.deepEqual([answer.immutable, answer.ageSeconds, answer.contentType], [false, 0, 'text/plain; charset=utf-8']);
});

test('a list that grew upstream is sent as it is now', async () => {
  await using bench = await openBench();
  for (const body of ['v1.0.0\n', 'v1.0.0\nv1.1.0\n']) {
    bench.origin.first.set(list, body);
    bench.clock.pass(86_400_000);
    assert.equal((await bench.ask(list)).bytes.toString(), body);
  }
});

test('the same text lists other versions of another major', async () => {
  await using bench = await openBench();
  for (const module of [path, `${path}/v2`]) bench.origin.first.set(`${module}/@v/list`, 'v1.0.0\nv2.0.0\n');
  for (const _ of [1, 2]) {
    assert.equal((await bench.ask(list)).bytes.toString(), 'v1.0.0\n');
    assert.equal((await bench.ask(`${path}/v2/@v/list`)).bytes.toString(), 'v2.0.0\n');
  }
});

test('a web page is no list, and an empty list is one', async () => {
  await using bench = await openBench();
  bench.origin.first.set(list, '<!DOCTYPE html><html>please log in</html>');
  await assert.rejects(bench.ask(list), { code: 'upstream-invalid' });
  bench.origin.first.set(list, '');
  assert.equal((await bench.ask(list)).bytes.length, 0);
});

for (const { name, before, code, stale } of [
  { name: 'gone upstream', before: () => {}, code: 'not-found', stale: false },
  {
    name: 'refused',
    before: (bench: StationBench) => bench.origin.first.set(list, { status: 403, reason: 'blocked there' }),
    code: 'upstream-refused',
    stale: true,
  },
  { name: 'unreachable', before: (bench: StationBench) => bench.origin.goDown(), code: 'origin-unavailable', stale: true },
] as const) {
  test(`a list that is ${name}: what is stored is listed, and only then is there nothing`, async () => {
    await using bench = await openBench();
    for (const version of ['v1.0.0', 'v1.1.0', 'v0.0.0-20200101000000-abcdefabcdef']) {
      publish(bench, version);
      await bench.ask(`${path}/@v/${version}.zip`);
    }
    before(bench);
    const answer = await bench.ask(list);
    assert.deepEqual([answer.bytes.toString(), answer.stale], ['v1.0.0\nv1.1.0\n', stale]);
    assert.equal((await bench.ask(list, { fill: false })).bytes.toString(), 'v1.0.0\nv1.1.0\n');
    bench.origin.first.set('example.com/none/@v/list', bench.origin.first.get(list) ?? { status: 404, reason: 'gone' });
    await assert.rejects(bench.ask('example.com/none/@v/list'), { code });
    await assert.rejects(bench.ask('example.com/none/@v/list', { fill: false }), { code: 'not-cached' });
  });
}

test('of a list full of nothing neither the server nor what is kept is full', async () => {
  await using bench = await openBench();
  for (const filling of ['\n', 'x\n', ' \n']) {
    bench.clock.pass(86_400_000);
    bench.origin.first.set(list, `v1.0.0\n${filling.repeat(Math.floor((15 * 1024 * 1024) / filling.length))}`);
    const startedMs = performance.now();
    assert.equal((await bench.ask(list)).bytes.toString(), 'v1.0.0\n');
    assert.ok(performance.now() - startedMs < 2_000);
    assert.equal((await bench.metadata.answer(list))?.body, 'v1.0.0\n');
  }
});

test('@latest is the upstream’s own answer when it has one', async () => {
  await using bench = await openBench();
  bench.origin.first.set(latest, '{"Version":"v1.5.0","Time":"2020-01-01T00:00:00Z"}');
  assert.equal(versionOf(await bench.ask(latest)), 'v1.5.0');
  assert.equal(bench.origin.total, 1);
});

for (const [name, told] of [
  ['has none', undefined],
  ['refuses it', { status: 403, reason: 'no' }],
  ['fails', { status: 502, reason: 'no' }],
  ['sends a web page', '<html>'],
  ['names another major', '{"Version":"v3.0.0"}'],
] as const) {
  test(`@latest is computed from the list when the upstream ${name}`, async () => {
    await using bench = await openBench();
    if (told !== undefined) bench.origin.first.set(latest, told);
    bench.origin.first.set(list, 'v1.0.0\nv1.1.0\nv1.2.0-rc.1\n');
    publish(bench, 'v1.1.0');
    const answer = await bench.ask(latest);
    assert.deepEqual([versionOf(answer), answer.contentType, answer.immutable], ['v1.1.0', 'application/json', false]);
  });
}

test('+incompatible versions are the latest only when the highest compatible one has no go.mod', async () => {
  for (const [goMod, wanted] of [
    [undefined, 'v1.1.0'],
    [`module ${path}\n`, 'v2.0.0+incompatible'],
  ] as const) {
    await using bench = await openBench();
    bench.origin.first.set(list, 'v1.0.0\nv1.1.0\nv2.0.0+incompatible\n');
    publish(bench, 'v1.1.0', goMod === undefined ? {} : { goMod });
    publish(bench, 'v2.0.0+incompatible');
    assert.equal(versionOf(await bench.ask(latest)), wanted);
  }
});

test('@latest falls back to the latest pseudo-version, and to an absence', async () => {
  await using bench = await openBench();
  const pseudo = 'v0.0.0-20210101000000-abcdefabcdef';
  bench.origin.first.set(list, `v0.0.0-20200101000000-abcdefabcdef\n${pseudo}\n`);
  publish(bench, pseudo);
  assert.equal(versionOf(await bench.ask(latest)), pseudo);
  bench.origin.first.set('example.com/empty/@v/list', '');
  await assert.rejects(bench.ask('example.com/empty/@latest'), { code: 'not-found' });
  await assert.rejects(bench.ask('example.com/none/@latest'), { code: 'not-found' });
});

test('with every upstream down @latest is what it was, marked stale, and computed from what is stored where it was never asked', async () => {
  await using bench = await openBench();
  bench.origin.first.set(list, 'v1.0.0\n');
  publish(bench, 'v1.0.0');
  await bench.ask(latest);
  publish(bench, 'v1.0.0', {}, 'example.com/other');
  for (const file of ['info', 'mod', 'zip']) await bench.ask(`example.com/other/@v/v1.0.0.${file}`);
  bench.origin.goDown();
  bench.clock.pass(86_400_000);
  for (const module of [path, 'example.com/other']) {
    for (const _ of [1, 2]) {
      const answer = await bench.ask(`${module}/@latest`);
      assert.deepEqual([versionOf(answer), answer.stale], ['v1.0.0', true], module);
    }
  }
  bench.origin.comeBack();
  bench.origin.first.set('example.com/other/@latest', '{"Version":"v1.7.0"}');
  assert.equal(versionOf(await bench.ask('example.com/other/@latest')), 'v1.7.0', 'what was computed from something stale is not kept');
});

test('a fault at @latest is no absence when the list names nothing', async () => {
  await using bench = await openBench();
  bench.origin.first.set(list, '');
  bench.origin.first.set(latest, { status: 502, reason: 'no' });
  await assert.rejects(bench.ask(latest), { code: 'origin-unavailable' });
  bench.origin.first.set(latest, { status: 403, reason: 'blocked there' });
  await assert.rejects(bench.ask(latest), { code: 'upstream-refused' });
});

test('a version prefix whose list cannot be had is no absence', async () => {
  await using bench = await openBench();
  bench.origin.first.set(list, { status: 502, reason: 'no' });
  await assert.rejects(bench.ask(`${path}/@v/v1.info`), { code: 'origin-unavailable' });
  await assert.rejects(bench.ask(`${path}/@v/main.info`), { code: 'not-found' });
});

test('a query is the upstream’s, and a version prefix is resolved from the list where the upstream does not', async () => {
  await using bench = await openBench();
  bench.origin.first.set(`${path}/@v/main.info`, '{"Version":"v1.3.0-0.20210101000000-abcdefabcdef"}');
  bench.origin.first.set(list, 'v1.2.0\nv1.2.9\nv1.2.10\nv1.3.0-rc.1\nv1.20.0\n');
  for (const version of ['v1.2.10', 'v1.3.0-rc.1', 'v1.20.0']) publish(bench, version);
  const cases = [
    ['main', 'v1.3.0-0.20210101000000-abcdefabcdef'],
    ['v1', 'v1.20.0'],
    ['v1.2', 'v1.2.10'],
    ['v1.3', 'v1.3.0-rc.1'],
  ] as const;
  for (const [query, wanted] of cases) assert.equal(versionOf(await bench.ask(`${path}/@v/${query}.info`)), wanted);
  for (const query of ['v9', 'v1.9', 'nobranch', 'abcdef012345'])
    await assert.rejects(bench.ask(`${path}/@v/${query}.info`), { code: 'not-found' });
  await assert.rejects(bench.ask(`${path}/@v/other.info`, { fill: false }), { code: 'not-cached' });
  assert.equal(versionOf(await bench.ask(`${path}/@v/main.info`, { fill: false })), 'v1.3.0-0.20210101000000-abcdefabcdef');
});

test('a version of another major is a query; an answer that is no version of this module is refused', async () => {
  await using bench = await openBench();
  bench.origin.first.set(`${path}/@v/v20.10.7.info`, '{"Version":"v20.10.7+incompatible"}');
  bench.origin.first.set(`${path}/@v/v21.0.0.info`, '{"Version":"v21.0.0"}');
  assert.equal(versionOf(await bench.ask(`${path}/@v/v20.10.7.info`)), 'v20.10.7+incompatible');
  await assert.rejects(bench.ask(`${path}/@v/v21.0.0.info`), { code: 'upstream-invalid' });
});

test('an upstream’s refusal of a query is its answer', async () => {
  await using bench = await openBench();
  bench.origin.first.set(`${path}/@v/main.info`, { status: 403, reason: 'ask your administrator' });
  await assert.rejects(bench.ask(`${path}/@v/main.info`), { code: 'upstream-refused', message: 'ask your administrator' });
  bench.origin.goDown();
  await assert.rejects(bench.ask(`${path}/@v/v1.info`), { code: 'origin-unavailable' });
});

test('a prefix whose version’s .info is not there is an absence', async () => {
  await using bench = await openBench();
  bench.origin.first.set(list, 'v1.0.0\n');
  await assert.rejects(bench.ask(`${path}/@v/v1.info`), {
    code: 'not-found',
    message: new RegExp(`${address({ path, version: 'v1.0.0' })}info`.replaceAll('.', '\\.')),
  });
});
