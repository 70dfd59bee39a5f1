// Each fault of settings is made with the real go command in a home of its own; the doctor finds exactly it, and --fix or the typed line cures it.
import assert from 'node:assert/strict';
import { appendFile, chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Patient } from './support/doctor-patient.ts';

interface Case {
  readonly id: string;
  readonly name?: string;
  readonly fault: (patient: Patient) => Promise<void>;
  /** What the go command itself says of the fault, where it says something. */
  readonly goSays?: RegExp;
  /** What the person does, where the doctor may not. Left out: --fix. */
  readonly cure?: (patient: Patient) => Promise<void>;
  /** Seen when it was mended and the healthy value is one that only this test knows. */
  readonly then?: { readonly ids: readonly string[]; readonly cure: (patient: Patient) => Promise<void> };
}

const envFile = (patient: Patient): string => join(patient.home, '.config', 'go', 'env');
/** A default database is out of reach on loopback: the proxy says so, and nobody else is asked. */
const closeDefault = (patient: Patient): void => patient.world.upstream.on('sumdb/sum.golang.org/supported', { status: 403 });
const backToOurs = { ids: ['database-unreachable'], cure: (patient: Patient) => patient.set('GOSUMDB', patient.goodDatabase) };

const cases: readonly Case[] = [
  {
    id: 'sumdb-malformed',
    fault: async (patient) => {
      closeDefault(patient);
      await patient.set('GOSUMDB', 'sum.golang.org+https://gocenter.io/sumdb/sum.golang.org');
    },
    goSays: /invalid GOSUMDB: malformed verifier id/,
    then: backToOurs,
  },
  {
    id: 'sumdb-off',
    name: 'where a database can be reached',
    fault: async (patient) => {
      // It answers as if for the public one, so after the cure the doctor sees that it is another.
      patient.world.upstream.files.set('sumdb/sum.golang.org/supported', Buffer.from(''));
      patient.world.upstream.files.set('sumdb/sum.golang.org/latest', Buffer.from(patient.world.database.note()));
      await patient.set('GOSUMDB', 'off');
    },
    then: { ids: ['database-other-key'], cure: (patient: Patient) => patient.set('GOSUMDB', patient.goodDatabase) },
  },
  {
    id: 'sumdb-off',
    name: 'where none can be reached it is only told',
    fault: async (patient) => {
      closeDefault(patient);
      await patient.set('GOSUMDB', 'off');
    },
    cure: (patient) => patient.set('GOSUMDB', patient.goodDatabase),
  },
  { id: 'nosumdb-everything', fault: (patient) => patient.set('GONOSUMDB', '*') },
  { id: 'nosumdb-everything', name: 'GOPRIVATE', fault: (patient) => patient.set('GOPRIVATE', 'git.corp.example,*') },
  {
    id: 'private-too-wide',
    fault: (patient) => patient.set('GOPRIVATE', 'github.com'),
    cure: (patient) => patient.set('GOPRIVATE', 'github.com/our-team'),
  },
  { id: 'pattern-malformed', fault: (patient) => patient.set('GOPRIVATE', 'git.corp.example/[a,other.example') },
  { id: 'goflags-insecure', fault: (patient) => patient.set('GOFLAGS', '-modcacherw -insecure') },
  { id: 'proxy-pipe-direct', fault: (patient) => patient.set('GOPROXY', `${patient.world.upstream.url}|direct`) },
  {
    id: 'proxy-entry-invalid',
    fault: (patient) => patient.set('GOPROXY', `${patient.world.upstream.url},htps://mirror.example`),
    goSays: /invalid proxy URL/,
    cure: (patient) => patient.set('GOPROXY', patient.world.upstream.url),
  },
  {
    id: 'proxy-entry-invalid',
    name: 'full-width comma',
    fault: (patient) => patient.set('GOPROXY', `${patient.world.upstream.url}，direct`),
    cure: (patient) => patient.set('GOPROXY', patient.world.upstream.url),
  },
  {
    id: 'credentials-over-http',
    fault: (patient) => patient.set('GOPROXY', patient.world.upstream.url.replace('http://', 'http://me:s3cret@')),
    goSays: /refusing to pass credentials to insecure URL/,
    cure: (patient) => patient.set('GOPROXY', patient.world.upstream.url),
  },
  {
    id: 'value-quoted',
    fault: async (patient) => {
      await patient.set('GOPROXY', undefined);
      await appendFile(envFile(patient), `GOPROXY="${patient.world.upstream.url}"\n`);
    },
    goSays: /GOPROXY|proxy URL|first path segment/,
  },
  {
    id: 'setting-ignored',
    fault: async (patient) => await appendFile(envFile(patient), '# mine\n\nexport GOPROXY=https://hub.corp.example\n'),
    cure: async (patient) => await writeFile(envFile(patient), (await readFile(envFile(patient), 'utf8')).replace(/^export.*\n/m, '')),
  },
  {
    id: 'modules-off',
    fault: (patient) => patient.set('GO111MODULE', 'off'),
    goSays: /GO111MODULE=off|modules disabled/,
  },
  {
    id: 'variable-shadowed',
    fault: async (patient) => {
      patient.env['GOPROXY'] = `${patient.world.upstream.url}/`;
      await patient.appendHome('.bashrc', `export GOPROXY=${patient.world.upstream.url}/`);
    },
    cure: async (patient) => {
      delete patient.env['GOPROXY'];
      await writeFile(join(patient.home, '.bashrc'), '');
    },
  },
  {
    id: 'vendor-missing',
    fault: (patient) => patient.set('GOFLAGS', '-modcacherw -mod=vendor'),
    goSays: /vendor/,
  },
  {
    id: 'toolchain-needed',
    fault: async (patient) => {
      patient.world.upstream.files.set('golang.org/toolchain/@v/v0.0.1-go1.99.0.linux-amd64.info', Buffer.from('{}'));
      await patient.set('GOTOOLCHAIN', 'local');
      await patient.write('go.mod', (await patient.read('go.mod')).replace('go 1.21', 'go 1.99.0'));
    },
    goSays: /requires go >= 1\.99\.0/,
  },
];

