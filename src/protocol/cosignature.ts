/**
 * Cosignatures: a witness states that, at a time, the tree in a note's text was the largest it had seen of that log, and continued all that
 * it had seen before. It is one more signature line of the note, which a client that does not know the witness ignores:
 *
 *     — <witness> <base64 of 4 bytes of key hash, 8 bytes of time and 64 of Ed25519>
 *
 * The time is in seconds since 1970, big-endian, and never zero. What is signed is the line `cosignature/v1`, the line `time <seconds>`, and
 * the note's whole text. Keys are as in `note.ts` with algorithm 4, also in the hash, so that no cosignature passes for a signature.
 *
 * The signed message names the log by its origin line alone, and all Go checksum databases have the same. A witness of several needs
 * **a key for each**: else a head that it saw of one log would count for another, and whoever owns both could show it as that of either.
 * {@link cosignerFor} makes them of one secret.
 *
 * https://c2sp.org/tlog-cosignature (Ed25519; ML-DSA is not in this version's Node on all systems)
 */
import { hkdfSync, sign, verify } from 'node:crypto';
import { invariant } from '../base/invariant.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import {
  COSIGNATURE,
  type Note,
  type SignerKey,
  type VerifierKey,
  formatSignature,
  generateSignerKey,
  parseNote,
  parseVerifierKey,
} from './note.ts';

/** Whose cosignatures count. Not to be mixed up with who signs notes. */
export interface CosignerKey {
  readonly cosigner: VerifierKey;
}

export interface CosignerSigner {
  readonly key: CosignerKey;
  readonly signer: SignerKey;
}

export interface Cosignature {
  /** With its newline. */
  readonly line: string;
  readonly timeSeconds: number;
}

const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;

/** `NAME+HASH+base64(0x04 ‖ public key)`. */
export function parseCosignerKey(text: string): Parsed<CosignerKey> {
  const key = parseVerifierKey(text, COSIGNATURE);
  return key.ok ? parsed({ cosigner: key.value }) : key;
}

/** A signer of algorithm 4 as what it is. */
export function cosignerOf(signer: SignerKey): CosignerSigner {
  const key = parseCosignerKey(signer.verifier.text);
  invariant(key.ok, 'the key of a cosigner is of algorithm 4');
  return { key: key.value, signer };
}

/** A new key of that name, and its text. `seed` is 32 bytes, random unless a test wants always the same key. */
export function generateCosigner(name: string, seed?: Uint8Array): { readonly cosigner: CosignerSigner; readonly text: string } {
  const { signer, text } = generateSignerKey(name, seed, COSIGNATURE);
  return { cosigner: cosignerOf(signer), text };
}

/** The key, of the same name, with which a witness cosigns one log: always the same for the same secret and the same key of the log. */
export function cosignerFor(witness: CosignerSigner, log: VerifierKey): CosignerSigner {
  const { privateKey, verifier } = witness.signer;
  const { d } = privateKey.export({ format: 'jwk' });
  invariant(d !== undefined, 'an Ed25519 private key has a seed');
  const seed = hkdfSync('sha256', Buffer.from(d, 'base64url'), '', `goyi witness of ${log.text}`, 32);
  return generateCosigner(verifier.name, new Uint8Array(seed)).cosigner;
}

/** The signature line with its newline. */
export function cosign(noteText: string, { signer }: CosignerSigner, timeSeconds: number): string {
  invariant(Number.isSafeInteger(timeSeconds) && timeSeconds > 0, 'a cosignature has a time');
  const time = Buffer.alloc(TIME_BYTES);
  time.writeBigUInt64BE(BigInt(timeSeconds));
  const signature = Buffer.concat([time, sign(null, signedMessage(noteText, timeSeconds), signer.privateKey)]);
  return formatSignature({ name: signer.verifier.name, keyHash: signer.verifier.hash, signature });
}

/** The cosignature of `key` on a note, if there is one and it holds. The text must be verified as the log's by its own signature. */
export function findCosignature(note: Note, { cosigner }: CosignerKey): Parsed<Cosignature> {
  const shown = `${cosigner.name}+${cosigner.hash}`;
  // As with signatures, the first by a known key decides.
  const own = note.signatures.find(({ name, keyHash }) => name === cosigner.name && keyHash === cosigner.hash);
  if (own === undefined) return refused(`the note is not cosigned by ${shown}`);
  if (own.signature.length !== TIME_BYTES + SIGNATURE_BYTES) return refused(`the cosignature by ${shown} has a wrong length`);
  const timeSeconds = Number(own.signature.readBigUInt64BE(0));
  if (!Number.isSafeInteger(timeSeconds) || timeSeconds === 0) return refused(`the cosignature by ${shown} has no possible time`);
  if (!verify(null, signedMessage(note.text, timeSeconds), cosigner.publicKey, own.signature.subarray(TIME_BYTES)))
    return refused(`the note has an invalid cosignature by ${shown}`);
  return parsed({ line: formatSignature(own), timeSeconds });
}

/** The note with these signature lines after its own, each once. */
export function withSignatureLines(note: string, lines: readonly string[]): string {
  const added = [...new Set(lines)].filter((line) => !note.includes(`\n${line}`));
  const whole = note + added.join('');
  invariant(parseNote(whole).ok, 'a note with signature lines is a note');
  return whole;
}

function signedMessage(noteText: string, timeSeconds: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${timeSeconds}\n${noteText}`);
}
