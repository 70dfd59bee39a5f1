import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPart, checkRest, isDivisible, partHeaders, resumeHeaders, type ResumeState } from './range-resume.ts';

const state = (headers: Record<string, string> = {}, sizeBytes: number | undefined = 100): ResumeState => ({
  sizeBytes,
  headers: new Map(Object.entries(headers)),
});

test('only a strong ETag is sent as If-Range, and nothing when nothing was read', () => {
  assert.deepEqual(resumeHeaders(state({ etag: '"a"' }), 10), { range: 'bytes=10-', 'if-range': '"a"' });
  assert.deepEqual(resumeHeaders(state({ etag: 'W/"a"' }), 10), { range: 'bytes=10-' });
  assert.deepEqual(resumeHeaders(state(), 10), { range: 'bytes=10-' });
  assert.deepEqual(resumeHeaders(state({ etag: '"a"' }), 0), {});
});

const cases: readonly {
  name: string;
  before?: Record<string, string>;
  sizeBytes?: number | undefined;
  now: Record<string, string>;
  fits: boolean;
}[] = [
  { name: 'the exact rest', now: { 'content-range': 'bytes 40-99/100', 'content-length': '60' }, fits: true },
  { name: 'the exact rest of an unknown total', now: { 'content-range': 'bytes 40-99/*' }, fits: true },
  { name: 'the exact rest when the size was not known', sizeBytes: undefined, now: { 'content-range': 'bytes 40-99/100' }, fits: true },
  { name: 'nothing known of the end', sizeBytes: undefined, now: { 'content-range': 'bytes 40-99/*' }, fits: false },
  { name: 'no Content-Range', now: {}, fits: false },
  { name: 'an earlier beginning', now: { 'content-range': 'bytes 39-99/100' }, fits: false },
  { name: 'a later beginning', now: { 'content-range': 'bytes 41-99/100' }, fits: false },
  { name: 'an earlier end', now: { 'content-range': 'bytes 40-98/100' }, fits: false },
  { name: 'another total', now: { 'content-range': 'bytes 40-99/101' }, fits: false },
  { name: 'another size than before', now: { 'content-range': 'bytes 40-119/120' }, fits: false },
  { name: 'another length than its range', now: { 'content-range': 'bytes 40-99/100', 'content-length': '61' }, fits: false },
  { name: 'another ETag', before: { etag: '"a"' }, now: { 'content-range': 'bytes 40-99/100', etag: '"b"' }, fits: false },
  {
    name: 'another Last-Modified',
    before: { 'last-modified': 'then' },
    now: { 'content-range': 'bytes 40-99/100', 'last-modified': 'now' },
    fits: false,
  },
  { name: 'the same ETag', before: { etag: 'W/"a"' }, now: { 'content-range': 'bytes 40-99/100', etag: 'W/"a"' }, fits: true },
  { name: 'several ranges', now: { 'content-type': 'multipart/byteranges', 'content-range': 'bytes 40-50,60-99/100' }, fits: false },
];
for (const { name, before, now, fits, ...rest } of cases) {
  const sizeBytes = 'sizeBytes' in rest ? rest.sizeBytes : 100;
  test(`a 206 with ${name} ${fits ? 'fits' : 'does not fit'}`, () =>
    assert.equal(checkRest({ sizeBytes, headers: new Map(Object.entries(before ?? {})) }, 40, new Map(Object.entries(now))).ok, fits));
}

test('a part is asked for with both ends, and by its strong ETag', () => {
  assert.deepEqual(partHeaders(state({ etag: '"a"' }), { firstByte: 0, endByte: 40 }), { range: 'bytes=0-39', 'if-range': '"a"' });
  assert.deepEqual(partHeaders(state({ etag: 'W/"a"' }), { firstByte: 40, endByte: 41 }), { range: 'bytes=40-40' });
});

const parts: readonly { name: string; before?: Record<string, string>; now: Record<string, string>; fits: boolean }[] = [
  { name: 'exactly that part', now: { 'content-range': 'bytes 40-59/100', 'content-length': '20' }, fits: true },
  { name: 'that part and a star for the whole', now: { 'content-range': 'bytes 40-59/*' }, fits: true },
  { name: 'a longer part', now: { 'content-range': 'bytes 40-60/100' }, fits: false },
  { name: 'a shorter part', now: { 'content-range': 'bytes 40-58/100' }, fits: false },
  { name: 'the whole rest', now: { 'content-range': 'bytes 40-99/100' }, fits: false },
  { name: 'a part of something larger', now: { 'content-range': 'bytes 40-59/101' }, fits: false },
  { name: 'another length than its range', now: { 'content-range': 'bytes 40-59/100', 'content-length': '21' }, fits: false },
  { name: 'another ETag', before: { etag: '"a"' }, now: { 'content-range': 'bytes 40-59/100', etag: '"b"' }, fits: false },
];
for (const { name, before, now, fits } of parts) {
  test(`a 206 with ${name} ${fits ? 'is' : 'is not'} the part`, () =>
    assert.equal(checkPart(state(before), { firstByte: 40, endByte: 60 }, new Map(Object.entries(now))).ok, fits));
}

const things: readonly { headers: Record<string, string>; sizeBytes?: number | undefined; divisible: boolean }[] = [
  { headers: { 'accept-ranges': 'bytes', etag: '"a"' }, divisible: true },
  { headers: { 'accept-ranges': 'bytes', 'last-modified': 'then' }, divisible: true },
  { headers: { 'accept-ranges': 'bytes', etag: 'W/"a"' }, divisible: false },
  { headers: { 'accept-ranges': 'bytes' }, divisible: false },
  { headers: { 'accept-ranges': 'none', etag: '"a"' }, divisible: false },
  { headers: { etag: '"a"' }, divisible: false },
  { headers: { 'accept-ranges': 'bytes', etag: '"a"' }, sizeBytes: undefined, divisible: false },
];
for (const { headers, divisible, ...rest } of things) {
  test(`${JSON.stringify(headers)}${'sizeBytes' in rest ? ' of unknown size' : ''} ${divisible ? 'is' : 'is not'} divisible`, () =>
    assert.equal(isDivisible({ headers: new Map(Object.entries(headers)), sizeBytes: 'sizeBytes' in rest ? undefined : 100 }), divisible));
}
