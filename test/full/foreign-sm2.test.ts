// SM2 of github.com/emmansun/gmsm, which has nothing in common with ours, and ours: each verifies what the other signed. Needs the Go module proxy.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { BUNDLE_SM2_KEY_NAME } from '../../src/protocol/bundle-sm2.ts';
import { generateSm2Key, signSm2, type Sm2VerifierKey, verifySm2 } from '../../src/protocol/sm2.ts';
import { temporaryFolder } from '../support/hub-process.ts';

const run = promisify(execFile);
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let program: string;

before(async () => {
  folder = await temporaryFolder();
  program = join(folder.path, 'oracle-sm2');
  await run('go', ['build', '-o', program, '.'], { cwd: new URL('../oracle-sm2', import.meta.url), timeout: 400_000 });
});

after(async () => {
  await folder?.[Symbol.asyncDispose]();
});

const messages = ['', 'goyi bundle 1\n', 'x'.repeat(1000)].map((text) => Buffer.from(text));

test('gmsm verifies what we sign, and refuses what was changed', async () => {
  for (let i = 0; i < 12; i += 1) {
    const { signer } = generateSm2Key(BUNDLE_SM2_KEY_NAME);
    const message = messages[i % messages.length] ?? randomBytes(10);
    const signature = signSm2(message, signer);
    const verify = async (signed: Buffer): Promise<string> => {
      const { stdout } = await run(program, ['verify', signer.verifier.point, message.toString('hex'), signed.toString('hex')]);
      return stdout.trim();
    };
    assert.equal(await verify(signature), 'true');
    const changed = Buffer.from(signature);
    changed[i * 5] = (changed[i * 5] ?? 0) ^ 1;
    assert.equal(await verify(changed), 'false');
  }
});

test('we verify what gmsm signs, and refuse what was changed', async () => {
  for (const message of messages) {
    const { stdout } = await run(program, ['sign', message.toString('hex')]);
    const [point = '', raw = ''] = stdout.trim().split(' ');
    const key: Sm2VerifierKey = { name: 'gmsm', hash: '00000000', point, text: '' };
    const signature = Buffer.from(raw, 'hex');
    assert.equal(verifySm2(message, key, signature), true);
    assert.equal(verifySm2(Buffer.concat([message, Buffer.of(0)]), key, signature), false);
  }
});
