import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { createOutboundClient } from '../../src/net/http-client.ts';
import { withoutProxy } from '../../src/net/proxy-rules.ts';
import { requestCosignature } from '../../src/origin/witness-client.ts';
import { generateCosigner } from '../../src/protocol/cosignature.ts';
import { consistencyRanges, hashRanges } from '../../src/protocol/tree-proof.ts';
import { TestChecksumDatabase } from '../support/checksum-database-server.ts';
import { temporaryFolder } from '../support/hub-process.ts';
import { startWitness } from '../support/witness-process.ts';

/*
 * Somebody else's witness (github.com/transparency-dev/witness) with our client, and its client with our witness.
 */

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let program = '';

before(async () => {
  folder = await temporaryFolder();
  program = join(folder.path, 'oracle-witness');
  await promisify(execFile)('go', ['build', '-o', program, '.'], { cwd: new URL('../oracle-witness', import.meta.url), timeout: 400_000 });
});

after(() => folder[Symbol.asyncDispose]());

function grow(log: TestChecksumDatabase, count: number, name = 'm'): void {
  for (let i = 0; i < count; i += 1) log.add(`${name}.example/m${log.size}`, 'v1.0.0');
}

function prove(log: TestChecksumDatabase, olderSize: number): Promise<Buffer[]> {
  return hashRanges(consistencyRanges(olderSize, log.size), log.size, (tile) => log.hashes(tile));
}

test('their witness cosigns for our client', async () => {
  const log = new TestChecksumDatabase();
  const { cosigner, text } = generateCosigner('foreign.example', Buffer.alloc(32, 9));
  const child: ChildProcess = spawn(program, ['serve', log.key.text, text], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    const url = new URL(line.toString().trim());
    await using client = createOutboundClient({ configuredOrigins: [url], proxy: withoutProxy, userAgent: 'goyi-test' });
    const ask = (from: TestChecksumDatabase): Promise<unknown> =>
      requestCosignature(
        { witness: { url, key: cosigner.key }, note: from.note(), olderSize: 0, prove: (olderSize) => prove(from, olderSize) },
        { client, limits: { firstByteMs: 30_000 } },
        AbortSignal.timeout(60_000),
      ).then(
        ({ kind }) => kind,
        (error: { code: unknown }) => error.code,
      );
    for (const step of [1, 2, 300, 66_000, 0]) {
      grow(log, step);
      assert.equal(await ask(log), 'cosigned', `${log.size}`);
    }
    const fork = log.split();
    grow(log, 1);
    grow(fork, 1, 'evil');
    assert.equal(await ask(log), 'cosigned');
    assert.equal(await ask(fork), 'log-forked');
  } finally {
    child.kill('SIGKILL');
  }
});

test('our witness cosigns for their client', async () => {
  const log = new TestChecksumDatabase();
  await using witness = await startWitness({ stateDir: join(folder.path, 'w'), logs: [log.key.text] });
  const requests: string[] = [];
  const add = async (from: TestChecksumDatabase, olderSize: number): Promise<void> => {
    const proof = (await prove(from, olderSize)).map((hash) => hash.toString('base64'));
    requests.push(
      JSON.stringify({ URL: witness.url.href, Key: witness.keys[0]!.cosigner.text, Note: from.note(), Older: olderSize, Proof: proof }),
    );
  };
  for (const step of [1, 2, 300, 66_000]) {
    const olderSize = log.size;
    grow(log, step);
    await add(log, olderSize);
  }
  const fork = log.split();
  grow(log, 1);
  grow(fork, 1, 'evil');
  await add(log, 5);
  await add(log, 66_303);
  await add(fork, 66_304);
  await add(new TestChecksumDatabase({ seed: 'stranger' }), 0);
  const child = spawn(program, ['ask'], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(requests.join('\n'));
  let output = '';
  for await (const chunk of child.stdout) output += String(chunk);
  assert.deepEqual(output.trim().split('\n'), [
    'cosigned',
    'cosigned',
    'cosigned',
    'cosigned',
    'error: 66303 old size != current',
    'cosigned',
    'error: 0 consistency proof invalid',
    'error: 0 no valid signatures',
  ]);
});
