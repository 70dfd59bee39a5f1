import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { parseGoSum } from '../protocol/go-sum.ts';
import { parseMainGoMod } from '../protocol/main-go-mod.ts';
import { parseModulePatterns } from '../protocol/module-pattern.ts';
import type { ModulePath } from '../protocol/module-path.ts';
import type { Version } from '../protocol/version.ts';
import { openBench, type StationBench } from '../../test/support/station-bench.ts';
import { address, makeModule, type ModuleRecipe, type SyntheticModule } from '../../test/support/synthetic-module.ts';
import type { WarmCounts, WarmFailure, WarmList, WarmRequest } from './warm.ts';

function publish(bench: StationBench, path: string, version: string, recipe: ModuleRecipe = {}): SyntheticModule {
  const made = makeModule(path, version, recipe);
  bench.origin.publish(made);
  bench.database.record(made);
  return made;
}

interface Ran {
  readonly counts: WarmCounts;
  readonly failures: WarmFailure[];
  readonly missing: string[];
  readonly notes: string[];
}

async function warm(
  bench: StationBench,
  list: WarmList,
  { skip = '', dryRun = false, signal = new AbortController().signal }: { skip?: string; dryRun?: boolean; signal?: AbortSignal } = {},
): Promise<Ran> {
  const patterns = parseModulePatterns(skip);
  assert.ok(patterns.ok);
  const request: WarmRequest = { list, dryRun, skip: patterns.value };
  const [failures, missing, notes]: [WarmFailure[], string[], string[]] = [[], [], []];
  let live: (() => WarmCounts) | undefined;
  const counts = await bench.station.warm(
    request,
    {
      started: (given) => (live = given),
      failed: (failure) => failures.push(failure),
      missing: ({ module, version, kind }) => missing.push(`${module}@${version}.${kind}`),
      noted: (sentence) => notes.push(sentence),
    },
    signal,
  );
  assert.deepEqual(live?.(), counts, 'the counts that can be asked for are those that are answered');
  return { counts, failures, missing, notes };
}

function goSum(...lines: readonly string[]): WarmList {
  const parsed = parseGoSum(lines.join('\n'));
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.reason);
  return { kind: 'go-sum', lines: parsed.value };
}

function goMod(text: string): WarmList {
  const parsed = parseMainGoMod(text);
  assert.ok(parsed.ok);
  return { kind: 'go-mod', main: parsed.value };
}

const linesOf = ({ path, version, zipHash, modHash }: SyntheticModule): string[] => [
  `${path} ${version} ${zipHash}`,
  `${path} ${version}/go.mod ${modHash}`,
];

test('a go.sum: each file once, proved, and nothing the second time', async () => {
  await using bench = await openBench();
  const a = publish(bench, 'a.example/a', 'v1.0.0');
  const b = publish(bench, 'b.example/b', 'v1.0.0');
  const list = goSum(...linesOf(a), `${b.path} ${b.version}/go.mod ${b.modHash}`);
  const first = await warm(bench, list);
  assert.deepEqual(first.failures, []);
  const { total, done, fetched, present, fetchedBytes } = first.counts;
  assert.deepEqual([total, done, fetched, present], [4, 4, 4, 0]);
  assert.equal(fetchedBytes, a.zip.length + a.goMod.length + a.info.length + b.goMod.length);
  assert.deepEqual(
    [...bench.origin.asked].map(([name, count]) => `${name} ${count}`).toSorted(),
    [`${address(a)}info`, `${address(a)}mod`, `${address(a)}zip`, `${address(b)}mod`].map((name) => `${name} 1`),
  );
  const second = await warm(bench, list);
  assert.deepEqual([second.counts.fetched, second.counts.present, second.counts.presentBytes], [0, 4, fetchedBytes]);
  assert.equal(bench.origin.total, 4);
});

test('a go.sum line that says something else is named, and what was proved stays', async () => {
  await using bench = await openBench();
  const a = publish(bench, 'a.example/a', 'v1.0.0');
  const other = makeModule('a.example/a', 'v1.0.0', { goMod: 'module a.example/a\n\ngo 1.5\n' });
  const list = goSum('', `${a.path} ${a.version} ${other.zipHash}`, `${a.path} ${a.version}/go.mod ${other.modHash}`, ...linesOf(a));
  for (const round of ['fetched', 'present'] as const) {
    const { counts, failures } = await warm(bench, list);
    assert.equal(counts[round], 3);
    assert.deepEqual(failures.map(({ line, code, file }) => `${line} ${code} ${file}`).toSorted(), [
      '2 checksum-mismatch zip',
      '3 checksum-mismatch mod',
    ]);
    assert.match(
      failures.find(({ line }) => line === 2)?.reason ?? '',
      /^go\.sum line 2: a\.example\/a v1\.0\.0 has h1:.* but sum\.example\.com recorded h1:/,
    );
  }
  assert.deepEqual((await bench.ask(`${address(a)}zip`)).bytes, a.zip);
});

