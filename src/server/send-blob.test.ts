import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { Exchange } from './exchange.ts';
import { FakeBlob } from './fake-station.ts';
import { ChunkBuffers, sendBlob } from './send-blob.ts';

const LIMITS = { chunkBytes: 1000, chunkBuffersMax: 2, spareChunkBytes: 100 };

/** A response that keeps each chunk until the test says that the kernel has taken it. */
class HeldResponse extends EventEmitter {
  destroyed = false;
  readonly held: { chunk: Uint8Array; taken: (error?: Error) => void; isLast: boolean }[] = [];
  write(chunk: Uint8Array, taken: (error?: Error) => void): void {
    this.held.push({ chunk, taken, isLast: false });
  }
  end(chunk: Uint8Array, taken: (error?: Error) => void): void {
    this.held.push({ chunk, taken, isLast: true });
  }
}

function sendHeld(buffers: ChunkBuffers, bytes: Buffer): { res: HeldResponse; sent: Promise<void>; exchange: Exchange } {
  const res = new HeldResponse();
  const exchange = new Exchange({ method: 'GET' } as IncomingMessage, res as unknown as ServerResponse, 'id', 0);
  return { res, exchange, sent: sendBlob(exchange, new FakeBlob(bytes), { start: 0, end: bytes.length }, buffers, () => {}) };
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a buffer is read into again only when its write is complete', async () => {
  const bytes = Buffer.from(Array.from({ length: 2500 }, (_, at) => at % 251));
  const { res, sent, exchange } = sendHeld(new ChunkBuffers(LIMITS), bytes);
  const received: Buffer[] = [];
  for (let at = 0; at < 3; at += 1) {
    await tick();
    assert.equal(res.held.length, at + 1);
    const held = res.held[at];
    assert.ok(held);
    assert.equal(held.isLast, at === 2);
    received.push(Buffer.from(held.chunk));
    held.taken();
  }
  await sent;
  assert.ok(Buffer.concat(received).equals(bytes));
  assert.equal(exchange.sentBytes, 2500);
  assert.equal(res.listenerCount('close'), 0);
});

test('a buffer of a broken connection goes to nobody else', async () => {
  const buffers = new ChunkBuffers(LIMITS);
  for (const fail of [(res: HeldResponse) => res.emit('close'), (res: HeldResponse) => res.held[0]?.taken(new Error('EPIPE'))]) {
    const { res, sent } = sendHeld(buffers, Buffer.alloc(2500));
    await tick();
    fail(res);
    await assert.rejects(sent, (error) => error instanceof HubError && error.code === 'canceled');
    const taken = [buffers.take(2500), buffers.take(2500)];
    assert.ok(taken.every((buffer) => buffer.length === 1000 && buffer.buffer !== res.held[0]?.chunk.buffer));
    for (const buffer of taken) buffers.giveBack(buffer);
  }
});

test('who finds no buffer sends in small pieces, and nobody waits', async () => {
  const buffers = new ChunkBuffers(LIMITS);
  const stalled = [sendHeld(buffers, Buffer.alloc(5000)), sendHeld(buffers, Buffer.alloc(5000))];
  await tick();
  const { res, sent } = sendHeld(buffers, Buffer.alloc(250, 1));
  const sizes: number[] = [];
  for (let at = 0; at < 3; at += 1) {
    await tick();
    sizes.push(res.held[at]?.chunk.length ?? 0);
    res.held[at]?.taken();
  }
  await sent;
  assert.deepEqual(sizes, [100, 100, 50]);
  for (const { res: held, sent: failed } of stalled) {
    held.emit('close');
    await assert.rejects(failed);
  }
  assert.equal(buffers.take(5000).length, 1000, 'lost buffers are replaced');
});

test('a file that shrinks is a fault before anything false is sent', async () => {
  const exchange = new Exchange({ method: 'GET' } as IncomingMessage, new HeldResponse() as unknown as ServerResponse, 'id', 0);
  const blob = new FakeBlob(Buffer.alloc(10), { sizeBytes: 20 });
  const began: boolean[] = [];
  const sent = sendBlob(exchange, blob, { start: 0, end: 20 }, new ChunkBuffers(LIMITS), () => began.push(true));
  await assert.rejects(sent, (error) => error instanceof HubError && error.code === 'storage-fault');
  assert.deepEqual(began, []);
});
