import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { TestChecksumDatabase } from '../../test/support/checksum-database-server.ts';
import { silentLog } from '../base/log.ts';
import { Witness } from '../hub/witness.ts';
import { type WitnessState, openWitnessState } from '../meta/witness-state.ts';
import { generateCosigner } from '../protocol/cosignature.ts';
import { WITNESS_BODY_BYTES_MAX } from '../protocol/witness-request.ts';
import { type WitnessServer, createWitnessServer } from './witness-server.ts';

const { cosigner } = generateCosigner('witness.example/w1', Buffer.alloc(32, 7));
const database = new TestChecksumDatabase();
for (let i = 0; i < 3; i += 1) database.add(`m${i}.example/m`, 'v1.0.0');
let state: WitnessState;
let served: WitnessServer;
let url = '';

before(async () => {
  state = await openWitnessState(':memory:');
  const clock = { wallMs: () => 1_700_000_000_000, monotonicMs: () => 0 };
  const witness = new Witness({ cosigner, logs: [database.key], state, clock, log: silentLog });
  served = createWitnessServer({ witness, log: silentLog, limits: { headerMs: 200, requestMs: 400 } });
  await new Promise<void>((resolve) => served.server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(served.server.address() as AddressInfo).port}`;
});

after(async () => {
  await served.close(100);
  state[Symbol.dispose]();
});

async function post(
  body: string | Uint8Array | ReadableStream,
  more: RequestInit = {},
): Promise<{ status: number; type: string | null; text: string }> {
  const response = await fetch(`${url}/add-checkpoint`, { method: 'POST', body: body as string, ...more });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

test('the protocol, from an empty state to the checkpoint', async () => {
  const page = await (await fetch(url)).text();
  const id = /^head: +none yet$/m.exec(page);
  assert.ok(id, page);
  assert.match(page, /^log: +sum\.test\.example\+[0-9a-f]{8}\+\S+\ncosigned by: witness\.example\/w1\+[0-9a-f]{8}\+B\S+$/m);

  const conflict = await post(`old 2\n\n${database.note()}`);
  assert.deepEqual(conflict, { status: 409, type: 'text/x.tlog.size', text: '0\n' });
  const cosigned = await post(`old 0\n\n${database.note()}`);
  assert.equal(cosigned.status, 200);
  assert.match(cosigned.text, /^— witness\.example\/w1 \S+\n$/);
  assert.equal((await post(`old 3\n\n${database.note()}`)).status, 200);

  const place = /at (\/[0-9a-f]{64}\/checkpoint)/.exec(await (await fetch(url)).text())?.[1] ?? '';
  const checkpoint = await fetch(url + place);
  assert.equal(checkpoint.status, 200);
  assert.equal(await checkpoint.text(), database.note() + cosigned.text);
  const head = await fetch(url + place, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(Buffer.byteLength(database.note() + cosigned.text))]);
});

test('every refusal has its status', async () => {
  const stranger = new TestChecksumDatabase({ seed: 'stranger' });
  stranger.add('m.example/m', 'v1.0.0');
  assert.equal((await post('hello')).status, 400);
  assert.equal((await post(`old 0\n\n${stranger.note()}`)).status, 403);
  assert.equal((await post(`old 0\n\n${database.note().replace('go.sum database tree', 'another origin')}`)).status, 404);
  assert.equal((await post(`old 3\n\n${database.note(3, { root: Buffer.alloc(32) })}`)).status, 422);
  assert.match(await (await fetch(url)).text(), /^fork: +seen at 2023-11-14T22:13:20\.000Z/m);
  assert.equal((await fetch(`${url}/add-checkpoint`)).status, 405);
  assert.equal((await fetch(url, { method: 'POST' })).status, 405);
  for (const path of ['/x', '/checkpoint', `/${'0'.repeat(64)}/checkpoint`, '/add-checkpoint/', '//add-checkpoint'])
    assert.equal((await fetch(url + path)).status, 404, path);
});

test('a body that is too long is refused, declared or not, and the witness goes on', async () => {
  const long = `old 0\n\n${'a'.repeat(WITNESS_BODY_BYTES_MAX)}`;
  assert.equal((await post(long)).status, 400);
  const stream = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 10; i += 1) controller.enqueue(Buffer.alloc(10_000, 'a'));
      controller.close();
    },
  });
  assert.equal((await post(stream, { duplex: 'half' })).status, 400);
  assert.equal((await fetch(url)).status, 200);
});

/** What is answered to raw bytes until the connection ends. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
  });
}

test('slow heads and slow bodies are cut', async () => {
  assert.match(await raw('POST /add-checkpoint HTTP/1.1\r\nHost: a\r\n'), /^(?:HTTP\/1\.1 408 |$)/);
  assert.match(await raw('POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nold 0\n'), /^(?:HTTP\/1\.1 408 |$)/);
  assert.match(await raw(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(10_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.equal((await fetch(url)).status, 200);
});