for (const { id, name, fault, goSays, cure, then } of cases) {
  test(`${id}${name === undefined ? '' : ` (${name})`}`, async () => {
    await using patient = await Patient.admit();
    await patient.download();
    await fault(patient);
    if (goSays !== undefined) {
      // In turn: what needs a list, what needs the database, what builds.
      const asked = [
        ['list', '-m', 'rsc.io/unknown@latest'],
        ['mod', 'download', 'fresh.example/m@v1.0.0'],
        ['build', '-o', '/dev/null', '.'],
      ];
      let said = '';
      for (const args of asked) said += (await patient.go(args)).output;
      assert.match(said, goSays);
    }
    const findings = await patient.suffersFrom(id);
    if (cure === undefined) await patient.mend(findings);
    else await cure(patient);
    if (then !== undefined) {
      await patient.suffersFrom(...then.ids);
      await then.cure(patient);
    }
    await patient.suffersFrom();
  });
}

test('a healthy machine: nothing is found, before and after the build, and nothing is written', async () => {
  await using patient = await Patient.admit();
  await patient.suffersFrom();
  const built = await patient.go(['build', '-o', '/dev/null', '.']);
  assert.equal(built.code, 0, built.output);
  const before = await readFile(envFile(patient), 'utf8');
  await patient.suffersFrom();
  assert.equal(await readFile(envFile(patient), 'utf8'), before);
});

test('what shadows is named with its file and line', async () => {
  await using patient = await Patient.admit();
  patient.env['GOPROXY'] = `${patient.world.upstream.url}/`;
  await patient.appendHome('.profile', '# mine');
  await patient.appendHome('.profile', `export GOPROXY=${patient.world.upstream.url}/`);
  const [finding] = await patient.suffersFrom('variable-shadowed');
  assert.ok(
    finding?.proof.some(({ ran }) => ran === `${join(patient.home, '.profile')}:2`),
    JSON.stringify(finding?.proof),
  );
});

test('what the environment sets is not mended but told', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  await patient.set('GOSUMDB', undefined);
  patient.world.upstream.on('sumdb/sum.golang.org/supported', { status: 403 });
  patient.env['GOSUMDB'] = 'off';
  const [finding] = await patient.suffersFrom('sumdb-off');
  assert.equal(finding?.fix.apply, undefined);
  assert.deepEqual(finding?.fix.lines, ['unset GOSUMDB']);
});

test('undo lines put the old value back', async () => {
  await using patient = await Patient.admit();
  await patient.set('GONOSUMDB', '*');
  const findings = await patient.suffersFrom('nosumdb-everything');
  await patient.mend(findings);
  assert.equal(await patient.value('GONOSUMDB'), '');
  assert.deepEqual(findings[0]?.fix.undo, ["go env -w GONOSUMDB='*'"]);
});

test('no password is ever said', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  await patient.set('GOPROXY', patient.world.upstream.url.replace('http://', 'http://me:s3cret@'));
  const findings = await patient.suffersFrom('credentials-over-http');
  assert.ok(!JSON.stringify(findings).includes('s3cret'));
  assert.deepEqual(findings[0]?.fix.lines.at(-1), `go env -w GOPROXY=${patient.world.upstream.url}`);
});

test('a go command that is not in PATH', async () => {
  await using patient = await Patient.admit();
  patient.env['PATH'] = '/usr/bin:/bin';
  await patient.suffersFrom('go-missing');
});

test('a go command from before the toolchain line', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  // The oldest Go that can be had as a module is 1.21: an older one is played by the installed one, which says another number.
  const script = '#!/bin/sh\n"$REAL_GO" "$@" | sed "s/\\"GOVERSION\\": \\"[^\\"]*\\"/\\"GOVERSION\\": \\"go1.18.10\\"/"\n';
  patient.env['REAL_GO'] = join((patient.env['PATH'] ?? '').split(':')[0] ?? '', 'go');
  await patient.appendHome('old/go', script.trimEnd());
  await chmod(join(patient.home, 'old', 'go'), 0o755);
  patient.env['PATH'] = `${join(patient.home, 'old')}:${patient.env['PATH']}`;
  await patient.suffersFrom('go-too-old');
});

test('a go line that Go cannot read, and a toolchain that nobody has', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  const goMod = await patient.read('go.mod');
  await patient.write('go.mod', goMod.replace('go 1.21', 'go 1.x'));
  assert.match((await patient.go(['list', '-m'])).output, /invalid go version/);
  await patient.suffersFrom('go-line-invalid');
  await patient.set('GOTOOLCHAIN', 'auto');
  await patient.write('go.mod', goMod.replace('go 1.21', 'go 1.99.0'));
  assert.match((await patient.go(['list', '-m'])).output, /toolchain not available|download go1\.99/);
  await patient.suffersFrom('toolchain-absent');
  await patient.write('go.mod', goMod);
  await patient.set('GOTOOLCHAIN', 'go1.98.0');
  const [finding] = await patient.suffersFrom('toolchain-absent');
  assert.equal(finding?.subject, 'go1.98.0');
  await patient.set('GOTOOLCHAIN', 'auto');
  await patient.write('go.mod', goMod);
  await patient.suffersFrom();
});
