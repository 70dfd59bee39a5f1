/**
 * Signatures by SM2 with SM3 (GB/T 32918.2, GB/T 32905) for where Chinese cryptography is asked for beside the usual one.
 *
 * What is signed is SM3(Z ‖ message); Z binds the identity 1234567812345678, which everybody takes who has agreed on no other (GB/T 35276), the curve and the
 * public key. The signature is r ‖ s, 64 bytes. The secret number k is made of the private key and the digest as RFC 6979 does it, with HMAC-SM3: the same
 * text has the same signature, and no weak source of random bytes can give the key away. Keys are written like those of notes:
 *
 *     verifier  NAME+HASH+base64(0xff ‖ "sm2" ‖ 0x04 ‖ X ‖ Y)         HASH = 8 hex digits, the first 4 bytes of
 *     signer    PRIVATE+KEY+NAME+HASH+base64(0xff ‖ "sm2" ‖ d)        sha256(NAME ‖ "\n" ‖ what the base64 of the verifier holds)
 *
 * The arithmetic is that of a library, which does not promise to take the same time for every key: sign where nobody measures.
 */
import { createHash, createHmac, hash, randomBytes } from 'node:crypto';
import { sm2 } from 'sm-crypto-v2';
import { invariant } from '../base/invariant.ts';
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import { decodeBase64, isKeyName } from './note.ts';

export interface Sm2VerifierKey {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly hash: string;
  /** Hex of the uncompressed point. */
  readonly point: string;
  /** `NAME+HASH+KEY` */
  readonly text: string;
}

export interface Sm2SignerKey {
  readonly verifier: Sm2VerifierKey;
  /** Hex of a number from 1 to n - 2. */
  readonly secret: string;
}

/** r ‖ s */
export const SM2_SIGNATURE_BYTES = 64;

const TYPE = Buffer.concat([Buffer.of(0xff), Buffer.from('sm2')]);
const POINT_BYTES = 65;
const SECRET_BYTES = 32;
/** Order of the base point: GB/T 32918.5. */
const ORDER = 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n;

export function signSm2(message: Buffer, { secret, verifier }: Sm2SignerKey): Buffer {
  const digest = digestOf(message, verifier.point);
  const signature = Buffer.from(sm2.doSignature(digest, secret, { pointPool: noncesOf(secret, digest) }), 'hex');
  invariant(verifySm2(message, verifier, signature), 'what was signed verifies');
  return signature;
}

export function verifySm2(message: Buffer, { point }: Sm2VerifierKey, signature: Buffer): boolean {
  if (signature.length !== SM2_SIGNATURE_BYTES) return false;
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)].map(numberOf);
  if (r === undefined || s === undefined || !isInOrder(r) || !isInOrder(s) || (r + s) % ORDER === 0n) return false;
  return sm2.doVerifySignature(digestOf(message, point), signature.toString('hex'), point);
}

/** SM3 of bytes: 64 lower-case hex digits. */
export function sm3(bytes: Uint8Array): string {
  return createHash('sm3').update(bytes).digest('hex');
}

export function parseSm2VerifierKey(text: string): Parsed<Sm2VerifierKey> {
  const [, name = '', keyHash = '', encoded = ''] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  const point = materialOf(encoded, POINT_BYTES);
  if (!isKeyName(name) || point === undefined) return refused('a verifier key of SM2 reads NAME+HASH+KEY');
  const hex = point.toString('hex');
  if (!isPoint(hex)) return refused(`the key of ${name} is no point of the curve`);
  const key = makeVerifier(name, hex);
  return key.hash === keyHash ? parsed(key) : refused(`the hash in the verifier key of ${name} is not that of its key`);
}

/** Reasons never repeat the key. */
export function parseSm2SignerKey(text: string): Parsed<Sm2SignerKey> {
  const [, name = '', keyHash = '', encoded = ''] = /^PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  const secret = materialOf(encoded, SECRET_BYTES);
  if (!isKeyName(name) || secret === undefined || !isSecret(secret)) return refused('a signer key of SM2 reads PRIVATE+KEY+NAME+HASH+KEY');
  const signer = makeSigner(name, secret);
  return signer.verifier.hash === keyHash ? parsed(signer) : refused(`the hash in the signer key of ${name} is not that of its key`);
}

/** `secret` is random unless a test wants always the same key. */
export function generateSm2Key(name: string, secret?: Buffer): { readonly signer: Sm2SignerKey; readonly text: string } {
  invariant(isKeyName(name), `${JSON.stringify(name)} is no name for a key`);
  let chosen = secret ?? randomBytes(SECRET_BYTES);
  while (!isSecret(chosen)) chosen = randomBytes(SECRET_BYTES);
  const signer = makeSigner(name, chosen);
  return { signer, text: `PRIVATE+KEY+${name}+${signer.verifier.hash}+${Buffer.concat([TYPE, chosen]).toString('base64')}` };
}

function digestOf(message: Buffer, point: string): Uint8Array {
  return Buffer.from(sm2.getHash(message, point), 'hex');
}

/** A few in their order: the library goes on to the next one in the case, never seen, that one does not do. RFC 6979, section 3.2. */
function noncesOf(secret: string, digest: Uint8Array): { k: bigint; x1: bigint }[] {
  const nonces: { k: bigint; x1: bigint }[] = [];
  const hmac = (key: Buffer, ...parts: readonly Uint8Array[]): Buffer => createHmac('sm3', key).update(Buffer.concat(parts)).digest();
  const seed = Buffer.concat([Buffer.from(secret, 'hex'), bytesOf(numberOf(Buffer.from(digest)) % ORDER)]);
  let key: Buffer = Buffer.alloc(32, 0);
  let value: Buffer = Buffer.alloc(32, 1);
  for (const round of [0, 1]) {
    key = hmac(key, value, Buffer.of(round), seed);
    value = hmac(key, value);
  }
  while (nonces.length < NONCES) {
    value = hmac(key, value);
    const k = numberOf(value);
    if (isInOrder(k)) {
      const point = sm2.getPublicKeyFromPrivateKey(value.toString('hex'));
      // The library takes the last one first.
      nonces.unshift({ k, x1: BigInt(`0x${point.slice(2, 66)}`) });
    }
    key = hmac(key, value, Buffer.of(0));
    value = hmac(key, value);
  }
  return nonces;
}

const NONCES = 3;

function makeVerifier(name: string, point: string): Sm2VerifierKey {
  const material = Buffer.concat([TYPE, Buffer.from(point, 'hex')]);
  const keyHash = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), material])).slice(0, 8);
  return { name, hash: keyHash, point, text: `${name}+${keyHash}+${material.toString('base64')}` };
}

function makeSigner(name: string, secret: Buffer): Sm2SignerKey {
  const hex = secret.toString('hex');
  return { verifier: makeVerifier(name, sm2.getPublicKeyFromPrivateKey(hex)), secret: hex };
}

function materialOf(encoded: string, length: number): Buffer | undefined {
  const bytes = decodeBase64(encoded);
  if (bytes === undefined || bytes.length !== TYPE.length + length || !bytes.subarray(0, TYPE.length).equals(TYPE)) return undefined;
  return bytes.subarray(TYPE.length);
}

function isPoint(hex: string): boolean {
  try {
    return sm2.verifyPublicKey(hex);
  } catch {
    return false;
  }
}

function isSecret(bytes: Buffer): boolean {
  const secret = numberOf(bytes);
  return secret > 0n && secret < ORDER - 1n;
}

function isInOrder(number: bigint): boolean {
  return number > 0n && number < ORDER;
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

function bytesOf(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(64, '0'), 'hex');
}
