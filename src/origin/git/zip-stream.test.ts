import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf } from '../../base/errors.ts';
import { createProveTools, proveZip } from '../zip-prove.ts';
import { type ZipInput, writeModuleZip } from './zip-stream.ts';

const PREFIX = 'example.com/m@v1.0.0/';

async function* inputs(files: readonly (readonly [path: string, content: Buffer])[]): AsyncGenerator<ZipInput> {
  for (const [path, content] of files) {
    const body = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < content.length; at += 1000) yield content.subarray(at, at + 1000);
    };
    yield { path, sizeBytes: content.length, body: body() };
  }
}

async function written(files: readonly (readonly [path: string, content: Buffer])[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of writeModuleZip(PREFIX, inputs(files))) parts.push(part);
  return Buffer.concat(parts);
}

async function proved(zip: Buffer): Promise<{ readonly entries: number; readonly h1: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'goyi-zip-'));
  try {
    const localPath = join(folder, 'm.zip');
    await writeFile(localPath, zip);
    return await proveZip({ localPath, module: 'example.com/m', version: 'v1.0.0' }, createProveTools());
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('no file, small files, large files and names beyond ASCII come out as they went in, the same bytes each time', async () => {
  const large = Buffer.from(Array.from({ length: 3_000_000 }, (_, index) => (index * 2654435761) >>> 24));
  const files = [
    ['empty', Buffer.alloc(0)],
    ['日本語.go', Buffer.from('package p\n')],
    ['large.bin', large],
    ...Array.from({ length: 200 }, (_, index) => [`f/${index}`, Buffer.from(`file ${index}\n`.repeat(index))] as const),
  ] as const;
  const zip = await written(files);
  assert.equal((await proved(zip)).entries, files.length);
  assert.deepEqual(await written(files), zip);
  const nothing = await written([]);
  assert.equal(nothing.length, 22);
  assert.equal((await proved(nothing)).h1, 'h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=');
});

test('more files than fit in 16 bits', async () => {
  const zip = await written(Array.from({ length: 66_000 }, (_, index) => [`f${index}`, Buffer.alloc(0)] as const));
  assert.equal((await proved(zip)).entries, 66_000);
});

test('too much content ends the zip before it is read', async () => {
  const read = { chunks: 0 };
  const body = async function* (): AsyncGenerator<Buffer> {
    read.chunks += 1;
    yield Buffer.alloc(1);
  };
  const files = async function* (): AsyncGenerator<ZipInput> {
    yield { path: 'a', sizeBytes: 500 * 1024 * 1024 + 1, body: body() };
  };
  const error = await writeModuleZip(PREFIX, files())
    .next()
    .catch((caught: unknown) => caught);
  assert.equal(codeOf(error), 'zip-invalid');
  assert.equal(read.chunks, 0);
});
