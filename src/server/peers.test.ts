import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { Peers } from './peers.ts';

const trusted = [
  { address: '10.0.0.0', bits: 8 },
  { address: 'fd00::', bits: 8 },
];

function peerOf(remoteAddress: string, headers: IncomingHttpHeaders, ranges = trusted): string | undefined {
  return new Peers(ranges).of({ headers, socket: { remoteAddress } as Socket });
}

const cases: readonly (readonly [title: string, remote: string, headers: IncomingHttpHeaders, peer: string | undefined])[] = [
  ['one proxy', '10.0.0.1', { 'x-forwarded-for': '192.0.2.7' }, '192.0.2.7'],
  ['on a socket for both families', '::ffff:10.0.0.1', { 'x-forwarded-for': '192.0.2.7' }, '192.0.2.7'],
  ['what the client says of itself does not count', '10.0.0.1', { 'x-forwarded-for': '198.51.100.1, 192.0.2.7' }, '192.0.2.7'],
  ['two proxies', '10.0.0.1', { 'x-forwarded-for': '198.51.100.1, 192.0.2.7, 10.0.0.2' }, '192.0.2.7'],
  ['a client behind nothing but proxies', '10.0.0.1', { 'x-forwarded-for': '10.1.1.1,10.0.0.2' }, '10.1.1.1'],
  ['a port', '10.0.0.1', { 'x-forwarded-for': '192.0.2.7:4711' }, '192.0.2.7'],
  ['IPv6', 'fd00::1', { 'x-forwarded-for': '2001:db8::5' }, '2001:db8::5'],
  ['Forwarded', '10.0.0.1', { forwarded: 'for=198.51.100.1, for=192.0.2.60;proto=http;by=203.0.113.43' }, '192.0.2.60'],
  ['Forwarded with a port', '10.0.0.1', { forwarded: 'proto=https; For="[2001:db8:cafe::17]:4711"' }, '2001:db8:cafe::17'],
  [
    'Forwarded counts only where the other is not',
    '10.0.0.1',
    { 'x-forwarded-for': '192.0.2.7', forwarded: 'for=192.0.2.60' },
    '192.0.2.7',
  ],
  ['no address', '10.0.0.1', { 'x-forwarded-for': '192.0.2.7, unknown' }, undefined],
  ['an address further on than something that is none', '10.0.0.1', { 'x-forwarded-for': 'unknown, 10.0.0.2' }, '10.0.0.2'],
  ['no header', '10.0.0.1', {}, undefined],
  ['somebody who is no proxy', '192.0.2.9', { 'x-forwarded-for': '127.0.0.1' }, undefined],
];
for (const [title, remote, headers, peer] of cases)
  test(`${title}: ${peer ?? 'the connection'}`, () => assert.equal(peerOf(remote, headers), peer));

test('without a list nobody is believed', () => assert.equal(peerOf('127.0.0.1', { 'x-forwarded-for': '192.0.2.7' }, []), undefined));
