import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import type { BlobKey } from '../base/blob-key.ts';
import { createMemoryStore } from '../store/memory-store.ts';
import { Executables } from './executables.ts';

const never = new AbortController().signal;

test('what an operator put there is listed and served with its digest, and nothing else is', async () => {
  await using store = createMemoryStore();
  const executables = new Executables(store);
  await assert.rejects(executables.open('goyi-linux-x64', never), { code: 'not-found' });
  const bytes = Buffer.from('#!/bin/true\n');
  await store.put('sdk/goyi/goyi-linux-x64' as BlobKey, bytes);
  await store.put('sdk/goyi/notes.txt' as BlobKey, Buffer.from('mine'));
  assert.deepEqual(await executables.list(), ['goyi-linux-x64']);
  for (let turn = 0; turn < 2; turn += 1) {
    const served = await executables.open('goyi-linux-x64', never);
    assert.equal(served.sha256, createHash('sha256').update(bytes).digest('hex'));
    await served.blob[Symbol.asyncDispose]();
  }
  for (const name of ['notes.txt', '../goyi.db', 'goyi-linux-x64.sha256', ''])
    await assert.rejects(executables.open(name, never), { code: 'not-found' });
});
