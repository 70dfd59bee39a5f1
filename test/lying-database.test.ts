// Checksum databases that lie, fork, go back or are gone, with an upstream that plays along: nothing of it is believed, relayed or stored, and what is stored goes on.
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { formatChecksumRecord, formatLookupAnswer, recordHash } from '../src/protocol/checksum-record.ts';
import { generateSignerKey } from '../src/protocol/note.ts';
import { type HubProcess, runGoyi } from './support/hub-process.ts';
import { ask, askUntilFound, eventually, metric, storedFiles } from './support/hub-client.ts';
import {
  type Lie as DatabaseLie,
  absentEverywhere,
  captivePortal,
  changeBody,
  flipBit,
  onlyAt,
} from './support/checksum-database-server.ts';
import { address, makeModule, type SyntheticModule } from './support/synthetic-module.ts';
import { type SyntheticWorld, quickLimits, serveModule, startWorld } from './support/synthetic-world.ts';

let world: SyntheticWorld;
let hub: HubProcess;
let bystander: SyntheticModule;

before(async () => {
  world = await startWorld();
  world.database.pad(700);
  bystander = world.publish('bystander.example/m', 'v1.0.0');
  hub = await world.hub();
  await askUntilFound(hub, `${address(bystander)}zip`);
});

after(async () => {
  await hub?.stop();
  await world?.[Symbol.asyncDispose]();
});

/** Upstream and database agree on `evil` in place of `truth`, which the log recorded. */
interface Plot {
  readonly truth: SyntheticModule;
  readonly evil: SyntheticModule;
  readonly id: number;
}

interface Case {
  readonly name: string;
  readonly lie: (plot: Plot) => DatabaseLie;
  readonly code?: RegExp;
}

const noProof = /^(log-invalid|database-unavailable|checksum-missing)$/;
const lookups = /^lookup\//;

function evilText({ evil }: Plot): string {
  return formatChecksumRecord({ module: evil.path, version: evil.version, zipHash: evil.zipHash, modHash: evil.modHash });
}

const cases: readonly Case[] = [
  {
    name: 'a record that is not in the log, under its authentic head',
    lie: (plot) => changeBody(lookups, () => formatLookupAnswer({ recordId: plot.id, text: evilText(plot), note: world.database.note() })),
  },
  { name: 'a signature with one wrong bit', lie: () => flipBit(lookups, -3) },
  {
    name: 'a head signed by another key of the same name',
    lie: (plot) => {
      const { signer } = generateSignerKey(world.database.name, Buffer.alloc(32, 7));
      const note = world.database.note(world.database.size, { signers: [signer] });
      return changeBody(/^(lookup|latest)/, () => formatLookupAnswer({ recordId: plot.id, text: evilText(plot), note }));
    },
  },
  { name: 'a head without a signature', lie: () => changeBody(lookups, (honest) => honest.toString().replace(/\n— .*\n/g, '\n')) },
  { name: 'CVE-2026-42501: an empty answer', lie: () => changeBody(lookups, () => '') },
  {
    name: 'CVE-2026-42501: the authentic answer about another module',
    lie: () => changeBody(lookups, () => world.database.lookupBody(bystander.path, bystander.version) ?? ''),
  },
  {
    name: 'CVE-2026-56864: hash lines as extension lines of the signed head',
    lie: (plot) =>
      changeBody(
        lookups,
        () =>
          world.database.lookupBody(
            bystander.path,
            bystander.version,
            world.database.note(world.database.size, { lines: evilText(plot) }),
          ) ?? '',
      ),
  },
  {
    name: 'CVE-2026-56865: a forged tile below an authentic head',
    lie: (plot) => {
      const forge = changeBody(/^tile\/8\/0\//, (honest) => {
        const tile = Buffer.from(honest);
        const at = (plot.id % 256) * 32;
        if (at + 32 <= tile.length) recordHash(evilText(plot)).copy(tile, at);
        return tile;
      });
      const answer = changeBody(lookups, () =>
        formatLookupAnswer({ recordId: plot.id, text: evilText(plot), note: world.database.note() }),
      );
      return (resource, honest) => forge(resource, honest) ?? answer(resource, honest);
    },
  },
  {
    name: 'a record whose number is another',
    lie: (plot) => changeBody(lookups, (honest) => honest.toString().replace(/^\d+/, String(plot.id - 1))),
  },
  {
    name: 'a head that is smaller than the record is old',
    lie: (plot) => changeBody(lookups, () => world.database.lookupBody(plot.truth.path, plot.truth.version, world.database.note(5)) ?? ''),
  },
  { name: 'no record at all', lie: () => onlyAt(lookups, () => ({ status: 404, body: Buffer.from('unknown') })) },
  { name: 'a login page for everything', lie: () => captivePortal },
  { name: '404 for everything', lie: () => absentEverywhere },
  {
    name: 'an answer that never ends in size',
    lie: () => changeBody(lookups, () => Buffer.alloc(5_000_000, 'h1:')),
    code: /^(log-invalid|database-unavailable|upstream-invalid)$/,
  },
];

