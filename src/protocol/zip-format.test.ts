import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { file } from '../../test/oracle-zip/cases.ts';
import { extraField, writeZip } from '../../test/oracle-zip/zip-writer.ts';
import { readZip64Sizes } from './zip-extra.ts';
import type { ZipSource } from './zip-end.ts';
import { checkDescriptor, checkLocalHeader, readZipDirectory } from './zip-format.ts';

const limits = { entriesMax: 100, directoryBytesMax: 10_000, nameBytesMax: 200 };

/** Fails when asked for bytes that are not there, as the contract says that no reader may. */
function sourceOf(zip: Buffer): ZipSource & { bytesRead: number } {
  return {
    sizeBytes: zip.length,
    bytesRead: 0,
    read(target, position) {
      assert.ok(position >= 0 && position + target.length <= zip.length, `read of ${target.length} at ${position} in ${zip.length}`);
      this.bytesRead += target.length;
      target.set(zip.subarray(position, position + target.length));
    },
  };
}

function reasonOf(zip: Buffer, changed: Partial<typeof limits> = {}): string | undefined {
  const outcome = readZipDirectory(sourceOf(zip), { ...limits, ...changed });
  return outcome.ok ? undefined : outcome.reason;
}

test('entries say where everything lies', () => {
  const zip = writeZip({ entries: [file('a', 'first', { descriptor: true }), file('é', 'second', { stored: true })] });
  const directory = readZipDirectory(sourceOf(zip), limits);
  assert.ok(directory.ok);
  const [first, second] = directory.value.entries;
  assert.ok(first && second);
  assert.deepEqual(
    [first.name, first.method, first.kind, first.sizeBytes, first.offset],
    ['example.com/m@v1.0.0/a', 'deflated', 'file', 5, 0],
  );
  assert.deepEqual([second.name, second.method, second.sizeBytes, second.offset], ['example.com/m@v1.0.0/é', 'stored', 6, first.spanBytes]);
  const layout = checkLocalHeader(zip.subarray(second.offset), second, directory.value);
  assert.ok(layout.ok);
  const dataAt = second.offset + layout.value.dataAt;
  assert.equal(zip.toString('latin1', dataAt, dataAt + second.compressedBytes), 'second');
  const described = checkLocalHeader(zip.subarray(0, first.spanBytes), first, directory.value);
  assert.ok(described.ok);
  assert.equal(described.value.descriptorBytes, 16);
  assert.equal(checkDescriptor(zip.subarray(first.spanBytes - 16, first.spanBytes), first), undefined);
});

test('limits hold before anything is allocated for what they limit', () => {
  const many = writeZip({ entries: Array.from({ length: 101 }, (_, i) => file(`f${i}`, '')) });
  assert.match(reasonOf(many) ?? '', /more than 100 entries/);
  assert.equal(reasonOf(many, { entriesMax: 101 }), undefined);
  assert.match(reasonOf(many, { entriesMax: 101, directoryBytesMax: 5000 }) ?? '', /longer than 5000 bytes/);
  const long = writeZip({ entries: [file('n'.repeat(180), '')] });
  assert.match(reasonOf(long) ?? '', /name has 201 bytes/);
  assert.equal(reasonOf(long, { nameBytesMax: 201 }), undefined);
  const claims = writeZip({ entries: [], zip64: { records: 99n }, end: { records: 99, sizeBytes: 0, offset: 0 } });
  assert.match(reasonOf(claims) ?? '', /too short for its entries/);
});

test('the first read is of the end, however large the file is', () => {
  const source = { sizeBytes: 400 * 2 ** 20, read: (target: Uint8Array) => void target.fill(0) };
  let bytesRead = 0;
  const counted = { ...source, read: (target: Uint8Array) => void (bytesRead += target.fill(0).length) };
  assert.equal(readZipDirectory(counted, limits).ok, false);
  assert.ok(bytesRead < 70_000);
});

test('every answer to random bytes around real records is a refusal or a reading, never a fault', () => {
  const zip = writeZip({
    entries: [file('a', 'x', { descriptor: true, central: { offset: 0xffffffff, extra: extraField(1, 0n) } }), file('b', 'y')],
    zip64: {},
  });
  assert.equal(reasonOf(zip), undefined);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(zip.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }), (changes) => {
      const bytes = Buffer.from(zip);
      for (const [at, value] of changes) bytes[at] = value;
      const outcome = readZipDirectory(sourceOf(bytes), limits);
      if (!outcome.ok) return;
      for (const entry of outcome.value.entries)
        checkLocalHeader(bytes.subarray(entry.offset, entry.offset + entry.spanBytes), entry, outcome.value);
    }),
    { numRuns: 2000 },
  );
});

test('zip64 sizes come in the order of the header, only those left to them', () => {
  const wide = extraField(1, 7n, 8n);
  assert.deepEqual(readZip64Sizes(wide, [0xffffffff, 5, 0xffffffff]), { ok: true, value: { sizes: [7, 5, 8], zip64: true } });
  assert.deepEqual(readZip64Sizes(Buffer.alloc(0), [1, 2]), { ok: true, value: { sizes: [1, 2], zip64: false } });
  assert.equal(readZip64Sizes(wide, [0xffffffff, 5]).ok, false);
  assert.equal(readZip64Sizes(extraField(1, 2n ** 60n), [0xffffffff]).ok, false);
});
