import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { type Inflate, createInflate, createReusingInflate, inflateByPublicCalls } from './zip-inflater.ts';

interface Outcome {
  readonly fault: string | undefined;
  readonly bytes: Buffer;
}

async function run(
  inflate: Inflate,
  compressed: Buffer,
  { sizeBytes, chunkBytes = 1000 }: { sizeBytes: number; chunkBytes?: number },
): Promise<Outcome> {
  const parts: Buffer[] = [];
  const reused = Buffer.alloc(chunkBytes);
  const chunks = function* (): Generator<Buffer> {
    // As from a reader: each chunk overwrites the last.
    for (let at = 0; at < compressed.length; at += chunkBytes) {
      const count = compressed.copy(reused, 0, at, at + chunkBytes);
      yield reused.subarray(0, count);
    }
  };
  const fault = await inflate({ chunks: chunks(), compressedBytes: compressed.length, sizeBytes }, (part) => parts.push(Buffer.from(part)));
  return { fault, bytes: Buffer.concat(parts) };
}

// Random and repetitive, so that there are stored, fixed and dynamic blocks.
const contents = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 20_000 }))
    .map(([bytes, times]) => Buffer.from(bytes.length * times > 900_000 ? bytes : Buffer.alloc(bytes.length * times, bytes))),
);

test('this Node has the quick way', () => assert.notEqual(createInflate(), inflateByPublicCalls));

const ways = { 'reused engine': createReusingInflate(), 'public calls': inflateByPublicCalls } as const;
for (const [way, inflate] of Object.entries(ways)) {
  test(`${way}: inflates what zlib deflated, in chunks of any size`, () =>
    fc.assert(
      fc.asyncProperty(contents, fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 5000 }), async (content, level, chunkBytes) => {
        const outcome = await run(inflate, deflateRawSync(content, { level }), { sizeBytes: content.length, chunkBytes });
        assert.equal(outcome.fault, undefined);
        assert.ok(outcome.bytes.equals(content));
      }),
      { numRuns: 60 },
    ));

  test(`${way}: hands out no byte beyond the declared size of a bomb`, async () => {
    const bomb = deflateRawSync(Buffer.alloc(50_000_000));
    for (const sizeBytes of [0, 1, 1000, 262_143, 262_144, 262_145, 1_000_000, 49_999_999]) {
      const { fault, bytes } = await run(inflate, bomb, { sizeBytes });
      assert.equal(fault, 'content is larger than declared');
      assert.ok(bytes.length <= sizeBytes, `${bytes.length} of ${sizeBytes}`);
    }
  });

  test(`${way}: sizes around its buffer`, async () => {
    for (const sizeBytes of [0, 1, 262_143, 262_144, 262_145, 524_287, 524_288, 524_289]) {
      const { fault, bytes } = await run(inflate, deflateRawSync(Buffer.alloc(sizeBytes, 7)), { sizeBytes });
      assert.equal(fault, undefined);
      assert.equal(bytes.length, sizeBytes);
    }
  });

  test(`${way}: every truncation, every byte too many and a smaller content are faults`, async () => {
    const content = Buffer.from('package a\n\nfunc f() { f(); f(); f() }\n');
    const compressed = deflateRawSync(content);
    for (let length = 0; length < compressed.length; length++)
      assert.notEqual((await run(inflate, compressed.subarray(0, length), { sizeBytes: content.length })).fault, undefined);
    for (const chunkBytes of [1, compressed.length, 1000]) {
      const { fault } = await run(inflate, Buffer.concat([compressed, Buffer.from([0])]), { sizeBytes: content.length, chunkBytes });
      assert.equal(fault, 'bytes after the end of the compressed data');
    }
    assert.equal((await run(inflate, compressed, { sizeBytes: content.length + 1 })).fault, 'content is smaller than declared');
  });

  test(`${way}: damage in one entry leaves nothing behind for the next`, async () => {
    const content = Buffer.from('after the damage');
    for (const damage of [Buffer.from([7, 1, 2, 3]), Buffer.from([1, 5, 0, 0, 0, 1]), deflateRawSync(Buffer.alloc(9000)).subarray(0, 10)]) {
      assert.notEqual((await run(inflate, damage, { sizeBytes: 9000 })).fault, undefined);
      const outcome = await run(inflate, deflateRawSync(content), { sizeBytes: content.length });
      assert.deepEqual([outcome.fault, outcome.bytes.toString()], [undefined, 'after the damage']);
    }
  });
}

test('both ways say yes and no to the same streams', () =>
  fc.assert(
    fc.asyncProperty(contents, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }), async (content, changes) => {
      const compressed = deflateRawSync(content);
      for (const [at, value] of changes) compressed[at % compressed.length] = value;
      const quick = await run(ways['reused engine'], compressed, { sizeBytes: content.length });
      const slow = await run(ways['public calls'], compressed, { sizeBytes: content.length });
      assert.equal(quick.fault === undefined, slow.fault === undefined);
      if (quick.fault === undefined) assert.ok(quick.bytes.equals(slow.bytes));
    }),
    { numRuns: 100 },
  ));