const plots: Plot[] = [];

for (const [index, { name, lie, code = noProof }] of cases.entries()) {
  test(`refused: ${name}`, async () => {
    const path = `plot${index}.example/m`;
    const truth = world.publish(path, 'v1.0.0');
    const plot = {
      truth,
      evil: makeModule(path, 'v1.0.0', { goMod: `module ${path}\n\ngo 1.20\n`, files: { 'm.go': 'package evil\n' } }),
      id: world.database.size - 1,
    };
    world.database.pad(1);
    plots.push(plot);
    world.upstream.on(`${address(truth)}zip`, { body: plot.evil.zip });
    world.upstream.on(`${address(truth)}mod`, { body: plot.evil.goMod });
    world.databaseServer.lie = lie(plot);
    for (const file of ['zip', 'mod']) {
      const answer = await ask(hub, address(truth) + file);
      assert.ok(answer.status === 502 || answer.status === 504, `${file}: ${answer.status} ${answer.firstLine}`);
      assert.match(answer.headers.get('goyi-error') ?? '', code, answer.firstLine);
      assert.ok(answer.firstLine.length > 20);
    }
    const relayed = await ask(hub, `sumdb/${world.database.name}/lookup/${path}@v1.0.0`);
    assert.notEqual(relayed.status, 200, 'a forged answer reaches no client');
    if (!/no record|404/.test(name)) assert.notEqual(relayed.status, 404);
    assert.deepEqual(
      (await storedFiles(hub.dataDir)).filter((file) => file.startsWith(path)),
      [],
    );
    assert.equal((await ask(hub, `${address(bystander)}zip`)).status, 200, 'what is stored goes on being served');
    world.databaseServer.lie = undefined;
  });
}

test('as soon as the truth is told all of it is fetched and relayed', async () => {
  world.upstream.behave();
  assert.equal(plots.length, cases.length);
  await Promise.all(
    plots.map(async ({ truth }) => {
      assert.ok((await askUntilFound(hub, `${address(truth)}zip`, 20_000)).body.equals(truth.zip));
      assert.equal((await askUntilFound(hub, `${address(truth)}mod`)).body.toString(), truth.goMod);
      const relayed = await askUntilFound(hub, `sumdb/${world.database.name}/lookup/${truth.path}@v1.0.0`);
      assert.ok(relayed.body.toString().includes(truth.zipHash));
    }),
  );
});

test('a database that goes back: no answer is older than one already given, not even after a restart', async () => {
  const sizeOf = async (): Promise<number> =>
    Number((await askUntilFound(hub, `sumdb/${world.database.name}/latest`)).body.toString().split('\n')[1]);
  world.database.pad(10);
  const size = await eventually(sizeOf, (value) => value === world.database.size);
  assert.equal(size, world.database.size);
  world.databaseServer.lie = changeBody(/^latest/, () => world.database.note(100));
  assert.equal(await sizeOf(), size);
  await hub.kill();
  hub = await world.hub();
  assert.equal(await sizeOf(), size);
  world.databaseServer.lie = undefined;
});

test('a fork freezes the database, durably, until the operator decides', async (t) => {
  const { database, databaseServer } = world;
  const split = database.split();
  const evil = makeModule('forked.example/m', 'v1.0.0', { files: { 'm.go': 'package evil\n' } });
  split.add(evil.path, evil.version, evil);
  split.pad(20);
  const truth = world.publish('forked.example/m', 'v1.0.0');
  database.pad(5);
  // The hub's head moves on the true line first; then the other one is shown, with an upstream that fits it.
  const seen = world.publish('seen.example/m', 'v1.0.0');
  await askUntilFound(hub, `${address(seen)}zip`);
  world.upstream.on(`${address(truth)}zip`, { body: evil.zip });
  databaseServer.database = split;
  const admin = ['--data-dir', hub.dataDir];
  const env = { GOYI_CHECKSUM_DATABASES: world.goSumDb };

  await t.test('the fork is refused and shown', async () => {
    const answer = await ask(hub, `${address(truth)}zip`);
    assert.equal(answer.status, 502);
    assert.equal(answer.headers.get('goyi-error'), 'log-forked', answer.firstLine);
    assert.match(answer.firstLine, /frozen/);
    const ready = await ask(hub, '-/readyz');
    assert.equal(ready.status, 200);
    assert.match(ready.body.toString(), /frozen/);
    assert.ok((await metric(hub, 'goyi_verification_failures_total')) >= 1);
    const shown = await runGoyi(['admin', 'fork', 'show', ...admin], env);
    assert.equal(shown.code, 1, shown.output);
    assert.ok(shown.output.includes(database.name) && shown.output.includes('go.sum database tree'), shown.output);
  });

  await t.test('it stays frozen when the true line is shown again, and after kill -9', async () => {
    databaseServer.database = database;
    world.upstream.behave();
    assert.equal((await ask(hub, `${address(truth)}zip`)).headers.get('goyi-error'), 'log-forked');
    await hub.kill();
    hub = await world.hub();
    const other = world.publish('other.example/m', 'v1.0.0');
    const answer = await ask(hub, `${address(other)}zip`);
    assert.equal(answer.headers.get('goyi-error'), 'log-forked', answer.firstLine);
    assert.equal((await ask(hub, `sumdb/${database.name}/latest`)).status, 502, 'nothing of a frozen database is relayed');
    assert.equal((await ask(hub, `${address(seen)}zip`)).status, 200, 'what was proved before is served');
  });

  await t.test('goyi admin fork clear lets it go on', async () => {
    const wrong = await runGoyi(['admin', 'fork', 'clear', 'other.example', ...admin], env);
    assert.equal(wrong.code, 3, wrong.output);
    const cleared = await runGoyi(['admin', 'fork', 'clear', database.name, ...admin], env);
    assert.equal(cleared.code, 0, cleared.output);
    assert.equal((await runGoyi(['admin', 'fork', 'show', ...admin], env)).code, 0);
    assert.ok((await askUntilFound(hub, `${address(truth)}zip`)).body.equals(truth.zip));
  });
});

