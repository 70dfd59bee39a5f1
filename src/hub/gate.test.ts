import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, HubError } from '../base/errors.ts';
import { silentEvents } from '../base/events.ts';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import type { JobRow } from '../meta/jobs.ts';
import type { Metadata } from '../meta/metadata.ts';
import { openSqliteMetadata } from '../meta/sqlite-metadata.ts';
import { memoryFile } from '../meta/sqlite-open.ts';
import { type GateReport, TagGate } from './gate.ts';
import { nameOf } from '../protocol/main-go-mod.ts';
import { rootsOf } from './tag-modules.ts';
import type { TagEvent } from './tag-event.ts';
import { Verdicts } from './verdicts.ts';

const event: TagEvent = {
  kind: 'gitlab',
  hook: 'gitlab',
  urls: ['https://git.example/team/lib.git'],
  path: 'team/lib',
  tag: 'v1.0.0',
  change: 'created',
  commit: 'a'.repeat(40),
  delivery: '',
};

class Bench {
  readonly gate: TagGate;
  readonly verdicts: Verdicts;
  readonly reports: GateReport[] = [];
  readonly drifts: string[] = [];
  readonly resolved: string[] = [];
  /** go.mod by version; what is not here does not exist. */
  readonly versions: Map<string, string> = new Map();
  readonly stored: Map<string, string> = new Map();
  readonly faults: Map<string, ErrorCode> = new Map();
  readonly denied: Map<string, string> = new Map();
  commitNow = 'a'.repeat(40);
  atOnceMax = 0;
  isArchiveOnly = false;
  /** What was on record at each store and each end of a look. */
  readonly standings: string[] = [];

  constructor(metadata: Metadata) {
    this.verdicts = new Verdicts({ jobs: metadata, clock: systemClock });
    let atOnce = 0;
    this.gate = new TagGate({
      verdicts: this.verdicts,
      events: silentEvents,
      ports: {
        roots: (asked) => rootsOf(asked, [{ match: 'git.example/*', url: 'https://git.example/{repo}.git', rootElements: undefined }]),
        look: async (module) => {
          this.#fail(nameOf(module));
          const goMod = this.stored.get(nameOf(module)) ?? this.versions.get(nameOf(module));
          if (!this.versions.has(nameOf(module)) || goMod === undefined) throw new HubError('not-found', 'no such version');
          return {
            goMod,
            commit: this.stored.has(nameOf(module)) ? 'a'.repeat(40) : undefined,
            commitNow: this.commitNow,
            isStored: this.stored.has(nameOf(module)),
          };
        },
        commitOf: async (module) => (this.stored.has(nameOf(module)) ? 'a'.repeat(40) : undefined),
        archive: async (module) => {
          this.standings.push(`stored: ${(await metadata.verdict(module.path, module.version))?.kind ?? '-'}`);
          this.#fail(`zip of ${nameOf(module)}`);
          const goMod = this.stored.get(nameOf(module)) ?? this.versions.get(nameOf(module)) ?? '';
          this.stored.set(nameOf(module), goMod);
          return goMod;
        },
        resolve: async (module) => {
          atOnce += 1;
          this.atOnceMax = Math.max(this.atOnceMax, atOnce);
          await new Promise((resolve) => setImmediate(resolve));
          atOnce -= 1;
          this.#fail(nameOf(module));
          this.resolved.push(nameOf(module));
        },
        policy: (module) => {
          const reason = this.denied.get(nameOf(module));
          return reason === undefined ? { kind: 'allow' } : { kind: 'deny', rule: '', reason };
        },
        isArchiveOnly: () => this.isArchiveOnly,
        decided: ({ version }) => void this.standings.push(`decided ${version}`),
        drifted: async (module, { from, to }) => {
          const drift = `${nameOf(module)} ${from ?? '-'} ${to ?? '-'}`;
          const isNew = !this.drifts.includes(drift);
          if (isNew) this.drifts.push(drift);
          return isNew;
        },
        report: async (report) => void this.reports.push(report),
      },
    });
  }

  look(changes: Partial<TagEvent> = {}, attempts = 1): Promise<string> {
    const payload = JSON.stringify({ ...event, ...changes });
    return this.gate.look({ payload, attempts } as JobRow, new AbortController().signal);
  }

  #fail(name: string): void {
    const code = this.faults.get(name);
    if (code !== undefined) throw new HubError(code, `${name} has ${code}`);
  }
}

function gateTest(title: string, run: (bench: Bench, metadata: Metadata) => Promise<void>): void {
  test(title, async () => {
    await using metadata = await openSqliteMetadata({ file: memoryFile, log: silentLog });
    await run(new Bench(metadata), metadata);
  });
}

const lib = 'git.example/team/lib';
const require = (...lines: string[]): string => `module ${lib}\n\ngo 1.22\n\nrequire (\n${lines.map((line) => `\t${line}\n`).join('')})\n`;

