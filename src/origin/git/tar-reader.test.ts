import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf } from '../../base/errors.ts';
import { readTar } from './tar-reader.ts';

function header(name: string, sizeBytes: number, type = '0'): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 'latin1');
  block.write(`${sizeBytes.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  return block;
}

function padded(content: string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

async function* inPieces(bytes: Buffer, sizeBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

async function read(bytes: Buffer, sizeBytes: number): Promise<readonly string[]> {
  const seen: string[] = [];
  for await (const { name, kind, body } of readTar(inPieces(bytes, sizeBytes))) {
    const parts: Buffer[] = [];
    if (!name.includes('skipped')) for await (const part of body) parts.push(Buffer.from(part));
    seen.push(`${kind} ${name.toString()} ${Buffer.concat(parts).toString()}`);
  }
  return seen;
}

const end = Buffer.alloc(1024);
const record = '27 path=a/very/long/name\n\n\n';

test('files, links, folders and extended names, in pieces of any size', async () => {
  const tar = Buffer.concat([
    header('pax_global_header', 11, 'g'),
    padded('11 comment='),
    header('folder/', 0, '5'),
    header('folder/a', 5),
    padded('hello'),
    header('skipped', 600),
    padded('x'.repeat(600)),
    header('short', Buffer.byteLength(record), 'x'),
    padded(record),
    header('short', 3),
    padded('abc'),
    header('link', 0, '2'),
    end,
  ]);
  const expected = ['other folder/ ', 'file folder/a hello', 'file skipped ', 'file a/very/long/name\n\n abc', 'other link '];
  for (const sizeBytes of [1, 7, 511, 512, 513, 100_000]) assert.deepEqual(await read(tar, sizeBytes), expected);
});

test('what git does not write is refused', async () => {
  const bad = [
    Buffer.from('not a tar at all'),
    header('a', 5),
    Buffer.concat([header('a', 0, 'L'), end]),
    Buffer.concat([header('x', 4, 'x'), padded('oops'), end]),
    Buffer.concat([header('x', 2_000_000, 'x'), Buffer.alloc(2_000_384), end]),
    Buffer.alloc(512, 1),
  ];
  for (const tar of bad) assert.equal(codeOf(await read(tar, 4096).catch((error: unknown) => error)), 'upstream-invalid');
});
