import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatIndex, formatTimestampUs, parseIndexQuery, parseTimestampUs } from './index-feed.ts';

const good = [
  { query: '', is: { sinceUs: 0, limit: 2000 } },
  { query: 'limit=7', is: { sinceUs: 0, limit: 7 } },
  { query: 'since=2019-04-10T19:08:52.997264Z', is: { sinceUs: 1_554_923_332_997_264, limit: 2000 } },
  { query: 'since=2019-04-10T19%3A08%3A52.997264Z&limit=2000', is: { sinceUs: 1_554_923_332_997_264, limit: 2000 } },
  { query: 'since=2019-04-11T03:08:52+08:00', is: { sinceUs: 1_554_923_332_000_000, limit: 2000 } },
  { query: 'since=2019-04-11T03:08:52%2B08:00', is: { sinceUs: 1_554_923_332_000_000, limit: 2000 } },
  { query: 'since=1970-01-01T00:00:00.0000001Z', is: { sinceUs: 1, limit: 2000 } },
  { query: 'since=1970-01-01T00:00:00.1Z', is: { sinceUs: 100_000, limit: 2000 } },
  { query: 'since=1960-01-01T00:00:00Z', is: { sinceUs: -315_619_200_000_000, limit: 2000 } },
  { query: 'other=1&since=&limit=', is: { sinceUs: 0, limit: 2000 } },
] as const;
for (const { query, is } of good) test(`?${query} is understood`, () => assert.deepEqual(parseIndexQuery(query), { ok: true, value: is }));

const bad = [
  ...['0', '-1', '2001', 'x', '1e3', '%31%30x', '1.5', '99999999999999999999'].map((limit) => `limit=${limit}`),
  ...[
    'x',
    '2019',
    '2019-04-10',
    '2019-04-10T19:08:52',
    '2019-02-30T00:00:00Z',
    '2019-13-01T00:00:00Z',
    '2019-01-01T24:00:00Z',
    '2019-01-01T00:00:60Z',
    '%zz',
    '2019-01-01T00:00:00+25:00',
    '2019-01-01 00:00:00Z',
  ].map((since) => `since=${since}`),
];
for (const query of bad) test(`?${query} is refused`, () => assert.equal(parseIndexQuery(query).ok, false));

test('a timestamp of the feed is its own since', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800_000_000 }), (us) =>
      assert.deepEqual(parseTimestampUs(formatTimestampUs(us)), { ok: true, value: us }),
    ),
  );
});

test('entries are lines of JSON as the public index writes them', () => {
  const text = formatIndex([
    { module: 'rsc.io/quote', version: 'v1.5.2', storedAtUs: 1_554_923_332_997_260 },
    { module: 'github.com/Azure/sdk', version: 'v1.0.0', storedAtUs: 1_554_923_333_000_000 },
  ]);
  assert.equal(
    text,
    '{"Path":"rsc.io/quote","Version":"v1.5.2","Timestamp":"2019-04-10T19:08:52.997260Z"}\n' +
      '{"Path":"github.com/Azure/sdk","Version":"v1.0.0","Timestamp":"2019-04-10T19:08:53.000000Z"}\n',
  );
  assert.equal(formatIndex([]), '');
});
