import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashAccessToken, looksLikeAccessToken, newAccessToken, parseAccessToken } from './access-token.ts';

test('what was made is a token, and no two are alike', () => {
  const tokens = Array.from({ length: 200 }, newAccessToken);
  for (const token of tokens) {
    assert.match(token, /^goyi_[A-Za-z0-9_-]{49}$/);
    assert.deepEqual(parseAccessToken(token), { ok: true, value: token });
    assert.ok(looksLikeAccessToken(token));
    assert.match(hashAccessToken(token), /^[0-9a-f]{64}$/);
  }
  assert.equal(new Set(tokens).size, 200);
  assert.equal(new Set(tokens.map(hashAccessToken)).size, 200);
});

test('any one other character makes it none', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-';
  fc.assert(
    fc.property(fc.nat({ max: 53 }), fc.constantFrom(...alphabet.split('')), (at, character) => {
      const token = newAccessToken();
      const changed = token.slice(0, at) + character + token.slice(at + 1);
      assert.equal(parseAccessToken(changed).ok, changed === token);
    }),
  );
});

test('other texts are none', () => {
  const token = newAccessToken();
  for (const text of [
    '',
    'goyi_',
    `${token} `,
    ` ${token}`,
    `${token}\n`,
    token.toUpperCase(),
    token.slice(0, -1),
    `${token}A`,
    'x'.repeat(54),
  ])
    assert.equal(parseAccessToken(text).ok, false, text);
  fc.assert(fc.property(fc.string({ maxLength: 80 }), (text) => !parseAccessToken(text).ok));
});
