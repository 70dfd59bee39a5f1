import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type SignerKey,
  type VerifierKey,
  decodeBase64,
  decodeUtf8,
  generateSignerKey,
  parseNote,
  parseSignerKey,
  parseVerifierKey,
  signNote,
  verifyNote,
} from './note.ts';

interface Vectors {
  readonly Keys: readonly { readonly Signer: string; readonly Verifier: string }[];
  readonly VerifierKeys: readonly { readonly Name: string; readonly Text: string; readonly OK: boolean }[];
  readonly SignerKeys: readonly { readonly Name: string; readonly Text: string; readonly OK: boolean }[];
  readonly Notes: readonly { readonly Name: string; readonly Message: string; readonly OK: boolean; readonly Text: string }[];
}

const vectors = JSON.parse(readFileSync(new URL('testdata/checksum-vectors.json', import.meta.url), 'utf8')) as Vectors;

function signerOf(text: string): SignerKey {
  const key = parseSignerKey(text);
  assert.ok(key.ok);
  return key.value;
}

function verifierOf(text: string): VerifierKey {
  const key = parseVerifierKey(text);
  assert.ok(key.ok, key.ok ? '' : key.reason);
  return key.value;
}

const own = vectors.Keys[0]!;

for (const { Signer, Verifier } of vectors.Keys) {
  test(`the key pair of ${Verifier}`, () => {
    assert.equal(signerOf(Signer).verifier.text, Verifier);
    assert.equal(verifierOf(Verifier).text, Verifier);
  });
}

for (const { Name, Text, OK } of vectors.VerifierKeys) {
  test(`parseVerifierKey: ${Name} is ${OK ? 'a key' : 'none'}`, () => assert.equal(parseVerifierKey(Text).ok, OK));
}

for (const { Name, Text, OK } of vectors.SignerKeys) {
  test(`parseSignerKey: ${Name} is ${OK ? 'a key' : 'none'}`, () => {
    const key = parseSignerKey(Text);
    assert.equal(key.ok, OK);
    if (!key.ok) assert.ok(!key.reason.includes(Text.split('+').at(-1)!), 'the reason must not repeat a secret');
  });
}

for (const { Name, Message, OK, Text } of vectors.Notes) {
  test(`verifyNote: ${Name} is ${OK ? 'believed' : 'refused'}`, () => {
    const verified = verifyNote(Message, verifierOf(own.Verifier));
    assert.equal(verified.ok, OK, verified.ok ? '' : verified.reason);
    if (verified.ok) assert.equal(verified.value.text, Text);
  });
}

test('a verified note is handed on with the one signature that was checked', () => {
  const signer = signerOf(own.Signer);
  const other = generateSignerKey('witness.example').signer;
  const verified = verifyNote(signNote('hello\n', other, signer), signer.verifier);
  assert.ok(verified.ok);
  assert.equal(verified.value.note, signNote('hello\n', signer));
});

const texts = fc
  .string({ unit: fc.oneof(fc.constantFrom('\n', '— ', 'a', '驿', ' '), fc.string({ unit: 'grapheme', maxLength: 1 })) })
  .map((text) => {
    // oxlint-disable-next-line no-control-regex -- notes have none but the newline
    return `${text.replaceAll(/[\0-\x09\x0b-\x1f]/g, '')}\n`;
  });

test('verifyNote finds the text that signNote signed, whatever is in it', () => {
  const { signer } = generateSignerKey('a.example');
  fc.assert(
    fc.property(texts, (text) => {
      const verified = verifyNote(signNote(text, signer), signer.verifier);
      assert.ok(verified.ok);
      assert.equal(verified.value.text, text);
    }),
    { numRuns: 50 },
  );
});

test('no change of one byte leaves a note believed with another text', () => {
  const { signer } = generateSignerKey('a.example', Buffer.alloc(32, 7));
  const note = Buffer.from(signNote('go.sum database tree\n5\nabc\n', signer));
  for (let at = 0; at < note.length; at += 1) {
    for (const bit of [1, 0x20, 0x80]) {
      const changed = Buffer.from(note);
      changed[at] = changed[at]! ^ bit;
      const message = decodeUtf8(changed);
      if (message === undefined) continue;
      const verified = verifyNote(message, signer.verifier);
      assert.ok(!verified.ok, `bit ${bit} of byte ${at}`);
    }
  }
});

test('parseNote takes anything without throwing', () => {
  fc.assert(fc.property(fc.oneof(fc.string(), texts), (text) => typeof parseNote(text).ok === 'boolean'));
});

test('decodeBase64 inverts the one encoding and refuses the others', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) =>
      assert.deepEqual(decodeBase64(Buffer.from(bytes).toString('base64')), Buffer.from(bytes)),
    ),
  );
  for (const text of ['A', 'AA', 'AAA', 'AA==\n', 'AB==', ' AAAA', 'AA-_']) assert.equal(decodeBase64(text), undefined, text);
});

test('decodeUtf8 keeps a byte-order mark and refuses what is not UTF-8', () => {
  assert.equal(decodeUtf8(Buffer.from('\ufeffa')), '\ufeffa');
  assert.equal(decodeUtf8(Buffer.from([0xc0, 0x80])), undefined);
});
