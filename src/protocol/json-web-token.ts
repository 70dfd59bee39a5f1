/**
 * Signed identity tokens of an OpenID issuer (JWS compact form, RFC 7515, 7519, 8725), as CI systems hand them to their jobs.
 *
 * - The algorithm is one of a fixed list of asymmetric ones, and it is the key that decides: a key verifies with the algorithms of its type and curve, and
 *   with the one it names in `alg` if it names one. `none` and the HMAC family do not exist here, so a public key is never taken for a shared secret.
 * - Keys come from what was configured. The head of a token may choose among them by `kid`; `jku`, `x5u`, `jwk` and `x5c` are not looked at, and
 *   `crit` is refused, because nothing that could stand there is understood.
 * - `iss` and `aud` have to be those configured, `exp` has to be there and to come, `nbf` and `iat` have to be past, each with 60 seconds for clocks that differ.
 * - A member that stands twice in head or claims is refused where it decides: which of the two counts is what parsers differ about.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { type Parsed, parsed, refused } from '../base/parsed.ts';

/** A public key that was found fit for its purpose. */
export interface IssuerKey {
  readonly kid: string | undefined;
  readonly algorithms: readonly Algorithm[];
  readonly key: KeyObject;
}

export type Algorithm = keyof typeof digests;

export type Claims = Readonly<Record<string, unknown>>;

const digests = {
  RS256: 'sha256',
  RS384: 'sha384',
  RS512: 'sha512',
  PS256: 'sha256',
  PS384: 'sha384',
  PS512: 'sha512',
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
  EdDSA: undefined,
} as const;

const RSA: readonly Algorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const RSA_BITS_MIN = 2048;
const curves: Readonly<Record<string, Algorithm>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

export const TOKEN_BYTES_MAX = 8_192;
const KEYS_MAX = 64;
const SKEW_S = 60;

/** The keys of a JWK set (RFC 7517) that can verify signatures. Others are passed over: issuers publish keys for other ends in the same set. */
export function parseIssuerKeys(text: string): Parsed<readonly IssuerKey[]> {
  const set = parseObject(text);
  const listed = set?.['keys'];
  if (!Array.isArray(listed)) return refused('this is no JWK set: it has no list of keys');
  if (listed.length > KEYS_MAX) return refused(`the JWK set has more than ${KEYS_MAX} keys`);
  const keys = listed.flatMap((jwk: unknown) => keyOf(jwk) ?? []);
  return keys.length === 0 ? refused('the JWK set has no public key that can verify a signature') : parsed(keys);
}

/** The issuer that a token says it is from, which nobody has verified: good for choosing what to verify it with. */
export function claimedIssuer(token: string): string | undefined {
  const issuer = partsOf(token)?.claims['iss'];
  return typeof issuer === 'string' ? issuer : undefined;
}

/** The `kid` in its head, as unverified as all of it. */
export function claimedKeyId(token: string): string | undefined {
  const kid = partsOf(token)?.head['kid'];
  return typeof kid === 'string' ? kid : undefined;
}

