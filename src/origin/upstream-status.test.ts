import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OutboundResponse } from '../net/outbound-client.ts';
import { firstLineOf, meaningOf, retryAfterMs } from './upstream-status.ts';

const kinds = {
  found: [200],
  absent: [404, 410],
  refused: [400, 401, 403, 451],
  fault: [201, 204, 206, 300, 302, 304, 402, 405, 407, 418, 429, 500, 502, 503, 504, 520, 999],
} as const;
for (const [kind, statuses] of Object.entries(kinds)) {
  for (const status of statuses) test(`status ${status} means ${kind}`, () => assert.equal(meaningOf(status).kind, kind));
}

const loads = {
  pressed: [429, 503],
  strained: [408, 502, 504],
  none: [200, 403, 404, 418, 425, 500],
} as const;
for (const [load, statuses] of Object.entries(loads)) {
  for (const status of statuses) {
    test(`status ${status} says that the upstream is ${load === 'none' ? 'nothing in particular' : load}`, () => {
      const meaning = meaningOf(status);
      assert.equal(meaning.kind === 'fault' ? meaning.load : 'none', load);
    });
  }
}

const waits = [
  { text: '2', ms: 2_000 },
  { text: '0', ms: 0 },
  { text: '3600', ms: 5_000 },
  { text: '-1', ms: undefined },
  { text: 'soon', ms: undefined },
  { text: 'Thu, 01 Jan 1970 00:00:03 GMT', ms: 3_000 },
  { text: 'Thu, 01 Jan 2070 00:00:03 GMT', ms: 5_000 },
] as const;
for (const { text, ms } of waits)
  test(`Retry-After: ${text} waits ${ms}`, () => assert.equal(retryAfterMs(new Map([['retry-after', text]]), 0), ms));

function response(body: string | Buffer, type?: string): OutboundResponse {
  return {
    status: 404,
    headers: new Map(type === undefined ? [] : [['content-type', type]]),
    url: new URL('http://x/'),
    body: (async function* () {
      yield await Promise.resolve(Buffer.from(body));
    })(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const lines = [
  { body: 'not found: rsc.io/nope\nmore\n', line: 'not found: rsc.io/nope' },
  { body: '\n\n  second  \n', line: 'second' },
  { body: '', line: '' },
  { body: '<html>', type: 'text/html', line: '' },
  { body: 'evil\u001b[31m red\u202e\u0000\u2028x', line: 'evil[31m redx' },
  { body: 'x'.repeat(5_000), line: 'x'.repeat(300) },
  { body: Buffer.from([0x61, 0xff, 0xfe, 0x62]), line: 'ab' },
] as const;
for (const [i, { body, line, ...rest }] of lines.entries()) {
  test(`the first line, case ${i}`, async () =>
    assert.equal(await firstLineOf(response(body, 'type' in rest ? rest.type : 'text/plain; charset=utf-8')), line));
}
