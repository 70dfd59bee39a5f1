// The doctor before a real hub: well by the settings that the hub wants, and told apart where it wants a token, refuses, or is gone.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Patient } from './support/doctor-patient.ts';

test('a hub: well, before and after a download, and then it is gone', async () => {
  await using patient = await Patient.admit();
  const hub = await patient.world.hub();
  await using _ = hub;
  await patient.set('GOPROXY', hub.url);
  await patient.set('GOSUMDB', patient.world.goSumDb);
  await patient.set('GONOSUMDB', 'none');
  await patient.set('GONOPROXY', 'none');
  await patient.suffersFrom();
  await patient.download();
  await patient.suffersFrom();
  await hub.stop();
  await patient.suffersFrom('proxy-unreachable');
});

test('a hub whose rules deny a module says why, and the doctor repeats it', async () => {
  await using patient = await Patient.admit();
  const file = join(patient.world.folder, 'goyi.yaml');
  await writeFile(file, 'policy: {rules: [{match: "lib.example/*", action: deny, reason: not reviewed yet}]}\n');
  await using hub = await patient.world.hub({ args: ['--config', file] });
  await patient.set('GOPROXY', hub.url);
  const [finding] = await patient.suffersFrom('module-refused');
  assert.match(finding?.proof[0]?.got ?? '', /403: .*not reviewed yet/);
});

test('a hub that wants a token', async () => {
  await using patient = await Patient.admit();
  const file = join(patient.world.folder, 'goyi.yaml');
  await writeFile(file, 'access: {anonymous: []}\n');
  await using hub = await patient.world.hub({ args: ['--config', file] });
  await patient.set('GOPROXY', hub.url);
  await patient.suffersFrom('proxy-credentials');
});
