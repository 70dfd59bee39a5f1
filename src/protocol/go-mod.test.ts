import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readVectors } from '../../test/oracle/read-vectors.ts';
import { REQUIREMENTS_MAX, legacyGoMod, parseGoMod, isPruned } from './go-mod.ts';
import { parseModulePath } from './module-path.ts';

type Answer = { readonly module: string; readonly go: string; readonly require: readonly (readonly [string, string, boolean])[] };

test('what Go can read is read as Go reads it', () => {
  let accepted = 0;
  for (const [text, answer] of readVectors<[string, Answer | null]>('go_mod')) {
    const result = parseGoMod(text);
    if (answer === null) continue;
    accepted += 1;
    assert.ok(result.ok, text);
    const { module, go, require } = result.value;
    assert.deepEqual({ module, go: go ?? '', require: require.map((one) => [one.path, one.version, one.indirect]) }, answer, text);
  }
  assert.ok(accepted > 300);
});

test('a file of everything', () => {
  const text = `// Deprecated: use v2
module "rsc.io/quote" // see
go 1.23.0
toolchain go1.24.1
require rsc.io/sampler v1.3.0 // indirect; because
require (
\tgolang.org/x/text v0.14.0
\tbroken
\texample.com/m v2.0.0
)
replace golang.org/x/text => ../text
future [ a, b ]
`;
  assert.deepEqual(parseGoMod(text), {
    ok: true,
    value: {
      module: 'rsc.io/quote',
      go: '1.23.0',
      toolchain: 'go1.24.1',
      require: [
        { path: 'rsc.io/sampler', version: 'v1.3.0', indirect: true },
        { path: 'golang.org/x/text', version: 'v0.14.0', indirect: false },
      ],
    },
  });
});

const refusedTexts = [
  '',
  'go 1.21\n',
  '// module rsc.io/quote\n',
  'module rsc.io/quote\nmodule rsc.io/other\n',
  'module rsc.io/quote extra\n',
  'module "rsc.io/quote\n',
  'module "rsc.io\\/quote"\n',
  'module "rsc.io/quote`\n',
  '"module" rsc.io/quote\n',
  'module ../quote\n',
  'unknown (\n\tmodule rsc.io/quote\n)\n',
  'modulersc.io/quote\n',
];
for (const text of refusedTexts) test(`refused: ${JSON.stringify(text)}`, () => assert.equal(parseGoMod(text).ok, false));

test('a quoted bracket ends no block', () => {
  const text = 'module rsc.io/quote\nunknown (\n\t")"\n\tmodule rsc.io/other\n)\n';
  assert.deepEqual(parseGoMod(text), { ok: true, value: { module: 'rsc.io/quote', require: [] } });
});

test('legacyGoMod reads back as its module', () => {
  const module = parseModulePath('github.com/Azure/sdk');
  assert.ok(module.ok);
  assert.equal(legacyGoMod(module.value), 'module github.com/Azure/sdk\n');
  assert.deepEqual(parseGoMod(legacyGoMod(module.value)), { ok: true, value: { module: module.value, require: [] } });
});

test('any text is answered, and hostile text in linear time', () => {
  const pieces = [
    'module ',
    'rsc.io/quote',
    'require ',
    '(',
    ')',
    '\n',
    '"',
    '`',
    '//',
    '/',
    ' v1.0.0',
    '\\',
    '\r',
    '[',
    ',',
    '\u2028',
    'é',
    '\ud800',
  ];
  fc.assert(fc.property(fc.array(fc.constantFrom(...pieces)), (parts) => assert.equal(typeof parseGoMod(parts.join('')).ok, 'boolean')));
  const started = performance.now();
  for (const unit of ['(', '"', '`', '/', '//', ' ', 'a', '"a" ', '\n', '(\n', 'module ', '"\\', 'go 1.', '\t\r'])
    parseGoMod(`module a.b\n${unit.repeat(1e6 / unit.length)}`);
  assert.ok(performance.now() - started < 5000);
});

test('requirements beyond the limit are left out', () => {
  const text = `module a.b\nrequire (\n${'rsc.io/quote v1.5.2\n'.repeat(REQUIREMENTS_MAX + 5)})\n`;
  const result = parseGoMod(text);
  assert.ok(result.ok && result.value.require.length === REQUIREMENTS_MAX);
});

for (const { go, pruned } of [
  { go: undefined, pruned: false },
  { go: '1.9', pruned: false },
  { go: '1.16', pruned: false },
  { go: '1.17rc1', pruned: false },
  { go: '1.17', pruned: true },
  { go: '1.17.3', pruned: true },
  { go: '1.18beta1', pruned: true },
  { go: '1.26.8', pruned: true },
  { go: '2.0', pruned: true },
]) {
  test(`isPruned(${go})`, () => assert.equal(isPruned(go), pruned));
}
