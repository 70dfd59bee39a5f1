import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type MainGoMod, type ModuleAt, nameOf, parseMainGoMod, replacementOf } from './main-go-mod.ts';

function mustParse(text: string): MainGoMod {
  const read = parseMainGoMod(text);
  assert.ok(read.ok, read.ok ? '' : read.reason);
  return read.value;
}

const whole = `module example.com/main // the main one

go 1.21.3
toolchain go1.22.0
tool example.com/tool/cmd

require (
	rsc.io/quote v1.5.2
	rsc.io/sampler v1.3.0 // indirect
)
require "golang.org/x/text" v0.3.0
exclude rsc.io/sampler v1.99.99
retract [v1.0.0, v1.1.0]
replace (
	rsc.io/quote v1.5.2 => example.com/fork v1.0.0
	rsc.io/quote => ../quote
	golang.org/x/text => golang.org/x/text v0.3.8
)
`;

test('what a build starts from', () => {
  const main = mustParse(whole);
  assert.deepEqual([main.module, main.go], ['example.com/main', '1.21.3']);
  assert.deepEqual(main.require.map(nameOf), ['rsc.io/quote@v1.5.2', 'rsc.io/sampler@v1.3.0', 'golang.org/x/text@v0.3.0']);
  assert.deepEqual([...main.exclude], ['rsc.io/sampler@v1.99.99']);
  assert.deepEqual(main.unread, []);
});

const replacements = [
  { path: 'rsc.io/quote', version: 'v1.5.2', is: 'example.com/fork@v1.0.0' },
  { path: 'rsc.io/quote', version: 'v1.5.3', is: 'folder' },
  { path: 'golang.org/x/text', version: 'v0.3.0', is: 'golang.org/x/text@v0.3.8' },
  { path: 'rsc.io/sampler', version: 'v1.3.0', is: 'rsc.io/sampler@v1.3.0' },
];
for (const { path, version, is } of replacements) {
  test(`${path}@${version} is taken from ${is}`, () => {
    const actual = replacementOf(mustParse(whole), { path, version } as ModuleAt);
    assert.equal(actual === 'folder' ? actual : nameOf(actual), is);
  });
}

const unread = [
  'require rsc.io/quote v1.5',
  'require rsc.io/quote latest',
  'require rsc.io/quote',
  'exclude rsc.io/quote v2.0.0',
  'replace rsc.io/quote ../quote',
  'replace rsc.io/quote => a.example/b v1',
  'replace => ../x',
];
for (const line of unread) {
  test(`told with its number: ${line}`, () => {
    const main = mustParse(`module m\n\n${line}\n`);
    assert.deepEqual(
      main.unread.map((fault) => fault.line),
      [3],
    );
    assert.equal(main.require.length + main.exclude.size + main.replace.size, 0);
  });
}

test('a file without a module line, with two, or with too much is refused', () => {
  for (const text of ['', 'go 1.21\n', 'module a\nmodule b\n', 'module a\n' + 'require rsc.io/quote v1.5.2\n'.repeat(20_001)])
    assert.equal(parseMainGoMod(text).ok, false);
});

test('any text is answered, never thrown at', () =>
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => void parseMainGoMod(`module m\n${text}`))));
