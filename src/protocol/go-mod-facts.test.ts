import assert from 'node:assert/strict';
import { test } from 'node:test';
import { declaredModulePath, isGoAtLeast, isRetracted, readGoModFacts } from './go-mod-facts.ts';

const declared = [
  { text: 'module example.com/m\n', path: 'example.com/m' },
  { text: '// c\n\n  module\texample.com/m // x\r\n', path: 'example.com/m' },
  { text: 'module "example.com/m"\n', path: 'example.com/m' },
  { text: 'module `example.com/m`\n', path: 'example.com/m' },
  { text: 'module "example.com/\\x6d"', path: '' },
  { text: 'module "example.com/m', path: '' },
  { text: 'module (\n\texample.com/m\n)\n', path: '(' },
  { text: 'modulexample.com/m\nmodule example.com/n\n', path: 'example.com/n' },
  { text: 'module\nmodule example.com/n\n', path: 'example.com/n' },
  { text: 'module https://example.com/m\n', path: 'https:' },
  { text: '\uFEFFmodule example.com/m\n', path: '' },
  { text: 'module\u00a0example.com/m\u0085\n', path: 'example.com/m' },
  { text: 'go 1.21\n', path: '' },
  { text: '', path: '' },
] as const;
for (const { text, path } of declared)
  test(`declaredModulePath(${JSON.stringify(text)})`, () => assert.equal(declaredModulePath(text), path));

test('retractions of one version, of a range, in a block, and those that are none', () => {
  const text =
    'module m.example/m\nretract v1.0.0 // why\nretract [v1.1.0, v1.2.0]\nretract (\n\t"v1.3.0"\n\t[v1.4.0,v1.4.0]\n\t[v9.0.0\n)\n';
  const { retract } = readGoModFacts(text);
  assert.equal(retract.length, 4);
  for (const version of ['v1.0.0', 'v1.1.0', 'v1.1.7', 'v1.2.0', 'v1.3.0', 'v1.4.0']) assert.ok(isRetracted(version, retract), version);
  for (const version of ['v0.9.0', 'v1.0.1', 'v1.2.1', 'v9.0.0']) assert.ok(!isRetracted(version, retract), version);
});

test('a file that ParseLax refuses has no go line', () => {
  assert.equal(readGoModFacts('module m.example/m\ngo 1.24rc1\n').go, '1.24rc1');
  for (const text of [
    'go 1.24\ngo 1.25\n',
    'module a.example\nmodule b.example\ngo 1.24\n',
    'go 1.24\nrequire a.example master\n',
    'go soon\n',
  ])
    assert.equal(readGoModFacts(text).go, undefined, text);
});

const languages = [
  { go: undefined, isModern: false },
  { go: '1.23.9', isModern: false },
  { go: '1.24', isModern: true },
  { go: '1.24rc1', isModern: true },
  { go: '1.24.1', isModern: true },
  { go: '1.24.0rc1', isModern: false },
  { go: '1.24foo1', isModern: false },
  { go: '2.0', isModern: true },
] as const;
for (const { go, isModern } of languages) test(`isGoAtLeast(${go}, 24)`, () => assert.equal(isGoAtLeast(go, 24), isModern));
