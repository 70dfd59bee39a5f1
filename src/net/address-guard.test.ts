import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AddressGuard, inwardReason, type Resolver } from './address-guard.ts';

const never = new AbortController().signal;
const guardOf = (resolver: Resolver, configured: readonly string[] = []): AddressGuard =>
  new AddressGuard({ configuredOrigins: configured.map((address) => new URL(address)), resolver });
const noResolver: Resolver = (name) => Promise.reject(new Error(`must not ask for ${name}`));

const inward = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '10.255.255.255',
  '100.64.0.1',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.0.1',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.8',
  '192.168.0.1',
  '198.18.0.1',
  '198.19.255.255',
  '224.0.0.1',
  '239.1.1.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::7f00:1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::ffff:a9fe:a9fe',
  '::ffff:0:10.0.0.1',
  '64:ff9b::10.0.0.1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::8.8.8.8',
  '2002:0a00:0001::',
  '2002:7f00:1::1',
  '2002:a9fe:a9fe::',
  '2001:0:1:2::3',
  'fe80::1',
  'fe80::1%eth0',
  'febf::1',
  'fec0::1',
  'fc00::1',
  'fdff::1',
  'ff02::1',
  '100::1',
  '4000::1',
  'nonsense',
  '',
] as const;
for (const address of inward) test(`inwardReason refuses ${address}`, () => assert.notEqual(inwardReason(address), undefined));

const outward = [
  '1.1.1.1',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '128.0.0.1',
  '169.253.255.255',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.1.1',
  '198.17.0.1',
  '198.20.0.1',
  '223.255.255.255',
  '2606:4700::1111',
  '2001:4860:4860::8888',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
  '2002:808:808::1',
] as const;
for (const address of outward) test(`inwardReason lets ${address} pass`, () => assert.equal(inwardReason(address), undefined));

test('an IPv4 address is judged alike inside every IPv6 form that carries it', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      const expected = inwardReason(address) === undefined;
      const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
      const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
      for (const form of [`::ffff:${address}`, `::ffff:${hex}`, `64:ff9b::${address}`, `2002:${hex}::1`, `::ffff:0:${hex}`])
        assert.equal(inwardReason(form) === undefined, expected, form);
    }),
  );
});

const odd = [
  'http://0x7f.1/',
  'http://2130706433/',
  'http://0177.0.0.1/',
  'http://127.1/',
  'http://0/',
  'http://0xa9fea9fe/',
  'http://[::ffff:10.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://169.254.169.254/latest',
  'http://①②⑦.0.0.1/',
  'http://127.0.0.1./',
] as const;
for (const address of odd) {
  test(`${address} is refused without asking a name server`, () =>
    assert.rejects(guardOf(noResolver).addressesOf(new URL(address), never), { code: 'origin-unavailable', fault: 'forbidden' }));
}

for (const host of ['localhost', 'localhost.', 'x.localhost', 'intranet', 'metadata.google.internal', 'printer.local', 'LOCALHOST']) {
  test(`the name ${host} is refused without asking a name server`, () =>
    assert.rejects(guardOf(noResolver).addressesOf(new URL(`https://${host}/`), never), { fault: 'forbidden' }));
}

test('one private address among public ones refuses the name', () =>
  assert.rejects(
    guardOf(() =>
      Promise.resolve([
        { address: '1.1.1.1', family: 4 },
        { address: '10.0.0.1', family: 4 },
      ]),
    ).addressesOf(new URL('https://evil.example/'), never),
    /evil\.example leads to 10\.0\.0\.1/,
  ));

test('a configured host and port may be private, the same host on another port may not', async () => {
  const guard = guardOf(() => Promise.resolve([{ address: '10.0.0.1', family: 4 }]), ['http://mirror.corp:8081/go']);
  assert.deepEqual(await guard.addressesOf(new URL('http://mirror.corp:8081/x'), never), [{ address: '10.0.0.1', family: 4 }]);
  await assert.rejects(guard.addressesOf(new URL('http://mirror.corp:8082/x'), never), { fault: 'forbidden' });
});

test('the name is resolved once for connections that start together, and anew later', async () => {
  let asked = 0;
  const guard = guardOf(() => {
    asked += 1;
    return Promise.resolve([{ address: '1.1.1.1', family: 4 }]);
  });
  await Promise.all(Array.from({ length: 20 }, () => guard.addressesOf(new URL('https://a.example/'), never)));
  assert.equal(asked, 1);
  await guard.addressesOf(new URL('https://a.example/'), never);
  assert.equal(asked, 2);
});

test('an answer without addresses, and a failing name server, mean unreachable', async () => {
  await assert.rejects(guardOf(() => Promise.resolve([])).addressesOf(new URL('https://a.example/'), never), { fault: 'unreachable' });
  await assert.rejects(
    guardOf(() => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' }))).addressesOf(new URL('https://a.example/'), never),
    /no such host/,
  );
});

test('a caller who leaves does not wait for the name server', async () => {
  const leave = new AbortController();
  const asked = guardOf(() => new Promise(() => {})).addressesOf(new URL('https://a.example/'), leave.signal);
  leave.abort(new Error('gone'));
  await assert.rejects(asked, /gone/);
});
