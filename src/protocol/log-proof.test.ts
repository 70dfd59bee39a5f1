import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatChecksumRecord, formatTreeNote, recordHash } from './checksum-record.ts';
import { LOG_PROOF_BYTES_MAX, checkLogProof, formatLogProof, parseLogProof } from './log-proof.ts';
import { generateSignerKey, signNote } from './note.ts';
import { hashRanges, inclusionRanges } from './tree-proof.ts';
import { rootFromEdges } from './tile.ts';

const { signer } = generateSignerKey('sum.test.example', Buffer.alloc(32, 1));
const { signer: other } = generateSignerKey('sum.test.example', Buffer.alloc(32, 2));
const zero = `h1:${Buffer.alloc(32).toString('base64')}`;
const records = (
  [
    ['m.example/m', 'v1.0.0'],
    ['m.example/m', 'v1.1.0'],
    ['M.example/m', 'v1.0.0'],
  ] as const
).map(([module, version]) => formatChecksumRecord({ module, version, zipHash: zero, modHash: zero }));
const [text = ''] = records;
const leaves = Buffer.concat(records.map(recordHash));
const root = rootFromEdges(3, [leaves]);
const note = signNote(formatTreeNote({ size: 3, root }), signer);
const proof = {
  recordId: 0,
  text,
  hashes: await hashRanges(inclusionRanges(0, 3), 3, () => leaves),
  note,
};

test('a proof that was made holds', () => {
  const checked = checkLogProof(proof, signer.verifier);
  assert.ok(checked.ok);
  assert.deepEqual(checked.value.record, { module: 'm.example/m', version: 'v1.0.0', zipHash: zero, modHash: zero });
  assert.equal(checked.value.tree.size, 3);
});

test('a proof of anything else does not', () => {
  const cases = [
    [{ ...proof, recordId: 1 }, 'the hashes do not lead from record 1 to the root of the signed tree'],
    [{ ...proof, recordId: 3 }, 'the signed tree of 3 records has no record 3'],
    [{ ...proof, text: text.replace('v1.0.0 ', 'v1.0.1 ') }, 'the hashes do not lead from record 0 to the root of the signed tree'],
    [{ ...proof, hashes: [] }, 'the hashes do not lead from record 0 to the root of the signed tree'],
    [
      { ...proof, note: signNote(formatTreeNote({ size: 3, root }), other) },
      `the note is not signed by sum.test.example+${signer.verifier.hash}`,
    ],
    [{ ...proof, note: note.replace('\n3\n', '\n4\n') }, `the note has an invalid signature by sum.test.example+${signer.verifier.hash}`],
    [{ ...proof, note: signNote('hello\n', signer) }, 'the text is no tree of a checksum database'],
  ] as const;
  for (const [bad, reason] of cases) assert.deepEqual(checkLogProof(bad, signer.verifier), { ok: false, reason });
});

test('a record that is in the log but not well formed is no record', () => {
  const odd = 'm.example/m v1 h1:x\n';
  const malformed = { recordId: 0, text: odd, hashes: [], note: signNote(formatTreeNote({ size: 1, root: recordHash(odd) }), signer) };
  assert.equal(checkLogProof(malformed, signer.verifier).ok, false);
});

const whole = formatLogProof(proof);
const refusals = [
  ['', 'the file does not begin with c2sp.org/tlog-proof@v1'],
  [whole.replace('@v1', '@v2'), 'the file does not begin with c2sp.org/tlog-proof@v1'],
  [whole.replace(/^extra .*\n/m, ''), 'the proof has no record in its line extra'],
  [whole.replace(/^extra .*$/m, 'extra '), 'the line extra of the proof is no base64 of a text'],
  [whole.replace(/^extra .*$/m, 'extra //79'), 'the line extra of the proof is no base64 of a text'],
  [whole.replace(/^extra (.*)$/m, 'extra $1 '), 'the line extra of the proof is no base64 of a text'],
  [whole.replace('index 0', 'index 00'), 'the proof has no line of the form index NUMBER'],
  [whole.replace('index 0\n', ''), 'the proof has no line of the form index NUMBER'],
  [whole.replace('index 0\n', 'index 0\nhello\n'), 'a line of the proof is no hash'],
  [whole.replaceAll('\n', '\r\n'), 'the file does not begin with c2sp.org/tlog-proof@v1'],
  [whole + ' '.repeat(LOG_PROOF_BYTES_MAX), `the file is longer than ${LOG_PROOF_BYTES_MAX} bytes`],
] as const;
for (const [file, reason] of refusals) {
  test(`a proof file is refused: ${reason}`, () => assert.deepEqual(parseLogProof(Buffer.from(file)), { ok: false, reason }));
}

test('parseLogProof inverts formatLogProof', () => {
  const hashes = fc.array(
    fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    { maxLength: 63 },
  );
  const texts = fc.string({ unit: 'binary', minLength: 1 });
  fc.assert(
    fc.property(fc.maxSafeNat(), texts, hashes, (recordId, record, path) => {
      const value = { recordId, text: record, hashes: path, note };
      assert.deepEqual(parseLogProof(Buffer.from(formatLogProof(value))), { ok: true, value });
    }),
  );
});
