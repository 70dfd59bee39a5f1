import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { FolderNameIndex, countNames } from './name-index.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goyi-names-'));
});
after(() => rm(folder, { recursive: true, force: true }));

const never = new AbortController().signal;

async function repeats(index: FolderNameIndex): Promise<[number, number][]> {
  const found: [number, number][] = [];
  for await (const { first, again } of index.repeats(never)) found.push([first, again]);
  return found.sort(([, a], [, b]) => a - b);
}

test('every repetition is found, and nothing else, whatever the names', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.stringMatching(/^[a-c]{1,3}$/), { maxLength: 200 }), async (names) => {
      await using index = await FolderNameIndex.open(join(folder, 'property'));
      for (const [id, name] of names.entries()) await index.add(name, id);
      const expected = names.flatMap((name, id): [number, number][] => (names.indexOf(name) < id ? [[names.indexOf(name), id]] : []));
      assert.deepEqual(await repeats(index), expected);
    }),
    { numRuns: 30 },
  );
  assert.deepEqual(await readdir(folder), [], 'nothing stays of what was not kept');
});

test('100 000 names, kept, and gone on from', async () => {
  const prefix = join(folder, 'state.json');
  const large = 2 ** 48 - 1;
  let kept = '';
  {
    await using index = await FolderNameIndex.open(prefix);
    for (let id = 0; id < 100_000; id += 1) await index.add(`m.example/m${id}@v1.0.0`, id);
    assert.deepEqual(await repeats(index), []);
    await index.keep();
    kept = index.folder;
  }
  assert.equal(await countNames(kept), 100_000);
  {
    await using index = await FolderNameIndex.open(prefix, kept);
    await index.add('m.example/m77@v1.0.0', large);
    assert.deepEqual(await repeats(index), [[77, large]]);
  }
  assert.equal(await countNames(kept), 100_000, 'the former one is as it was');
  assert.deepEqual(await readdir(folder), [basename(kept)]);
});

test('what a killed audit left is removed after a week, and nothing else', async () => {
  const prefix = join(folder, 'other.json');
  const [old, young, named] = ['0123', '4567', '89ab'].map((end) => `${prefix}.names-${end}`);
  for (const path of [old!, young!, named!]) {
    await mkdir(path);
    await writeFile(join(path, '00'), '');
  }
  const before = Date.now() / 1000 - 8 * 24 * 3600;
  for (const path of [old!, named!]) await utimes(path, before, before);
  await using index = await FolderNameIndex.open(prefix, named);
  const left = await readdir(folder);
  assert.deepEqual(
    [old, young, named, index.folder].map((path) => left.includes(basename(path!))),
    [false, true, true, true],
  );
  assert.ok((await stat(named!)).isDirectory());
});

test('a folder that cannot be made is a storage fault', async () => {
  await writeFile(join(folder, 'file'), '');
  await assert.rejects(FolderNameIndex.open(join(folder, 'file', 'x')), { code: 'storage-fault' });
});