export interface Expected {
  readonly issuer: string;
  readonly audience: string;
  readonly keys: readonly IssuerKey[];
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

/** The claims of a token that holds. */
export function verifyIdentityToken(token: string, { issuer, audience, keys, nowMs }: Expected): Parsed<Claims> {
  const parts = partsOf(token);
  if (parts === undefined) return refused('the token is malformed');
  const { head, claims, signed, signature } = parts;
  const algorithm = head['alg'];
  if (typeof algorithm !== 'string' || !Object.hasOwn(digests, algorithm)) return refused('the token has an algorithm that is not taken');
  if (head['crit'] !== undefined || head['b64'] !== undefined) return refused('the token wants something that is not understood');
  const kid = head['kid'];
  const fitting = keys.filter((key) => key.algorithms.includes(algorithm as Algorithm) && (kid === undefined || key.kid === kid));
  if (!fitting.some(({ key }) => isSigned(algorithm as Algorithm, signed, key, signature)))
    return refused('no key of the issuer has signed this');
  if (claims['iss'] !== issuer) return refused('the token is of another issuer');
  const meantFor = Array.isArray(claims['aud']) ? (claims['aud'] as readonly unknown[]) : [claims['aud']];
  if (!meantFor.includes(audience)) return refused('the token is meant for others');
  return isWithinTimes(claims, nowMs / 1_000) ? parsed(claims) : refused('the token is not valid at this time');
}

function isWithinTimes({ exp, nbf, iat }: Claims, now: number): boolean {
  if (typeof exp !== 'number' || !Number.isFinite(exp) || exp + SKEW_S <= now) return false;
  return [nbf, iat].every((from) => from === undefined || (typeof from === 'number' && from - SKEW_S <= now));
}

function isSigned(algorithm: Algorithm, signed: string, key: KeyObject, signature: Buffer): boolean {
  const digest = digests[algorithm];
  const data = Buffer.from(signed);
  if (algorithm.startsWith('PS')) {
    // The salt is as long as the digest. RFC 7518 §3.5
    const saltLength = Number(algorithm.slice(2)) / 8;
    return verify(digest, data, { key, padding: PSS_PADDING, saltLength }, signature);
  }
  return algorithm.startsWith('ES')
    ? verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, signature)
    : verify(digest ?? null, data, key, signature);
}

/** OpenSSL's RSA_PKCS1_PSS_PADDING. */
const PSS_PADDING = 6;

interface Parts {
  readonly head: Claims;
  readonly claims: Claims;
  readonly signed: string;
  readonly signature: Buffer;
}

function partsOf(token: string): Parts | undefined {
  if (token.length > TOKEN_BYTES_MAX || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined;
  const [head = '', claims = '', signature = ''] = token.split('.');
  const parsedHead = parseObject(decode(head)?.toString('utf8'));
  const parsedClaims = parseObject(decode(claims)?.toString('utf8'));
  const bytes = decode(signature);
  if (parsedHead === undefined || parsedClaims === undefined || bytes === undefined) return undefined;
  return { head: parsedHead, claims: parsedClaims, signed: `${head}.${claims}`, signature: bytes };
}

/** Only the one spelling that an encoder writes. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

const decisive = ['alg', 'kid', 'crit', 'iss', 'aud', 'exp', 'nbf', 'sub'] as const;

function parseObject(text: string | undefined): Claims | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const isTwice = decisive.some((name) => Object.hasOwn(value, name) && standsTwice(text, name));
    return isTwice ? undefined : (value as Claims);
  } catch {
    return undefined;
  }
}

/** Whether a name is that of two members of the outermost object. */
function standsTwice(text: string, name: string): boolean {
  let depth = 0;
  let found = 0;
  for (const [part] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/gs)) {
    if (part === '{' || part === '[') depth += 1;
    else if (part === '}' || part === ']') depth -= 1;
    else if (depth === 1 && part.endsWith(':') && JSON.parse(part.replace(/\s*:$/, '')) === name) found += 1;
  }
  return found > 1;
}

function keyOf(jwk: unknown): IssuerKey | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kid, alg, use, kty } = jwk as Record<string, unknown>;
  if (kty === 'oct' || (use !== undefined && use !== 'sig')) return undefined;
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const algorithms = algorithmsOf(key).filter((name) => alg === undefined || alg === name);
    return algorithms.length === 0 ? undefined : { kid: typeof kid === 'string' ? kid : undefined, algorithms, key };
  } catch {
    return undefined;
  }
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly Algorithm[] {
  switch (asymmetricKeyType) {
    case 'rsa':
      return (asymmetricKeyDetails?.modulusLength ?? 0) >= RSA_BITS_MIN ? RSA : [];
    case 'ec': {
      const algorithm = curves[asymmetricKeyDetails?.namedCurve ?? ''];
      return algorithm === undefined ? [] : [algorithm];
    }
    case 'ed25519':
      return ['EdDSA'];
    default:
      return [];
  }
}
