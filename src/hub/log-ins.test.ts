import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { AccessTokenRow } from '../meta/access-tokens.ts';
import { may, NO_RIGHTS } from '../policy/access.ts';
import { matchesGlob } from '../policy/claim-rules.ts';
import { hashAccessToken, newAccessToken } from '../protocol/access-token.ts';
import { parseIssuerKeys } from '../protocol/json-web-token.ts';
import { BELIEVED_MS, FAILURES_CHECKED_MAX, type Issuer, LogIns } from './log-ins.ts';

function bench(changes: Partial<AccessTokenRow> = {}, issuers: readonly Issuer[] = []) {
  const secret = newAccessToken();
  const state = {
    now: 1_000_000,
    lookUps: 0,
    uses: [] as unknown[],
    row: {
      id: 7,
      name: 'ci',
      hash: hashAccessToken(secret),
      grants: ['read:a.example/*'],
      groups: ['team', 'gone'],
      createdAtMs: 0,
      expiresAtMs: undefined,
      lastUsedAtMs: undefined,
      revokedAtMs: undefined,
      ...changes,
    } as AccessTokenRow,
  };
  const logIns = new LogIns({
    tokens: {
      accessToken: async (hash) => {
        state.lookUps += 1;
        return hash === state.row.hash ? state.row : undefined;
      },
      accessTokens: async () => [],
      hasAccessTokens: async () => true,
      addAccessToken: async () => false,
      revokeAccessToken: async () => 'absent',
      recordTokenUses: async (uses) => void state.uses.push(...uses),
    },
    issuers,
    groups: new Map([['team', ['read:b.example/*']]]),
    anonymous: NO_RIGHTS,
    audit: { tally: () => {} },
    clock: { wallMs: () => state.now, monotonicMs: () => state.now },
    log: silentLog,
  });
  return { secret, state, logIns };
}

test('a token has its grants and those of its groups', async () => {
  const { secret, logIns } = bench();
  const logIn = await logIns.logIn(secret, '192.0.2.1');
  assert.ok(logIn.kind === 'caller' && logIn.caller.kind === 'token' && logIn.caller.name === 'ci');
  const reads = (module: string): boolean => may(logIn.caller.rights, { kind: 'read', module: module as never, privacy: 'private' });
  assert.deepEqual([reads('a.example/x'), reads('b.example/x'), reads('c.example/x')], [true, true, false]);
});

test('a token is looked for once in five seconds, and a revoked one is refused after that', async () => {
  const { secret, state, logIns } = bench();
  for (let turn = 0; turn < 10; turn += 1) assert.equal((await logIns.logIn(secret, 'x')).kind, 'caller');
  assert.equal(state.lookUps, 1);
  state.row = { ...state.row, revokedAtMs: state.now };
  state.now += BELIEVED_MS - 1;
  assert.equal((await logIns.logIn(secret, 'x')).kind, 'caller');
  state.now += 1;
  assert.equal((await logIns.logIn(secret, 'x')).kind, 'refused');
  assert.equal((await logIns.logIn(secret, 'x')).kind, 'refused');
  assert.equal(state.lookUps, 2);
});

test('a token is over at its very millisecond', async () => {
  const { secret, state, logIns } = bench({ expiresAtMs: 1_000_000 });
  assert.equal((await logIns.logIn(secret, 'x')).kind, 'refused');
  state.now -= 1;
  assert.equal((await bench({ expiresAtMs: 1_000_001 }).logIns.logIn('x', 'x')).kind, 'refused');
});

test('uses are written in one go at the end, to about a minute', async () => {
  const { secret, state, logIns } = bench();
  await logIns.logIn(secret, 'x');
  await logIns[Symbol.asyncDispose]();
  assert.deepEqual(state.uses, [{ id: 7, lastUsedAtMs: 1_000_000 }]);
});

test('texts that are no token are not looked for; beyond the bound nothing unknown is, and the minute ends', async () => {
  const { secret, state, logIns } = bench();
  assert.equal((await logIns.logIn(`goyi_${'x'.repeat(49)}`, 'y')).kind, 'refused');
  assert.equal(state.lookUps, 0);
  for (let turn = 0; turn < FAILURES_CHECKED_MAX; turn += 1) await logIns.logIn(newAccessToken(), 'x');
  const before = state.lookUps;
  assert.equal((await logIns.logIn(newAccessToken(), 'x')).kind, 'too-many');
  assert.equal((await logIns.logIn(secret, 'x')).kind, 'too-many');
  assert.equal(state.lookUps, before);
  assert.equal((await logIns.logIn(secret, 'another address')).kind, 'caller');
  state.now += 60_000;
  assert.equal((await logIns.logIn(secret, 'x')).kind, 'caller');
});

