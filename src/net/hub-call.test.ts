import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { callHub, type HubCall } from './hub-call.ts';

const call = (url: string, token: string | undefined): HubCall => ({
  url: new URL(url),
  contentType: 'text/plain',
  body: Buffer.from('x'),
  token,
  firstByteMs: 5_000,
  idleMs: 5_000,
});
const { signal } = new AbortController();

test('a token is never sent in the clear to another machine, and the refusal does not show it', async () => {
  for (const url of ['http://hub.example/', 'http://192.0.2.1:8080/', 'http://localhost.example/', 'http://127.example/'])
    await assert.rejects(
      callHub(call(url, 'secret'), signal),
      (error: Error) => /https alone/.test(error.message) && !/secret/.test(error.message),
    );
});

test('to a hub on this machine it is sent', async () => {
  const seen: (string | undefined)[] = [];
  const server = createServer((req, res) => {
    seen.push(req.headers.authorization);
    res.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  for (const token of ['secret', undefined]) {
    await using reply = await callHub(call(url, token), signal);
    assert.equal(reply.status, 200);
  }
  await new Promise((resolve) => server.close(resolve));
  assert.deepEqual(seen, ['Bearer secret', undefined]);
});
