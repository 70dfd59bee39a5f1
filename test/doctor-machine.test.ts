// Faults of the machine, on small file systems of their own: full, noexec, read-only.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { buildCache, Patient } from './support/doctor-patient.ts';
import { mountSmallDisk, type SmallDisk } from './support/small-disk.ts';

async function disk(t: TestContext, patient: Patient, options: string): Promise<SmallDisk | undefined> {
  const mounted = await mountSmallDisk(join(patient.world.folder, 'disk'), options, (reason) => t.diagnostic(reason));
  if (mounted === undefined) t.skip('this machine lets nobody mount a small file system');
  return mounted;
}

const program = 'package main\n\nfunc main() { println("ran") }\n';

async function run(patient: Patient): Promise<string> {
  await patient.write('cmd/main.go', program);
  return (await patient.go(['run', './cmd'], patient.project, { GOCACHE: buildCache })).output;
}

test('tmp-noexec: go run cannot run what it built; --fix gives it another folder', async (t) => {
  await using patient = await Patient.admit();
  await using mounted = await disk(t, patient, 'size=128m,noexec');
  if (mounted === undefined) return;
  await patient.download();
  patient.env['TMPDIR'] = mounted.path;
  patient.env['GOCACHE'] = join(patient.home, 'cache', 'go-build');
  assert.match(await run(patient), /permission denied/);
  await patient.mend(await patient.suffersFrom('tmp-noexec'));
  assert.equal(await patient.value('GOTMPDIR'), join(patient.home, 'cache', 'go-tmp'));
  assert.match(await run(patient), /^ran$/m);
  await patient.suffersFrom();
});

test('tmp-full', async (t) => {
  await using patient = await Patient.admit();
  await using mounted = await disk(t, patient, 'size=80m');
  if (mounted === undefined) return;
  await patient.download();
  patient.env['TMPDIR'] = mounted.path;
  patient.env['GOCACHE'] = join(patient.home, 'cache', 'go-build');
  await patient.suffersFrom();
  await writeFile(join(mounted.path, 'core'), Buffer.alloc(79 * 1024 * 1024));
  await patient.mend(await patient.suffersFrom('tmp-full'));
  await patient.suffersFrom();
});

test('tmp-full: no inode is left', async (t) => {
  await using patient = await Patient.admit();
  await using mounted = await disk(t, patient, 'size=128m,nr_inodes=2');
  if (mounted === undefined) return;
  await patient.download();
  await writeFile(join(mounted.path, 'last'), '');
  patient.env['TMPDIR'] = mounted.path;
  await patient.suffersFrom('tmp-full');
});

test('folder-unwritable: a module cache on a read-only disk', async (t) => {
  await using patient = await Patient.admit();
  await using mounted = await disk(t, patient, 'size=1m,ro');
  if (mounted === undefined) return;
  await patient.set('GOMODCACHE', join(mounted.path, 'mod'));
  assert.match((await patient.go(['mod', 'download'])).output, /read-only file system/);
  await patient.suffersFrom('folder-unwritable');
  await patient.set('GOMODCACHE', undefined);
  await patient.suffersFrom();
});

test('the doctor leaves nothing in the temporary folder', async () => {
  await using patient = await Patient.admit();
  await patient.suffersFrom();
  const left = await new Promise<string>((resolve) => {
    execFile('ls', ['-A', join(patient.home, 'tmp')], (_error, stdout) => resolve(stdout));
  });
  assert.equal(left, '');
});