gateTest('a sound version is archived, with every requirement asked for, and reported once a look', async (bench, metadata) => {
  bench.versions.set(`${lib}@v1.0.0`, require('a.example/a v1.0.0', 'b.example/b/v2 v2.1.0 // indirect'));
  assert.match(await bench.look(), /^archive git\.example\/team\/lib@v1\.0\.0: /);
  assert.deepEqual(bench.resolved, ['a.example/a@v1.0.0', 'b.example/b/v2@v2.1.0']);
  assert.equal((await metadata.verdict(lib, 'v1.0.0'))?.kind, 'archive');
  const [report] = bench.reports;
  assert.deepEqual([report?.module, report?.verdict, report?.commit, report?.note], [lib, 'archive', 'a'.repeat(40), undefined]);
});

gateTest('a module in a folder, a /v2 and an incompatible one are found by their tags', async (bench) => {
  bench.versions.set(`${lib}/sub@v0.2.0`, `module ${lib}/sub\n`);
  bench.versions.set(`${lib}/v2@v2.0.0`, `module ${lib}/v2\n`);
  bench.versions.set(`${lib}@v3.0.0+incompatible`, `module ${lib}\n`);
  assert.match(await bench.look({ tag: 'sub/v0.2.0' }), /^archive \S+\/sub@v0\.2\.0:/);
  assert.match(await bench.look({ tag: 'v2.0.0' }), /^archive \S+\/v2@v2\.0\.0:/);
  assert.match(await bench.look({ tag: 'v3.0.0' }), /^archive \S+@v3\.0\.0\+incompatible:/);
});

