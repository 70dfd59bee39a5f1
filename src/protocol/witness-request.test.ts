import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateSignerKey, signNote } from './note.ts';
import { WITNESS_BODY_BYTES_MAX, formatWitnessRequest, parseTreeSize, parseWitnessRequest } from './witness-request.ts';

const note = signNote('a\n1\nb\n', generateSignerKey('sum.test.example', Buffer.alloc(32, 1)).signer);
const hash = 'PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=';

const malformed = [
  ['', 'the body has no blank line before its note'],
  [`old 1\n${hash}\n`, 'the body has no blank line before its note'],
  [`old -1\n\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`old 01\n\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`old +1\n\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`old\t1\n\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`old 1 \n\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`old \n\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`size 1\n\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`old 9007199254740992\n\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`\n\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`old 1\r\n\r\n${note}`, 'the body does not begin with a line of the form old SIZE'],
  [`old 1\n${hash.slice(0, -1)}\n\n${note}`, 'a line of the proof is no hash'],
  [`old 1\n${hash.replace('kaw=', 'kax=')}\n\n${note}`, 'a line of the proof is no hash'],
  [`old 1\n${hash} \n\n${note}`, 'a line of the proof is no hash'],
  [`old 1\n${hash.replaceAll('+', '-')}AAAA\n\n${note}`, 'a line of the proof is no hash'],
  [`old 1\n${`${hash}\n`.repeat(64)}\n${note}`, 'the proof has more than 63 hashes'],
  [`old 1\n\n${'a'.repeat(WITNESS_BODY_BYTES_MAX)}`, `the body is longer than ${WITNESS_BODY_BYTES_MAX} bytes`],
] as const;

for (const [body, reason] of malformed) {
  test(`${JSON.stringify(body.slice(0, 60))} is refused`, () => {
    assert.deepEqual(parseWitnessRequest(Buffer.from(body)), { ok: false, reason });
  });
}

test('bytes that are no text are refused', () => {
  assert.deepEqual(parseWitnessRequest(Buffer.from([0x6f, 0xff])), { ok: false, reason: 'the body is not UTF-8' });
});

test('parseWitnessRequest inverts formatWitnessRequest', () => {
  const hashes = fc.array(
    fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 63 },
  );
  const notes = fc.constantFrom(note, '', '\n', 'a\n\nb\n');
  fc.assert(
    fc.property(fc.maxSafeNat(), hashes, notes, (olderSize, proof, message) => {
      const request = { olderSize, proof, note: message };
      assert.deepEqual(parseWitnessRequest(Buffer.from(formatWitnessRequest(request))), { ok: true, value: request });
    }),
  );
});

test('a size is digits and a newline', () => {
  assert.deepEqual(parseTreeSize('20852014\n'), { ok: true, value: 20852014 });
  assert.deepEqual(parseTreeSize('0\n'), { ok: true, value: 0 });
  for (const body of ['', '5', '05\n', '5\n\n', '-5\n', '5 \n', 'x\n', '9007199254740992\n']) assert.ok(!parseTreeSize(body).ok, body);
});
