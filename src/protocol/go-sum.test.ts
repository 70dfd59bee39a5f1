import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GO_SUM_LINES_MAX, parseGoSum } from './go-sum.ts';

const zip = 'h1:3fEykkD9k7lYzXqCYrwGAf7iNhbk4yCjHmKBN9td4L0=';
const mod = 'h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=';

test('a zip, a go.mod, an empty line and a hash of another kind', () => {
  const read = parseGoSum(`rsc.io/quote v1.5.2 ${zip}\n\nrsc.io/quote v1.5.2/go.mod ${mod}\r\n\trsc.io/quote/v3  v3.1.0 h9:later`);
  assert.deepEqual(read, {
    ok: true,
    value: [
      { line: 1, path: 'rsc.io/quote', version: 'v1.5.2', file: 'zip', hash: zip },
      { line: 3, path: 'rsc.io/quote', version: 'v1.5.2', file: 'mod', hash: mod },
      { line: 4, path: 'rsc.io/quote/v3', version: 'v3.1.0', file: 'zip', hash: undefined },
    ],
  });
  assert.deepEqual(parseGoSum(''), { ok: true, value: [] });
});

const faults = [
  { text: 'rsc.io/quote v1.5.2', says: /^go\.sum line 1: not of the form/ },
  { text: `\n\nrsc.io/quote v1.5.2 ${zip} more`, says: /^go\.sum line 3: not of the form/ },
  { text: `rsc.io/quote v1.5 ${zip}`, says: /line 1: version is not canonical/ },
  { text: `rsc.io/quote v2.0.0 ${zip}`, says: /line 1: .*not of the major version/ },
  { text: `../quote v1.5.2 ${zip}`, says: /line 1: module path/ },
  { text: 'rsc.io/quote v1.5.2 h1:AAAA', says: /line 1: hash is not h1:/ },
  { text: `rsc.io/quote v1.5.2/go.mod/go.mod ${zip}`, says: /line 1: version/ },
  { text: `rsc.io/quote v1.5.2 ${zip}\n`.repeat(GO_SUM_LINES_MAX + 1), says: /more than 40000 lines/ },
];
for (const { text, says } of faults) {
  test(`refused: ${JSON.stringify(text.slice(0, 60))}`, () => {
    const read = parseGoSum(text);
    assert.ok(!read.ok);
    assert.match(read.reason, says);
  });
}

test('any text is answered, never thrown at', () =>
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void parseGoSum(text))));
