import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { type IssuerKey, parseIssuerKeys, TOKEN_BYTES_MAX, verifyIdentityToken } from './json-web-token.ts';

const issuer = 'https://ci.example';
const audience = 'https://goyi.corp.example';
const nowMs = 1_800_000_000_000;
const nowS = nowMs / 1_000;

const pairs = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ec: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  ed: generateKeyPairSync('ed25519'),
  stranger: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  short: generateKeyPairSync('rsa', { modulusLength: 1024 }),
};

const jwk = (name: keyof typeof pairs, more: object = {}): object => ({
  ...pairs[name].publicKey.export({ format: 'jwk' }),
  kid: name,
  ...more,
});

function keysOf(...jwks: object[]): readonly IssuerKey[] {
  const read = parseIssuerKeys(JSON.stringify({ keys: jwks }));
  assert.ok(read.ok, read.ok ? '' : read.reason);
  return read.value;
}

const keys = keysOf(jwk('rsa'), jwk('ec'), jwk('ed'));

const b64 = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const claims = { iss: issuer, aud: audience, sub: 'repo:team/lib', exp: nowS + 300, nbf: nowS - 1, iat: nowS - 1 };

type Signer = (signed: string) => Buffer;

const rs256 =
  (key: KeyObject = pairs.rsa.privateKey): Signer =>
  (signed) =>
    sign('sha256', Buffer.from(signed), key);

function token(head: unknown, body: unknown, signer: Signer): string {
  const signed = `${b64(head)}.${b64(body)}`;
  return `${signed}.${signer(signed).toString('base64url')}`;
}

const accepts = (text: string, with_: readonly IssuerKey[] = keys, at = nowMs): boolean =>
  verifyIdentityToken(text, { issuer, audience, keys: with_, nowMs: at }).ok;

test('honest tokens of every kind of key are taken', () => {
  const ec: Signer = (signed) => sign('sha256', Buffer.from(signed), { key: pairs.ec.privateKey, dsaEncoding: 'ieee-p1363' });
  const ed: Signer = (signed) => sign(null, Buffer.from(signed), pairs.ed.privateKey);
  const ps: Signer = (signed) => sign('sha256', Buffer.from(signed), { key: pairs.rsa.privateKey, padding: 6, saltLength: 32 });
  assert.ok(accepts(token({ alg: 'RS256', kid: 'rsa', typ: 'JWT' }, claims, rs256())));
  assert.ok(accepts(token({ alg: 'RS256' }, claims, rs256())));
  assert.ok(accepts(token({ alg: 'PS256', kid: 'rsa' }, claims, ps)));
  assert.ok(accepts(token({ alg: 'ES256', kid: 'ec' }, claims, ec)));
  assert.ok(accepts(token({ alg: 'EdDSA', kid: 'ed' }, claims, ed)));
  assert.ok(accepts(token({ alg: 'RS256' }, { ...claims, aud: ['other', audience] }, rs256())));
  // A minute for clocks that differ.
  assert.ok(accepts(token({ alg: 'RS256' }, { ...claims, exp: nowS - 30, nbf: nowS + 30 }, rs256())));
});

