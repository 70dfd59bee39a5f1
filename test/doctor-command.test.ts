// The whole program: exit codes, what it says, JSON, --fix, --dry-run and its undo lines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patient } from './support/doctor-patient.ts';
import { runGoyi } from './support/hub-process.ts';

const doctor = (patient: Patient, ...args: readonly string[]): ReturnType<typeof runGoyi> =>
  runGoyi(['doctor', patient.project, ...args], patient.env);

test('well: exit code 0', async () => {
  await using patient = await Patient.admit();
  const { code, output } = await doctor(patient);
  assert.equal(code, 0, output);
  assert.equal(output, 'nothing is wrong\n');
});

test('a fault is told with proof; a dry run changes nothing; --fix mends it and says how to undo it', async () => {
  await using patient = await Patient.admit();
  await patient.set('GOPRIVATE', '*');
  await patient.set('GOSUMDB', 'sum.golang.org+https://gocenter.io/sumdb');
  patient.world.upstream.on('sumdb/sum.golang.org/supported', { status: 403 });
  await patient.set('GONOPROXY', 'none');
  const told = await doctor(patient);
  assert.equal(told.code, 1);
  assert.match(told.output, /error: GOSUMDB=\S+ is no checksum database \[sumdb-malformed\]\n {4}go env GOSUMDB → /);
  assert.match(told.output, /\[nosumdb-everything\]/);
  assert.match(told.output, /2 things were found/);

  const dry = await doctor(patient, '--fix', '--dry-run');
  assert.equal(dry.code, 1);
  assert.match(dry.output, /--fix would do this/);
  assert.equal(await patient.value('GOPRIVATE'), '*');

  const fixed = await doctor(patient, '--fix');
  assert.match(fixed.output, /^mended: GOSUMDB=/m);
  assert.match(fixed.output, /to undo:\n {4}go env -w GOPRIVATE='\*'/);
  assert.equal(await patient.value('GOPRIVATE'), '');
  assert.equal(await patient.value('GOSUMDB'), 'sum.golang.org');
  assert.equal(fixed.code, 1, 'the default database is out of reach here');
  await patient.set('GOSUMDB', patient.goodDatabase);
  assert.equal((await doctor(patient, '--fix')).code, 0);
});

test('--json is one value, with what was mended', async () => {
  await using patient = await Patient.admit();
  await patient.download();
  await patient.set('GO111MODULE', 'off');
  const before = JSON.parse((await doctor(patient, '--json')).output) as {
    ok: boolean;
    findings: { id: string; proof: unknown[]; canFix: boolean }[];
  };
  assert.equal(before.ok, false);
  assert.deepEqual(
    before.findings.map(({ id, canFix }) => [id, canFix]),
    [['modules-off', true]],
  );
  const after = JSON.parse((await doctor(patient, '--json', '--fix')).output) as { ok: boolean; fixed: { id: string; undo: string[] }[] };
  assert.equal(after.ok, true);
  assert.deepEqual(
    after.fixed.map(({ id, undo }) => [id, undo]),
    [['modules-off', ['go env -w GO111MODULE=off']]],
  );
});

test('wrong use', async () => {
  await using patient = await Patient.admit();
  assert.equal((await doctor(patient, '--dry-run')).code, 2);
  assert.equal((await doctor(patient, 'another')).code, 2);
  const gone = await runGoyi(['doctor', `${patient.project}/gone`], patient.env);
  assert.equal(gone.code, 2);
  assert.match(gone.output, /there is no folder/);
});

test('in Chinese', async () => {
  await using patient = await Patient.admit();
  await patient.set('GO111MODULE', 'off');
  assert.match((await doctor(patient, '--lang', 'zh')).output, /错误： GO111MODULE=off：模块功能被关闭 \[modules-off\]/);
});