test('a database that is down: a sentence instead of an answer, what is stored goes on, and it heals', async () => {
  const waiting = world.publish('waiting.example/m', 'v1.0.0');
  world.databaseServer.lie = () => ({ status: 503, body: Buffer.from('maintenance') });
  for (const file of ['zip', 'mod']) {
    const answer = await ask(hub, address(waiting) + file);
    assert.ok(answer.status === 502 || answer.status === 504, answer.firstLine);
    assert.match(answer.headers.get('goyi-error') ?? '', /^(database-unavailable|origin-timeout|origin-unavailable)$/);
    assert.match(answer.firstLine, new RegExp(world.database.name.replaceAll('.', '\\.')));
  }
  assert.equal((await ask(hub, `${address(waiting)}info`)).status, 200, 'an .info has no hash in the database');
  assert.equal((await ask(hub, `${address(bystander)}zip`)).status, 200);
  assert.equal(
    (await ask(hub, `sumdb/${world.database.name}/lookup/${plots[0]?.truth.path}@v1.0.0`)).status,
    200,
    'what was relayed before is relayed',
  );
  world.databaseServer.lie = undefined;
  await askUntilFound(hub, `${address(waiting)}zip`, 20_000);
});

test('a database that never answers costs its time limit and no more', async () => {
  const stuck = world.publish('stuck.example/m', 'v1.0.0');
  world.upstream.on(/^stuck-database/, { hang: true });
  await using slow = await world.hub({
    dataDir: `${world.folder}/stuck`,
    env: { GOYI_CHECKSUM_DATABASES: `${world.goSumDb} ${world.upstream.url}/stuck-database` },
  });
  const startedMs = performance.now();
  const answer = await ask(slow, `${address(stuck)}zip`);
  assert.ok(performance.now() - startedMs < 10_000);
  assert.ok(answer.status === 504 || answer.status === 502, answer.firstLine);
  world.upstream.behave();
});

test('verify: off stores what nobody proved, and says so everywhere', async () => {
  const unproved = makeModule('unproved.example/m', 'v1.0.0');
  serveModule(world.upstream, unproved);
  await using open = await world.hub({ dataDir: `${world.folder}/off`, env: { GOYI_VERIFY: 'off', ...quickLimits } });
  for (const path of [`${address(unproved)}zip`, `${address(unproved)}mod`, 'absent.example/m/@v/list']) {
    assert.equal((await ask(open, path)).headers.get('goyi-verify'), 'off', path);
  }
  assert.ok((await ask(open, `${address(unproved)}zip`)).body.equals(unproved.zip));
  assert.match(open.output(), /verify: off|verification is off/);
  assert.match((await ask(open, '-/metrics')).body.toString(), /^goyi_info\{[^}]*verify="off"[^}]*\} [1-9]/m);
  assert.match((await ask(open, '-/readyz')).body.toString(), /verification is off/);
  // Without proof the rules for zips still hold.
  const bad = makeModule('badzip.example/m', 'v1.0.0', { entries: [{ name: 'badzip.example/m@v1.0.0/../x', content: '' }] });
  serveModule(world.upstream, bad);
  assert.equal((await ask(open, `${address(bad)}zip`)).headers.get('goyi-error'), 'zip-invalid');
  await open.stop();

  // Verification on again: what was stored without proof is not passed off as proved.
  await using strict = await world.hub({ dataDir: `${world.folder}/off` });
  const answer = await ask(strict, `${address(unproved)}zip`);
  assert.equal(answer.headers.get('goyi-verify'), null);
  assert.equal(answer.status, 502, 'it was stored without proof, and the database has no record of it');
  assert.equal(answer.headers.get('goyi-error'), 'checksum-missing', answer.firstLine);
  world.database.add(unproved.path, unproved.version, unproved);
  assert.ok((await askUntilFound(strict, `${address(unproved)}zip`)).body.equals(unproved.zip), 'proved where it lies');
  await rm(`${world.folder}/off`, { recursive: true, force: true });
});
