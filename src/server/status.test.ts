import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '../base/errors.ts';
import { statusOf } from './status.ts';

const statuses: Record<ErrorCode, number> = {
  'bad-request': 400,
  'not-found': 404,
  'method-not-allowed': 405,
  conflict: 409,
  'too-large': 413,
  'policy-denied': 403,
  'upstream-refused': 403,
  'not-cached': 404,
  'checksum-mismatch': 502,
  'checksum-missing': 502,
  'log-invalid': 502,
  'log-forked': 502,
  'zip-invalid': 502,
  'bundle-invalid': 502,
  'upstream-invalid': 502,
  'origin-unavailable': 502,
  'database-unavailable': 502,
  'origin-timeout': 504,
  'still-fetching': 504,
  'storage-full': 507,
  'storage-fault': 503,
  overloaded: 503,
  'data-dir-in-use': 503,
  'config-invalid': 503,
  'listen-failed': 503,
  canceled: 503,
};

for (const [code, status] of Object.entries(statuses))
  test(`${code} is ${status}`, () => assert.equal(statusOf(code as ErrorCode), status));

test('only absence is 404 or 410, and nothing is 500', () => {
  const codes = Object.keys(statuses) as ErrorCode[];
  assert.deepEqual(
    codes.filter((code) => [404, 410].includes(statusOf(code))),
    ['not-found', 'not-cached'],
  );
  assert.ok(codes.every((code) => statusOf(code) !== 500));
});
