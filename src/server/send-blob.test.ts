import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { Exchange } from './exchange.ts';
import { FakeBlob } from './fake-station.ts';
import { FileChunks } from './file-chunks.ts';
import { sendBlob } from './send-blob.ts';

const LIMITS = { chunkBytes: 1000, firstWriteBytes: 1000, chunkBuffersMax: 2, spareChunkBytes: 100 };

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

interface Sending {
  readonly res: HeldResponse;
  readonly exchange: Exchange;
  readonly sent: Promise<void>;
  /** Times in milliseconds, moved by hand. */
  readonly clock: { nowMs: number };
}

function sendHeld(chunks: FileChunks, blob: FakeBlob, limits: typeof LIMITS = LIMITS): Sending {
  const res = new HeldResponse();
  const exchange = new Exchange({ method: 'GET' } as IncomingMessage, res as unknown as ServerResponse, 'id', 0);
  const clock = { nowMs: 0 };
  const sender = { limits, chunks, clock: { monotonicMs: () => clock.nowMs } };
  const sent = sendBlob(sender, exchange, { blob, range: { start: 0, end: blob.sizeBytes }, begin: () => {} });
  return { res, exchange, sent, clock };
}

/** Two turns of the loop: the sender lets one pass between chunks. */
const tick = async (): Promise<void> => {
  for (let turn = 0; turn < 2; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

for (const isRecent of [false, true]) {
  test(`the next write begins only when the one before is complete, ${isRecent ? 'from memory' : 'from disk'}`, async () => {
    const bytes = Buffer.from(Array.from({ length: 2500 }, (_, at) => at % 251));
    const { res, sent, exchange } = sendHeld(new FileChunks(LIMITS), new FakeBlob(bytes, { isRecent }));
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
}

test('a chunk of a broken connection is read into by nobody else', async () => {
  const chunks = new FileChunks(LIMITS);
  for (const fail of [(res: HeldResponse) => res.emit('close'), (res: HeldResponse) => res.held[0]?.taken(new Error('EPIPE'))]) {
    const { res, sent } = sendHeld(chunks, new FakeBlob(Buffer.alloc(2500)));
    await tick();
    fail(res);
    await assert.rejects(sent, (error) => error instanceof HubError && error.code === 'canceled');
    const other = new FakeBlob(Buffer.alloc(2500));
    const taken = await Promise.all([0, 1000].map((position) => chunks.take(other, position, { start: 0, end: 2500 })));
    assert.ok(taken.every(({ bytes }) => bytes.length === 1000 && bytes.buffer !== res.held[0]?.chunk.buffer));
    for (const chunk of taken) chunks.giveBack(chunk);
  }
});

test('who finds no chunk sends in small pieces, and nobody waits', async () => {
  const chunks = new FileChunks(LIMITS);
  const stalled = [sendHeld(chunks, new FakeBlob(Buffer.alloc(5000))), sendHeld(chunks, new FakeBlob(Buffer.alloc(5000)))];
  await tick();
  const { res, sent } = sendHeld(chunks, new FakeBlob(Buffer.alloc(250, 1)));
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
  const blob = new FakeBlob(Buffer.alloc(5000));
  assert.equal((await chunks.take(blob, 0, { start: 0, end: 5000 })).bytes.length, 1000, 'lost chunks are made up for');
});

test('writes double while the client takes them quickly, and halve when it does not', async () => {
  const limits = { ...LIMITS, firstWriteBytes: 125 };
  const { res, sent, clock } = sendHeld(new FileChunks(limits), new FakeBlob(Buffer.alloc(6000)), limits);
  const sizes: number[] = [];
  for (const tookMs of [0, 999, 0, 1000, 1001, 1001, 0, 0, 0, 0, 0, 0, 0, 0]) {
    await tick();
    const held = res.held[sizes.length];
    if (held === undefined) break;
    sizes.push(held.chunk.length);
    clock.nowMs += tookMs;
    held.taken();
  }
  await sent;
  // None crosses the end of a chunk.
  assert.deepEqual(sizes, [125, 250, 500, 125, 1000, 500, 250, 250, 1000, 1000, 1000]);
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    6000,
  );
});

test('a file that shrinks is a fault before anything false is sent', async () => {
  const exchange = new Exchange({ method: 'GET' } as IncomingMessage, new HeldResponse() as unknown as ServerResponse, 'id', 0);
  const blob = new FakeBlob(Buffer.alloc(10), { sizeBytes: 20 });
  const began: boolean[] = [];
  const sender = { limits: LIMITS, chunks: new FileChunks(LIMITS), clock: { monotonicMs: () => 0 } };
  const sent = sendBlob(sender, exchange, { blob, range: { start: 0, end: 20 }, begin: () => began.push(true) });
  await assert.rejects(sent, (error) => error instanceof HubError && error.code === 'storage-fault');
  assert.deepEqual(began, []);
});
