// The rules themselves are shown against the real go command in test/git-source.test.ts; here stand the cases that no repository can hold.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MODULE_ZIP_BYTES_MAX } from './module-zip.ts';
import { type SourceFile, createSizeCheck, planModuleZip } from './module-zip-plan.ts';

function files(...paths: readonly string[]): readonly SourceFile[] {
  return paths.map((path) => ({ path, wellFormed: true, kind: 'regular' }));
}

function planned(paths: readonly string[], go?: string): readonly string[] | string {
  const plan = planModuleZip(files(...paths), go);
  return plan.ok ? [...plan.value] : plan.reason;
}

test('names that are not clean are errors wherever they lie', () => {
  for (const path of ['', '/a', 'a//b', 'a/../b', './a', 'a/', 'vendor/x/../y']) assert.match(String(planned([path])), /not clean/, path);
});

test('what is vendored depends on the go line, and on an old fault', () => {
  const paths = ['vendor/modules.txt', 'vendor/a.go', 'vendor/x/a.go', 'a/vendor/a.go', 'abcdefgh/vendor/a.go'];
  assert.deepEqual(planned(paths, '1.23'), ['vendor/modules.txt', 'vendor/a.go']);
  assert.deepEqual(planned(paths), ['vendor/modules.txt', 'vendor/a.go']);
  assert.deepEqual(planned(paths, '1.24'), ['vendor/a.go', 'a/vendor/a.go', 'abcdefgh/vendor/a.go']);
});

test('what lies in another module is left out before its name is looked at', () => {
  assert.deepEqual(planned(['go.mod', 'n/Go.MOD', 'n/a:b', 'n/x/y', 'nn/a']), ['go.mod', 'nn/a']);
  assert.match(String(planned(['go.mod', 'n/a:b'])), /U\+003A/);
});

test('more files than a zip may have', () => {
  assert.match(String(planned(Array.from({ length: 100_001 }, (_, index) => `f${index}`))), /more than 100000 files/);
});

test('sizes are summed, and two files have limits of their own', () => {
  const check = createSizeCheck();
  assert.equal(check('a', MODULE_ZIP_BYTES_MAX), undefined);
  assert.equal(check('b', 0), undefined);
  assert.match(check('c', 1) ?? '', /content is larger/);
  assert.match(createSizeCheck()('go.mod', (16 << 20) + 1) ?? '', /go.mod is larger/);
  assert.match(createSizeCheck()('LICENSE', (16 << 20) + 1) ?? '', /LICENSE is larger/);
  assert.equal(createSizeCheck()('sub/LICENSE', (16 << 20) + 1), undefined);
});
