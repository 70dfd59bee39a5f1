import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopbackAddress, refusalOfWrite } from './api-access.ts';

type Asked = Parameters<typeof refusalOfWrite>[0];

const asked = (headers: Record<string, string>, remoteAddress: string | undefined): Asked =>
  ({ headers: { host: '127.0.0.1:8080', ...headers }, socket: { remoteAddress } }) as unknown as Asked;

const cases: { name: string; headers?: Record<string, string>; remote?: string | undefined; refused?: RegExp }[] = [
  { name: 'this machine' },
  { name: 'this machine, by IPv6', remote: '::1', headers: { host: '[::1]:8080' } },
  { name: 'this machine, IPv4 on an IPv6 socket', remote: '::ffff:127.0.0.1', headers: { host: 'LOCALHOST' } },
  { name: 'another machine', remote: '10.0.0.7', refused: /from the machine of the hub alone/ },
  { name: 'another machine that says it is this one', remote: '10.0.0.7', headers: { 'x-forwarded-for': '127.0.0.1' }, refused: /alone/ },
  { name: 'an address that only begins like a loopback one', remote: '127.evil', refused: /alone/ },
  { name: 'a connection that is gone', remote: undefined, refused: /alone/ },
  { name: 'a proxy on this machine', headers: { 'x-forwarded-for': '10.0.0.7' }, refused: /through a proxy \(it has x-forwarded-for\)/ },
  { name: 'a proxy that says Via', headers: { via: '1.1 front' }, refused: /through a proxy/ },
  { name: 'a proxy that says Forwarded', headers: { forwarded: 'for=127.0.0.1' }, refused: /through a proxy/ },
  { name: 'a web page', headers: { origin: 'https://evil.example' }, refused: /web pages/ },
  { name: 'a web page of this machine', headers: { origin: 'http://127.0.0.1:8080' }, refused: /web pages/ },
  { name: 'a name that points here', headers: { host: 'evil.example:8080' }, refused: /must name this machine/ },
  { name: 'a name that looks like this machine', headers: { host: 'localhost.evil.example' }, refused: /must name this machine/ },
];
for (const { name, headers = {}, refused, ...rest } of cases) {
  test(`${name}: ${refused === undefined ? 'taken' : 'refused'}`, () => {
    const refusal = refusalOfWrite(asked(headers, 'remote' in rest ? rest.remote : '127.0.0.1'));
    if (refused === undefined) assert.equal(refusal, undefined);
    else assert.match(refusal ?? '', refused);
  });
}

test('only loopback addresses are', () => {
  for (const address of ['127.0.0.1', '127.255.1.9', '::1', '::ffff:127.0.0.1', '::FFFF:127.0.0.1'])
    assert.ok(isLoopbackAddress(address), address);
  for (const address of ['', '0.0.0.0', '128.0.0.1', '::', '::2', '::ffff:10.0.0.1', '127.0.0.1.2', '1127.0.0.1', 'fe80::1'])
    assert.equal(isLoopbackAddress(address), false, address);
});