/** Every way that is known in which a token was taken that should not have been. */
function* forged(): Generator<readonly [what: string, text: string]> {
  const good = token({ alg: 'RS256', kid: 'rsa' }, claims, rs256());
  const [head = '', body = '', signature = ''] = good.split('.');
  for (const alg of [
    'none',
    'None',
    'NONE',
    'nOnE',
    '',
    null,
    undefined,
    0,
    ['RS256'],
    { RS256: 1 },
    'toString',
    '__proto__',
    'constructor',
  ]) {
    for (const end of ['', signature, b64('x')])
      yield [`alg ${JSON.stringify(alg)} with ${end.length}`, `${b64({ alg, kid: 'rsa' })}.${body}.${end}`];
  }
  const secrets: (string | Buffer)[] = [
    pairs.rsa.publicKey.export({ format: 'pem', type: 'spki' }),
    pairs.rsa.publicKey.export({ format: 'pem', type: 'pkcs1' }),
    pairs.rsa.publicKey.export({ format: 'der', type: 'spki' }),
    JSON.stringify(jwk('rsa')),
    '',
    'secret',
  ];
  for (const alg of ['HS256', 'HS384', 'HS512', 'hs256', 'RS256', 'ES256', 'EdDSA']) {
    for (const secret of secrets)
      yield [`hmac as ${alg}`, token({ alg, kid: 'rsa' }, claims, (signed) => createHmac('sha256', secret).update(signed).digest())];
  }
  const stranger = rs256(pairs.stranger.privateKey);
  const own = jwk('stranger');
  for (const alg of ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'rs256', 'RS1']) {
    yield [`${alg} by a stranger`, token({ alg }, claims, stranger)];
    yield [`${alg} by a stranger in another's name`, token({ alg, kid: 'rsa' }, claims, stranger)];
    yield [`${alg} by a stranger with its own name`, token({ alg, kid: 'stranger' }, claims, stranger)];
    yield [`${alg} with a key inside`, token({ alg, jwk: own }, claims, stranger)];
    yield [`${alg} with the address of a key`, token({ alg, jku: 'https://evil.example/jwks', kid: 'stranger' }, claims, stranger)];
    yield [`${alg} with the address of a chain`, token({ alg, x5u: 'https://evil.example/c' }, claims, stranger)];
    yield [`${alg} with a chain`, token({ alg, x5c: [b64('certificate')] }, claims, stranger)];
  }
  for (const kid of ['../../dev/null', '/dev/null', "' OR 1=1 --", '__proto__', '', null, 7, ['rsa'], { $ne: 1 }, 'RSA', 'rsa ', 'ec'])
    yield [`kid ${JSON.stringify(kid)}`, token({ alg: 'RS256', kid }, claims, rs256())];
  for (const more of [{ crit: ['exp'] }, { crit: [] }, { b64: false }, { crit: ['b64'], b64: false }])
    yield [JSON.stringify(more), token({ alg: 'RS256', kid: 'rsa', ...more }, claims, rs256())];
  const wrong: readonly object[] = [
    { iss: 'https://evil.example' },
    { iss: `${issuer}/` },
    { iss: issuer.toUpperCase() },
    { iss: [issuer] },
    { iss: undefined },
    { iss: null },
    { aud: 'https://other.example' },
    { aud: undefined },
    { aud: [] },
    { aud: [[audience]] },
    { aud: { 0: audience } },
    { aud: `${audience}, x` },
    { aud: null },
    { exp: nowS - 61 },
    { exp: 0 },
    { exp: undefined },
    { exp: null },
    { exp: String(nowS + 300) },
    { exp: [nowS + 300] },
    { exp: -1 },
    { nbf: nowS + 61 },
    { nbf: 'now' },
    { nbf: null },
    { iat: nowS + 61 },
    { iat: '0' },
  ];
  for (const change of wrong) yield [JSON.stringify(change), token({ alg: 'RS256', kid: 'rsa' }, { ...claims, ...change }, rs256())];
  const twice = JSON.stringify(claims);
  for (const text of [
    twice.replace('{', `{"iss":"https://evil.example",`),
    twice.replace(/\}$/, `,"exp":${nowS + 9_000}}`),
    twice.replace(/\}$/, `,"\\u0061ud":"${audience}"}`),
    '[]',
    'null',
    '"text"',
    '',
    '{',
  ])
    yield [`claims ${text.slice(0, 20)}`, token({ alg: 'RS256', kid: 'rsa' }, text, rs256())];
  yield ['two heads', token('{"alg":"none","alg":"RS256","kid":"rsa"}', claims, rs256())];
  yield ['changed claims', `${head}.${b64({ ...claims, sub: 'repo:other/repo' })}.${signature}`];
  yield ['changed head', `${b64({ alg: 'RS256', kid: 'rsa', typ: 'x' })}.${body}.${signature}`];
  yield ['no signature', `${head}.${body}.`];
  yield ['two parts', `${head}.${body}`];
  yield ['five parts', `${good}.x.y`];
  yield ['padded', `${head}.${body}.${signature}=`];
  yield [
    'another spelling of the last character',
    `${head}.${body}.${signature.slice(0, -1)}${signature.endsWith('A') ? 'B' : `${signature.at(-1)}A`}`,
  ];
  yield ['spaces', ` ${good}`];
  yield ['line', `${good}\n`];
  yield ['huge', `${head}.${'A'.repeat(TOKEN_BYTES_MAX)}.${signature}`];
  yield ['empty signature of an EC key', token({ alg: 'ES256', kid: 'ec' }, claims, () => Buffer.alloc(64))];
  yield [
    'a signature in DER',
    token({ alg: 'ES256', kid: 'ec' }, claims, (signed) => sign('sha256', Buffer.from(signed), pairs.ec.privateKey)),
  ];
}

test('none of 200 and more forged tokens is taken', () => {
  const taken: string[] = [];
  let count = 0;
  for (const [what, text] of forged()) {
    count += 1;
    if (accepts(text)) taken.push(what);
  }
  assert.deepEqual(taken, []);
  assert.ok(count >= 200, `only ${count}`);
});

test('a key that names its algorithm verifies with no other', () => {
  const only = keysOf(jwk('rsa', { alg: 'RS512' }));
  assert.ok(!accepts(token({ alg: 'RS256' }, claims, rs256()), only));
  assert.ok(
    accepts(
      token({ alg: 'RS512' }, claims, (signed) => sign('sha512', Buffer.from(signed), pairs.rsa.privateKey)),
      only,
    ),
  );
});

test('keys for other ends are passed over, and a set without any is refused', () => {
  const others = [jwk('short'), jwk('rsa', { use: 'enc' }), { kty: 'oct', k: b64('secret'), kid: 'rsa' }, { kty: 'RSA' }, null, 'x', {}];
  assert.equal(parseIssuerKeys(JSON.stringify({ keys: others })).ok, false);
  assert.equal(keysOf(...others.filter((key) => typeof key === 'object' && key !== null), jwk('ed')).length, 1);
  for (const text of ['', '{}', '[]', '{"keys":{}}', JSON.stringify({ keys: Array.from({ length: 65 }, () => jwk('ed')) })])
    assert.equal(parseIssuerKeys(text).ok, false, text.slice(0, 20));
});
