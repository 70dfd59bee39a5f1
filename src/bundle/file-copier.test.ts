import assert from 'node:assert/strict';
import { createHash, hash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { codeOf } from '../base/errors.ts';
import { DraftParts } from './draft-parts.ts';
import { FileCopier } from './file-copier.ts';

const folder = mkdtempSync(join(tmpdir(), 'goyi-copier-'));
after(() => rmSync(folder, { recursive: true }));
const never = new AbortController().signal;

const bytes = randomBytes(3_000_000);
const from = join(folder, 'from');
writeFileSync(from, bytes);
const algorithms = ['sha256', 'sm3'] as const;

function target(name: string, sizeBytes: number): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.alloc(sizeBytes, 7));
  return path;
}

test('copies to places in other files and answers what was copied', async () => {
  await using copier = new FileCopier({ threadsMax: 2, queueMax: 8 });
  const [one, two] = [target('one', 2_000_000), target('two', 2_000_000)];
  const to = [
    { path: one, position: 500_001, sizeBytes: 1_499_999 },
    { path: two, position: 0, sizeBytes: 1_500_001 },
  ];
  const { digests } = await copier.copy({ from, sizeBytes: bytes.length, to, algorithms }, never);
  assert.deepEqual(digests, [hash('sha256', bytes), createHash('sm3').update(bytes).digest('hex')]);
  const [first, second] = [await readFile(one), await readFile(two)];
  assert.ok(Buffer.concat([first.subarray(500_001), second.subarray(0, 1_500_001)]).equals(bytes));
  assert.ok(first.subarray(0, 500_001).every((byte) => byte === 7));
  assert.ok(second.subarray(1_500_001).every((byte) => byte === 7));
});

for (const [what, sizeBytes] of [
  ['shorter', bytes.length + 1],
  ['longer', bytes.length - 1],
] as const)
  test(`a file that is ${what} than it was is a fault, and the thread does the next`, async () => {
    await using copier = new FileCopier({ threadsMax: 1, queueMax: 8 });
    const path = target(what, 4_000_000);
    const job = (size: number): Parameters<FileCopier['copy']>[0] => ({
      from,
      sizeBytes: size,
      to: [{ path, position: 0, sizeBytes: size }],
      algorithms,
    });
    await assert.rejects(copier.copy(job(sizeBytes), never), (error) => codeOf(error) === 'storage-fault');
    assert.equal((await copier.copy(job(bytes.length), never)).digests.length, 2);
  });

test('what is not there, and who leaves', async () => {
  await using copier = new FileCopier({ threadsMax: 1, queueMax: 8 });
  const to = [{ path: target('gone', 10), position: 0, sizeBytes: 10 }];
  await assert.rejects(copier.copy({ from: join(folder, 'absent'), sizeBytes: 10, to, algorithms }, never), /absent/);
  const caller = new AbortController();
  const path = target('left', 10);
  const leaving = copier.copy(
    { from, sizeBytes: bytes.length, to: [{ path, position: 0, sizeBytes: bytes.length }], algorithms },
    caller.signal,
  );
  caller.abort(new Error('gone'));
  await assert.rejects(leaving, /gone/);
});

test('parts are written in any order, and named when all are whole', async () => {
  const file = join(folder, 'parts');
  {
    await using out = await DraftParts.open({ file, partBytesMax: 1_000_000, sizeBytes: bytes.length });
    for (let at = 2_900_000; at >= 0; at -= 100_000) await out.write(at, bytes.subarray(at, at + 100_000));
    await out.write(950_000, bytes.subarray(950_000, 2_050_000));
    assert.deepEqual(await out.finish(), [`${file}.001`, `${file}.002`, `${file}.003`]);
  }
  const whole = await Promise.all(['001', '002', '003'].map((part) => readFile(`${file}.${part}`)));
  assert.ok(Buffer.concat(whole).equals(bytes));
  {
    await using out = await DraftParts.open({ file: join(folder, 'given-up'), partBytesMax: undefined, sizeBytes: 100 });
    await out.write(0, Buffer.alloc(100));
  }
  assert.throws(() => statSync(join(folder, 'given-up')));
  assert.throws(() => statSync(join(folder, 'given-up.001.part')));
  await assert.rejects(
    DraftParts.open({ file: join(folder, 'many'), partBytesMax: 1, sizeBytes: 1000 }),
    (error) => codeOf(error) === 'bad-request',
  );
  assert.throws(() => statSync(join(folder, 'many.001.part')));
});
