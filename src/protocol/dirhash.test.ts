import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { type HashedFile, goModHashOfDigest, hashFiles, hashGoMod, parseHash } from './dirhash.ts';

interface MadeVector {
  readonly name: string;
  readonly module: string;
  readonly version: string;
  readonly h1: string;
  readonly files: Readonly<Record<string, string>> | null;
  readonly goMod?: string;
  readonly modSum?: string;
}

// Made by golang.org/x/mod itself: test/oracle-zip/update.sh.
const vectors = (JSON.parse(readFileSync(new URL('./testdata/module-zips.json', import.meta.url), 'utf8')) as { data: MadeVector[] }).data;

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');

for (const vector of vectors) {
  const { name, module, version, files, goMod, modSum, h1 } = vector;
  if (files === null) continue;
  const hashed = Object.entries(files).map(([path, content]) => ({ name: `${module}@${version}/${path}`, sha256: sha256(content) }));
  test(`hashFiles is dirhash.Hash1: ${name}`, () => {
    assert.deepEqual(hashFiles(hashed), { ok: true, value: h1 });
    assert.deepEqual(hashFiles(hashed.toReversed()), { ok: true, value: h1 });
  });
  if (goMod !== undefined)
    test(`hashGoMod is dirhash.Hash1 of one go.mod: ${name}`, () => assert.equal(hashGoMod(Buffer.from(goMod)), modSum));
}

test('hashFiles of no file is the hash that the go command has for an empty zip', () =>
  assert.deepEqual(hashFiles([]), { ok: true, value: 'h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' }));

test('goModHashOfDigest needs the digest only', () =>
  assert.equal(goModHashOfDigest(sha256('module m\n')), hashGoMod(Buffer.from('module m\n'))));

const fileNames = fc
  .oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme-ascii' }))
  .map((text) => text.toWellFormed().replaceAll('\n', ''));

test('hashFiles sorts by the bytes of UTF-8', () =>
  fc.assert(
    fc.property(fc.uniqueArray(fileNames, { maxLength: 20 }), (names) => {
      const files = names.map((name) => ({ name, sha256: sha256(name) }));
      const sorted = files
        .map((file) => Buffer.from(`${file.sha256}  ${file.name}\n`))
        .toSorted((a, b) => Buffer.compare(a.subarray(66, -1), b.subarray(66, -1)));
      const outcome = hashFiles(files);
      assert.deepEqual(outcome, { ok: true, value: `h1:${createHash('sha256').update(Buffer.concat(sorted)).digest('base64')}` });
    }),
  ));

test('T8: a newline in a file name cannot make two zips of one hash', () => {
  const good: HashedFile[] = [
    { name: 'm@v1.0.0/a', sha256: sha256('one') },
    { name: 'm@v1.0.0/b', sha256: sha256('two') },
  ];
  // Hashed without a check, this one file has the same summary as those two.
  const evil: HashedFile[] = [{ name: `m@v1.0.0/a\n${sha256('two')}  m@v1.0.0/b`, sha256: sha256('one') }];
  assert.equal(hashFiles(good).ok, true);
  assert.equal(hashFiles(evil).ok, false);
});

const hash = 'h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=';

test('parseHash takes what hashGoMod gives', () =>
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const h1 = hashGoMod(bytes);
      assert.deepEqual(parseHash(h1), { ok: true, value: h1 });
    }),
  ));

for (const text of [
  '',
  'h1:',
  hash.slice(3),
  hash.slice(0, -1),
  `${hash}\n`,
  ` ${hash}`,
  hash.replace('h1', 'h2'),
  hash.replace('U=', 'V='),
  hash.replace('+', '-'),
  `${hash}=`,
]) {
  test(`parseHash refuses ${JSON.stringify(text)}`, () => assert.equal(parseHash(text).ok, false));
}
