import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { INFO_BYTES_MAX, formatVersionInfo, parseVersionInfo } from './version-info.ts';
import type { Version } from './version.ts';

const asked = 'v1.5.2' as string as Version;

function parse(text: string, expected?: Version): ReturnType<typeof parseVersionInfo> {
  return parseVersionInfo(Buffer.from(text), expected);
}

const accepted = [
  { text: '{"Version":"v1.5.2","Time":"2018-02-14T15:44:20Z"}', value: { version: 'v1.5.2', time: '2018-02-14T15:44:20Z' } },
  {
    text: ' {"Time":"2018-02-14T15:44:20.123456789+08:00", "Version":"v1.5.2", "Name":"x", "Origin":{"VCS":"git"}}\n',
    value: { version: 'v1.5.2', time: '2018-02-14T15:44:20.123456789+08:00' },
  },
  {
    text: '{"Version":"v1.5.2","Origin":{"Hash":"0123456789abcdef0123456789abcdef01234567"}}',
    value: { version: 'v1.5.2', commit: '0123456789abcdef0123456789abcdef01234567' },
  },
  { text: '{"Version":"v1.5.2","Origin":{"Hash":"--upload-pack"}}', value: { version: 'v1.5.2' } },
  { text: '{"Version":"v1.5.2"}', value: { version: 'v1.5.2' } },
  { text: '{"Version":"v1.5.2","Time":null}', value: { version: 'v1.5.2' } },
  { text: '{"Version":"v1.5.2","Time":"0001-01-01T00:00:00Z"}', value: { version: 'v1.5.2', time: '0001-01-01T00:00:00Z' } },
  { text: '{"\\u0056ersion":"v1.5.2"}', value: { version: 'v1.5.2' } },
  { text: '{"Version":"v1.5.2","__proto__":{"Version":"v9.9.9"}}', value: { version: 'v1.5.2' } },
] as const;
for (const { text, value } of accepted) test(`accepted: ${text.trim()}`, () => assert.deepEqual(parse(text, asked), { ok: true, value }));

const refusedTexts = [
  '',
  'null',
  '[]',
  '"v1.5.2"',
  '{}',
  '{"Version":"v1.5.2"}x',
  '{"Version":"v1.5"}',
  '{"Version":"main"}',
  '{"Version":7}',
  '{"version":"v1.5.2"}',
  '{"Version":"v1.5.2","VERSION":"v9.9.9"}',
  '{"Version":"v1.5.2","ver\u017fion":"v9.9.9"}',
  '{"Version":"v1.5.2","time":"2018-02-14T15:44:20Z"}',
  '{"Version":"v1.5.3"}',
  '{"Version":"v1.5.2","Version":"v1.5.3"}',
  '{"Version":"v1.5.2","Time":"yesterday"}',
  '{"Version":"v1.5.2","Time":1518623060}',
  '{"Version":"v1.5.2","Time":"2018-02-30T15:44:20Z"}',
  '{"Version":"v1.5.2","Time":"2018-02-14T24:00:00Z"}',
  '{"Version":"v1.5.2","Time":"2018-02-14T15:44:20+24:00"}',
  '{"Version":"v1.5.2","Time":"2018-02-14 15:44:20Z"}',
  '\ufeff{"Version":"v1.5.2"}',
];
for (const text of refusedTexts) test(`refused: ${text}`, () => assert.equal(parse(text, asked).ok, false));

test('bytes that are no UTF-8 are refused', () =>
  assert.equal(parseVersionInfo(Buffer.from('7b2256657273696f6e223a2276312e352e32222c2278223a22ff227d', 'hex')).ok, false));

test('deep and long JSON is refused, brackets in strings are not counted', () => {
  assert.equal(parse(`{"Version":"v1.5.2","x":${'['.repeat(30)}${']'.repeat(30)}}`).ok, false);
  assert.equal(parse(`{"Version":"v1.5.2","x":"${'[{\\"'.repeat(30)}"}`).ok, true);
  assert.equal(parse(`{"Version":"v1.5.2","x":"${'x'.repeat(INFO_BYTES_MAX)}"}`).ok, false);
  assert.equal(parse('['.repeat(INFO_BYTES_MAX)).ok, false);
});

test('formatVersionInfo writes as Go does, and parseVersionInfo inverts it', () => {
  assert.equal(formatVersionInfo({ version: asked, time: '2018-02-14T15:44:20Z' }), '{"Version":"v1.5.2","Time":"2018-02-14T15:44:20Z"}');
  const years = { min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true };
  fc.assert(
    fc.property(fc.option(fc.date(years), { nil: undefined }), (date) => {
      const info = date === undefined ? { version: asked } : { version: asked, time: date.toISOString() };
      assert.deepEqual(parse(formatVersionInfo(info), asked), { ok: true, value: info });
    }),
  );
});

test('any bytes are answered, never thrown at', () =>
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => assert.equal(typeof parseVersionInfo(bytes).ok, 'boolean'))));
