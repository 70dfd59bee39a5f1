import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatTarHeader, parsePax, parseTarHeader, tarPadding } from './tar-format.ts';

const element = fc.string({ unit: fc.constantFrom(...'abcXYZ019._-'.split('')), minLength: 1, maxLength: 60 });
const names = fc.array(element, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'));

test('parseTarHeader reads what formatTarHeader writes', () => {
  fc.assert(
    fc.property(names, fc.nat({ max: 8 ** 11 - 1 }), fc.constantFrom(0o644, 0o755), fc.nat(), (name, sizeBytes, mode, modifiedSeconds) => {
      const header = formatTarHeader({ name, sizeBytes, mode, modifiedSeconds });
      if (header === undefined) return assert.ok(name.length > 100);
      assert.deepEqual(parseTarHeader(header), { ok: true, value: { kind: 'file', name, sizeBytes, mode } });
      assert.equal((sizeBytes + tarPadding(sizeBytes)) % 512, 0);
    }),
  );
});

test('a changed byte of a header shows', () => {
  const header = formatTarHeader({ name: 'go/VERSION', sizeBytes: 12, mode: 0o644, modifiedSeconds: 1 }) as Buffer;
  for (let at = 0; at < header.length; at += 1) {
    const changed = Buffer.from(header);
    changed[at] = (changed[at] ?? 0) + 1;
    const read = parseTarHeader(changed);
    // What stands in the sum's own field is what the sum is: only its padding may change.
    if (read.ok) assert.ok(at >= 154 && at < 156, `byte ${at}`);
  }
});

test('names that do not fit are refused, those that can be divided are not', () => {
  const name = (text: string): boolean => formatTarHeader({ name: text, sizeBytes: 0, mode: 0o644, modifiedSeconds: 0 }) !== undefined;
  assert.ok(name('a'.repeat(100)));
  assert.ok(name(`${'a'.repeat(155)}/${'b'.repeat(100)}`));
  for (const text of ['a'.repeat(101), `${'a'.repeat(156)}/b`, `a/${'b'.repeat(101)}`, '', 'ä', 'a\n'])
    assert.equal(name(text), false, text.slice(0, 20));
});

test('pax headers: path and size, and nothing that is damaged', () => {
  const read = (text: string): unknown => parsePax(Buffer.from(text));
  assert.deepEqual(read('11 path=ab\n13 size=1234\n15 mtime=1.234\n'), { ok: true, value: { path: 'ab', sizeBytes: 1234 } });
  for (const text of ['10 path=ab\n', '12 path=ab\n', 'x path=ab\n', '9 size=x\n', '0 \n', '999 path=a\n', 'path'])
    assert.equal((read(text) as { ok: boolean }).ok, false, text);
});
