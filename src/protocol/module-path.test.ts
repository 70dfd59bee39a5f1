import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { readVectors } from '../../test/oracle/read-vectors.ts';
import { type ModulePath, PATH_LENGTH_MAX, escapePath, parseModulePath, splitPathVersion, unescapePath } from './module-path.ts';

test('parseModulePath, escapePath and splitPathVersion answer as Go does', () => {
  let accepted = 0;
  for (const [path, answer] of readVectors<[string, [string, string, string] | null]>('module_path')) {
    const result = parseModulePath(path);
    assert.equal(result.ok, answer !== null, JSON.stringify(path));
    if (!result.ok || answer === null) continue;
    accepted += 1;
    const [escaped, prefix, pathMajor] = answer;
    assert.equal(escapePath(result.value), escaped);
    assert.deepEqual(splitPathVersion(path), { prefix, pathMajor });
  }
  assert.ok(accepted > 300, `only ${accepted} legal paths`);
});

test('unescapePath answers as Go does', () => {
  for (const [escaped, path] of readVectors<[string, string | null]>('escaped_path')) {
    const result = unescapePath(escaped);
    assert.equal(result.ok ? result.value : null, path, JSON.stringify(escaped));
  }
});

const capitals = [
  { path: 'github.com/Azure/sdk', escaped: 'github.com/!azure/sdk' },
  { path: 'rsc.io/QUOTE', escaped: 'rsc.io/!q!u!o!t!e' },
  { path: 'rsc.io/quote', escaped: 'rsc.io/quote' },
] as const;
for (const { path, escaped } of capitals)
  test(`escapePath(${path})`, () => assert.equal(escapePath(path as string as ModulePath), escaped));

const legal = fc
  .array(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.~-]{0,8}[A-Za-z0-9_]$/), { minLength: 0, maxLength: 4 })
  .map((elements) => parseModulePath(['example.com', ...elements].join('/')))
  .filter((result) => result.ok)
  .map((result) => result.value);

test('unescapePath inverts escapePath', () =>
  fc.assert(fc.property(legal, (path) => assert.deepEqual(unescapePath(escapePath(path)), { ok: true, value: path }))));

test('what unescapePath accepts is the only escaped form of its path', () =>
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', 'A', '!', '!a', '!A', '.', '/', 'é', '~', '0', 'a.b/')).map((parts) => parts.join('')),
      (text) => {
        const result = unescapePath(text);
        if (result.ok) assert.equal(escapePath(result.value), text);
      },
    ),
  ));

test('no two paths have escaped forms that differ only in case', () =>
  fc.assert(fc.property(legal, legal, (a, b) => assert.equal(a === b, escapePath(a).toLowerCase() === escapePath(b).toLowerCase()))));

test('paths longer than the limits are refused, and those at the limits are not', () => {
  const element = 'a'.repeat(255);
  assert.equal(parseModulePath(`a.b/${element}`).ok, true);
  assert.equal(parseModulePath(`a.b/${element}a`).ok, false);
  assert.equal(parseModulePath(`a.b/${'A'.repeat(127)}`).ok, true);
  assert.equal(parseModulePath(`a.b/${'A'.repeat(128)}`).ok, false);
  assert.equal(parseModulePath(`a.b/${'c/'.repeat(509)}cc`).ok, true);
  assert.equal(parseModulePath(`a.b/${'c/'.repeat(509)}ccc`).ok, false);
  assert.equal(`a.b/${'c/'.repeat(509)}cc`.length, PATH_LENGTH_MAX);
});

test('text that is no well-formed UTF-16 is refused', () => {
  for (const path of ['a.b/\ud800', 'a.b/\udc00x', '\ud83d.b']) assert.equal(parseModulePath(path).ok, false);
});

test('reasons never repeat what was refused', () => {
  const result = parseModulePath('a.b/\u001b[31mred');
  assert.ok(!result.ok && !/[^ -~]/.test(result.reason));
});
