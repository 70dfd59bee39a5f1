import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Gate, type Priority } from './gate.ts';

const never = new AbortController().signal;

/** A gate whose one slot is taken; each caller writes its name down when it enters, and leaves at once. */
async function busyGate(): Promise<{ gate: Gate; open: () => Promise<readonly string[]>; ask: (name: string, urgency: Urgency) => void }> {
  const gate = new Gate({ slotsMax: 1, queueMax: 10 });
  const leave = await gate.enter({ priority: 'waited-for' }, never);
  const entered: string[] = [];
  const all: Promise<void>[] = [];
  return {
    gate,
    ask: (name, { priority, raised, signal = never }) =>
      void all.push(
        gate.enter({ priority, raised }, signal).then(
          (leaveAgain) => {
            entered.push(name);
            leaveAgain();
          },
          () => {},
        ),
      ),
    open: async () => {
      leave();
      await Promise.all(all);
      return entered;
    },
  };
}

interface Urgency {
  readonly priority: Priority;
  readonly raised?: AbortSignal;
  readonly signal?: AbortSignal;
}

test('who is waited for passes who is not, each in its order', async () => {
  const { ask, open } = await busyGate();
  for (const [name, priority] of [
    ['a', 'prefetch'],
    ['b', 'waited-for'],
    ['c', 'prefetch'],
    ['d', 'waited-for'],
  ] as const)
    ask(name, { priority });
  assert.deepEqual(await open(), ['b', 'd', 'a', 'c']);
});

test('what somebody comes to wait for moves ahead of what nobody waits for', async () => {
  const { gate, ask, open } = await busyGate();
  const raise = new AbortController();
  ask('a', { priority: 'prefetch' });
  ask('b', { priority: 'prefetch', raised: raise.signal });
  ask('c', { priority: 'waited-for' });
  raise.abort();
  ask('d', { priority: 'prefetch', raised: raise.signal });
  assert.equal(gate.waiting, 4);
  assert.deepEqual(await open(), ['c', 'b', 'd', 'a']);
  assert.deepEqual([gate.taken, gate.waiting], [0, 0]);
});

test('who leaves the queue, raised or not, takes no slot', async () => {
  const { gate, ask, open } = await busyGate();
  const [leave, raise] = [new AbortController(), new AbortController()];
  ask('a', { priority: 'prefetch', signal: leave.signal, raised: raise.signal });
  ask('b', { priority: 'prefetch', signal: leave.signal });
  raise.abort();
  leave.abort(new Error('gone'));
  assert.equal(gate.waiting, 0);
  assert.deepEqual(await open(), []);
  assert.equal(gate.taken, 0);
});

test('the queue has an end, and who left does not count', async () => {
  const gate = new Gate({ slotsMax: 1, queueMax: 1 });
  await gate.enter({ priority: 'waited-for' }, never);
  const leave = new AbortController();
  const waiting = gate.enter({ priority: 'prefetch' }, leave.signal);
  await assert.rejects(gate.enter({ priority: 'waited-for' }, never), { code: 'overloaded' });
  leave.abort(new Error('gone'));
  await assert.rejects(waiting, { message: 'gone' });
  assert.equal(gate.waiting, 0);
});
