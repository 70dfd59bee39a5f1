import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  LOOKUP_BYTES_MAX,
  formatChecksumRecord,
  formatLookupAnswer,
  formatTreeNote,
  openTreeNote,
  parseChecksumRecord,
  parseLookupAnswer,
  parseTreeNote,
} from './checksum-record.ts';
import { parseChecksumDatabaseEntry } from './checksum-database-entry.ts';
import { generateSignerKey, signNote } from './note.ts';

interface Vectors {
  readonly Records: readonly {
    readonly Name: string;
    readonly Body: string;
    readonly OK: boolean;
    readonly ID: number;
    readonly Text: string;
  }[];
  readonly TreeNotes: readonly {
    readonly Name: string;
    readonly Text: string;
    readonly OK: boolean;
    readonly Size: number;
    readonly Root: string;
  }[];
}

const vectors = JSON.parse(readFileSync(new URL('testdata/checksum-vectors.json', import.meta.url), 'utf8')) as Vectors;

for (const { Name, Body, OK, ID, Text } of vectors.Records) {
  test(`parseLookupAnswer: ${Name} is ${OK ? 'a record' : 'refused'}`, () => {
    const answer = parseLookupAnswer(Buffer.from(Body));
    assert.equal(answer.ok, OK);
    if (answer.ok) assert.deepEqual([answer.value.recordId, answer.value.text], [ID, Text]);
  });
}

for (const { Name, Text, OK, Size, Root } of vectors.TreeNotes) {
  test(`parseTreeNote: ${Name} is ${OK ? 'a tree' : 'refused'}`, () => {
    const tree = parseTreeNote(Text);
    assert.equal(tree.ok, OK);
    if (tree.ok) assert.deepEqual([tree.value.size, tree.value.root.toString('base64')], [Size, Root]);
  });
}

const hash = (fill: number): string => `h1:${Buffer.alloc(32, fill).toString('base64')}`;
const quote = { module: 'rsc.io/quote', version: 'v1.5.2', zipHash: hash(1), modHash: hash(2) };
const [zipLine = '', modLine = ''] = formatChecksumRecord(quote).split('\n');

test('parseChecksumRecord inverts formatChecksumRecord', () => {
  assert.deepEqual(parseChecksumRecord(formatChecksumRecord(quote), quote.module, quote.version), {
    ok: true,
    value: { zipHash: quote.zipHash, modHash: quote.modHash },
  });
});

const others = [
  { name: 'nothing', text: '' },
  { name: 'a newline', text: '\n' },
  { name: 'the zip alone', text: `${zipLine}\n` },
  { name: 'the go.mod alone', text: `${modLine}\n` },
  { name: 'the lines changed about', text: `${modLine}\n${zipLine}\n` },
  { name: 'three lines', text: `${zipLine}\n${modLine}\n${zipLine}\n` },
  { name: 'a line twice', text: `${zipLine}\n${zipLine}\n` },
  { name: 'no last newline', text: `${zipLine}\n${modLine}` },
  { name: 'another module', text: formatChecksumRecord({ ...quote, module: 'rsc.io/quotes' }) },
  { name: 'another version', text: formatChecksumRecord({ ...quote, version: 'v1.5.20' }) },
  { name: 'another version in the second line', text: `${zipLine}\n${modLine.replace('v1.5.2', 'v1.5.3')}\n` },
  { name: 'another case', text: formatChecksumRecord({ ...quote, module: 'rsc.io/Quote' }) },
  { name: 'another algorithm', text: `${zipLine.replace('h1:', 'h2:')}\n${modLine}\n` },
  { name: 'a short hash', text: `${zipLine.slice(0, -4)}\n${modLine}\n` },
  { name: 'a hash without padding', text: `${zipLine.slice(0, -1)}\n${modLine}\n` },
  { name: 'something after the hash', text: `${zipLine} \n${modLine}\n` },
  { name: 'two spaces', text: `${zipLine.replace(' v', '  v')}\n${modLine}\n` },
  { name: 'a carriage return', text: `${zipLine}\r\n${modLine}\r\n` },
];
for (const { name, text } of others) {
  test(`parseChecksumRecord refuses ${name}`, () => assert.equal(parseChecksumRecord(text, quote.module, quote.version).ok, false));
}