test('who guesses locks nobody out who was let in before, and a revoked token is refused all the same', async () => {
  const { secret, state, logIns } = bench();
  assert.equal((await logIns.logIn(secret, 'proxy')).kind, 'caller');
  for (let turn = 0; turn <= FAILURES_CHECKED_MAX; turn += 1) await logIns.logIn(newAccessToken(), 'proxy');
  state.now += BELIEVED_MS;
  assert.equal((await logIns.logIn(secret, 'proxy')).kind, 'caller');
  state.row = { ...state.row, revokedAtMs: state.now };
  state.now += BELIEVED_MS;
  const before = state.lookUps;
  for (let turn = 0; turn < 3; turn += 1) assert.equal((await logIns.logIn(secret, 'proxy')).kind, 'too-many');
  assert.equal(state.lookUps, before + 1);
});

const pair = generateKeyPairSync('ed25519');
const keys = parseIssuerKeys(JSON.stringify({ keys: [pair.publicKey.export({ format: 'jwk' })] }));

function identity(claims: object): string {
  const b64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${b64({ alg: 'EdDSA' })}.${b64({ iss: 'https://ci.example', aud: 'goyi', exp: 9_999, ...claims })}`;
  return `${signed}.${sign(null, Buffer.from(signed), pair.privateKey).toString('base64url')}`;
}

test('an identity token gets what its claims are worth, and nothing without a rule for it', async () => {
  assert.ok(keys.ok);
  const issuer: Issuer = {
    issuer: 'https://ci.example',
    audience: 'goyi',
    rules: [
      { claims: { sub: 'repo:team/*', ref: 'refs/heads/main' }, grants: ['publish:a.example/*'] },
      { claims: { sub: 'repo:team/*' }, grants: ['read:a.example/*'] },
      { claims: {}, grants: ['admin'] },
    ],
    keys: async () => keys.value,
  };
  const { logIns } = bench({}, [issuer]);
  const granted = async (claims: object): Promise<readonly string[] | undefined> => {
    const logIn = await logIns.logIn(identity(claims), 'x');
    return logIn.kind === 'caller' ? logIn.caller.rights.texts : undefined;
  };
  assert.deepEqual(await granted({ sub: 'repo:team/lib', ref: 'refs/heads/main' }), ['publish:a.example/*', 'read:a.example/*']);
  assert.deepEqual(await granted({ sub: 'repo:team/lib', ref: 'refs/heads/dev' }), ['read:a.example/*']);
  assert.deepEqual(await granted({ sub: ['x', 'repo:team/lib'] }), ['read:a.example/*']);
  for (const claims of [
    {},
    { sub: 'repo:teams/lib' },
    { sub: 'xrepo:team/lib' },
    { sub: { a: 1 } },
    { sub: 'repo:team/lib', aud: 'x' },
    { sub: 'repo:team/a', exp: 1 },
  ])
    assert.equal(await granted(claims), undefined, JSON.stringify(claims));
});

test('keys that cannot be had are a fault and no refusal', async () => {
  const gone: Issuer = {
    issuer: 'https://ci.example',
    audience: 'goyi',
    rules: [],
    keys: () => Promise.reject(new HubError('origin-unavailable', 'gone')),
  };
  await assert.rejects(bench({}, [gone]).logIns.logIn(identity({}), 'x'), { code: 'origin-unavailable' });
});

test('a pattern of a claim fits as a whole', () => {
  const cases: readonly (readonly [pattern: string, text: string, fits: boolean])[] = [
    ['a', 'a', true],
    ['a', 'ab', false],
    ['a*', 'a/b/c', true],
    ['*a', 'ba', true],
    ['*a', 'ab', false],
    ['a*b', 'ab', true],
    ['a*a', 'a', false],
    ['a*b*c', 'a1b2c', true],
    ['a*b*c', 'acb', false],
    ['a.c', 'abc', false],
    ['*', '', true],
    ['', 'a', false],
  ];
  for (const [pattern, text, fits] of cases) assert.equal(matchesGlob(pattern, text), fits, `${pattern} ${text}`);
});
