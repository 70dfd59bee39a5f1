import assert from 'node:assert/strict';
import { test } from 'node:test';
import { priorityOf, type Urgency } from '../../base/gate.ts';
import { UrgentFlight } from './urgent-flight.ts';

const { signal } = new AbortController();
const waited: Urgency = { priority: 'waited-for' };

function flight(): {
  readonly flights: UrgentFlight<string>;
  readonly begun: Urgency[];
  readonly end: () => void;
  readonly start: (urgency: Urgency, key?: string) => Promise<string>;
} {
  const flights = new UrgentFlight<string>();
  const { promise, resolve } = Promise.withResolvers<string>();
  const begun: Urgency[] = [];
  const work = (urgency: Urgency): Promise<string> => {
    begun.push(urgency);
    return promise;
  };
  return { flights, begun, end: () => resolve('done'), start: (urgency, key = 'k') => flights.do(key, urgency, work, signal) };
}

const priorities = (begun: readonly Urgency[]): readonly string[] => begun.map(priorityOf);

test('who is waited for makes what was begun ahead of need as urgent as himself', async () => {
  const { begun, start, end } = flight();
  const first = start({ priority: 'prefetch' });
  assert.deepEqual(priorities(begun), ['prefetch']);
  const second = start(waited);
  assert.deepEqual(priorities(begun), ['waited-for']);
  end();
  assert.deepEqual(await Promise.all([first, second]), ['done', 'done']);
});

test('so does one who joined ahead of need and is waited for later, and who waits for the whole row', async () => {
  const { flights, begun, start, end } = flight();
  const raise = new AbortController();
  const all = [
    start({ priority: 'prefetch' }),
    start({ priority: 'prefetch', raised: raise.signal }),
    start({ priority: 'prefetch' }, 'other'),
  ];
  assert.deepEqual(priorities(begun), ['prefetch', 'prefetch']);
  raise.abort();
  assert.deepEqual(priorities(begun), ['waited-for', 'prefetch']);
  flights.hurry(waited);
  assert.deepEqual(priorities(begun), ['waited-for', 'waited-for']);
  end();
  await Promise.all(all);
  void start({ priority: 'prefetch' });
  assert.deepEqual(priorities(begun).at(-1), 'prefetch', 'the next one begins anew');
});
