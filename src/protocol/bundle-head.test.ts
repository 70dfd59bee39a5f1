import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  BUNDLE_KEY_NAME,
  type BundleHead,
  createdMs,
  formatBundleHead,
  formatCreated,
  openBundleHead,
  parseBundleHead,
} from './bundle-head.ts';
import { generateSignerKey, signNote } from './note.ts';

/** As an object literal makes it, which deepEqual tells from one without a prototype. */
function plain<T extends object>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return arbitrary.map((value) => JSON.parse(JSON.stringify(value)) as T);
}

const digests = fc.stringMatching(/^[0-9a-f]{64}$/);
const heads: fc.Arbitrary<BundleHead> = plain(
  fc.record({
    created: fc
      .date({ min: new Date('1970-01-02'), max: new Date('2200-01-01'), noInvalidDate: true })
      .map((date) => formatCreated(date.getTime())),
    source: fc.constantFrom('http://127.0.0.1:8080', 'https://goyi.corp.example/go'),
    database: fc.constantFrom('sum.golang.org', 'localhost.localdev/sumdb'),
    tree: fc.record({
      size: fc.nat(1e9),
      root: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64')),
    }),
    own: fc.record({
      database: fc.constantFrom('hub.corp.example/sumdb', 'localhost.localdev/other'),
      size: fc.nat(1e9),
      root: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64')),
    }),
    parent: digests,
    manifestSha256: digests,
    manifestBytes: fc.nat(1e6),
    files: fc.nat(1e5),
    sizeBytes: fc.nat(2 ** 31 - 1).map((gigabytes) => gigabytes * 10),
  }),
);

test('parseBundleHead inverts formatBundleHead', () =>
  fc.assert(
    fc.property(heads, (head) => {
      assert.deepEqual(parseBundleHead(formatBundleHead(head)), { ok: true, value: head });
      const alone = { ...head, parent: undefined, own: undefined };
      assert.deepEqual(parseBundleHead(formatBundleHead(alone)), { ok: true, value: alone });
    }),
  ));

test('no other text is a head', () =>
  fc.assert(
    fc.property(heads, fc.nat(), fc.constantFrom(' ', '\n', '0', 'x', '+'), (head, at, more) => {
      const text = formatBundleHead(head);
      const place = at % (text.length + 1);
      const parsed = parseBundleHead(text.slice(0, place) + more + text.slice(place));
      // A longer number, name or day may be one of its own; it never reads as the one that was signed.
      if (parsed.ok) assert.notDeepEqual(parsed.value, head);
    }),
  ));

const head: BundleHead = {
  created: '2026-11-25T21:00:00Z',
  source: 'http://127.0.0.1:8080',
  database: 'sum.golang.org',
  tree: { size: 5, root: Buffer.alloc(32, 1).toString('base64') },
  own: undefined,
  parent: undefined,
  manifestSha256: 'a'.repeat(64),
  manifestBytes: 10,
  files: 1,
  sizeBytes: 2,
};

test('a head counts when a trusted key signed it, and nothing but that signature stands in the note', () => {
  const [own, other] = [generateSignerKey(BUNDLE_KEY_NAME).signer, generateSignerKey(BUNDLE_KEY_NAME).signer];
  const note = signNote(formatBundleHead(head), own);
  const opened = openBundleHead(note, [other.verifier, own.verifier]);
  assert.ok(opened.ok);
  assert.deepEqual(opened.value.head, head);
  assert.equal(openBundleHead(note, [other.verifier]).ok, false);
  assert.equal(openBundleHead(note, []).ok, false);
  assert.equal(openBundleHead(signNote(formatBundleHead(head), own, other), [own.verifier]).ok, false);
});

for (const database of ['sum.golang.org', 'SUM.golang.org', 'sum.golang.org/lookup', '../x', 'SUM GOLANG'])
  test(`no log of a hub is called ${database} beside sum.golang.org`, () => {
    const own = { ...head.tree, database };
    assert.equal(parseBundleHead(formatBundleHead({ ...head, own })).ok, false);
  });

for (const created of ['2026-02-30T00:00:00Z', '2026-11-25T21:00:00+08:00', '2026-11-25', '2026-11-25T24:61:00Z'])
  test(`${created} is no time of a bundle`, () => assert.equal(createdMs({ created }), undefined));
