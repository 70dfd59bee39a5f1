// A hub and a `goyi witness`, each a process: heads are cosigned, the go command takes them, and a copy of the hub that goes another way is found out.
import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseTreeNote } from '../src/protocol/checksum-record.ts';
import { findCosignature } from '../src/protocol/cosignature.ts';
import { parseNote } from '../src/protocol/note.ts';
import { runGo } from './support/go-command.ts';
import { ask, eventually, metric, ownDatabaseKey } from './support/hub-client.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { startWorld, type SyntheticWorld } from './support/synthetic-world.ts';
import { type WitnessProcess, startWitness } from './support/witness-process.ts';

const name = 'goyi.example/sumdb';
const lookup = (serial: number): string => `sumdb/${name}/lookup/m${serial}.example/m@v1.0.0`;
/** A hub looks for what to have cosigned every three seconds; this machine may be slow. */
const withinMs = 60_000;

async function headOf(hub: HubProcess, witness: WitnessProcess): Promise<{ readonly size: number; readonly cosigned: boolean }> {
  const note = parseNote((await ask(hub, `sumdb/${name}/latest`)).body.toString());
  assert.ok(note.ok);
  const tree = parseTreeNote(note.value.text);
  assert.ok(tree.ok);
  return { size: tree.value.size, cosigned: findCosignature(note.value, witness.keys[0]!).ok };
}

/** Until each of many connections, which the workers share, shows it. */
async function allCosigned(hub: HubProcess, witness: WitnessProcess, size: number): Promise<void> {
  const heads = await eventually(
    () => Promise.all(Array.from({ length: 12 }, () => headOf(hub, witness))),
    (seen) => seen.every((head) => head.size === size && head.cosigned),
    withinMs,
  );
  assert.ok(
    heads.every((head) => head.size === size && head.cosigned),
    `${JSON.stringify(heads)}\n${hub.output()}`,
  );
}

async function expectRecord(hub: HubProcess, serial: number): Promise<void> {
  const { status, firstLine } = await ask(hub, lookup(serial));
  assert.equal(status, 200, firstLine);
}

async function goTakes(world: SyntheticWorld, hub: HubProcess, key: string): Promise<void> {
  const modules = [0, 1, 2].map((serial) => `m${serial}.example/m@v1.0.0`);
  const settings = { GOPROXY: hub.url, GOSUMDB: key, GOMODCACHE: join(world.folder, 'client', 'mod') };
  const { code, stderr } = await runGo(world.folder, ['mod', 'download', ...modules], settings, 120_000);
  assert.equal(code, 0, stderr);
}

test('heads are cosigned by a witness, and a copy of the hub that goes on by itself is found out', async () => {
  await using world = await startWorld();
  for (let serial = 0; serial < 6; serial += 1) world.publish(`m${serial}.example/m`, 'v1.0.0');
  const config = join(world.folder, 'goyi.yaml');
  await writeFile(config, `ownDatabase: {name: ${name}}\n`);
  const start = (dataDir: string): Promise<HubProcess> =>
    world.hub({ dataDir: join(world.folder, dataDir), workers: 2, args: ['--config', config] });
  let key: string;
  {
    await using first = await start('data');
    await expectRecord(first, 0);
    key = await ownDatabaseKey(first);
    await first.stop();
  }
  for (const folder of ['', '-keys'])
    await cp(join(world.folder, `data${folder}`), join(world.folder, `copy${folder}`), { recursive: true });

  await using witness = await startWitness({ stateDir: join(world.folder, 'witness'), logs: [key] });
  const cosigner = witness.keys[0]!.cosigner.text;
  await using hub = await start('data');
  // A witness is added to a hub that runs.
  await writeFile(config, `ownDatabase: {name: ${name}, witnesses: [{url: "${witness.url.href}", key: "${cosigner}"}]}\n`);
  hub.signal('SIGHUP');
  await allCosigned(hub, witness, 1);
  for (const serial of [1, 2]) await expectRecord(hub, serial);
  await allCosigned(hub, witness, 3);
  await goTakes(world, hub, key);
  const audit = await runGoyi(['log', 'audit', `${hub.url}/sumdb/${name}`, '--key', key, '--cosigned-by', cosigner]);
  assert.equal(audit.code, 0, audit.output);
  assert.match(audit.output, /signed tree of 3 records[\s\S]*nothing was found wrong/);
  // A proof that holds without the hub, and the files that hold without any server.
  const proof = join(world.folder, 'proof.txt');
  const proved = await runGoyi(['log', 'prove', 'm1.example/m@v1.0.0', '--url', `${hub.url}/sumdb/${name}`, '--key', key, '--out', proof]);
  assert.equal(proved.code, 0, proved.output);
  const checked = await runGoyi(['log', 'check', proof, '--key', key, '--cosigned-by', cosigner]);
  assert.equal(checked.code, 0, checked.output);
  const latest = await eventually(
    async () => parseNote(await readFile(join(world.folder, 'data/modules/sumdb', name, 'latest'), 'utf8')),
    (note) => note.ok && findCosignature(note.value, witness.keys[0]!).ok,
    withinMs,
  );
  assert.ok(latest.ok && findCosignature(latest.value, witness.keys[0]!).ok);

  await using copy = await start('copy');
  await expectRecord(copy, 4);
  const ready = await eventually(
    async () => (await ask(copy, '-/readyz')).body.toString(),
    (body) => body.includes('has seen another log'),
    withinMs,
  );
  assert.match(ready, /the witness witness\.example\/w1 has seen another log than the checksum database goyi\.example\/sumdb/);
  assert.ok((await metric(copy, 'goyi_verification_failures_total{reason="log-forked"')) >= 1, copy.output());
  await expectRecord(copy, 5);
  assert.equal((await headOf(copy, witness)).cosigned, false);
  // The true one goes on.
  await expectRecord(hub, 3);
  await allCosigned(hub, witness, 4);
});
