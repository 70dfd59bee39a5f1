// Kill -9 while a log of our own grows, at chosen and at random moments: it goes on without a fork, by the word of an auditor who saw every note.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseLookupAnswer } from '../src/protocol/checksum-record.ts';
import { ask, askUntilFound, eventually, freePort, ownDatabaseKey } from './support/hub-client.ts';
import { roomyFolder } from './support/hub-process.ts';
import { OwnLogAuditor } from './support/own-log-auditor.ts';
import { ownSigner } from './support/own-log-bench.ts';
import { childrenOf, isRunning } from './support/processes.ts';
import { ownDatabaseName } from './support/station-bench.ts';
import { address } from './support/synthetic-module.ts';
import { startWorld } from './support/synthetic-world.ts';

const victim = fileURLToPath(new URL('support/own-log-victim.ts', import.meta.url));
const { GOYI_TEST_SEED } = process.env;
const seed = Number(GOYI_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** mulberry32: the same numbers for the same seed. In [0, 1). */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

let auditor: OwnLogAuditor;
before(async () => {
  auditor = await OwnLogAuditor.build();
});
after(() => auditor[Symbol.asyncDispose]());

/** What was shown to anybody. */
class Witness {
  readonly notes: string[] = [];
  /** By module: number and text, which must stay. */
  readonly records: Map<string, string> = new Map();

  sawAnswer(body: Uint8Array): void {
    const answer = parseLookupAnswer(body);
    assert.ok(answer.ok);
    const { recordId, text, note } = answer.value;
    const [module = ''] = text.split(' ');
    const record = `${recordId}\n${text}`;
    assert.equal(this.records.get(module) ?? record, record, `the record of ${module} is another`);
    this.records.set(module, record);
    this.notes.push(note);
  }
}

interface Run {
  readonly dataDir: string;
  /** 0: lives to its end. */
  readonly diesAt: number;
  readonly from: number;
  readonly count: number;
}

/** Runs a victim; answers how many steps it took, undefined when it was killed. */
async function run({ dataDir, diesAt, from, count }: Run, witness: Witness): Promise<number | undefined> {
  // A file takes every line at once, however busy the reader is; a pipe may be full.
  const said = `${dataDir}-said-${from}`;
  await using file = await open(said, 'w');
  const child = spawn(process.execPath, [victim, dataDir, String(diesAt), String(from), String(count)], {
    stdio: ['ignore', file.fd, 'pipe'],
  });
  let complaints = '';
  child.stderr?.on('data', (chunk: Buffer) => void (complaints += chunk.toString()));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once('close', (exitCode, killedBy) => resolve([exitCode, killedBy])),
  );
  assert.ok(signal === 'SIGKILL' || code === 0, complaints);
  let steps: number | undefined;
  for (const line of (await readFile(said, 'utf8')).split('\n').slice(0, -1)) {
    const { body, note, steps: taken } = JSON.parse(line) as { body?: string; note?: string; steps?: number };
    if (body !== undefined) witness.sawAnswer(Buffer.from(body));
    if (note !== undefined) witness.notes.push(note);
    steps = taken ?? steps;
  }
  return steps;
}

test(`killed at its own steps, alone and beside another, a process leaves a log that goes on (GOYI_TEST_SEED=${seed})`, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const random = randomFrom(seed);
  await using folder = await roomyFolder(200_000_000);
  const witness = new Witness();
  const dataDir = join(folder.path, 'data');
  let from = 0;
  const next = (count: number): { from: number; count: number } => {
    const range = { from, count };
    from += Math.ceil(count * 0.7);
    return range;
  };
  const whole = await run({ dataDir, diesAt: 0, ...next(40) }, witness);
  assert.ok(whole !== undefined && whole > 200, `a whole run has ${whole} steps`);
  const rounds = 14;
  let kills = 0;
  for (let round = 0; round < rounds; round += 1) {
    // The first steps are those on the way of an answer; later ones write files behind it.
    const diesAt = (): number => 1 + Math.floor(random() ** 2 * whole);
    const both = round % 2 === 0;
    const outcomes = await Promise.all([
      run({ dataDir, diesAt: diesAt(), ...next(30) }, witness),
      ...(both ? [run({ dataDir, diesAt: round % 4 === 0 ? diesAt() : 0, ...next(30) }, witness)] : []),
    ]);
    kills += outcomes.filter((steps) => steps === undefined).length;
  }
  const last = await run({ dataDir, diesAt: 0, from: 0, count: from + 30 }, witness);
  assert.ok(last !== undefined);
  const audit = await auditor.audit(ownSigner.verifier.text, join(dataDir, 'modules', 'sumdb', ownDatabaseName), witness.notes);
  t.diagnostic(`${kills} kills, ${witness.notes.length} notes, a tree of ${audit.size}`);
  assert.ok(kills > rounds / 3);
  assert.deepEqual([audit.size, audit.records, audit.notes], [from + 30, from + 30, witness.notes.length]);
  assert.ok(audit.size > 256, 'a tile became full on the way');
});

test(`kill -9 of whole hubs and of their workers (GOYI_TEST_SEED=${seed})`, async (t) => {
  const random = randomFrom(seed + 1);
  await using world = await startWorld();
  const modules = Array.from({ length: 240 }, (_, i) => world.publish(`kill${i}.example/m`, 'v1.0.0'));
  const port = await freePort();
  const witness = new Witness();
  const start = (): ReturnType<typeof world.hub> => world.hub({ port, workers: 2, env: { GOYI_OWN_DATABASE_NAME: ownDatabaseName } });
  const lookup = ({ path, version }: { path: string; version: string }): string => `sumdb/${ownDatabaseName}/lookup/${path}@${version}`;
  for (let round = 0; round < 5; round += 1) {
    const hub = await start();
    const workers = await childrenOf(hub.pid);
    const wanted = modules.filter(() => random() < 0.3);
    const enough = witness.notes.length + Math.floor(random() * wanted.length);
    const asked = wanted.map(async (module, i) => {
      const answer = await ask(hub, i % 4 === 0 ? `${address(module)}zip` : lookup(module)).catch(() => undefined);
      if (answer?.status === 200 && i % 4 !== 0) witness.sawAnswer(answer.body);
    });
    await eventually(
      () => witness.notes.length,
      (count) => count >= enough,
      1_500,
    );
    if (round % 2 === 1) {
      const victimPid = workers[Math.floor(random() * workers.length)];
      if (victimPid !== undefined) process.kill(victimPid, 'SIGKILL');
      await pause(random() * 100);
    }
    await hub.kill();
    await Promise.all(asked);
    await eventually(
      async () => (await Promise.all(workers.map(isRunning))).some(Boolean),
      (some) => !some,
      2_500,
    );
  }
  await using hub = await start();
  for (const module of modules) witness.sawAnswer((await askUntilFound(hub, lookup(module))).body);
  const verifierKey = await ownDatabaseKey(hub);
  const audit = await auditor.audit(verifierKey, `${hub.url}/sumdb/${ownDatabaseName}`, witness.notes);
  t.diagnostic(`${witness.notes.length} notes, a tree of ${audit.size}`);
  assert.deepEqual([audit.size, audit.notes], [modules.length, witness.notes.length]);
  assert.doesNotMatch(hub.output(), /set aside|met a bug/);
});
