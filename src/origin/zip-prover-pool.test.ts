import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { MODULE, VERSION, file } from '../../test/oracle-zip/cases.ts';
import { writeZip } from '../../test/oracle-zip/zip-writer.ts';
import { HubError } from '../base/errors.ts';
import { type ZipProverOptions, createZipProver } from './zip-prover-pool.ts';
import type { ProvedZip } from './zip-prover.ts';

const folder = mkdtempSync(join(tmpdir(), 'goyi-pool-'));
after(() => rmSync(folder, { recursive: true }));

function store(name: string, zip: Buffer): { localPath: string; module: string; version: string } {
  const localPath = join(folder, name);
  writeFileSync(localPath, zip);
  return { localPath, module: MODULE, version: VERSION };
}

const good = store('good.zip', writeZip({ entries: [file('go.mod', 'module example.com/m\n'), file('a.go', 'package a\n')] }));
const bad = store('bad.zip', Buffer.from('not a zip'));
const never = new AbortController().signal;

/** A thread that does what the job's path says: `hang`, `crash`, `exit`, `loop`, or answers with a count of its jobs. */
const SCRIPTED = `
  import { parentPort, threadId } from 'node:worker_threads';
  let jobs = 0;
  parentPort.on('message', ({ localPath }) => {
    jobs += 1;
    if (localPath === 'hang') return;
    if (localPath === 'crash') throw new Error('as told');
    if (localPath === 'exit') process.exit(3);
    if (localPath === 'memory') { const all = []; for (;;) all.push(new Array(1e5).fill(jobs)); }
    while (localPath === 'loop');
    parentPort.postMessage({ kind: 'proved', zip: { h1: String(threadId), sha256: '', sizeBytes: jobs, entries: 0 } });
  });
`;

function scripted(options: ZipProverOptions = {}): {
  prover: ReturnType<typeof createZipProver>;
  run: (what: string, signal?: AbortSignal) => Promise<ProvedZip>;
} {
  const prover = createZipProver({ threadUrl: new URL(`data:text/javascript,${encodeURIComponent(SCRIPTED)}`), ...options });
  return { prover, run: (what, signal = never) => prover.prove({ localPath: what, module: 'm', version: 'v' }, signal) };
}

const hasCode = (code: string) => (error: unknown) => error instanceof HubError && error.code === code;

test('proves in a thread, and says what is wrong with a zip', async () => {
  await using prover = createZipProver({ threadsMax: 1 });
  const proved = await prover.prove(good, never);
  assert.match(proved.h1, /^h1:/);
  assert.equal(proved.entries, 2);
  await assert.rejects(
    prover.prove(bad, never),
    (error) => hasCode('zip-invalid')(error) && /example\.com\/m@v1\.0\.0: no end record/.test(String(error)),
  );
  await assert.rejects(prover.prove({ ...good, localPath: join(folder, 'absent') }, never), hasCode('storage-fault'));
  assert.deepEqual(await prover.prove(good, never), proved);
});

test('a zip that lies within another file', async () => {
  await using prover = createZipProver({ threadsMax: 1 });
  const bytes = readFileSync(good.localPath);
  const around = store('around', Buffer.concat([Buffer.alloc(1000, 1), bytes, bytes]));
  const proved = await prover.prove(good, never);
  for (const position of [1000, 1000 + bytes.length])
    assert.deepEqual(await prover.prove({ ...around, within: { position, sizeBytes: bytes.length } }, never), proved);
  await assert.rejects(prover.prove({ ...around, within: { position: 999, sizeBytes: bytes.length } }, never), hasCode('zip-invalid'));
});

test('many zips over few threads', async () => {
  await using prover = createZipProver({ threadsMax: 2, queueMax: 50 });
  const hashes = await Promise.all(Array.from({ length: 40 }, () => prover.prove(good, never)));
  assert.equal(new Set(hashes.map(({ h1 }) => h1)).size, 1);
});

for (const fatal of ['crash', 'exit', 'memory']) {
  test(`a thread that ends by ${fatal} fails its own job only`, async () => {
    const { prover, run } = scripted({ threadsMax: 2 });
    await using _ = prover;
    const outcomes = await Promise.allSettled([run('fine'), run(fatal), run('fine'), run('fine')]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
    );
    const { reason } = outcomes[1] as PromiseRejectedResult;
    if (fatal === 'crash') assert.match(String(reason), /as told/);
    else assert.ok(hasCode('overloaded')(reason), String(reason));
  });
}

for (const stuck of ['hang', 'loop']) {
  test(`a thread that is stuck in a ${stuck} is ended with its job`, async () => {
    const { prover, run } = scripted({ threadsMax: 1, jobMs: 1000 });
    await using _ = prover;
    const [first, second] = await Promise.allSettled([run(stuck), run('fine')]);
    assert.ok(first.status === 'rejected' && hasCode('overloaded')(first.reason));
    assert.equal(second.status, 'fulfilled');
  });
}

test('who leaves gets their own reason, and the slot is free for the next', async () => {
  const { prover, run } = scripted({ threadsMax: 1 });
  await using _ = prover;
  const caller = new AbortController();
  const running = run('loop', caller.signal);
  const waiting = run('fine');
  await delay(50);
  caller.abort(new Error('gone'));
  await assert.rejects(running, /gone/);
  await waiting;
  await assert.rejects(run('fine', caller.signal), /gone/);
});

test('who leaves while waiting never starts', async () => {
  const { prover, run } = scripted({ threadsMax: 1, jobMs: 1000 });
  await using _ = prover;
  const caller = new AbortController();
  const running = assert.rejects(run('hang'), hasCode('overloaded'));
  const waiting = run('fine', caller.signal);
  caller.abort(new Error('gone'));
  await assert.rejects(waiting, /gone/);
  await running;
  assert.equal((await run('fine')).sizeBytes, 1);
});

test('the queue has a bound', async () => {
  const { prover, run } = scripted({ threadsMax: 1, queueMax: 2, jobMs: 1000 });
  await using _ = prover;
  const outcomes = await Promise.allSettled([run('hang'), run('fine'), run('fine'), run('fine')]);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled', 'rejected'],
  );
  assert.ok(hasCode('overloaded')((outcomes[3] as PromiseRejectedResult).reason));
});

test('a thread is used again while there is work, and ended when there is none', async () => {
  const { prover, run } = scripted({ threadsMax: 1, idleMs: 100 });
  await using _ = prover;
  const first = await run('fine');
  const second = await run('fine');
  assert.deepEqual([second.h1, second.sizeBytes], [first.h1, 2]);
  await delay(300);
  const third = await run('fine');
  assert.notEqual(third.h1, first.h1);
  assert.equal(third.sizeBytes, 1);
});

test('disposing fails what runs and what waits as canceled, and ends every thread', async () => {
  const { prover, run } = scripted({ threadsMax: 2 });
  const pending = ['loop', 'hang', 'fine', 'fine'].map((what) => assert.rejects(run(what), hasCode('canceled')));
  await delay(50);
  await prover[Symbol.asyncDispose]();
  await Promise.all(pending);
  await assert.rejects(run('fine'), hasCode('canceled'));
});

test('an idle prover keeps no process alive', () => {
  const program = `
    import { createZipProver } from ${JSON.stringify(new URL('./zip-prover-pool.ts', import.meta.url).href)};
    await createZipProver({ idleMs: 600_000 }).prove(${JSON.stringify(good)}, new AbortController().signal);
    console.log('proved');
  `;
  const started = performance.now();
  assert.equal(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8', timeout: 30_000 }), 'proved\n');
  assert.ok(performance.now() - started < 20_000);
});
