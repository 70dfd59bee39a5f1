import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../base/errors.ts';
import { type BreakableStore, blobStoreContract, key, mustOpen } from './contract.ts';
import { createMemoryStore } from './memory-store.ts';

blobStoreContract('memory', async (): Promise<BreakableStore> => {
  let armed: 'before' | 'after' | undefined;
  const store = createMemoryStore({
    faults: (point, operation) => {
      if (point !== armed || (operation !== 'seal' && operation !== 'replace')) return;
      armed = undefined;
      throw new HubError('storage-full', 'no space is left, says the test');
    },
  });
  return {
    store,
    breakNext: (point) => {
      armed = point;
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
});

test('tampering moves the fingerprint, as a hand on the disk would', async () => {
  await using store = createMemoryStore();
  const name = key('modules/rsc.io/quote/@v/v1.5.2.mod');
  const sealed = await store.put(name, Buffer.from('module rsc.io/quote\n'));
  store.tamper(name, Buffer.from('module rsc.io/quota\n'));
  await using blob = await mustOpen(store, name);
  assert.notEqual(blob.fingerprint, sealed.fingerprint);
  await store.setAside(name, 'its digest differs');
  assert.deepEqual(
    store.aside.map((item) => [item.key, item.reason, item.bytes.toString()]),
    [[name, 'its digest differs', 'module rsc.io/quota\n']],
  );
});
