/**
 * Signed notes, the form in which a checksum database signs its tree: a text, a blank line, one signature a line.
 *
 *     <text, every line ended by a newline>
 *
 *     — <name> <base64 of 4 bytes of key hash and the signature>
 *
 * What is signed is the text with its last newline. The text may hold blank lines, so the last one divides. A note is UTF-8 without
 * control characters but the newline, and has 1 … 100 signatures. Signatures by unknown keys are allowed and mean nothing; one by the
 * known key that does not verify condemns the note. Keys are Ed25519 (algorithm 1; the same with 4 signs that a head was seen):
 *
 *     verifier  NAME+HASH+base64(0x01 ‖ public key)         HASH = 8 hex digits, the first 4 bytes of
 *     signer    PRIVATE+KEY+NAME+HASH+base64(0x01 ‖ seed)   sha256(NAME ‖ "\n" ‖ 0x01 ‖ public key)
 *
 * Base64 is the standard alphabet with padding and nothing after it; unused bits are zero. The go command tolerates other spare bits,
 * which no signer makes. https://pkg.go.dev/golang.org/x/mod/sumdb/note, https://c2sp.org/signed-note
 */
import { type KeyObject, createPrivateKey, createPublicKey, hash, randomBytes, sign, verify } from 'node:crypto';
import { invariant } from '../base/invariant.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';

/** A note longer than this is no tree note. */
export const NOTE_BYTES_MAX: number = 8 * 1024;

const SIGNATURES_MAX = 100;

/** What a key's first byte says it signs: the text of a note, or that a head was seen (`cosignature.ts`). */
export type KeyAlgorithm = typeof ED25519 | typeof COSIGNATURE;
export const ED25519 = 1;
export const COSIGNATURE = 4;

/** Who a signature must be by. */
export interface VerifierKey {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly hash: string;
  readonly publicKey: KeyObject;
  /** `NAME+HASH+KEY`, as GOSUMDB takes it. */
  readonly text: string;
}

/** Who signs. */
export interface SignerKey {
  readonly verifier: VerifierKey;
  readonly privateKey: KeyObject;
}

export interface NoteSignature {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly keyHash: string;
  readonly signature: Buffer;
}