test('parseLookupAnswer inverts formatLookupAnswer', () => {
  const answer = { recordId: 942, text: formatChecksumRecord(quote), note: 'go.sum database tree\n5\n\n\n— a b\n' };
  assert.deepEqual(parseLookupAnswer(Buffer.from(formatLookupAnswer(answer))), { ok: true, value: answer });
});

test('parseLookupAnswer refuses what is too long or no UTF-8', () => {
  assert.equal(parseLookupAnswer(Buffer.from(`1\n${'a'.repeat(LOOKUP_BYTES_MAX)}\n\n`)).ok, false);
  assert.equal(parseLookupAnswer(Buffer.from([0x31, 0x0a, 0xff, 0x0a, 0x0a])).ok, false);
});

test('numbers are written in one way only', () => {
  for (const number of ['01', '+1', '-1', '-0', '1e3', ' 1', '9007199254740992', '99999999999999999999']) {
    assert.equal(parseLookupAnswer(Buffer.from(`${number}\na\n\n`)).ok, false, number);
    assert.equal(parseTreeNote(`go.sum database tree\n${number}\n${Buffer.alloc(32).toString('base64')}\n`).ok, false, number);
  }
});

test('parseTreeNote inverts formatTreeNote', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.uint8Array({ minLength: 32, maxLength: 32 }), (size, root) => {
      assert.deepEqual(parseTreeNote(formatTreeNote({ size, root })), { ok: true, value: { size, root: Buffer.from(root) } });
    }),
  );
});

test('a tree note with lines that read like hashes is not handed on to older go commands', () => {
  const { signer } = generateSignerKey('a.example');
  const tree = formatTreeNote({ size: 5, root: Buffer.alloc(32) });
  assert.ok(openTreeNote(signNote(`${tree}some day this will mean something\n`, signer), signer.verifier).ok);
  assert.equal(openTreeNote(signNote(`${tree}${zipLine}\n`, signer), signer.verifier).ok, false);
});

const goodEntries = [
  { entry: 'sum.golang.org', name: 'sum.golang.org', url: undefined },
  { entry: ' sum.golang.google.cn ', name: 'sum.golang.org', url: 'https://sum.golang.google.cn' },
  { entry: 'sum.golang.org https://mirror.example/sumdb/', name: 'sum.golang.org', url: 'https://mirror.example/sumdb' },
  {
    entry: 'localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6',
    name: 'localhost.localdev/sumdb',
    url: undefined,
  },
  {
    entry: 'localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6\thttp://127.0.0.1:9/x',
    name: 'localhost.localdev/sumdb',
    url: 'http://127.0.0.1:9/x',
  },
];
for (const { entry, name, url } of goodEntries) {
  test(`parseChecksumDatabaseEntry(${entry})`, () => {
    const parsed = parseChecksumDatabaseEntry(entry);
    assert.ok(parsed.ok, parsed.ok ? '' : parsed.reason);
    assert.deepEqual([parsed.value.name, parsed.value.key.name, parsed.value.url], [name, name, url]);
  });
}

const named = (name: string): string => generateSignerKey(name).signer.verifier.text;
const badEntries = [
  '',
  ' ',
  'unknown.example',
  'sum.golang.org a b',
  'sum.golang.org ftp://mirror.example',
  'sum.golang.org mirror.example',
  'sum.golang.org https://mirror.example/?a=b',
  'sum.golang.org+00000000+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8',
  named('a.example/'),
  named('/a.example'),
  named('a.example/../b'),
  named('a.example//b'),
  named('a.example/b?c'),
  named('https://a.example'),
  named('..'),
];
for (const entry of badEntries)
  test(`parseChecksumDatabaseEntry refuses ${JSON.stringify(entry)}`, () => assert.equal(parseChecksumDatabaseEntry(entry).ok, false));
