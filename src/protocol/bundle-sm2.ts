/**
 * What a bundle has besides when it is signed by SM2 as well. Behind the lines of its head (`bundle-head.ts`) stand two more, and behind its manifest stands one
 * more file, `manifest.sm3`, which lists the SM3 of every file that the bundle has, as `<SM3>  <name>`, in the order in which they follow:
 *
 *     sm3 <SM3 of the manifest> <SM3 of manifest.sm3> <bytes of manifest.sm3>
 *     sm2 <name>+<hash of the key> <base64 of the signature>
 *
 * SM2 signs all lines above its own, so that by SM3 alone every byte of every file is bound to it. The Ed25519 signature of the note covers these two lines as
 * well: who does not know the SM2 key reads the same bytes, and nobody can take the lines away or change them. The digest of the bundle is that of its head without them.
 */
import { type Parsed, parsed, refused } from '../base/parsed.ts';
import type { ManifestEntry } from './bundle-manifest.ts';
import { decodeBase64 } from './note.ts';
import { type Sm2SignerKey, type Sm2VerifierKey, SM2_SIGNATURE_BYTES, signSm2, verifySm2 } from './sm2.ts';

/** Name of the SM2 key that signs bundles. */
export const BUNDLE_SM2_KEY_NAME = 'goyi-bundle-sm2';

const SUMS_BYTES_MAX = 64 * 1024 * 1024;

/** Digests by SM3: 64 lower-case hex digits. */
export interface Sm3Sums {
  readonly manifest: string;
  readonly sums: string;
  readonly sumsBytes: number;
}

/** A signature that nobody has verified yet. */
export interface Sm2Part extends Sm3Sums {
  /** `NAME+HASH` of who is said to have signed. */
  readonly key: string;
  readonly signature: Buffer;
  /** What was signed. */
  readonly signed: string;
}

/** The text of the note: the head, and what SM2 says of it. */
export function signBySm2(headText: string, { manifest, sums, sumsBytes }: Sm3Sums, signer: Sm2SignerKey): string {
  const signed = `${headText}sm3 ${manifest} ${sums} ${sumsBytes}\n`;
  const { name, hash } = signer.verifier;
  return `${signed}sm2 ${name}+${hash} ${signSm2(Buffer.from(signed), signer).toString('base64')}\n`;
}

/** Takes the text of a note apart; `sm2` is undefined where it has only a head. */
export function splitSm2(text: string): Parsed<{ readonly headText: string; readonly sm2: Sm2Part | undefined }> {
  const at = text.indexOf('\nsm3 ') + 1;
  if (at === 0) return parsed({ headText: text, sm2: undefined });
  const [, sm3Line = '', manifest = '', sums = '', sumsBytes, key = '', encoded = ''] =
    /^(sm3 ([0-9a-f]{64}) ([0-9a-f]{64}) ([1-9]\d{0,8}|0)\n)sm2 ([^ +]{1,100}\+[0-9a-f]{8}) ([A-Za-z0-9+/=]+)\n$/.exec(text.slice(at)) ??
    [];
  const signature = decodeBase64(encoded);
  if (signature?.length !== SM2_SIGNATURE_BYTES) return refused('its SM2 signature is malformed');
  if (Number(sumsBytes) > SUMS_BYTES_MAX) return refused(`its list of SM3 digests is longer than ${SUMS_BYTES_MAX} bytes`);
  const headText = text.slice(0, at);
  return parsed({
    headText,
    sm2: { manifest, sums, sumsBytes: Number(sumsBytes), key, signature, signed: `${headText}${sm3Line}` },
  });
}

/** The key that signed it, if it is one of these; undefined when it says that it is by another. */
export function openSm2(
  { key, signed, signature }: Pick<Sm2Part, 'key' | 'signed' | 'signature'>,
  keys: readonly Sm2VerifierKey[],
): Parsed<Sm2VerifierKey | undefined> {
  const signer = keys.find(({ name, hash }) => `${name}+${hash}` === key);
  if (signer === undefined) return parsed(undefined);
  return verifySm2(Buffer.from(signed), signer, signature) ? parsed(signer) : refused(`its SM2 signature by ${key} is invalid`);
}

export interface Sm3Line {
  readonly name: string;
  readonly sm3: string;
}

export function formatSm3Sums(lines: readonly Sm3Line[]): string {
  return lines.map(({ name, sm3 }) => `${sm3}  ${name}\n`).join('');
}

/** SM3 by name, of just these files in this order. */
export function parseSm3Sums(text: string, carried: readonly Pick<ManifestEntry, 'name'>[]): Parsed<ReadonlyMap<string, string>> {
  const sums = new Map<string, string>();
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.length !== carried.length) return refused('its list of SM3 digests has other files than its manifest');
  for (const [i, { name }] of carried.entries()) {
    const line = lines[i] ?? '';
    if (!/^[0-9a-f]{64} {2}/.test(line) || line.slice(66) !== name)
      return refused('its list of SM3 digests has other files than its manifest');
    sums.set(name, line.slice(0, 64));
  }
  return parsed(sums);
}