test('a go.mod: its build list, and what it cannot know is said', async () => {
  await using bench = await openBench();
  publish(bench, 'c.example/c', 'v1.0.0');
  publish(bench, 'd.example/d', 'v1.0.0', { goMod: 'module d.example/d\n\nrequire c.example/c v1.0.0\n' });
  const list = goMod('module m\ngo 1.21\nrequire d.example/d v1.0.0\nrequire e.example/e latest\nreplace x.example/x => ./x\n');
  const dry = await warm(bench, list, { dryRun: true });
  assert.deepEqual(dry.missing.toSorted(), ['d.example/d@v1.0.0.info', 'd.example/d@v1.0.0.zip', 'd.example/d@v1.0.0.mod'].toSorted());
  assert.equal(bench.origin.total, 0);
  assert.match(dry.notes.join('\n'), /replaces 1 modules by folders[\s\S]*1 go\.mod files are not stored yet/);
  const { counts, failures } = await warm(bench, list);
  assert.deepEqual([counts.fetched, counts.failed], [4, 1]);
  assert.deepEqual([failures[0]?.code, failures[0]?.line, failures[0]?.file], ['bad-request', 4, undefined]);
  const stored = await warm(bench, list, { dryRun: true });
  assert.deepEqual([stored.missing, stored.counts.present], [[], 4]);
});

test('one file fails by itself, with its code', async () => {
  await using bench = await openBench({ rules: [{ match: 'bad.example', action: 'deny', reason: 'it is bad' }] });
  const a = publish(bench, 'a.example/a', 'v1.0.0');
  const unrecorded = makeModule('new.example/n', 'v1.0.0');
  bench.origin.publish(unrecorded);
  const wishes = [
    ['a.example/a', 'v1.0.0'],
    ['bad.example/x', 'v1.0.0'],
    ['gone.example/g', 'v1.0.0'],
    ['new.example/n', 'v1.0.0'],
  ].map(([path, version]) => ({ path: path as ModulePath, version: version as Version, files: ['mod'] as const }));
  const { counts, failures } = await warm(bench, { kind: 'modules', wishes });
  assert.deepEqual([counts.fetched, counts.failed, counts.done], [1, 3, 4]);
  assert.deepEqual(failures.map(({ path, code }) => `${path} ${code}`).toSorted(), [
    'bad.example/x policy-denied',
    'gone.example/g not-found',
    'new.example/n checksum-missing',
  ]);
  assert.equal(bench.origin.asked.has(`${address({ path: 'bad.example/x', version: 'v1.0.0' })}mod`), false, 'a blocked name never leaves');
  assert.equal((await bench.ask(`${address(a)}mod`, { fill: false })).outcome, 'hit');
});

test('what is to be skipped is not asked for, nor what only it requires', async () => {
  await using bench = await openBench();
  publish(bench, 'a.example/a', 'v1.0.0');
  publish(bench, 'corp.example/p', 'v1.0.0', { goMod: 'module corp.example/p\nrequire b.example/b v1.0.0\n' });
  const { counts, failures } = await warm(bench, goMod('module m\ngo 1.21\nrequire a.example/a v1.0.0\nrequire corp.example/p v1.0.0\n'), {
    skip: 'corp.example',
  });
  assert.deepEqual([failures, counts.fetched, counts.skipped], [[], 3, 3]);
  assert.deepEqual(
    [...bench.origin.asked.keys()].filter((name) => !name.startsWith('a.example/')),
    [],
  );
});

test('a full disk ends the run: nothing more is fetched', async () => {
  let full = true;
  await using bench = await openBench({
    storeFaults: (point, operation) => {
      if (full && point === 'before' && (operation === 'stage' || operation === 'seal'))
        throw new HubError('storage-full', 'the disk is full');
    },
  });
  const modules = Array.from({ length: 60 }, (_, at) => publish(bench, `a.example/m${at}`, 'v1.0.0'));
  const { counts, failures } = await warm(bench, goSum(...modules.flatMap(linesOf)));
  assert.equal(counts.failed, 180);
  assert.ok(failures.every(({ code }) => code === 'storage-full'));
  assert.ok(bench.origin.total <= 40, `${bench.origin.total} were asked for`);
  full = false;
});

test('a run that is broken off ends at once; what was under way is kept', async () => {
  await using bench = await openBench();
  const modules = Array.from({ length: 40 }, (_, at) => publish(bench, `a.example/m${at}`, 'v1.0.0'));
  const open = Promise.withResolvers<void>();
  bench.origin.gate = open.promise;
  const stop = new AbortController();
  const running = warm(bench, goSum(...modules.flatMap(linesOf)), { signal: stop.signal });
  while (bench.origin.total < 32) await new Promise((resolve) => setTimeout(resolve, 2));
  const reason = new HubError('canceled', 'the client left');
  stop.abort(reason);
  await assert.rejects(running, reason);
  open.resolve();
  while (bench.seen.filter((line) => line.endsWith(' stored')).length < 32) await new Promise((resolve) => setTimeout(resolve, 2));
  assert.equal(bench.origin.total, 32, '24 small files and 8 zips were under way, and nothing was begun after that');
  bench.origin.gate = undefined;
  const { counts } = await warm(bench, goSum(...modules.flatMap(linesOf)));
  assert.deepEqual([counts.present, counts.fetched], [32, 88]);
});

test('a build list without bounds is refused', async () => {
  await using bench = await openBench();
  const wish = { path: 'a.example/a' as ModulePath, files: ['info', 'mod', 'zip'] as const };
  const wishes = Array.from({ length: 20_001 }, (_, at) => ({ ...wish, version: `v1.0.${at}` as Version }));
  await assert.rejects(warm(bench, { kind: 'modules', wishes }, { dryRun: true }), { code: 'bad-request' });
});
