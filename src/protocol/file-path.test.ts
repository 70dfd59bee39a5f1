import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readVectors } from '../../test/oracle/read-vectors.ts';
import { checkFileElement, checkFilePath, foldKey } from './file-path.ts';

test('checkFilePath answers as Go does', () => {
  let accepted = 0;
  for (const [path, legal] of readVectors<[string, boolean]>('file_path')) {
    assert.equal(checkFilePath(path).ok, legal, JSON.stringify(path));
    accepted += legal ? 1 : 0;
  }
  assert.ok(accepted > 1000);
});

test('letters are what Go calls letters, among all code points', () => {
  const letters = new Set<number>();
  for (const [first, last] of readVectors<[number, number]>('letters')) for (let point = first; point <= last; point++) letters.add(point);
  for (let point = 0x80; point <= 0x10ffff; point++) {
    if (checkFileElement(String.fromCodePoint(point)).ok !== letters.has(point)) assert.fail(`U+${point.toString(16)}`);
  }
});

test('foldKey makes exactly those code points equal that fold together in Go', () => {
  const classes = new Map<string, number[]>();
  for (let point = 0; point <= 0x10ffff; point++) {
    const key = foldKey(String.fromCodePoint(point));
    const members = classes.get(key);
    if (members === undefined) classes.set(key, [point]);
    else members.push(point);
  }
  const folded = [...classes.values()].filter((members) => members.length > 1).map((members) => members.join());
  const expected = readVectors<number[]>('fold').map((members) => members.toSorted((a, b) => a - b).join());
  assert.deepEqual(folded.toSorted(), expected.toSorted());
});

const together = [
  ['README.md', 'readme.MD'],
  ['s', 'ſ'],
  ['k', '\u212a'],
  ['Σ', 'ς'],
  ['ß', 'ẞ'],
  ['ǅ', 'ǆ'],
  ['\u{10400}x', '\u{10428}X'],
] as const;
for (const [a, b] of together) test(`${a} and ${b} fold together`, () => assert.equal(foldKey(a), foldKey(b)));

const apart = [
  ['ß', 'ss'],
  ['ﬁ', 'fi'],
  ['İ', 'i'],
  ['ı', 'i'],
  ['é', 'e\u0301'],
] as const;
for (const [a, b] of apart) test(`${a} and ${b} do not fold together`, () => assert.notEqual(foldKey(a), foldKey(b)));

test('the key of a text does not depend on whether it is ASCII', () =>
  fc.assert(fc.property(fc.string(), (text) => assert.equal(foldKey(`${text}中`), `${foldKey(text)}中`))));

test('foldKey is its own key', () =>
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(foldKey(foldKey(text)), foldKey(text)))));

test('control characters, backslashes and ways out of the folder are refused', () => {
  const paths = [
    'a\nb',
    'a\u0000',
    '\u001b',
    'a\u007fb',
    'a\\b',
    '/a',
    'a/',
    'a//b',
    '../a',
    'a/..',
    'a/./b',
    '.',
    'a\ud800',
    'a\udc00',
    'C:/a',
  ];
  for (const path of paths) {
    const result = checkFilePath(path);
    assert.ok(!result.ok && /^[ -~]+$/.test(result.reason), JSON.stringify(path));
  }
});
