import assert from 'node:assert/strict';
import { chmod, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createOutboundClient } from '../src/net/http-client.ts';
import { withoutProxy } from '../src/net/proxy-rules.ts';
import { type CosignatureOutcome, requestCosignature } from '../src/origin/witness-client.ts';
import { findCosignature } from '../src/protocol/cosignature.ts';
import { parseNote } from '../src/protocol/note.ts';
import { consistencyRanges, hashRanges } from '../src/protocol/tree-proof.ts';
import { TestChecksumDatabase } from './support/checksum-database-server.ts';
import { runGoyi, temporaryFolder } from './support/hub-process.ts';
import { type WitnessProcess, startWitness } from './support/witness-process.ts';

/*
 * `goyi witness` as a process of its own: what it has cosigned holds after kill -9, for two requests at once, and for two processes on one folder.
 */

const signal = AbortSignal.timeout(300_000);

async function ask(witness: WitnessProcess, log: TestChecksumDatabase, olderSize: number, which = 0): Promise<CosignatureOutcome> {
  await using client = createOutboundClient({ configuredOrigins: [witness.url], proxy: withoutProxy, userAgent: 'goyi-test' });
  const { size } = log;
  const note = log.note();
  const prove = (older: number): Promise<Buffer[]> => hashRanges(consistencyRanges(older, size), size, (tile) => log.hashes(tile));
  const wish = { witness: { url: witness.url, key: witness.keys[which]! }, note, olderSize, prove };
  const outcome = await requestCosignature(wish, { client, limits: { firstByteMs: 30_000 } }, signal);
  if (outcome.kind === 'cosigned') {
    const cosigned = parseNote(note + outcome.line);
    assert.ok(cosigned.ok && findCosignature(cosigned.value, witness.keys[which]!).ok);
  }
  return outcome;
}

/** With the status when it was refused. */
async function tryIt(witness: WitnessProcess, log: TestChecksumDatabase, olderSize: number): Promise<string> {
  return ask(witness, log, olderSize).then(
    ({ kind }) => kind,
    (error: Error) => /answers (\d+)/.exec(error.message)?.[1] ?? String(error),
  );
}

function grow(log: TestChecksumDatabase, count: number, name = 'm'): void {
  for (let i = 0; i < count; i += 1) log.add(`${name}${log.size}.example/m`, 'v1.0.0');
}

test('killed with -9 after each cosignature, it never cosigns the other branch of a fork', async () => {
  await using folder = await temporaryFolder();
  const log = new TestChecksumDatabase();
  grow(log, 200);
  const options = { stateDir: folder.path, logs: [log.key.text] };
  let size = 0;
  let key: string | undefined;
  for (const step of [1, 255, 70_000, 1]) {
    const fork = log.split();
    grow(log, step);
    grow(fork, step, 'evil');
    await using witness = await startWitness(options);
    key ??= witness.keys[0]!.cosigner.text;
    assert.equal(witness.keys[0]!.cosigner.text, key, 'the key stays');
    assert.equal((await ask(witness, log, size)).kind, 'cosigned');
    await witness.kill();
    await using again = await startWitness(options);
    assert.equal(await tryIt(again, fork, log.size), '422');
    grow(fork, 3, 'evil');
    assert.equal(await tryIt(again, fork, 0), '422');
    assert.equal((await ask(again, log, 0)).kind, 'cosigned');
    assert.equal(await again.stop(), 0);
    size = log.size;
  }
});

test('killed with -9 in the middle of requests, it knows every head whose cosignature it let out', async () => {
  await using folder = await temporaryFolder();
  const log = new TestChecksumDatabase();
  const options = { stateDir: folder.path, logs: [log.key.text] };
  for (const killAfter of [1, 7, 20]) {
    await using witness = await startWitness(options);
    const steps = Array.from({ length: 60 }, () => {
      grow(log, 1);
      return log.split();
    });
    let letOut = 0;
    let killed: Promise<void> | undefined;
    for (const [i, step] of steps.entries()) {
      const asking = ask(witness, step, 0);
      if (i === killAfter) killed = witness.kill();
      const outcome = await asking.catch(() => undefined);
      if (outcome?.kind === 'cosigned') letOut = outcome.treeSize;
      else break;
    }
    await killed;
    assert.ok(letOut > 0);
    await using again = await startWitness(options);
    const size = Number(/^head: +(\d+) records/m.exec(await (await fetch(again.url)).text())?.[1]);
    assert.ok(size >= letOut, `${size} records are known, ${letOut} were cosigned`);
    assert.equal((await ask(again, log, 0)).kind, 'cosigned');
  }
});

