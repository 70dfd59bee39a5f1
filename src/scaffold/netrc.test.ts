import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isNetrcToken, namesMachine, NETRC_CLOSE, NETRC_OPEN, netrcMachine, withNetrcEntry, withoutNetrcEntry } from './netrc.ts';

function mustBe(result: ReturnType<typeof withNetrcEntry>): string {
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

const machines = [
  { address: 'https://hub.example', go: 'go1.26.8', machine: 'hub.example' },
  { address: 'https://hub.example/go', go: 'go1.23.12', machine: 'hub.example' },
  { address: 'https://hub.example:8443', go: 'go1.20', machine: 'hub.example:8443' },
  { address: 'https://hub.example:8443/go', go: 'go1.26.8', machine: 'hub.example:8443' },
  { address: 'https://hub.example:8443', go: 'go1.19.13', machine: 'hub.example' },
  { address: 'https://[::1]:8443', go: 'devel go1.28-abc', machine: '[::1]:8443' },
] as const;
for (const { address, go, machine } of machines)
  test(`netrcMachine(${address}) for ${go}`, () => assert.equal(netrcMachine(address, go), machine));

const entry = 'machine hub.example login goyi password x';

test('an entry taken out leaves what was there, to the last byte; put in twice it is there once', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (text, above) => {
      const once = mustBe(withNetrcEntry(text, entry));
      assert.ok(once.startsWith(`${NETRC_OPEN}\n${entry}\n`));
      assert.equal(mustBe(withoutNetrcEntry(once)), text);
      assert.equal(mustBe(withNetrcEntry(once, entry)), once);
      assert.equal(mustBe(withNetrcEntry(`${above}\n${once}`, `${entry}y`)), mustBe(withNetrcEntry(`${above}\n${text}`, `${entry}y`)));
    }),
  );
});

test('a block with half of its marks is refused', () => {
  const whole = mustBe(withNetrcEntry('machine a\n', entry));
  for (const text of [whole.replace(NETRC_OPEN, ''), whole.replace(NETRC_CLOSE, ''), whole + whole, `${NETRC_CLOSE}\n${NETRC_OPEN}\n`])
    assert.equal(withoutNetrcEntry(text).ok, false, JSON.stringify(text));
});

test('an entry is found wherever a reader of netrc would find it', () => {
  for (const text of ['machine hub.example', 'login x\tmachine\r\n\r\nhub.example\r\n', 'macdef m\nx\n\nmachine hub.example'])
    assert.ok(namesMachine(text, 'hub.example'), JSON.stringify(text));
  for (const text of ['', '# machine hub.example', 'machine hub.example:1', 'macdef m\nmachine hub.example', 'login hub.example'])
    assert.equal(namesMachine(text, 'hub.example'), false, JSON.stringify(text));
});

test('a token has nothing in it that ends or quotes a word', () => {
  for (const token of ['goyi_Ab-9', 'eyJ.a-_.b==', 'a'.repeat(4096)]) assert.ok(isNetrcToken(token));
  for (const token of ['', 'a b', 'a\n', 'a\u00a0b', '"a"', '#a', 'a\\', 'é', 'a=b', 'a'.repeat(4097)]) assert.ok(!isNetrcToken(token));
});
