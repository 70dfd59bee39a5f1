import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createBench } from './support/checksum-bench.ts';
import { TestChecksumDatabase, flipBit, serveChecksumDatabase } from './support/checksum-database-server.ts';
import { runGoyi, startHub, temporaryFolder } from './support/hub-process.ts';
import { startScriptedUpstream } from './support/scripted-upstream.ts';
import { startWitness } from './support/witness-process.ts';
import { createOutboundClient } from '../src/net/http-client.ts';
import { withoutProxy } from '../src/net/proxy-rules.ts';
import { requestCosignature } from '../src/origin/witness-client.ts';
import { cosign, generateCosigner } from '../src/protocol/cosignature.ts';
import { parseNote } from '../src/protocol/note.ts';
import { consistencyRanges, hashRanges, inclusionRanges } from '../src/protocol/tree-proof.ts';
import { recordHash } from '../src/protocol/checksum-record.ts';

/*
 * `goyi log` as a process against a real log over HTTP, and its proofs and notes read by the Go code that the go command has.
 */

const launcher = fileURLToPath(new URL('../bin/goyi.mjs', import.meta.url));

function grow(database: TestChecksumDatabase, count: number): TestChecksumDatabase {
  for (let i = 0; i < count; i += 1) database.add(`m.example/m${database.size}`, 'v1.0.0');
  return database;
}

async function stateOf(path: string): Promise<{ records: number; unique: boolean; note: string } | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as { records: number; unique: boolean; note: string });
}

test('a log of 70 000 records over HTTP: whole, then what is new, then interrupted and killed', async () => {
  await using folder = await temporaryFolder();
  const database = grow(new TestChecksumDatabase(), 70_000);
  await using served = await serveChecksumDatabase(database);
  const state = join(folder.path, 'state.json');
  const args = ['log', 'audit', served.url, '--key', database.key.text, '--state', state];
  const first = await runGoyi(args);
  assert.equal(first.code, 0, first.output);
  assert.match(first.output, /verified records 0 to 69999: 274 tiles of records, 277 tiles of hashes\nnothing was found wrong/);
  assert.ok(!first.output.includes('\r'), 'quiet in a pipe');

  grow(database, 60_000);
  served.asked.length = 0;
  /** Ends the process with this signal in the middle of its work: when it asks for that tile. */
  const cut = async (signal: NodeJS.Signals, tile: RegExp): Promise<{ code: number | null; output: string }> => {
    const child = spawn(process.execPath, [launcher, ...args], { env: { PATH: process.env['PATH'], LANG: 'C' }, cwd: tmpdir() });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    served.lie = (resource) => {
      if (tile.test(resource)) child.kill(signal);
      return undefined;
    };
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    served.lie = undefined;
    return { code, output };
  };
  assert.equal((await cut('SIGKILL', /data\/400/)).code, null);
  assert.equal((await stateOf(state))?.records, 70_000, 'the state is as it was');
  const interrupted = await cut('SIGINT', /data\/400/);
  assert.equal(interrupted.code, 130, interrupted.output);
  const { records = 0, unique } = (await stateOf(state)) ?? {};
  assert.ok(records > 70_000 && records < 130_000 && !unique, `${records}`);
  assert.ok(
    !served.asked.some((resource) => /^tile\/8\/data\/(?:[01]\d\d|2[0-6]\d)$/.test(resource)),
    'what was audited is not read again',
  );

  const rest = await runGoyi(args);
  assert.equal(rest.code, 0, rest.output);
  assert.match(rest.output, new RegExp(`verified records ${records} to 129999:`));
  assert.deepEqual(
    { ...(await stateOf(state)), key: '', names: '', format: '' },
    { key: '', names: '', format: '', note: database.note(), records: 130_000, hashes: 130_000, unique: true },
  );
  const folders = (await readdir(folder.path)).filter((name) => name.includes('.names-'));
  assert.equal(folders.length, 2, 'one of them is what the killed one left, which goes after a week');

  served.lie = flipBit(/^tile\/8\/data\/300$/, 40);
  const damaged = await runGoyi([...args, '--from-start', '--json']);
  assert.equal(damaged.code, 5);
  assert.match(damaged.output, /"id": "record-mismatch"/);
});

test('through a hub that relays the log', async () => {
  await using folder = await temporaryFolder();
  const database = grow(new TestChecksumDatabase(), 1_000);
  await using served = await serveChecksumDatabase(database);
  await using upstream = await startScriptedUpstream();
  const entry = `${database.key.text} ${served.url}`;
  await using hub = await startHub({
    dataDir: join(folder.path, 'data'),
    upstreams: [upstream.url],
    args: ['--checksum-databases', entry],
  });
  const audit = await runGoyi(['log', 'audit', `${hub.url}/sumdb/${database.name}`, '--key', database.key.text]);
  assert.equal(audit.code, 0, audit.output);
  assert.match(audit.output, /verified records 0 to 999: 4 tiles of records, 5 tiles of hashes/);
  const proof = await runGoyi([
    'log',
    'prove',
    'm.example/m700@v1.0.0',
    '--url',
    `${hub.url}/sumdb/${database.name}`,
    '--key',
    database.key.text,
    '--out',
    join(folder.path, 'p'),
  ]);
  assert.equal(proof.code, 0, proof.output);
  const absent = await runGoyi(['log', 'audit', `${hub.url}/sumdb/sum.absent.example`, '--key', database.key.text]);
  assert.equal(absent.code, 3, absent.output);
  // What the hub has stored meanwhile.
  const stored = await runGoyi(['log', 'audit', '--stored', join(folder.path, 'data'), '--database', database.key.text]);
  assert.equal(stored.code, 0, stored.output);
  assert.match(stored.output, /verified what is stored: \d+ tiles of hashes, 3 tiles of records, 1 look-ups\nnothing was found wrong/);
});