const blocked: readonly (readonly [title: string, arm: (bench: Bench) => unknown, reason: RegExp])[] = [
  ['a policy that forbids it', (bench) => bench.denied.set(`${lib}@v1.0.0`, 'use v2'), /^use v2$/],
  [
    'a zip against the rules',
    (bench) => bench.faults.set(`zip of ${lib}@v1.0.0`, 'zip-invalid').delete('z.example/z@v1.0.0'),
    /zip-invalid/,
  ],
  [
    'a go.mod of another module',
    (bench) => bench.versions.set(`${lib}@v1.0.0`, 'module other.example/m\n'),
    /says module other\.example\/m/,
  ],
  ['a go.mod that cannot be read', (bench) => bench.versions.set(`${lib}@v1.0.0`, 'go 1.22\n'), /no module line/],
  [
    'a version that is not canonical',
    (bench) => bench.versions.set(`${lib}@v1.0.0`, require('a.example/a v1.2')),
    /line 6 .*not canonical/,
  ],
  ['a requirement of another major', (bench) => bench.versions.set(`${lib}@v1.0.0`, require('a.example/a v2.0.0')), /line 6 /],
  [
    'a requirement that does not verify',
    (bench) => bench.faults.set('a.example/a@v1.0.0', 'checksum-mismatch'),
    /requires a\.example\/a@v1\.0\.0, which cannot be had: /,
  ],
  ['a requirement without a record', (bench) => bench.faults.set('a.example/a@v1.0.0', 'checksum-missing'), /checksum-missing/],
  [
    'a requirement that is not there and is replaced',
    (bench) => {
      bench.versions.set(`${lib}@v1.0.0`, `${require('a.example/a v1.0.0')}replace a.example/a => ../a\n`);
      bench.faults.set('a.example/a@v1.0.0', 'not-found');
    },
    /cannot be had \(its replace line counts for nobody/,
  ],
];
for (const [title, arm, reason] of blocked)
  gateTest(`blocked for ${title}, and never unblocked by another look`, async (bench, metadata) => {
    bench.versions.set(`${lib}@v1.0.0`, require('a.example/a v1.0.0', 'z.example/z v1.0.0'));
    bench.faults.set('z.example/z@v1.0.0', 'origin-unavailable');
    arm(bench);
    assert.match(await bench.look({}, 4), /^block /);
    const verdict = await metadata.verdict(lib, 'v1.0.0');
    assert.equal(verdict?.kind, 'block');
    assert.match(verdict.reason, reason);
    assert.equal(bench.reports[0]?.verdict, 'block');
    assert.equal(bench.stored.size, 0);
    bench.faults.clear();
    bench.denied.clear();
    bench.versions.set(`${lib}@v1.0.0`, `module ${lib}\n`);
    assert.match(await bench.look(), /^block /);
    await metadata.releaseVerdict({ module: lib, version: 'v1.0.0', releasedFor: 'ticket 7' }, 1);
    const fresh = new Verdicts({ jobs: metadata, clock: systemClock });
    assert.equal((await fresh.of({ path: lib, version: 'v1.0.0' } as Parameters<Verdicts['of']>[0]))?.kind, 'released');
  });

for (const code of ['origin-unavailable', 'database-unavailable', 'origin-timeout', 'storage-full', 'overloaded'] as const)
  gateTest(`${code} decides nothing`, async (bench, metadata) => {
    bench.versions.set(`${lib}@v1.0.0`, require('a.example/a v1.0.0'));
    bench.faults.set('a.example/a@v1.0.0', code);
    await assert.rejects(bench.look({}, 9), (error: HubError) => error.code === code);
    bench.faults.clear();
    bench.faults.set(`${lib}@v1.0.0`, code);
    await assert.rejects(bench.look({}, 9), (error: HubError) => error.code === code);
    assert.equal(await metadata.verdict(lib, 'v1.0.0'), undefined);
    assert.deepEqual(bench.reports, []);
  });

gateTest('a requirement that is missing is waited for a little: it may be pushed in the same moment', async (bench, metadata) => {
  bench.versions.set(`${lib}@v1.0.0`, require('a.example/a v1.0.0'));
  bench.faults.set('a.example/a@v1.0.0', 'not-found');
  await assert.rejects(bench.look({}, 3), (error: HubError) => error.code === 'not-found');
  assert.equal(await metadata.verdict(lib, 'v1.0.0'), undefined);
  bench.faults.clear();
  assert.match(await bench.look({}, 4), /^archive /);
});

gateTest('a moved tag and a deleted one change nothing and are told', async (bench, metadata) => {
  bench.versions.set(`${lib}@v1.0.0`, `module ${lib}\n`);
  await bench.look();
  bench.commitNow = 'b'.repeat(40);
  bench.versions.set(`${lib}@v1.0.0`, require('z.example/z v1.0.0'));
  assert.match(await bench.look(), /^archive .*the tag was moved from aaaaaaaaaaaa to bbbbbbbbbbbb: what is stored stays/);
  assert.match(bench.reports.at(-1)?.note ?? '', /moved/);
  // Hosts send several events for one move.
  assert.match(await bench.look(), /the tag was moved/);
  assert.deepEqual(
    bench.reports.map(({ isNews }) => isNews),
    [true, true, false],
  );
  assert.match(await bench.look({ change: 'deleted' }), /is gone: what is stored stays/);
  assert.deepEqual(bench.drifts, [`${lib}@v1.0.0 ${'a'.repeat(40)} ${'b'.repeat(40)}`, `${lib}@v1.0.0 ${'a'.repeat(40)} -`]);
  assert.equal((await metadata.verdict(lib, 'v1.0.0'))?.kind, 'archive');
});

gateTest('what is no module of ours, or no version, is no job', async (bench) => {
  assert.match(await bench.look({ urls: [], path: 'x', tag: 'nightly' }), /no version of a module/);
  assert.match(
    await bench.look({ path: '-', urls: ['https://other.example/-'], tag: 'v1.0.0' }).catch((error: Error) => error.message),
    /no module with a version/,
  );
  await assert.rejects(bench.look(), (error: HubError) => error.code === 'not-found');
  assert.match(await bench.look({ change: 'deleted' }), /nothing to do/);
});

gateTest('a long list of requirements is asked for a few at a time', async (bench) => {
  bench.versions.set(`${lib}@v1.0.0`, require(...Array.from({ length: 200 }, (_, i) => `a${i}.example/a v1.0.0`)));
  assert.match(await bench.look(), /^archive /);
  assert.deepEqual([bench.resolved.length, bench.atOnceMax], [200, 8]);
});

gateTest('where only what is archived is seen, a version is held from before it is stored until there is a verdict', async (bench) => {
  bench.isArchiveOnly = true;
  bench.versions.set(`${lib}@v1.0.0`, `module ${lib}\n`);
  bench.faults.set(`zip of ${lib}@v1.0.0`, 'storage-full');
  await assert.rejects(bench.look(), (error: HubError) => error.code === 'storage-full');
  bench.faults.clear();
  assert.match(await bench.look(), /^archive /);
  assert.deepEqual(bench.standings, ['stored: held', 'stored: held', 'decided v1.0.0']);
});

gateTest('nothing is held that was served before, nor where versions are made on demand', async (bench) => {
  bench.versions.set(`${lib}@v1.0.0`, `module ${lib}\n`);
  await bench.look();
  bench.isArchiveOnly = true;
  bench.versions.set(`${lib}@v1.1.0`, `module ${lib}\n`);
  bench.stored.set(`${lib}@v1.1.0`, `module ${lib}\n`);
  await bench.look({ tag: 'v1.1.0' });
  assert.deepEqual(bench.standings, ['stored: -', 'decided v1.0.0', 'stored: -', 'decided v1.1.0']);
});

gateTest('a verdict is news once, unless it may have been lost on the way or something else is', async (bench) => {
  bench.versions.set(`${lib}@v1.0.0`, `module ${lib}\n`);
  await bench.look();
  await bench.look();
  await bench.look({}, 2);
  bench.commitNow = 'b'.repeat(40);
  await bench.look();
  assert.deepEqual(
    bench.reports.map(({ isNews }) => isNews),
    [true, false, true, true],
  );
});
