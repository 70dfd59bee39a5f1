import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSecret } from './read-secret.ts';

const contents = [
  ['one line', 'h00k secret\n', 'h00k secret'],
  ['without a line end', 'h00k', 'h00k'],
  ['of Windows', 'h00k\r\n', 'h00k'],
  ['empty', '\n', undefined],
  ['two lines', 'a\nb\n', undefined],
  ['a blank at the end', 'h00k \n', undefined],
  ['too long', 'x'.repeat(5_000), undefined],
] as const;
for (const [title, text, secret] of contents)
  test(`a file with a secret: ${title}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'goyi-test-'));
    try {
      const file = join(folder, 'secret');
      await writeFile(file, text);
      if (secret === undefined)
        await assert.rejects(readSecret({ kind: 'file', file }, {}), { code: 'config-invalid', message: /one line/ });
      else assert.equal(await readSecret({ kind: 'file', file }, {}), secret);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

test('a secret in a variable, and a file that is not there', async () => {
  assert.equal(await readSecret({ kind: 'variable', name: 'A' }, { A: 'b' }), 'b');
  await assert.rejects(readSecret({ kind: 'file', file: '/nowhere/secret' }, {}), { code: 'config-invalid', message: /cannot be read/ });
});