test('what lies in a data folder, offline, and damaged', async () => {
  await using folder = await temporaryFolder();
  const database = grow(new TestChecksumDatabase(), 1_000);
  const bench = createBench(database);
  const relay = bench.client();
  assert.ok(await relay.lookupAnswer('m.example/m300', 'v1.0.0', { cachedOnly: false }, AbortSignal.timeout(30_000)));
  for await (const key of bench.store.keys('')) {
    await mkdir(dirname(join(folder.path, key)), { recursive: true });
    await writeFile(join(folder.path, key), (await bench.store.readSmall(key, 1_000_000))!.bytes);
  }
  const args = ['log', 'audit', '--stored', folder.path, '--database', database.key.text];
  assert.equal((await runGoyi(args)).code, 0);
  const tile = join(folder.path, 'modules/sumdb', database.name, 'tile/8/0/001');
  await copyFile(join(folder.path, 'modules/sumdb', database.name, 'tile/8/1/000.p/3'), tile);
  const damaged = await runGoyi(args);
  assert.equal(damaged.code, 5, damaged.output);
  assert.match(damaged.output, /tile-mismatch .*tile\/8\/0\/001/);
  assert.equal((await runGoyi(['log', 'audit', '--stored', join(folder.path, 'absent'), '--database', database.key.text])).code, 3);
  assert.deepEqual(await readdir(folder.path), ['modules'], 'a folder that is only looked at stays as it is');
});

/** What the Go code says to each claim. */
async function askGo(claims: readonly Record<string, unknown>[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'go',
      ['run', './check'],
      { cwd: new URL('oracle-sumdb', import.meta.url), timeout: 120_000, maxBuffer: 1e8 },
      (error, stdout, stderr) => (error === null ? resolve(stdout.trim().split('\n')) : reject(new Error(stderr, { cause: error }))),
    );
    child.stdin?.end(JSON.stringify(claims));
  });
}

test('Go’s own code takes our notes with cosignatures, our proofs and our files', async () => {
  await using folder = await temporaryFolder();
  const database = grow(new TestChecksumDatabase(), 70_000);
  await using served = await serveChecksumDatabase(database);
  await using witness = await startWitness({ stateDir: join(folder.path, 'w'), logs: [database.key.text] });
  await using client = createOutboundClient({ configuredOrigins: [witness.url], proxy: withoutProxy, userAgent: 'goyi-test' });
  const read = (tile: Parameters<TestChecksumDatabase['hashes']>[0]): Buffer => database.hashes(tile);
  const size = database.size;
  const prove = (olderSize: number): Promise<Buffer[]> => hashRanges(consistencyRanges(olderSize, size), size, read);
  const wish = { witness: { url: witness.url, key: witness.keys[0]! }, note: database.note(), olderSize: 0, prove };
  const outcome = await requestCosignature(wish, { client, limits: { firstByteMs: 30_000 } }, AbortSignal.timeout(60_000));
  assert.ok(outcome.kind === 'cosigned');
  const strangers = Array.from({ length: 20 }, (_, i) => generateCosigner(`w${i}.example`, Buffer.alloc(32, i)).cosigner);
  const text = parseNote(database.note());
  assert.ok(text.ok);
  const cosigned = database.note() + outcome.line + strangers.map((stranger, i) => cosign(text.value.text, stranger, i + 1)).join('');

  const file = join(folder.path, 'proof');
  served.lie = (resource) => (resource === 'latest' ? { status: 200, body: Buffer.from(cosigned) } : undefined);
  const made = await runGoyi(['log', 'prove', 'm.example/m65536@v1.0.0', '--url', served.url, '--key', database.key.text, '--out', file]);
  assert.equal(made.code, 0, made.output);
  const checked = await runGoyi(['log', 'check', file, '--key', database.key.text, '--cosigned-by', witness.keys[0]!.cosigner.text]);
  assert.equal(checked.code, 0, checked.output);

  const base64 = (hashes: readonly Uint8Array[]): string[] => hashes.map((hash) => Buffer.from(hash).toString('base64'));
  const common = { Key: database.key.text, Size: size, Root: database.root().toString('base64') };
  const inclusions = [0, 1, 255, 256, 65_535, 65_536, 69_999];
  const consistencies = [1, 255, 256, 65_536, 65_537, 69_999, 70_000];
  const claims: Record<string, unknown>[] = [
    { Kind: 'note', ...common, Message: cosigned },
    { Kind: 'cosigned', Cosigner: witness.keys[0]!.cosigner.text, Message: cosigned },
    ...strangers.map(({ key }) => ({ Kind: 'cosigned', Cosigner: key.cosigner.text, Message: cosigned })),
    { Kind: 'proof', ...common, Message: await readFile(file, 'utf8') },
  ];
  for (const at of inclusions) {
    const proof = await hashRanges(inclusionRanges(at, size), size, read);
    claims.push({ Kind: 'inclusion', ...common, Of: at, Other: recordHash(database.text(at)).toString('base64'), Hashes: base64(proof) });
  }
  for (const at of consistencies)
    claims.push({ Kind: 'consistency', ...common, Of: at, Other: database.root(at).toString('base64'), Hashes: base64(await prove(at)) });
  assert.deepEqual(
    await askGo(claims),
    claims.map(() => 'ok'),
  );
  // The program can say no.
  const wrong = [
    { ...claims[0], Key: new TestChecksumDatabase({ seed: 'x' }).key.text },
    { ...claims[1], Message: database.note() },
    { ...claims.at(-1), Of: 7 },
  ];
  for (const answer of await askGo(wrong)) assert.notEqual(answer, 'ok');
});
