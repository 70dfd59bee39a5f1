import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InvariantError } from '../base/invariant.ts';
import { formatTreeNote } from './checksum-record.ts';
import {
  type CosignerKey,
  cosign,
  cosignerFor,
  cosignerOf,
  findCosignature,
  generateCosigner,
  parseCosignerKey,
  withSignatureLines,
} from './cosignature.ts';
import {
  COSIGNATURE,
  formatSignature,
  generateSignerKey,
  parseNote,
  parseSignerKey,
  parseVerifierKey,
  signNote,
  verifyNote,
} from './note.ts';
import { EMPTY_ROOT } from './tree-hash.ts';

const { signer: log } = generateSignerKey('sum.test.example', Buffer.alloc(32, 1));
const { signer: otherLog } = generateSignerKey('sum.test.example', Buffer.alloc(32, 2));
const { cosigner: witness, text: witnessText } = generateCosigner('witness.example/w1', Buffer.alloc(32, 3));
const text = formatTreeNote({ size: 0, root: EMPTY_ROOT });
const note = signNote(text, log);

function find(message: string, key: CosignerKey): string {
  const parsedNote = parseNote(message);
  assert.ok(parsedNote.ok);
  const found = findCosignature(parsedNote.value, key);
  return found.ok ? `at ${found.value.timeSeconds}` : found.reason;
}

test('the cosignature in the specification has the shape that is read here', () => {
  // Its witness's key is nowhere to be had, so that it cannot be verified.
  const line =
    '— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n';
  const found = parseNote(`example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n${line}`);
  assert.ok(found.ok);
  const [signature] = found.value.signatures;
  assert.equal(signature?.signature.length, 72);
  assert.equal(signature.signature.readBigUInt64BE(0), 1679315147n);
});

test('what is cosigned is found, with its time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (timeSeconds) => {
      const cosigned = withSignatureLines(note, [cosign(text, witness, timeSeconds)]);
      assert.equal(find(cosigned, witness.key), `at ${timeSeconds}`);
      assert.ok(verifyNote(cosigned, log.verifier).ok, 'the signature of the log is untouched');
    }),
  );
});

test('a cosignature of another text, time, key or algorithm is none', () => {
  const line = cosign(text, witness, 1_700_000_000);
  const other = generateCosigner('witness.example/w1', Buffer.alloc(32, 4)).cosigner;
  const shown = `witness.example/w1+${witness.key.cosigner.hash}`;
  const bytes = Buffer.from(line.trimEnd().split(' ')[2] ?? '', 'base64');
  const changed = (change: (signature: Buffer) => Buffer): string => {
    const signature = change(Buffer.from(bytes.subarray(4)));
    return `${note}${formatSignature({ name: 'witness.example/w1', keyHash: witness.key.cosigner.hash, signature })}`;
  };
  const flip = (at: number): string =>
    changed((signature) => {
      signature[at]! ^= 1;
      return signature;
    });
  assert.equal(find(note, witness.key), `the note is not cosigned by ${shown}`);
  assert.equal(find(note + line, other.key), `the note is not cosigned by witness.example/w1+${other.key.cosigner.hash}`);
  assert.equal(find(`${signNote(`${text}more\n`, log)}${line}`, witness.key), `the note has an invalid cosignature by ${shown}`);
  assert.equal(find(flip(7), witness.key), `the note has an invalid cosignature by ${shown}`);
  assert.equal(find(flip(8), witness.key), `the note has an invalid cosignature by ${shown}`);
  assert.equal(find(flip(71), witness.key), `the note has an invalid cosignature by ${shown}`);
  assert.equal(find(flip(0), witness.key), `the cosignature by ${shown} has no possible time`);
  assert.equal(
    find(
      changed((signature) => signature.fill(0, 0, 8)),
      witness.key,
    ),
    `the cosignature by ${shown} has no possible time`,
  );
  assert.equal(
    find(
      changed((signature) => signature.subarray(8)),
      witness.key,
    ),
    `the cosignature by ${shown} has a wrong length`,
  );
  assert.equal(
    find(`${changed((signature) => signature.fill(9, 8))}${line}`, witness.key),
    `the note has an invalid cosignature by ${shown}`,
  );
});

test('keys of cosigners and of logs are not mistaken for each other', () => {
  assert.deepEqual(parseCosignerKey(log.verifier.text), { ok: false, reason: 'the key of sum.test.example is of an unknown algorithm' });
  assert.deepEqual(parseVerifierKey(witness.key.cosigner.text), {
    ok: false,
    reason: 'the key of witness.example/w1 is of an unknown algorithm',
  });
  const key = parseCosignerKey(witness.key.cosigner.text);
  assert.ok(key.ok);
  assert.equal(key.value.cosigner.hash, witness.key.cosigner.hash);
  const signer = parseSignerKey(witnessText, COSIGNATURE);
  assert.ok(signer.ok);
  assert.equal(find(note + cosign(text, cosignerOf(signer.value), 7), witness.key), 'at 7');
  assert.ok(!parseSignerKey(witnessText).ok);
  assert.ok(!parseSignerKey(generateSignerKey('a', Buffer.alloc(32)).text, COSIGNATURE).ok);
  assert.throws(() => cosignerOf(log), InvariantError);
});

test('a witness has a key of its own for each log, always the same', () => {
  const [first, again, other] = [
    cosignerFor(witness, log.verifier),
    cosignerFor(witness, log.verifier),
    cosignerFor(witness, otherLog.verifier),
  ];
  assert.equal(first.key.cosigner.text, again.key.cosigner.text);
  assert.notEqual(first.key.cosigner.hash, other.key.cosigner.hash);
  assert.equal(first.key.cosigner.name, 'witness.example/w1');
  // The same text signed by two logs: what the witness saw of the one says nothing about the other.
  const line = cosign(text, first, 9);
  assert.equal(
    find(signNote(text, otherLog) + line, other.key),
    `the note is not cosigned by witness.example/w1+${other.key.cosigner.hash}`,
  );
});

test('signature lines are added once', () => {
  const line = cosign(text, witness, 1);
  assert.equal(withSignatureLines(note, [line, line]), note + line);
  assert.equal(withSignatureLines(note + line, [line]), note + line);
});
