import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { silentLog } from '../base/log.ts';
import type { OutboundRequest, OutboundResponse } from '../net/outbound-client.ts';
import { IssuerKeys } from './issuer-keys.ts';

const jwk = (kid: string): object => ({ ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), kid });

function bench() {
  const state = {
    now: 1_000_000,
    asked: [] as OutboundRequest[],
    answer: (): { status: number; body: string } => ({ status: 200, body: '' }),
  };
  const serve = (...kids: string[]): void => {
    const body = JSON.stringify({ keys: kids.map(jwk) });
    state.answer = () => ({ status: 200, body });
  };
  const url = new URL('https://ci.example/keys');
  const client = {
    async send(request: OutboundRequest): Promise<OutboundResponse> {
      state.asked.push(request);
      const { status, body } = state.answer();
      const chunks = (async function* () {
        yield Buffer.from(body);
      })();
      return { status, headers: new Map(), body: chunks, url, [Symbol.asyncDispose]: async () => {} };
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const clock = { wallMs: () => state.now, monotonicMs: () => state.now };
  const keys = new IssuerKeys({ url, client, firstByteMs: 1_000, clock, log: silentLog });
  const kids = async (kid?: string): Promise<(string | undefined)[]> => (await keys.get(kid)).map((key) => key.kid);
  return { state, serve, kids };
}

test('keys are fetched once for many, from the configured address alone, and again after ten minutes', async () => {
  const { state, serve, kids } = bench();
  serve('a');
  const all = await Promise.all(Array.from({ length: 20 }, () => kids('a')));
  assert.deepEqual(
    all,
    Array.from({ length: 20 }, () => ['a']),
  );
  assert.deepEqual([state.asked.length, state.asked[0]?.url.href, state.asked[0]?.followRedirects], [1, 'https://ci.example/keys', false]);
  state.now += 599_999;
  await kids('a');
  assert.equal(state.asked.length, 1);
  state.now += 1;
  serve('b');
  assert.deepEqual(await kids('a'), ['b']);
});

test('a key that is missing is asked for again, twice a minute at most', async () => {
  const { state, serve, kids } = bench();
  serve('a');
  await kids('a');
  serve('a', 'b');
  for (let turn = 0; turn < 50; turn += 1) await kids(`made up ${turn}`);
  assert.equal(state.asked.length, 1);
  state.now += 30_000;
  assert.deepEqual(await kids('b'), ['a', 'b']);
  for (let turn = 0; turn < 50; turn += 1) await kids(`made up ${turn}`);
  assert.equal(state.asked.length, 2);
});

test('what cannot be fetched is a fault, and keys that were had are believed for a day', async () => {
  const { state, serve, kids } = bench();
  state.answer = () => ({ status: 500, body: '' });
  await assert.rejects(kids('a'), { code: 'origin-unavailable' });
  serve('a');
  await assert.rejects(kids('a'), { code: 'origin-unavailable' });
  state.now += 30_000;
  assert.deepEqual(await kids('a'), ['a']);
  state.answer = () => {
    throw new HubError('origin-unavailable', 'refused');
  };
  state.now += 86_399_999;
  assert.deepEqual(await kids('a'), ['a']);
  state.now += 30_001;
  await assert.rejects(kids('a'), { code: 'origin-unavailable' });
});

test('what is no JWK set takes the place of none', async () => {
  const { state, serve, kids } = bench();
  serve('a');
  await kids('a');
  state.answer = () => ({ status: 200, body: '<html>' });
  state.now += 600_000;
  assert.deepEqual(await kids('a'), ['a']);
});
