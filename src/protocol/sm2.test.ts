import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generateSm2Key, parseSm2SignerKey, parseSm2VerifierKey, signSm2, sm3, verifySm2 } from './sm2.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

// GB/T 32918.5-2017, annex A.2: the signature of "message digest" by the user 1234567812345678.
const secret = hex('3945208F 7B2144B1 3F36E38A C6D39F95 88939369 2860B51A 42FB81EF 4DF7C5B8');
const point = hex(
  '04 09F9DF31 1E5421A1 50DD7D16 1E4BC5C6 72179FAD 1833FC07 6BB08FF3 56F35020 CCEA490C E26775A5 2DC6EA71 8CC1AA60 0AED05FB F35E084A 6632F607 2DA9AD13',
);
const message = Buffer.from('message digest');
const signature = hex(
  'F5A03B06 48D2C463 0EEAC513 E1BB81A1 5944DA38 27D5B741 43AC7EAC EEE720B3 B1B6AA29 DF212FD8 763182BC 0D421CA1 BB9038FD 1F7F42D4 840B69C4 85BBC1AA',
);
const { signer } = generateSm2Key('example', secret);

test('the example of the standard: its key, and its signature verifies', () => {
  assert.equal(signer.verifier.point, point.toString('hex'));
  assert.equal(verifySm2(message, signer.verifier, signature), true);
});

// GB/T 32905-2016, annex A.
test('SM3 of the examples of its standard', () => {
  assert.equal(sm3(Buffer.from('abc')), '66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0');
  assert.equal(sm3(Buffer.from('abcd'.repeat(16))), 'debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732');
});

test('the same text has the same signature, which verifies', () => {
  const first = signSm2(message, signer);
  assert.deepEqual(signSm2(message, signer), first);
  assert.equal(verifySm2(message, signer.verifier, first), true);
  assert.equal(first.equals(signature), false, 'its secret number is another than that of the example');
});

test('what was not signed so does not verify', () => {
  const honest = signSm2(message, signer);
  fc.assert(
    fc.property(fc.nat(honest.length * 8 - 1), (bit) => {
      const changed = Buffer.from(honest);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(verifySm2(message, signer.verifier, changed), false);
    }),
    { numRuns: 40 },
  );
  assert.equal(verifySm2(Buffer.from('message digesT'), signer.verifier, honest), false);
  assert.equal(verifySm2(message, generateSm2Key('other').signer.verifier, honest), false);
  const zero = Buffer.alloc(32);
  const order = hex('FFFFFFFE FFFFFFFF FFFFFFFF FFFFFFFF 7203DF6B 21C6052B 53BBF409 39D54123');
  const [r, s] = [honest.subarray(0, 32), honest.subarray(32)];
  for (const [a, b] of [
    [zero, s],
    [r, zero],
    [order, s],
    [r, order],
    [zero, zero],
  ] as const)
    assert.equal(verifySm2(message, signer.verifier, Buffer.concat([a, b])), false);
  assert.equal(verifySm2(message, signer.verifier, honest.subarray(1)), false);
});

test('keys read back, and nothing else does', () => {
  const { signer: made, text } = generateSm2Key('goyi-bundle-sm2');
  assert.deepEqual(parseSm2SignerKey(text), { ok: true, value: made });
  assert.deepEqual(parseSm2VerifierKey(made.verifier.text), { ok: true, value: made.verifier });
  for (const wrong of [
    '',
    text,
    made.verifier.text.slice(0, -1),
    made.verifier.text.replace('goyi', 'g0yi'),
    // Not on the curve.
    made.verifier.text.replace(/.{6}$/, 'AAAAA='),
  ])
    assert.equal(parseSm2VerifierKey(wrong).ok, false, wrong);
  assert.equal(parseSm2SignerKey(text.replace(/.{6}$/, 'AAAAA=')).ok, false);
  assert.equal(parseSm2SignerKey(made.verifier.text).ok, false);
});