test('of both branches of a fork, asked for at once many times, only one is cosigned', async () => {
  await using folder = await temporaryFolder();
  const log = new TestChecksumDatabase();
  grow(log, 10);
  const fork = log.split();
  const options = { stateDir: folder.path, logs: [log.key.text] };
  // Both processes share the folder, which nobody should do, and which must do no harm.
  await using one = await startWitness(options);
  await using two = await startWitness(options);
  assert.equal((await ask(one, log, 0)).kind, 'cosigned');
  grow(log, 100);
  grow(fork, 100, 'evil');
  const branches = [log, fork];
  const outcomes = await Promise.all(Array.from({ length: 40 }, (_, i) => tryIt(i % 4 < 2 ? one : two, branches[i % 2]!, 10)));
  const cosigned = branches.map((_, branch) => outcomes.filter((outcome, i) => i % 2 === branch && outcome === 'cosigned').length);
  assert.equal(Math.min(...cosigned), 0, JSON.stringify(outcomes));
  assert.equal(Math.max(...cosigned), 20, JSON.stringify(outcomes));
  assert.match(await (await fetch(two.url)).text(), /^fork: +seen at /m, 'the evidence is there for both');
});

test('two departments watch each other, and a log with the same origin line is another log', async () => {
  await using folder = await temporaryFolder();
  const [east, west] = ['sum.east.example', 'sum.west.example'].map((name) => new TestChecksumDatabase({ name, seed: name }));
  grow(east!, 5);
  grow(west!, 7);
  await using ofEast = await startWitness({
    stateDir: join(folder.path, 'e'),
    logs: [west!.key.text, east!.key.text],
    name: 'witness.east.example',
  });
  await using ofWest = await startWitness({ stateDir: join(folder.path, 'w'), logs: [east!.key.text], name: 'witness.west.example' });
  assert.equal((await ask(ofEast, west!, 0, 0)).kind, 'cosigned');
  assert.equal((await ask(ofEast, east!, 0, 1)).kind, 'cosigned');
  assert.equal((await ask(ofWest, east!, 0)).kind, 'cosigned');
  await assert.rejects(ask(ofWest, west!, 0), { code: 'upstream-refused' });
  assert.equal(new Set([...ofEast.keys, ...ofWest.keys].map(({ cosigner }) => cosigner.text)).size, 3);
});

test('the key is its owner’s alone, and never goes on without its state', async () => {
  await using folder = await temporaryFolder();
  const log = new TestChecksumDatabase();
  const options = { stateDir: join(folder.path, 'w'), logs: [log.key.text] };
  const keyFile = join(options.stateDir, 'witness.key');
  const goyi = (): ReturnType<typeof runGoyi> =>
    runGoyi([
      'witness',
      '--witness-name',
      'witness.example/w1',
      '--witness-listen',
      '127.0.0.1:0',
      '--witness-state-dir',
      options.stateDir,
      '--witness-logs',
      log.key.text,
    ]);
  {
    await using witness = await startWitness(options);
    assert.equal((await stat(keyFile)).mode & 0o777, 0o600);
    assert.ok(!witness.output().includes('PRIVATE'), 'the log has no secret');
    assert.ok(!(await (await fetch(witness.url)).text()).includes('PRIVATE'));
  }
  const secret = await readFile(keyFile, 'utf8');

  await chmod(keyFile, 0o644);
  assert.match((await goyi()).output, /other users may read or write .* run chmod 600/);
  await chmod(keyFile, 0o600);

  await writeFile(keyFile, secret.replace('witness.example', 'witness.other'));
  const damaged = await goyi();
  assert.deepEqual([damaged.code, damaged.output.includes(secret.split('+').at(-1)!.trim())], [2, false], damaged.output);
  await writeFile(keyFile, secret);

  await rm(keyFile);
  assert.match((await goyi()).output, /witness\.key is gone/);
  await writeFile(keyFile, secret, { mode: 0o600 });
  await (await startWitness(options)).stop();

  for (const name of await readdir(options.stateDir)) if (name.startsWith('witness.db')) await rm(join(options.stateDir, name));
  const refused = await goyi();
  assert.equal(refused.code, 7);
  assert.match(refused.output, /a witness that has lost its state must not go on with its key/);
  assert.ok(!(await readdir(options.stateDir)).includes('witness.db'), 'it made no new one');
});

test('without a name and logs it says what is missing', async () => {
  const { code, output } = await runGoyi(['witness']);
  assert.equal(code, 2);
  assert.match(output, /witness\.name: is missing[\s\S]*witness\.logs: is missing/);
});
