import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { paddingOf, sizeInHeader, TAR_BLOCK_BYTES, TAR_END, tarHeader } from './tar-header.ts';

const names = [
  'goyi-bundle',
  'modules/rsc.io/quote/@v/v1.5.2.zip',
  `modules/${'long.example/'.repeat(9)}${'x'.repeat(30)}/@v/v1.0.0.zip`,
  `modules/example.com/${'y'.repeat(200)}/@v/v1.0.0.mod`,
  `modules/example.com/${'abcdefgh/'.repeat(60)}@v/list`,
];

test('tar reads the names and sizes as they were written, however long', () => {
  const archive = names.flatMap((name, i) => [
    tarHeader({ name, sizeBytes: i * 100, timeSeconds: 1_700_000_000 }),
    Buffer.alloc(i * 100, 65),
    Buffer.alloc(paddingOf(i * 100)),
  ]);
  const input = Buffer.concat([...archive, TAR_END]);
  const listed = execFileSync('tar', ['-tvf', '-', '--full-time', '--utc'], { input, encoding: 'utf8' }).trimEnd().split('\n');
  assert.deepEqual(
    listed.map((line) => line.split(/\s+/)).map(([mode, , size, , , name]) => [mode, Number(size), name]),
    names.map((name, i) => ['-rw-r--r--', i * 100, name]),
  );
});

test('a header names its size, and pads to whole blocks', () =>
  fc.assert(
    fc.property(fc.nat(500 * 1024 * 1024), (sizeBytes) => {
      const header = tarHeader({ name: 'modules/rsc.io/quote/@v/v1.5.2.zip', sizeBytes, timeSeconds: 0 });
      assert.equal(header.length, TAR_BLOCK_BYTES);
      assert.equal(sizeInHeader(header), sizeBytes);
      assert.equal((sizeBytes + paddingOf(sizeBytes)) % TAR_BLOCK_BYTES, 0);
      assert.ok(paddingOf(sizeBytes) < TAR_BLOCK_BYTES);
    }),
  ));
