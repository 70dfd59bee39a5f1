import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openAnswer, openOwnLogBench, type OwnLogBench } from '../../test/support/own-log-bench.ts';
import { FakeDatabase, keyOf, openBench, ownDatabaseName, ScriptedOrigin, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule, type SyntheticModule } from '../../test/support/synthetic-module.ts';
import type { OriginAnswer, OriginBody, OriginRequest } from '../origin/module-origin.ts';
import { createPrivateNames } from '../policy/private-names.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import type { PrivateModules } from './own-database.ts';

const commit = 'c'.repeat(40);

/** Notes the commits that were asked for. */
class Source extends ScriptedOrigin {
  readonly commits = new Map<string, string | undefined>();

  override fetch<T>(
    request: OriginRequest,
    consume: (body: OriginBody, origin: string, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<OriginAnswer<T>> {
    this.commits.set(request.resource, request.commit);
    return super.fetch(request, consume, signal);
  }
}

interface Bench extends AsyncDisposable {
  readonly bench: StationBench;
  readonly log: OwnLogBench;
  readonly source: Source;
}

async function open(mode: 'on-demand' | 'archive-on-tag' = 'on-demand'): Promise<Bench> {
  const stack = new AsyncDisposableStack();
  const log = stack.use(await openOwnLogBench());
  const made = Promise.withResolvers<PrivateModules>();
  const names = createPrivateNames([{ match: 'git.corp.example/*', public: false }]);
  assert.ok(names.ok);
  const proving = new FakeDatabase();
  const privateModules: PrivateModules = {
    isPrivate: (module) => names.value.of(module).kind !== 'public',
    hash: async (...version) => (await made.promise).hash(...version),
  };
  const database = stack.use(await log.open({ proving, privateModules }));
  const source = new Source();
  const { metadata, store, clock } = log;
  const bench = stack.use(
    await openBench({
      metadata,
      store,
      clock,
      database: proving,
      ownDatabases: [database],
      names: names.value,
      sources: [{ origin: source, mode }],
    }),
  );
  made.resolve(bench.station.privateVersions);
  return { bench, log, source, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function privateModule(version = 'v1.0.0', files?: Record<string, string>): SyntheticModule {
  const info = JSON.stringify({ Version: version, Time: '2024-05-06T07:08:09Z', Origin: { VCS: 'git', URL: 'https://g', Hash: commit } });
  return makeModule('git.corp.example/lib', version, { info, ...(files && { files }) });
}

const lookupPath = ({ path, version }: SyntheticModule): string => `sumdb/${ownDatabaseName}/lookup/${path}@${version}`;

test('a zip that was served is on record, all its files are of one commit, and nobody outside was asked', async () => {
  await using opened = await open();
  const { bench, log, source } = opened;
  const module = privateModule();
  source.publish(module);
  assert.ok((await bench.ask(`${address(module)}zip`)).bytes.equals(module.zip));
  const record = await log.metadata.ownRecord(ownDatabaseName, module.path, module.version);
  assert.deepEqual([record?.zipHash, record?.modHash, record?.provedBy], [module.zipHash, module.modHash, undefined]);
  assert.deepEqual(
    [...source.commits].map(([resource, wanted]) => [resource.split('.').at(-1), wanted]),
    [
      ['info', undefined],
      ['zip', commit],
      ['mod', commit],
    ],
  );
  assert.equal(bench.origin.total + bench.database.lookups, 0);
});

test('a look-up makes the version first; of one that the source does not have there is no record', async () => {
  await using opened = await open();
  const { bench, source } = opened;
  const module = privateModule();
  source.publish(module);
  const { text } = openAnswer(String((await bench.ask(lookupPath(module))).bytes));
  assert.ok(text.includes(module.zipHash) && text.includes(module.modHash));
  await assert.rejects(bench.ask(lookupPath(privateModule('v1.0.1'))), { code: 'not-found' });
  await assert.rejects(bench.ask(`sumdb/${bench.database.name}/lookup/${module.path}@${module.version}`), { code: 'not-found' });
  assert.equal(bench.origin.total + bench.database.lookups, 0);
});

test('a tag that moved changes nothing that was served: other bytes are refused and noted as drift', async () => {
  await using opened = await open();
  const { bench, source, log } = opened;
  const module = privateModule();
  source.publish(module);
  await bench.ask(`${address(module)}zip`);
  await log.store.setAside(keyOf(module, 'zip'), 'lost');
  bench.station.releaseMemory();
  const moved = privateModule('v1.0.0', { 'lib.go': 'package lib // moved\n' });
  source.publish(moved);
  await assert.rejects(bench.ask(`${address(module)}zip`), { code: 'checksum-mismatch' });
  assert.deepEqual(
    (await log.metadata.drifts(10)).map(({ kind, recordedHash, offeredHash }) => [kind, recordedHash, offeredHash]),
    [['zip', module.zipHash, moved.zipHash]],
  );
  source.publish(module);
  bench.clock.pass(5_000);
  assert.ok((await bench.ask(`${address(module)}zip`)).bytes.equals(module.zip));
});

test("a stranger's version of a private name is not in the list, and what lies under it in the store is not believed", async () => {
  await using opened = await open();
  const { bench, source, log } = opened;
  const module = privateModule();
  source.first.set('git.corp.example/lib/@v/list', 'v1.0.0\n');
  source.publish(module);
  const strange = privateModule('v1.0.0', { 'evil.go': 'package evil\n' });
  bench.origin.publish(strange);
  bench.origin.first.set('git.corp.example/lib/@v/list', 'v1.0.0\nv1.99.0\n');
  await log.store.put(keyOf(strange, 'zip'), strange.zip);
  assert.ok((await bench.ask(`${address(module)}zip`)).bytes.equals(module.zip));
  assert.equal(String((await bench.ask('git.corp.example/lib/@v/list')).bytes), 'v1.0.0\n');
  assert.equal(bench.origin.total, 0);
  assert.ok(bench.seen.includes(`set aside ${keyOf(strange, 'zip')}`));
});

test('the source is down: lists and files that were seen are served', async () => {
  await using opened = await open();
  const { bench, source } = opened;
  const module = privateModule();
  source.first.set('git.corp.example/lib/@v/list', 'v1.0.0\n');
  source.publish(module);
  await bench.ask('git.corp.example/lib/@v/list');
  await bench.ask(`${address(module)}zip`);
  source.goDown();
  bench.clock.pass(10 * 60_000);
  assert.equal(String((await bench.ask('git.corp.example/lib/@v/list')).bytes), 'v1.0.0\n');
  assert.ok((await bench.ask(`${address(module)}zip`)).bytes.equals(module.zip));
  await assert.rejects(bench.ask('git.corp.example/other/@v/list'), { code: 'origin-unavailable' });
});

test('with archive-on-tag clients see what was archived, and nothing is made because they ask', async () => {
  await using opened = await open('archive-on-tag');
  const { bench, source, log } = opened;
  const [archived, other] = [privateModule('v1.0.0'), privateModule('v1.1.0')];
  for (const module of [archived, other]) source.publish(module);
  source.first.set('git.corp.example/lib/@v/list', 'v1.0.0\nv1.1.0\n');
  await assert.rejects(bench.ask('git.corp.example/lib/@v/list'), { code: 'not-found' });
  await bench.station.privateVersions.archive(archived.path as ModulePath, archived.version as Version, new AbortController().signal);
  const { total } = source;
  assert.equal(String((await bench.ask('git.corp.example/lib/@v/list')).bytes), 'v1.0.0\n');
  assert.ok((await bench.ask(`${address(archived)}zip`)).bytes.equals(archived.zip));
  assert.equal((await log.metadata.ownRecord(ownDatabaseName, archived.path, archived.version))?.zipHash, archived.zipHash);
  for (const file of ['info', 'mod', 'zip']) await assert.rejects(bench.ask(`${address(other)}${file}`), { code: 'not-found' });
  for (const path of [lookupPath(other), 'git.corp.example/lib/@v/master.info', 'git.corp.example/lib/@v/v1.1.info'])
    await assert.rejects(bench.ask(path), { code: 'not-found' });
  assert.equal(source.total, total);
});

test('what the gate blocked is refused with its reason, although it is stored', async () => {
  await using opened = await open();
  const { bench, source } = opened;
  const module = privateModule();
  source.publish(module);
  await bench.ask(`${address(module)}zip`);
  await bench.metadata.recordVerdict(
    { module: module.path, version: module.version, kind: 'block', reason: 'it requires what cannot be had' },
    1,
  );
  bench.clock.pass(3_000);
  for (const path of [...['info', 'mod', 'zip'].map((file) => `${address(module)}${file}`), lookupPath(module)])
    await assert.rejects(bench.ask(path), {
      code: 'policy-denied',
      message: /was blocked when it was tagged: it requires what cannot be had/,
    });
});

const blockedBecause = 'it requires what cannot be had';
const blockedReason = { code: 'policy-denied', message: /was blocked when it was tagged: it requires what cannot be had/ };
const list = 'git.corp.example/lib/@v/list';
const infoOf = async (bench: StationBench, path: string): Promise<string> =>
  (JSON.parse(String((await bench.ask(path)).bytes)) as { Version: string }).Version;

for (const mode of ['on-demand', 'archive-on-tag'] as const)
  test(`${mode}: what the gate blocked is not listed, and no query chooses it; by its name it is refused with the reason`, async () => {
    await using opened = await open(mode);
    const { bench, source } = opened;
    const modules = ['v1.0.0', 'v1.1.0', 'v1.1.1'].map((version) => privateModule(version));
    for (const module of modules) {
      source.publish(module);
      await bench.station.privateVersions.archive(module.path as ModulePath, module.version as Version, new AbortController().signal);
    }
    source.first.set(list, modules.map(({ version }) => `${version}\n`).join(''));
    source.first.set('git.corp.example/lib/@latest', modules[2]?.info ?? '');
    const block = async (version: string): Promise<void> => {
      await bench.metadata.recordVerdict({ module: 'git.corp.example/lib', version, kind: 'block', reason: blockedBecause }, 1);
      bench.clock.pass(3_000);
    };
    assert.equal(await infoOf(bench, 'git.corp.example/lib/@latest'), 'v1.1.1');
    await block('v1.1.1');
    assert.equal(String((await bench.ask(list)).bytes), 'v1.0.0\nv1.1.0\n');
    for (const path of ['@latest', '@v/v1.info', '@v/v1.1.info'])
      assert.equal(await infoOf(bench, `git.corp.example/lib/${path}`), 'v1.1.0', path);
    await assert.rejects(bench.ask('git.corp.example/lib/@v/v1.1.1.info'), blockedReason);
    await block('v1.1.0');
    await block('v1.0.0');
    assert.equal(String((await bench.ask(list)).bytes), '');
    await assert.rejects(bench.ask('git.corp.example/lib/@latest'), { code: 'policy-denied' });
    await bench.metadata.releaseVerdict({ module: 'git.corp.example/lib', version: 'v1.1.0', releasedFor: 'ticket 7' }, 2);
    bench.clock.pass(3_000);
    assert.equal(String((await bench.ask(list)).bytes), 'v1.1.0\n');
    assert.equal(await infoOf(bench, 'git.corp.example/lib/@latest'), 'v1.1.0');
  });

test('a version that is being archived is not there for anybody, whatever of it is stored and whatever was remembered', async () => {
  await using opened = await open('archive-on-tag');
  const { bench, source } = opened;
  const module = privateModule();
  source.publish(module);
  await assert.rejects(bench.ask(`${address(module)}mod`), { code: 'not-found' });
  const { path, version } = module;
  await bench.metadata.holdVersion({ module: path, version }, 1);
  await bench.station.privateVersions.archive(path as ModulePath, version as Version, new AbortController().signal);
  for (const file of ['info', 'mod', 'zip'])
    await assert.rejects(bench.ask(`${address(module)}${file}`), { code: 'not-found', message: /is being looked at/ }, file);
  await assert.rejects(bench.ask(list), { code: 'not-found' });
  await bench.metadata.recordVerdict({ module: path, version, kind: 'archive', reason: '' }, 2);
  bench.clock.pass(3_000);
  assert.ok((await bench.ask(`${address(module)}zip`)).bytes.equals(module.zip));
  assert.equal(String((await bench.ask(list)).bytes), `${version}\n`);
});