/** A note taken apart; nothing in it is believed yet. */
export interface Note {
  /** With its last newline: what is signed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export function parseNote(message: string): Parsed<Note> {
  if (hasControls(message)) return refused('the note has control characters');
  const divide = message.lastIndexOf('\n\n');
  if (divide < 0) return refused('the note has no blank line before its signatures');
  const lines = message.slice(divide + 2).split('\n');
  if (lines.pop() !== '' || lines.length === 0) return refused('the note has no signature lines');
  if (lines.length > SIGNATURES_MAX) return refused(`the note has more than ${SIGNATURES_MAX} signatures`);
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = parseSignature(line);
    if (signature === undefined) return refused('the note has a malformed signature line');
    signatures.push(signature);
  }
  return parsed({ text: message.slice(0, divide + 1), signatures });
}

/** A text that was signed, and the note with that one signature: whatever else stood in it was not vouched for by anybody known. */
export interface VerifiedNote {
  readonly text: string;
  readonly note: string;
}

/** The signed text, if `key` signed it. */
export function verifyNote(message: string, key: VerifierKey): Parsed<VerifiedNote> {
  const note = parseNote(message);
  if (!note.ok) return note;
  // The first one decides and repetitions are ignored, as the go command does.
  const own = note.value.signatures.find((s) => s.name === key.name && s.keyHash === key.hash);
  if (own === undefined) return refused(`the note is not signed by ${key.name}+${key.hash}`);
  const { text } = note.value;
  if (!verify(null, Buffer.from(text), key.publicKey, own.signature)) {
    return refused(`the note has an invalid signature by ${key.name}+${key.hash}`);
  }
  return parsed({ text, note: `${text}\n${formatSignature(own)}` });
}

/** The whole note: `text`, which ends in a newline, signed by each of the keys in this order. */
export function signNote(text: string, ...signers: readonly SignerKey[]): string {
  invariant(text.endsWith('\n') && !hasControls(text), 'the text of a note ends in a newline and has no other control characters');
  invariant(signers.length > 0 && signers.length <= SIGNATURES_MAX, 'a note has signers');
  const lines = signers.map(({ verifier, privateKey }) =>
    formatSignature({ name: verifier.name, keyHash: verifier.hash, signature: sign(null, Buffer.from(text), privateKey) }),
  );
  return `${text}\n${lines.join('')}`;
}

export function parseVerifierKey(text: string, algorithm: KeyAlgorithm = ED25519): Parsed<VerifierKey> {
  const [name, keyHash, encoded, ...rest] = splitKey(text, 3);
  if (name === undefined || keyHash === undefined || encoded === undefined || rest.length > 0) {
    return refused('a verifier key reads NAME+HASH+KEY');
  }
  const material = parseKeyMaterial({ name, keyHash, encoded, algorithm });
  if (!material.ok) return material;
  const key = makeVerifier(name, material.value, algorithm);
  return key.hash === keyHash.toLowerCase() ? parsed(key) : refused(`the hash in the verifier key of ${name} is not that of its key`);
}

/** Reasons never repeat the key. */
export function parseSignerKey(text: string, algorithm: KeyAlgorithm = ED25519): Parsed<SignerKey> {
  const [word, key, name, keyHash, encoded] = splitKey(text, 5);
  if (word !== 'PRIVATE' || key !== 'KEY' || name === undefined || keyHash === undefined || encoded === undefined) {
    return refused('a signer key reads PRIVATE+KEY+NAME+HASH+KEY');
  }
  const material = parseKeyMaterial({ name, keyHash, encoded, algorithm });
  if (!material.ok) return material;
  const signer = makeSigner(name, material.value, algorithm);
  return signer.verifier.hash === keyHash.toLowerCase()
    ? parsed(signer)
    : refused(`the hash in the signer key of ${name} is not that of its key`);
}

/** A key pair for a database called `name`; `seed` is 32 bytes, random unless a test wants always the same key. */
export function generateSignerKey(
  name: string,
  seed: Uint8Array = randomBytes(32),
  algorithm: KeyAlgorithm = ED25519,
): { readonly signer: SignerKey; readonly text: string } {
  invariant(isKeyName(name), `${JSON.stringify(name)} is no name for a key`);
  const signer = makeSigner(name, seed, algorithm);
  return { signer, text: `PRIVATE+KEY+${name}+${signer.verifier.hash}+${Buffer.from([algorithm, ...seed]).toString('base64')}` };
}

/** The bytes, if `text` is the one way to write them in standard padded base64. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** The text, if the bytes are UTF-8. A byte-order mark is kept: nothing is signed twice in two ways. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function hasControls(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- the rule is about control characters
  return /[\0-\x09\x0b-\x1f]/.test(text);
}

/** A signature line without its newline; undefined when it is none. Inverts {@link formatSignature}. */
export function parseSignature(line: string): NoteSignature | undefined {
  if (!line.startsWith('— ')) return undefined;
  const space = line.indexOf(' ', 2);
  if (space < 0) return undefined;
  const name = line.slice(2, space);
  const bytes = decodeBase64(line.slice(space + 1));
  if (!isKeyName(name) || bytes === undefined || bytes.length < 5) return undefined;
  return { name, keyHash: bytes.toString('hex', 0, 4), signature: bytes.subarray(4) };
}

export function formatSignature({ name, keyHash, signature }: NoteSignature): string {
  return `— ${name} ${Buffer.concat([Buffer.from(keyHash, 'hex'), signature]).toString('base64')}\n`;
}

/** Whether a key can have this name. */
export function isKeyName(name: string): boolean {
  return name !== '' && !/[\p{White_Space}+]/u.test(name) && name.isWellFormed();
}

/** Splits at the first `+` signs only, for base64 has them too. */
function splitKey(text: string, partsMax: number): string[] {
  const parts = text.split('+');
  return parts.length <= partsMax ? parts : [...parts.slice(0, partsMax - 1), parts.slice(partsMax - 1).join('+')];
}

function parseKeyMaterial({ name, keyHash, encoded, algorithm }: KeyParts): Parsed<Buffer> {
  if (!isKeyName(name)) return refused('the name in the key is empty or has spaces');
  if (!/^[0-9a-f]{8}$/i.test(keyHash)) return refused(`the hash in the key of ${name} is not 8 hex digits`);
  const bytes = decodeBase64(encoded);
  if (bytes === undefined || bytes.length === 0) return refused(`the key of ${name} is not base64`);
  if (bytes[0] !== algorithm) return refused(`the key of ${name} is of an unknown algorithm`);
  return bytes.length === 33 ? parsed(bytes.subarray(1)) : refused(`the key of ${name} is not 32 bytes long`);
}

interface KeyParts {
  readonly name: string;
  readonly keyHash: string;
  readonly encoded: string;
  readonly algorithm: KeyAlgorithm;
}

function makeVerifier(name: string, point: Uint8Array, algorithm: KeyAlgorithm): VerifierKey {
  const material = Buffer.concat([Buffer.from([algorithm]), point]);
  const keyHash = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), material])).slice(0, 8);
  const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(point).toString('base64url') } });
  return { name, hash: keyHash, publicKey, text: `${name}+${keyHash}+${material.toString('base64')}` };
}

function makeSigner(name: string, seed: Uint8Array, algorithm: KeyAlgorithm): SignerKey {
  invariant(seed.length === 32, 'a seed is 32 bytes long');
  // PKCS #8 of an Ed25519 key is this prefix and the seed: RFC 8410 §7.
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  invariant(x !== undefined, 'an Ed25519 key has a point');
  return { verifier: makeVerifier(name, Buffer.from(x, 'base64url'), algorithm), privateKey };
}
