import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HubError } from '../base/errors.ts';
import { FakeBlob } from './fake-station.ts';
import { type FileChunk, FileChunks } from './file-chunks.ts';

const LIMITS = { chunkBytes: 1000, chunkBuffersMax: 2, spareChunkBytes: 100 };

/** A blob that counts its reads and waits with each until it is told to go on, if it is held. */
class CountedBlob extends FakeBlob {
  reads = 0;
  held: PromiseWithResolvers<void> | undefined;

  override async read(buffer: Uint8Array, length: number, position: number): Promise<number> {
    this.reads += 1;
    await this.held?.promise;
    return super.read(buffer, length, position);
  }
}

const whole = (blob: FakeBlob): { start: number; end: number } => ({ start: 0, end: blob.sizeBytes });
const numbered = (sizeBytes: number): Buffer => Buffer.from(Array.from({ length: sizeBytes }, (_, at) => at % 251));

test('any walk through any range meets exactly the bytes of the file', () =>
  fc.assert(
    fc.asyncProperty(fc.nat(5000), fc.nat(5000), fc.boolean(), fc.integer({ min: 1, max: 999 }), async (a, b, isRecent, readMax) => {
      const bytes = numbered(5000);
      const blob = new FakeBlob(bytes, { readMax, isRecent });
      const chunks = new FileChunks(LIMITS);
      const range = { start: Math.min(a, b), end: Math.max(a, b) };
      const met: Buffer[] = [];
      for (let position = range.start; position < range.end; ) {
        const chunk = await chunks.take(blob, position, range);
        const end = Math.min(range.end, chunk.startBytes + chunk.bytes.length);
        assert.ok(chunk.startBytes <= position && end > position);
        met.push(Buffer.from(chunk.bytes.subarray(position - chunk.startBytes, end - chunk.startBytes)));
        chunks.giveBack(chunk);
        position = end;
      }
      assert.ok(Buffer.concat(met).equals(bytes.subarray(range.start, range.end)));
    }),
    { numRuns: 100 },
  ));

test('a herd costs one read of each chunk, and so does who comes after it', async () => {
  const blob = new CountedBlob(numbered(2500));
  blob.held = Promise.withResolvers();
  const chunks = new FileChunks(LIMITS);
  const herd = Array.from({ length: 20 }, () => chunks.take(blob, 0, whole(blob)));
  blob.held.resolve();
  const taken = await Promise.all(herd);
  assert.equal(blob.reads, 1);
  assert.ok(taken.every((chunk) => chunk === taken[0]));
  for (const chunk of taken) chunks.giveBack(chunk);
  chunks.giveBack(await chunks.take(blob, 700, whole(blob)));
  assert.equal(blob.reads, 1);
});

test('a file that was touched is read, whatever is in memory of the one before', async () => {
  const chunks = new FileChunks(LIMITS);
  const before = new FakeBlob(Buffer.alloc(800, 'a'), { fingerprint: '1' });
  const after = new FakeBlob(Buffer.alloc(800, 'b'), { fingerprint: '2' });
  for (const [blob, expected] of [
    [before, 'a'],
    [after, 'b'],
  ] as const) {
    const chunk = await chunks.take(blob, 0, whole(blob));
    assert.equal(chunk.bytes.toString('latin1', 0, 1), expected);
    chunks.giveBack(chunk);
  }
});

test('a chunk that is held keeps its bytes, however many others are asked for', async () => {
  const chunks = new FileChunks(LIMITS);
  const blob = new FakeBlob(numbered(10_000));
  const held = await chunks.take(blob, 0, whole(blob));
  for (let round = 0; round < 2; round += 1)
    for (let position = 1000; position < 10_000; position += 1000) chunks.giveBack(await chunks.take(blob, position, whole(blob)));
  assert.ok(held.bytes.equals(numbered(1000)));
});

test('when all chunks are held, small ones are given, and never more than so many large ones are', async () => {
  const chunks = new FileChunks(LIMITS);
  const blob = new FakeBlob(numbered(10_000));
  const taken: FileChunk[] = [];
  for (const position of [0, 1000, 2000, 3050]) taken.push(await chunks.take(blob, position, whole(blob)));
  assert.deepEqual(
    taken.map(({ startBytes, bytes }) => [startBytes, bytes.length]),
    [
      [0, 1000],
      [1000, 1000],
      [2000, 100],
      [3050, 100],
    ],
  );
  for (const chunk of taken) chunks.giveBack(chunk);
  assert.equal((await chunks.take(blob, 5000, whole(blob))).bytes.length, 1000, 'what was given back is room again');
});

test('a small range has a chunk of its own size, and shares one that is there', async () => {
  const chunks = new FileChunks(LIMITS);
  const blob = new CountedBlob(numbered(10_000));
  assert.deepEqual([...(await chunks.take(blob, 990, { start: 990, end: 1005 })).bytes], [...numbered(10_000).subarray(990, 1005)]);
  const large = await chunks.take(blob, 0, whole(blob));
  assert.equal(blob.reads, 2);
  assert.equal(await chunks.take(blob, 500, { start: 500, end: 510 }), large);
  assert.equal(blob.reads, 2);
});

test('the buffer of a lost chunk is never read into again, and is made up for', async () => {
  const chunks = new FileChunks(LIMITS);
  const blob = new FakeBlob(numbered(10_000));
  const [first, again] = [await chunks.take(blob, 0, whole(blob)), await chunks.take(blob, 0, whole(blob))];
  assert.equal(first, again);
  chunks.lose(first);
  const second = await chunks.take(blob, 1000, whole(blob));
  assert.equal((await chunks.take(blob, 2000, whole(blob))).bytes.length, 100, 'somebody still holds the lost one');
  chunks.giveBack(again);
  const third = await chunks.take(blob, 2000, whole(blob));
  assert.equal(third.bytes.length, 1000);
  assert.ok([second, third].every(({ bytes }) => bytes.buffer !== first.bytes.buffer));
  assert.ok(first.bytes.equals(numbered(1000)));
});

test('a read that fails fails for all who wait for it, and the next one reads again', async () => {
  const chunks = new FileChunks(LIMITS);
  const blob = new CountedBlob(numbered(500), { sizeBytes: 800 });
  for (let round = 0; round < 5; round += 1) {
    const waiting = [chunks.take(blob, 0, whole(blob)), chunks.take(blob, 0, whole(blob))];
    for (const one of waiting) await assert.rejects(one, (error) => error instanceof HubError && error.code === 'storage-fault');
  }
  const sound = new FakeBlob(numbered(800));
  assert.equal((await chunks.take(sound, 0, whole(sound))).bytes.length, 800, 'no buffer was lost on the way');
});

test('what nobody holds can be let go of', async () => {
  const chunks = new FileChunks(LIMITS);
  const blob = new CountedBlob(numbered(2000));
  const held = await chunks.take(blob, 0, whole(blob));
  chunks.giveBack(await chunks.take(blob, 1000, whole(blob)));
  chunks.forget();
  assert.equal(await chunks.take(blob, 0, whole(blob)), held);
  assert.equal(blob.reads, 2);
  assert.equal((await chunks.take(blob, 1000, whole(blob))).bytes.length, 1000);
  assert.equal(blob.reads, 3);
});
