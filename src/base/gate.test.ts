import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
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

test('a part of the slots is kept for who is waited for, and one is always there for who is not', async () => {
  const gate = new Gate({ slotsMax: 4, queueMax: 10, prefetchShare: 0.75 });
  for (let i = 0; i < 3; i += 1) assert.ok(gate.tryEnter({ priority: 'prefetch' }), `prefetch ${i}`);
  assert.equal(gate.tryEnter({ priority: 'prefetch' }), undefined);
  const raise = new AbortController();
  const raised = gate.enter({ priority: 'prefetch', raised: raise.signal }, never);
  assert.equal(gate.waiting, 1);
  raise.abort();
  (await raised)();
  assert.ok(gate.tryEnter({ priority: 'waited-for' }), 'the fourth slot was free');
  const single = new Gate({ slotsMax: 1, queueMax: 10, prefetchShare: 0.75 });
  assert.ok(single.tryEnter({ priority: 'prefetch' }));
});

test('with fewer slots nobody is thrown out and nobody enters too early; with more those who wait enter', async () => {
  const gate = new Gate({ slotsMax: 3, queueMax: 10 });
  const leaves = await Promise.all(Array.from({ length: 3 }, () => gate.enter({ priority: 'waited-for' }, never)));
  gate.resize(1);
  const entered: string[] = [];
  const wait = (name: string, priority: Priority): Promise<unknown> =>
    gate.enter({ priority }, never).then((leave) => {
      entered.push(name);
      leaves.push(leave);
    });
  const waiting = [wait('a', 'prefetch'), wait('b', 'waited-for'), wait('c', 'waited-for')];
  leaves.shift()?.();
  leaves.shift()?.();
  assert.deepEqual([gate.taken, gate.waiting], [1, 3]);
  leaves.shift()?.();
  await waiting[1];
  assert.deepEqual([entered, gate.taken], [['b'], 1]);
  gate.resize(3);
  await Promise.all(waiting);
  assert.deepEqual([entered, gate.taken, gate.waiting], [['b', 'c', 'a'], 3, 0]);
});

type Step =
  | { readonly kind: 'enter'; readonly priority: Priority }
  | { readonly kind: 'leave' | 'raise' | 'abort'; readonly which: number }
  | { readonly kind: 'resize'; readonly slotsMax: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('enter' as const), priority: fc.constantFrom<Priority>('waited-for', 'prefetch') }),
    fc.record({ kind: fc.constantFrom('leave' as const, 'raise' as const, 'abort' as const), which: fc.nat(20) }),
    fc.record({ kind: fc.constant('resize' as const), slotsMax: fc.integer({ min: 1, max: 6 }) }),
  ),
  { maxLength: 60 },
);

test('whatever comes and goes: nobody enters beyond the slots, nobody waits who has room, and all are gone in the end', () =>
  fc.assert(
    fc.asyncProperty(steps, async (all) => {
      let slotsMax = 3;
      const gate = new Gate({ slotsMax, queueMax: 1_000, prefetchShare: 0.75 });
      const leaves: (() => void)[] = [];
      const asked: { raise: AbortController; leave: AbortController; raisedOrWaitedFor: boolean; settled: boolean }[] = [];
      for (const step of all) {
        const takenBefore = gate.taken;
        if (step.kind === 'enter') {
          const entry = {
            raise: new AbortController(),
            leave: new AbortController(),
            raisedOrWaitedFor: step.priority === 'waited-for',
            settled: false,
          };
          asked.push(entry);
          gate.enter({ priority: step.priority, raised: entry.raise.signal }, entry.leave.signal).then(
            (leave) => void ((entry.settled = true), leaves.push(leave)),
            () => void (entry.settled = true),
          );
        } else if (step.kind === 'resize') gate.resize((slotsMax = step.slotsMax));
        else if (step.kind === 'leave') leaves.splice(step.which, 1)[0]?.();
        else if (step.kind === 'abort') asked[step.which]?.leave.abort(new Error('gone'));
        else {
          const entry = asked[step.which];
          entry?.raise.abort();
          if (entry !== undefined) entry.raisedOrWaitedFor = true;
        }
        assert.ok(gate.taken <= Math.max(slotsMax, takenBefore));
        await Promise.resolve().then(() => {});
        const waiting = asked.filter(({ settled }) => !settled);
        assert.equal(gate.waiting, waiting.length);
        if (waiting.some(({ raisedOrWaitedFor }) => raisedOrWaitedFor)) assert.ok(gate.taken >= slotsMax);
        if (waiting.length > 0) assert.ok(gate.taken >= Math.max(1, Math.floor(slotsMax * 0.75)));
      }
      while (leaves.length > 0 || gate.waiting > 0) {
        leaves.shift()?.();
        await Promise.resolve().then(() => {});
      }
      assert.equal(gate.taken, 0);
    }),
    { numRuns: 300 },
  ));
