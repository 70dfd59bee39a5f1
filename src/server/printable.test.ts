import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { clipped, formatErrorBody, printable } from './printable.ts';

/** What the go command prints of an error's body, or '' when it drops it: its rules, written down here a second time. */
function printedByGo(body: string): string {
  for (const char of body) if (!/[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}\t\n\v\f\r\u0085]/u.test(char)) return '';
  let detail = '';
  for (const [at, line] of body.split('\n').entries()) {
    if (line.trim() === '') break;
    if (at > 0) detail += '\n\t';
    if (at >= 8) return `${detail}[Truncated: too many lines.]`;
    if (Buffer.byteLength(detail) + Buffer.byteLength(line) > 648) return `${detail}[Truncated: too long.]`;
    detail += line;
  }
  return detail;
}

const bodies = [
  { sentence: 'no such version', trailer: undefined, printed: 'no such version' },
  { sentence: 'first\n\n\nsecond', trailer: undefined, printed: 'first\n\tsecond' },
  { sentence: 'first\r\nsecond', trailer: '(goyi: x)', printed: 'first\n\tsecond\n\t(goyi: x)' },
  { sentence: '\u001b[31mred\u0007', trailer: undefined, printed: '\\u{1b}[31mred\\u{7}' },
  { sentence: '', trailer: undefined, printed: 'the request failed' },
  { sentence: 'a\u202eb\u009bc\u200bd\ud800e', trailer: undefined, printed: 'a\\u{202e}b\\u{9b}c\\u{200b}d\\u{d800}e' },
  { sentence: '模块不存在', trailer: undefined, printed: '模块不存在' },
] as const;
for (const { sentence, trailer, printed } of bodies) {
  test(`the go command prints the body of ${JSON.stringify(sentence)}`, () =>
    assert.equal(printedByGo(formatErrorBody(sentence, trailer)), printed));
}

test('every error body is printed whole by the go command, its trailer included', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 2000 }),
    fc.array(fc.string({ maxLength: 100 }), { maxLength: 20 }).map((lines) => lines.join('\n')),
  );
  fc.assert(
    fc.property(text, fc.option(fc.constant('(goyi: storage-fault, request abc-1)'), { nil: undefined }), (sentence, trailer) => {
      const body = formatErrorBody(sentence, trailer);
      assert.equal(printedByGo(body), body.trimEnd().replaceAll('\n', '\n\t'));
      assert.ok(Buffer.byteLength(body) <= 648);
      if (trailer !== undefined) assert.ok(body.endsWith(`${trailer}\n`));
    }),
    { numRuns: 300 },
  );
});

test('a sentence of many bytes is cut between characters', () => {
  const body = formatErrorBody('驿'.repeat(100_000));
  assert.ok(body.endsWith('驿…\n'));
  assert.ok(Buffer.byteLength(body) > 600);
  assert.equal(clipped('驿驿驿', 8), '驿…');
  assert.equal(clipped('abc', 3), 'abc');
});

test('printable leaves nothing that a terminal obeys', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.doesNotMatch(printable(text), /[\p{C}\p{Zl}\p{Zp}]/u)));
});
