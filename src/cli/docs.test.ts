import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ErrorCode } from '../base/errors.ts';
import { statusOf } from '../server/status.ts';
import { type ConfigKey, configKeys } from './config/schema.ts';
import { variableName } from './config/overrides.ts';
import { exitCodeOf, exitCodes } from './exit-code.ts';
import { en } from './messages/en.ts';
import { zh } from './messages/zh.ts';

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');

/** The rows of every table whose first column has this heading, without their back quotes. */
function tableRows(text: string, heading: string): string[][] {
  const rows: string[][] = [];
  let inside = false;
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) {
      inside = false;
      continue;
    }
    const cells = line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim().replaceAll('`', ''));
    if (cells[0] === heading) inside = true;
    else if (inside && !/^-+$/.test(cells[0]?.split(' ')[0] ?? '')) rows.push(cells);
  }
  return rows;
}

const errorRows = tableRows(read('docs/errors.md'), 'code');
const codes = [...read('src/base/errors.ts').matchAll(/^ {2}\| '([a-z-]+)'/gm)].map(([, code]) => code as ErrorCode);

test('docs/errors.md lists every error code, and no other', () => {
  assert.ok(codes.length >= 20);
  assert.deepEqual(new Set(errorRows.map(([code]) => code)), new Set<string | undefined>(codes));
  assert.equal(errorRows.length, codes.length);
});

test('docs/errors.md gives each code its status and its exit code', () => {
  const withoutStatus = ['data-dir-in-use', 'config-invalid', 'listen-failed', 'canceled'];
  for (const [code, status, exitCode] of errorRows) {
    const known = code as ErrorCode;
    assert.equal(status, withoutStatus.includes(known) ? '–' : String(statusOf(known)), known);
    assert.equal(exitCode, String(exitCodeOf(known)), known);
  }
});

test('docs/errors.md, --help and the code have the same exit codes', () => {
  const numbers = Object.values(exitCodes).map(String);
  assert.deepEqual(tableRows(read('docs/errors.md'), 'exit code'), Object.entries(en.exit));
  assert.deepEqual(Object.keys(en.exit), numbers);
  assert.deepEqual(Object.keys(zh.exit), numbers);
});

test('docs/config.md has every key with its variable, default and bounds, and no other', () => {
  const rows = tableRows(read('docs/config.md'), 'key');
  const keys = configKeys();
  assert.deepEqual(new Set(rows.map(([name]) => name)), new Set<string | undefined>(keys.map(({ name }) => name)));
  assert.equal(rows.length, keys.length);
  for (const key of keys) {
    const row = rows.find(([name]) => name === key.name) ?? [];
    assert.equal(row[1], key.kind === 'groups' ? '–' : variableName(key.name));
    if (key.kind === 'not built') continue;
    assert.equal(row[2], shownDefault(key), `${key.name}: default`);
    if (key.kind === 'number') assert.equal(row[3], `${key.min} to ${key.max}`, `${key.name}: bounds`);
    if (key.kind === 'choice' && !key.name.endsWith('.kind')) assert.equal(row[3], key.choices.join(', '), `${key.name}: choices`);
  }
});

test('docs/operations.md names every metric, and no other', () => {
  const names = (text: string): Set<string> => new Set([...text.matchAll(/\bgoyi_[a-z_]+[a-z]\b/g)].map(([name]) => name));
  assert.ok(names(read('src/server/telemetry.ts')).size > 10);
  assert.deepEqual(names(read('docs/operations.md')), names(read('src/server/telemetry.ts')));
});

test('docs/transparency.md says of every finding what it means, and of no other', () => {
  const ids = tableRows(read('docs/transparency.md'), 'id').flatMap(([names = '']) => names.split(', '));
  assert.ok(ids.length > 10);
  assert.deepEqual(ids.sort(), Object.keys(en.log.findingMeans).sort());
  assert.deepEqual(Object.keys(zh.log.findingMeans).sort(), Object.keys(en.log.findingMeans).sort());
});

test('every flag of a key is explained in both languages', () => {
  assert.deepEqual(Object.keys(en.flags), Object.keys(zh.flags));
  const names = configKeys().map(({ name }) => name);
  assert.deepEqual(
    Object.keys(en.flags).filter((name) => !names.includes(name)),
    [],
  );
});

function shownDefault({ defaultValue }: ConfigKey): string {
  if (defaultValue === undefined) return '–';
  if (Array.isArray(defaultValue)) return defaultValue.join(', ') || '[]';
  return typeof defaultValue === 'string' ? defaultValue : JSON.stringify(defaultValue);
}
