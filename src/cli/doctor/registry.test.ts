import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { en } from '../messages/en.ts';
import { zh } from '../messages/zh.ts';
import { explanationIds } from './explain.ts';
import { severities } from './finding.ts';
import { checks } from './registry.ts';

const docs = readFileSync(new URL('../../../docs/doctor.md', import.meta.url), 'utf8');
const ids = Object.keys(severities);

/** The ids in the first column of the table with this heading. */
function listed(heading: string): string[] {
  const [, table = ''] = docs.split(new RegExp(`^\\| ${heading} \\|.*\\n\\|[-| ]+\\|\\n`, 'm'));
  const rows = table.split('\n\n', 1)[0] ?? '';
  return [...rows.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, id = '']) => id);
}

test('every finding belongs to a check, and every check finds only what there is', () => {
  const found = new Set<string>(checks.flatMap((check) => check.finds));
  assert.deepEqual([...found].sort(), [...ids].sort());
  assert.ok(ids.length > 40);
});

test('docs/doctor.md lists every finding with its severity, and no other', () => {
  assert.deepEqual(listed('finding').sort(), [...ids].sort());
  for (const [id, severity] of Object.entries(severities)) assert.match(docs, new RegExp(`^\\| \`${id}\` \\| ${severity} \\|`, 'm'));
});

test('docs/doctor.md lists every error text that is explained, and no other', () => {
  assert.deepEqual(listed('error text').sort(), [...explanationIds].sort());
});

test('both languages say something of everything', () => {
  for (const { doctor, explain } of [en, zh]) {
    for (const text of Object.values(doctor.findings)) assert.ok(text.title('SUBJECT') && text.why && text.todo);
    assert.deepEqual(Object.keys(doctor.findings), ids);
    assert.deepEqual(Object.keys(explain).sort(), [...explanationIds].sort());
  }
});

test('every finding has a test that makes it for real', () => {
  const tests = ['settings', 'network', 'modules', 'machine']
    .map((name) => readFileSync(new URL(`../../../test/doctor-${name}.test.ts`, import.meta.url), 'utf8'))
    .join('');
  for (const id of ids) assert.ok(tests.includes(`'${id}'`), `no test makes ${id}`);
});
