import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nearestName } from './nearest-name.ts';

const names = ['listen', 'limits', 'log', 'tls', 'upstreams', 'workers', 'GOYI_LISTEN', '--data-dir'];

const cases = [
  { name: 'lisen', nearest: 'listen' },
  { name: 'Listen', nearest: 'listen' },
  { name: 'ilsten', nearest: 'listen' },
  { name: 'limit', nearest: 'limits' },
  { name: 'upstraems', nearest: 'upstreams' },
  { name: 'worker', nearest: 'workers' },
  { name: 'lgo', nearest: 'log' },
  { name: 'GOYI_LISTE', nearest: 'GOYI_LISTEN' },
  { name: '--datadir', nearest: '--data-dir' },
  { name: 'tl', nearest: undefined },
  { name: 'bananas', nearest: undefined },
  { name: '', nearest: undefined },
  { name: 'x'.repeat(100_000), nearest: undefined },
] as const;

for (const { name, nearest } of cases) test(`nearestName(${name.slice(0, 20)})`, () => assert.equal(nearestName(name, names), nearest));

test('a name is nearest to itself, and one swapped pair of letters does not hide it', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z]{6,20}$/), fc.nat(), (name, at) => {
      const i = at % (name.length - 1);
      const swapped = name.slice(0, i) + name.charAt(i + 1) + name.charAt(i) + name.slice(i + 2);
      assert.equal(nearestName(name, [name]), name);
      assert.equal(nearestName(swapped, ['0'.repeat(30), name]), name);
    }),
  );
});
