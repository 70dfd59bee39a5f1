import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pulse } from './idle-collection.ts';

/** A letter a look: `b` busy, `.` quiet; and what each tells: `i` idle, `r` rest, `-` nothing. */
const courses = [
  { name: 'a worker that only started', looks: '......', turns: 'i--r--' },
  { name: 'a burst, then nothing for an hour', looks: `bb${'.'.repeat(360)}`, turns: `--i--r${'-'.repeat(356)}` },
  { name: 'bursts with breaks', looks: 'b..b...b', turns: '-i--i---' },
  { name: 'a burst after a rest', looks: '....b.', turns: 'i--r-i' },
];

for (const { name, looks, turns } of courses) {
  test(`what is given back when: ${name}`, () => {
    const pulse = new Pulse();
    const told = Array.from(looks, (look) => pulse.look(look === 'b' ? 0.3 : 0.02)?.charAt(0) ?? '-');
    assert.equal(told.join(''), turns);
  });
}
