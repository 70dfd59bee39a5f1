import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FairQueue } from './fair-queue.ts';

const limits = { itemsOfClientMax: 3, clientsMax: 3 };

function drain(queue: FairQueue<string>): string[] {
  const taken: string[] = [];
  for (let item = queue.take(); item !== undefined; item = queue.take()) taken.push(item);
  return taken;
}

test('clients take turns, and each has its own in order', () => {
  const queue = new FairQueue<string>(limits);
  for (const [client, key] of ['a1', 'a2', 'a3', 'b1', 'c1', 'c2'].map((name) => [name[0] ?? '', name] as const))
    queue.push(client, key, key);
  assert.deepEqual(drain(queue), ['a1', 'b1', 'c1', 'a2', 'c2', 'a3']);
  assert.equal(queue.size, 0);
});

test('of too many things the oldest of that client go, of too many clients the one longest without a turn', () => {
  const queue = new FairQueue<string>(limits);
  for (const key of ['a1', 'a2', 'a3', 'a4']) queue.push('a', key, key);
  queue.push('b', 'b1', 'b1');
  queue.push('c', 'c1', 'c1');
  assert.equal(queue.size, 5);
  queue.push('d', 'd1', 'd1');
  assert.deepEqual(drain(queue), ['b1', 'c1', 'd1']);
  for (const key of ['a1', 'a2', 'a3', 'a4']) queue.push('a', key, key);
  assert.deepEqual(drain(queue), ['a2', 'a3', 'a4']);
});

test('whatever is pushed, taken and deleted, its size is what can still be taken, and no bound is passed', () => {
  const step = fc.record({
    kind: fc.constantFrom('push', 'push', 'take', 'delete'),
    client: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    key: fc.integer({ min: 0, max: 6 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const queue = new FairQueue<string>(limits);
      for (const { kind, client, key } of steps) {
        if (kind === 'push') queue.push(client, `${client}${key}`, `${client}${key}`);
        else if (kind === 'take') queue.take();
        else queue.delete(`${client}${key}`);
        assert.ok(queue.size <= limits.itemsOfClientMax * limits.clientsMax);
      }
      const { size } = queue;
      const rest = drain(queue);
      assert.equal(rest.length, size);
      assert.equal(new Set(rest).size, size);
    }),
  );
});
