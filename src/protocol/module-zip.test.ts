import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { foldKey } from './file-path.ts';
import { MODULE_GO_MOD_BYTES_MAX, MODULE_LICENSE_BYTES_MAX, MODULE_ZIP_BYTES_MAX, checkModuleZip } from './module-zip.ts';
import type { ZipEntry } from './zip-format.ts';

const name = { module: 'example.com/m', version: 'v1.0.0' };

function entry(path: string, sizeBytes = 0): ZipEntry {
  const kind = path.endsWith('/') || path === '' ? 'directory' : 'file';
  return {
    name: `example.com/m@v1.0.0/${path}`,
    kind,
    method: 'stored',
    flags: 0,
    crc32: 0,
    compressedBytes: sizeBytes,
    sizeBytes,
    offset: 0,
    spanBytes: 0,
    nameAt: 0,
    nameBytes: 0,
  };
}

const check = (...entries: ZipEntry[]): string | number => {
  const outcome = checkModuleZip(name, entries);
  return outcome.ok ? outcome.value : outcome.reason;
};

// The rules for names, each against Go's verdict, are in origin/zip-prove.test.ts; here are the limits and what needs no file.

test('content is counted', () => assert.equal(check(entry('a', 3), entry('b/', 0), entry('b/c', 4)), 7));

test('the limits of size are Go’s, to the byte', () => {
  assert.equal(check(entry('a', MODULE_ZIP_BYTES_MAX - 1), entry('b', 1)), MODULE_ZIP_BYTES_MAX);
  assert.match(String(check(entry('a', MODULE_ZIP_BYTES_MAX - 1), entry('b', 2))), /larger than 524288000/);
  assert.equal(check(entry('go.mod', MODULE_GO_MOD_BYTES_MAX)), 16 * 2 ** 20);
  assert.match(String(check(entry('go.mod', MODULE_GO_MOD_BYTES_MAX + 1))), /larger/);
  assert.equal(check(entry('LICENSE', MODULE_LICENSE_BYTES_MAX)), 16 * 2 ** 20);
  assert.match(String(check(entry('LICENSE', MODULE_LICENSE_BYTES_MAX + 1))), /larger/);
  assert.equal(check(entry('LICENSE.md', 17 * 2 ** 20), entry('sub/LICENSE', 17 * 2 ** 20)), 34 * 2 ** 20);
});

test('T8: a newline in a name is refused, wherever it stands', () => {
  for (const path of ['\na', 'a\n', 'a/b\nc', 'a\n/b', '\n/']) assert.match(String(check(entry(path))), /character/);
});

test('an upper-case module is another module', () => {
  const outcome = checkModuleZip({ module: 'example.com/M', version: 'v1.0.0' }, [entry('a')]);
  assert.equal(outcome.ok, false);
});

const elements = fc.constantFrom('a', 'A', 'b', 'ß', 'ẞ', 'k', 'K', '\u212a', 'é', 'É');
const paths = fc.array(elements, { minLength: 1, maxLength: 3 }).map((path) => path.join('/'));

test('collisions are those of Go’s checker, told from all prefixes at once', () =>
  fc.assert(
    fc.property(fc.array(fc.tuple(paths, fc.boolean()), { maxLength: 6 }), (listed) => {
      const entries = listed.map(([path, directory]) => entry(directory ? `${path}/` : path));
      assert.equal(typeof check(...entries) === 'string', collides(listed));
    }),
    { numRuns: 2000 },
  ));

/** As zip.go has it, one map of folded paths; a listed directory may not come twice. */
function collides(listed: readonly (readonly [string, boolean])[]): boolean {
  const seen = new Map<string, { path: string; directory: boolean }>();
  const add = (path: string, directory: boolean): boolean => {
    const other = seen.get(foldKey(path));
    if (other !== undefined && (other.path !== path || other.directory !== directory || !directory)) return true;
    seen.set(foldKey(path), { path, directory });
    const slash = path.lastIndexOf('/');
    return slash >= 0 && add(path.slice(0, slash), true);
  };
  const twice = new Set(listed.map(([path, directory]) => `${path}${directory}`)).size < listed.length;
  return listed.map(([path, directory]) => add(path, directory)).includes(true) || twice;
}

test('long chains of directories cost no more than their length', () => {
  const deep = 'a/'.repeat(1900);
  const started = performance.now();
  const outcome = check(...Array.from({ length: 300 }, (_, i) => entry(`x${i}/${deep}f`)));
  assert.match(String(outcome), /more than 100000 directories/);
  assert.ok(performance.now() - started < 5000);
});
